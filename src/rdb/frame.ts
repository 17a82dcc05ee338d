import type { Codec } from '../kernels/codec.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import type { OpcodeRow, RedisType, TypeRow } from './types.js';

/** What `Framer.next` found, beside the kinds of rows: RECORD, ITEMS_PART, STRING_PART, META. */
export const NEED = 0; // push more bytes
export const END = 5; // the end of the file, checksum verified
/** What `Framer.fill` found: there may be more in the bytes pushed. */
export const FULL = 6;
export { ITEMS_PART, META, RECORD, STRING_PART } from '../kernels/layout.js';

/**
 * One frame: where things stand in the input. The framer has one of these and fills it again for every frame; everything it
 * refers to is borrowed until the next call to `next`.
 */
export class Frame {
  /** -1 for a value that is on its own: it has no key then. */
  db = 0;
  type!: TypeRow;
  redisType: RedisType = 'string';
  opcode: OpcodeRow | undefined = undefined;

  keyBytes: Uint8Array = EMPTY;
  keyStart = 0;
  keyEnd = 0;

  hasExpire = false;
  /** Unix milliseconds; above 2^53 only the halves are exact. */
  expireAt = -1;
  expireHi = 0;
  expireLo = 0;
  /** Seconds, or -1. */
  idle = -1;
  /** 0 to 255, or -1. */
  freq = -1;

  /**
   * `bytes[start, end)` is the value without its type byte, or this part of it: all parts in a row are the value as it
   * stands in the file.
   */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** Offset of `start` in the RDB. */
  offset = 0;

  /** Whether this is the first and the last part of its value; a RECORD is both. */
  first = true;
  last = true;

  /**
   * Whether the next part of the value can be read without this one and those before it, since it begins with a whole item
   * of a collection, or node of a list or stream; and how many items or nodes there are from it on.
   */
  splits = false;
  itemsLeft = 0;
  /** What the part before said of this one. */
  resumes = false;
  itemsAhead = 0;

  /**
   * With the first part: `headBytes[headStart, headEnd)` is what stands in the file before the value, as it stands there: the
   * modifiers of the key (expiry, idle time, …), from `typeAt` on its type byte and the key. `headStart` is `typeAt` where
   * something else stands between the modifiers and the key. In a RECORD from the file, the value follows at once.
   */
  headBytes: Uint8Array = EMPTY;
  headStart = 0;
  typeAt = 0;
  headEnd = 0;

  /** KEY_META: the module metadata of this key, as it stands in the file; undefined where there is none. */
  metaBytes: Uint8Array | undefined = undefined;
  /** The hash templates that the file defined so far: field names by number. */
  templates = new Map<number, readonly Uint8Array[]>();

  /** Of a STRING_PART: where the string's own bytes begin (the length stands before them in the first piece). */
  bodyStart = 0;
  /** Of a STRING_PART: whether the bytes are LZF, the length of the whole string once decompressed, and whether it ends here. */
  lzf = false;
  stringLength = 0;
  stringFirst = false;
  stringLast = false;

  /** Unix milliseconds, exact at any size; of a key that has an expiry. */
  get expireMs(): bigint {
    return (BigInt(this.expireHi) << 32n) | BigInt(this.expireLo);
  }

  setExpireMs(ms: bigint): void {
    this.setExpire(Number(ms >> 32n), Number(ms & 0xffff_ffffn));
  }

  /** Halves of signed 64-bit Unix milliseconds. */
  setExpire(hi: number, lo: number): void {
    this.hasExpire = true;
    this.expireHi = hi;
    this.expireLo = lo;
    this.expireAt = hi * 0x100000000 + lo;
  }
}

const LONGEST_KEY_SHOWN = 256;

/** The key of a frame for error texts: its text form, cut where it is long. */
export function shownKey({ keyBytes, keyStart, keyEnd }: Frame): string {
  const shown = Math.min(keyEnd, keyStart + LONGEST_KEY_SHOWN);
  return formatText(keyBytes, keyStart, shown) + (shown < keyEnd ? '…' : '');
}

export interface FramerOptions {
  /** Verify the CRC-64 (default true). */
  checksum?: boolean;
  /** Refuse versions that are not known (default false: read on and warn). */
  strict?: boolean;
  /** A value over this many bytes, decompressed, comes in parts (default 1 MiB). */
  limit?: number | undefined;
  /** Return META frames (default true). Without them, large functions and module data are passed without being held. */
  meta?: boolean;
  /** The make of the hot loops (default: TypeScript). */
  codec?: Codec | undefined;
  /** Where bytes are kept, borrowed for good: chunks are copied to it. Default: memory of its own, only for what is cut. */
  buffer?: Uint8Array | undefined;
  /** How many bytes before a chunk may be written to: there, what is left of the chunk before stands best. Default: none. */
  roomBefore?: ((chunk: Uint8Array) => number) | undefined;
  /** Gets a sentence for everything odd that is no error. */
  onWarning?: (warning: string) => void;
}
