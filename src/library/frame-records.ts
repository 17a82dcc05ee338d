import type { RedisType } from '../rdb/types.js';
import { copyOf } from '../values/value-texts.js';

/** Bytes of the input. */
abstract class Borrowed {
  constructor(
    /**
     * The bytes, in a buffer of the reader. BORROWED: valid only until the loop goes on to the next
     * frame, then other bytes take their place. Use them before, or keep a `copy()`. Not to be written to.
     */
    readonly bytes: Uint8Array,
    /** Where `bytes` begin in the RDB (decompressed, where the source is compressed). */
    readonly offset: number,
  ) {}

  /** The bytes in a buffer of their own, safe to keep. */
  copy(): Buffer {
    return copyOf(this.bytes, 0, this.bytes.length);
  }
}

/** What is known of a key before its value is looked at. */
export interface FrameKey {
  /** Number of the database. */
  readonly db: number;
  /** A private buffer, safe to keep; the parts of one value have the same. */
  readonly key: Buffer;
  readonly type: RedisType;
  /** The servers' name for how the value is encoded, RDB_TYPE_… without that, like HASH_LISTPACK. */
  readonly encoding: string;
  /** The type byte in front of the key. 22 and 23 mean different things in files of Redis and of Valkey. */
  readonly encodingId: number;
  /** Version of the RDB: what a DUMP payload of this value would say. */
  readonly version: number;
  /** Unix milliseconds; undefined where the key has no expiry. */
  readonly expireAt: number | undefined;
  /** Seconds since the last access; only in files of servers with an LRU eviction policy. */
  readonly idle: number | undefined;
  /** The LFU counter, 0 to 255; only in files of servers with an LFU eviction policy. */
  readonly freq: number | undefined;
  /** What modules attached to the key (Redis 8.6), as stored in the file, without its opcode. */
  readonly keyMeta: Buffer | undefined;
}

/**
 * A key and the bytes of its value, without the type byte and the key before them. A large value comes in parts, one frame
 * each with the same head, and all their bytes in a row are the value.
 */
export class ValueFrame extends Borrowed {
  readonly kind = 'value';
  readonly db: number;
  readonly key: Buffer;
  readonly type: RedisType;
  readonly encoding: string;
  readonly encodingId: number;
  readonly version: number;
  readonly expireAt: number | undefined;
  readonly idle: number | undefined;
  readonly freq: number | undefined;
  readonly keyMeta: Buffer | undefined;

  constructor(
    head: FrameKey,
    bytes: Uint8Array,
    offset: number,
    /** Whether this is the first, and the last, part of its value. A value that comes whole is both. */
    readonly first: boolean,
    readonly last: boolean,
  ) {
    super(bytes, offset);
    this.db = head.db;
    this.key = head.key;
    this.type = head.type;
    this.encoding = head.encoding;
    this.encodingId = head.encodingId;
    this.version = head.version;
    this.expireAt = head.expireAt;
    this.idle = head.idle;
    this.freq = head.freq;
    this.keyMeta = head.keyMeta;
  }
}

/** Something that is no key: the operands of an opcode. */
export class MetaFrame extends Borrowed {
  readonly kind = 'meta';

  constructor(
    /** The servers' name, RDB_OPCODE_… without that, like AUX. */
    readonly opcode: string,
    /** The byte itself. */
    readonly opcodeId: number,
    /** The database that was selected last. */
    readonly db: number,
    bytes: Uint8Array,
    offset: number,
  ) {
    super(bytes, offset);
  }
}

/** The last frame of an input that was read to its end; see EndRecord. */
export interface EndFrame {
  readonly kind: 'end';
  readonly version: number;
  readonly checksum: 'ok' | 'none';
  readonly keys: number;
}
