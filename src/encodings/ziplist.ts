import { hexByte, RdbError } from '../bytes/errors.js';
import { BYTES, type Element, int16, int32, uint32 } from './element.js';

/*
 * Ziplist (redis ziplist.c): total bytes (4, little-endian), offset of the last entry (4), number of entries (2; 65535: not
 * known), entries, FF. An entry is the length of the one before it (1 byte below 254, else FE and 4 bytes), then encoding
 * and data:
 *   00pppppp           string, 6-bit length             C0 D0 E0    integer of 16, 32, 64 bits, little-endian
 *   01pppppp +1 byte   string, 14 bits, big-endian      F0 FE       integer of 24, 8 bits
 *   10______ +4 bytes  string, 32 bits, big-endian      F1..FD      integer 0..12
 */
export const ZIPLIST_HEADER = 10;
const END = 0xff;

/** Checks the frame around the entries of the ziplist in `bytes[start, end)`. Returns its entry count, or -1. */
export function openZiplist(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size < ZIPLIST_HEADER + 1) throw bad(start, 'a ziplist of 11 bytes or more', `${size} bytes`);
  const total = uint32(bytes, start);
  if (total !== size) throw bad(start, `a ziplist of ${size} bytes`, `a header that says ${total}`);
  if (bytes[end - 1] !== END) throw bad(end - 1, 'the end byte ff', hexByte(bytes[end - 1]));
  const count = (bytes[start + 8]) | ((bytes[start + 9]) << 8);
  return count === 0xffff ? -1 : count;
}

/**
 * Reads the entry at `pos`. Returns the position after it, or -1 where it does not end before `end` (then, if its length
 * was there to read, `element` says how long the string is).
 */
export function readZiplist(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  if (bytes[pos] === END) throw bad(pos, 'a ziplist entry', 'the end byte ff');
  const p = (bytes[pos]) < 0xfe ? pos + 1 : pos + 5;
  if (p >= end) return incomplete(element);
  const encoding = bytes[p];
  let next: number;
  if (encoding < 0x40) {
    next = string(bytes, p + 1, encoding, element);
  } else if (encoding < 0x80) {
    next = string(bytes, p + 2, ((encoding & 0x3f) << 8) | (bytes[p + 1]), element);
  } else if (encoding < 0xc0) {
    if (p + 5 > end) return incomplete(element);
    const length =
      (((bytes[p + 1]) << 24) |
        ((bytes[p + 2]) << 16) |
        ((bytes[p + 3]) << 8) |
        (bytes[p + 4])) >>>
      0;
    next = string(bytes, p + 5, length, element);
  } else {
    switch (encoding) {
      case 0xc0:
        element.setInt(int16(bytes, p + 1));
        next = p + 3;
        break;
      case 0xd0:
        element.setInt(int32(bytes, p + 1));
        next = p + 5;
        break;
      case 0xe0:
        element.setInt64(int32(bytes, p + 5), uint32(bytes, p + 1));
        next = p + 9;
        break;
      case 0xf0:
        element.setInt(
          (((bytes[p + 1]) << 8) | ((bytes[p + 2]) << 16) | ((bytes[p + 3]) << 24)) >> 8,
        );
        next = p + 4;
        break;
      case 0xfe:
        element.setInt(((bytes[p + 1]) << 24) >> 24);
        next = p + 2;
        break;
      default:
        if (encoding < 0xf1 || encoding > 0xfd) throw bad(p, 'a ziplist entry', hexByte(encoding));
        element.setInt((encoding & 0x0f) - 1);
        next = p + 1;
    }
  }
  return next > end ? -1 : next;
}

function string(bytes: Uint8Array, start: number, length: number, element: Element): number {
  element.kind = BYTES;
  element.bytes = bytes;
  element.start = start;
  element.end = start + length;
  return start + length;
}

function incomplete(element: Element): number {
  element.setInt(0);
  return -1;
}

function bad(within: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_ZIPLIST', { within, expected, got });
}
