import { hexByte, RdbError } from '../bytes/errors.js';

/** A length-encoded integer, read by `readLength`; 64-bit values over 2^53 are exact in `hi` and `lo` only. */
export interface Length {
  value: number;
  hi: number;
  lo: number;
}

/**
 * Reads a length (redis rdb.c, rdbLoadLenByRef): 00 + 6 bits, 01 + 14 bits, 80 + 4 bytes, 81 + 8 bytes, big-endian all.
 * Returns the position after it, or -1 where the bytes end before.
 */
export function readLength(bytes: Uint8Array, pos: number, end: number, length: Length): number {
  if (pos >= end) return -1;
  const first = bytes[pos];
  length.hi = 0;
  if (first < 0x40) {
    length.value = length.lo = first;
    return pos + 1;
  }
  if (first < 0x80) {
    length.value = length.lo = ((first & 0x3f) << 8) | (bytes[pos + 1]);
    return pos + 2 > end ? -1 : pos + 2;
  }
  if (first === 0x80) {
    length.value = length.lo = uint32BE(bytes, pos + 1);
    return pos + 5 > end ? -1 : pos + 5;
  }
  if (first === 0x81) {
    length.hi = uint32BE(bytes, pos + 1);
    length.lo = uint32BE(bytes, pos + 5);
    length.value = length.hi * 0x100000000 + length.lo;
    return pos + 9 > end ? -1 : pos + 9;
  }
  throw new RdbError('BAD_LENGTH', { within: pos, expected: 'a length', got: hexByte(first) });
}

/** Counts and lengths above this are damage, not data: no server holds 2^40 of anything. */
export const MAX_LENGTH = 2 ** 40;

/** The length that was read, to the last digit. */
export function lengthText({ hi, lo }: Length): string {
  return ((BigInt(hi) << 32n) | BigInt(lo)).toString();
}

/** For a length above `MAX_LENGTH`. */
export function badLength(length: Length): RdbError {
  return new RdbError('BAD_LENGTH', { expected: 'a length or count below 2^40', got: lengthText(length) });
}

/** Big-endian 32 bits, unsigned. */
function uint32BE(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at]) << 24) | ((bytes[at + 1]) << 16) | ((bytes[at + 2]) << 8) | (bytes[at + 3])) >>> 0
  );
}
