import type { Codec } from '../kernels/codec.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import type { OpcodeRow, RedisType, TypeRow } from './types.js';

/** Results of `Framer.next`, besides the kinds of rows: RECORD, ITEMS_PART, STRING_PART, META. */
export const NEED = 0; // push more bytes
export const END = 5; // the end of the file, checksum verified
/** Result of `Framer.fill`: there may be more in the bytes pushed. */
export const FULL = 6;
export { ITEMS_PART, META, RECORD, STRING_PART } from '../kernels/layout.js';

/**
 * Positions of one record, opcode or part in the input. A framer has one and refills it; everything it refers to is borrowed until
 * the next call of `next`.
 */
export class Frame {
  /** -1 for a value without a key. */
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

  /** `bytes[start, end)` is the value without its type byte, or a part of it: all parts together are the value as stored. */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** Offset of `start` in the RDB. */
  offset = 0;

  /** Whether this is the first, and the last, part of its value; a RECORD is both. */
  first = true;
  last = true;

  /**
   * Whether the next part can be read without this one and earlier ones, since it begins with a whole item of a collection, or node
   * of a list or stream; and the number of items or nodes from there on.
   */
  splits = false;
  itemsLeft = 0;
  /** `splits` of the part before. */
  resumes = false;
  itemsAhead = 0;

  /**
   * With the first part: `headBytes[headStart, headEnd)` are the bytes before the value: the modifiers of the key (expiry, idle
   * time, …) and, from `typeAt` on, its type byte and the key. `headStart` is `typeAt` if something else is between modifiers and
   * key. In a RECORD from the file, the value directly follows.
   */
  headBytes: Uint8Array = EMPTY;
  headStart = 0;
  typeAt = 0;
  headEnd = 0;

  /** KEY_META: the module metadata of the key as stored; undefined if it has none. */
  metaBytes: Uint8Array | undefined = undefined;
  /** The hash templates defined so far: field names by number. */
  templates: Map<number, readonly Uint8Array[]> = new Map();

  /** Of a STRING_PART: where the string's own bytes begin (its length precedes them in the first piece). */
  bodyStart = 0;
  /** Of a STRING_PART: whether it is LZF, the decompressed length of the whole string, and whether it ends here. */
  lzf = false;
  stringLength = 0;
  stringFirst = false;
  stringLast = false;

  /** Unix milliseconds, exact at any size; only if the key has an expiry. */
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

/** The key of a frame for error texts: in the text form, shortened if it is long. */
export function shownKey({ keyBytes, keyStart, keyEnd }: Frame): string {
  const shown = Math.min(keyEnd, keyStart + LONGEST_KEY_SHOWN);
  return formatText(keyBytes, keyStart, shown) + (shown < keyEnd ? '…' : '');
}

export interface FramerOptions {
  /** Verify the CRC-64 (default true). */
  checksum?: boolean;
  /** Refuse unknown versions (default false: read on and warn). */
  strict?: boolean;
  /** Larger values, in decompressed bytes, come in parts (default 1 MiB). */
  limit?: number | undefined;
  /** Return META frames (default true). Without them, large functions and module data are skipped without being held. */
  meta?: boolean;
  /** Implementation of the hot loops (default: TypeScript). */
  codec?: Codec | undefined;
  /** Buffer for input bytes, given for good: chunks are copied to it. Default: an own buffer, only for cut records. */
  buffer?: Uint8Array | undefined;
  /** Number of writable bytes before a chunk: the rest of the last chunk is best put there. Default: none. */
  roomBefore?: ((chunk: Uint8Array) => number) | undefined;
  /** Called with a sentence about anything odd that is no error. */
  onWarning?: (warning: string) => void;
}
