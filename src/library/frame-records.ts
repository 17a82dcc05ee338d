import type { RedisType } from '../rdb/types.js';
import { copyOf } from '../values/value-texts.js';

abstract class Borrowed {
  constructor(
    /**
     * The bytes, in a buffer of the reader. BORROWED: valid only until the loop goes on to the next frame, then the buffer is
     * reused. Use them before, or keep a `copy()`. Do not write to them.
     */
    readonly bytes: Uint8Array,
    /** Offset of `bytes` in the RDB (decompressed, if the source is compressed). */
    readonly offset: number,
  ) {}

  /** A copy of the bytes, safe to keep. */
  copy(): Buffer {
    return copyOf(this.bytes, 0, this.bytes.length);
  }
}

/** What is known of a key before its value is decoded. */
export interface FrameKey {
  /** Database number. */
  readonly db: number;
  /** Safe to keep; all parts of one value share it. */
  readonly key: Buffer;
  readonly type: RedisType;
  /** The servers' name of the encoding without its prefix RDB_TYPE_, like HASH_LISTPACK. */
  readonly encoding: string;
  /** The type byte before the key. 22 and 23 have different meanings in files of Redis and of Valkey. */
  readonly encodingId: number;
  /** RDB version, as in a DUMP payload of this value. */
  readonly version: number;
  /** Unix milliseconds; undefined if the key does not expire. */
  readonly expireAt: number | undefined;
  /** Seconds since the last access; only in files of servers with an LRU eviction policy. */
  readonly idle: number | undefined;
  /** The LFU counter, 0 to 255; only in files of servers with an LFU eviction policy. */
  readonly freq: number | undefined;
  /** What modules attached to the key (Redis 8.6), as stored in the file, without its opcode. */
  readonly keyMeta: Buffer | undefined;
}

/**
 * A key and the bytes of its value, without the type byte and the key. A large value comes in parts, one frame each with the same
 * key; all their bytes together are the value.
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
    /** Whether this is the first, and the last, part of its value. A value in one frame is both. */
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

/** A record that is not a key: the operands of an opcode. */
export class MetaFrame extends Borrowed {
  readonly kind = 'meta';

  constructor(
    /** The servers' name without its prefix RDB_OPCODE_, like AUX. */
    readonly opcode: string,
    /** The byte itself. */
    readonly opcodeId: number,
    /** The last selected database. */
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
