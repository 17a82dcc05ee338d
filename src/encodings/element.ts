/** What an `Element` holds. Redis strings that look like integers are often stored as integers. */
export const BYTES = 0;
/** An integer that a double holds exactly, in `num`. */
export const INT = 1;
/** A 64-bit integer as two's complement, in `hi` (signed) and `lo` (unsigned). */
export const INT64 = 2;
/** A string still compressed: `num` bytes when decompressed, the LZF bytes are `bytes[start, end)`. */
export const LZF = 3;
/** A double, in `num`. */
export const DOUBLE = 4;
/** A string of `num` bytes that is too large to hold and was passed in pieces before (see values/items.ts). */
export const LARGE = 5;

/**
 * One element of a value, as the readers of every packed form leave it: either bytes where they stand or an integer. One
 * object is used again and again, so that walking a value allocates nothing.
 *
 * `bytes` is borrowed: it is the input itself or a scratch buffer of the reader, valid until the next read.
 */
export class Element {
  kind: number = BYTES;
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  num = 0;
  hi = 0;
  lo = 0;

  copy(other: Element): this {
    this.kind = other.kind;
    this.bytes = other.bytes;
    this.start = other.start;
    this.end = other.end;
    this.num = other.num;
    this.hi = other.hi;
    this.lo = other.lo;
    return this;
  }

  setInt(value: number): void {
    this.kind = INT;
    this.num = value;
  }

  /** Sets both halves of a 64-bit integer; it becomes an `INT` if a double holds it exactly. */
  setInt64(hi: number, lo: number): void {
    if (hi >= -0x200000 && hi < 0x200000) {
      this.kind = INT;
      this.num = hi * 0x100000000 + lo;
    } else {
      this.kind = INT64;
      this.hi = hi;
      this.lo = lo;
    }
  }
}

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Little-endian 32 bits, signed. */
export function int32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]) | ((bytes[at + 1]) << 8) | ((bytes[at + 2]) << 16) | ((bytes[at + 3]) << 24)
  );
}

/** Little-endian 32 bits, unsigned. */
export function uint32(bytes: Uint8Array, at: number): number {
  return int32(bytes, at) >>> 0;
}

/** Little-endian 16 bits, signed. */
export function int16(bytes: Uint8Array, at: number): number {
  return (((bytes[at]) | ((bytes[at + 1]) << 8)) << 16) >> 16;
}
