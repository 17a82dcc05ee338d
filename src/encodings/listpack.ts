import { hexByte, RdbError } from '../bytes/errors.js';
import { BYTES, type Element, int16, int32, uint32 } from './element.js';

/*
 * Listpack (redis listpack.c): total bytes (4, little-endian), number of entries (2; 65535: not known), entries, FF.
 * An entry is encoding + data, and then its own length in 1 to 5 bytes, to be read backwards:
 *   0xxxxxxx            integer 0..127          1110xxxx +1 byte    string, 12-bit length
 *   10xxxxxx            string, 6-bit length    11110000 +4 bytes   string, 32-bit length
 *   110xxxxx +1 byte    integer, 13 bits        F1 F2 F3 F4         integer of 16, 24, 32, 64 bits, little-endian
 */
export const LISTPACK_HEADER = 6;
const END = 0xff;

/**
 * Bytes of the backward length at `at`, after an entry of `length` bytes (lpEncodeBacklen). At the border values servers
 * before Valkey 9.1 and Redis 8.8 take one byte more: its first byte, the highest 7 bits, is then 0.
 */
export function backlen(bytes: Uint8Array, at: number, length: number): number {
  if (length <= 127) return 1;
  if (length < 16383) return 2;
  if (length < 2097151) return length > 16383 || bytes[at] === 0 ? 3 : 2;
  if (length < 268435455) return length > 2097151 || bytes[at] === 0 ? 4 : 3;
  return length > 268435455 || bytes[at] === 0 ? 5 : 4;
}

/** Checks the frame around the entries of the listpack in `bytes[start, end)`. Returns its entry count, or -1. */
export function openListpack(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size < LISTPACK_HEADER + 1) throw bad(start, 'a listpack of 7 bytes or more', `${size} bytes`);
  const total = uint32(bytes, start);
  if (total !== size) throw bad(start, `a listpack of ${size} bytes`, `a header that says ${total}`);
  if (bytes[end - 1] !== END) throw bad(end - 1, 'the end byte ff', hexByte(bytes[end - 1]));
  const count = (bytes[start + 4]) | ((bytes[start + 5]) << 8);
  return count === 0xffff ? -1 : count;
}

/**
 * Reads the entry at `pos`. Returns the position after it, or -1 where it does not end before `end` (then, if its length
 * was there to read, `element` says how long the string is).
 */
export function readListpack(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  const first = bytes[pos];
  let next: number;
  if (first < 0x80) {
    element.setInt(first);
    next = pos + 2;
  } else if (first < 0xc0) {
    const length = first & 0x3f;
    element.kind = BYTES;
    element.bytes = bytes;
    element.start = pos + 1;
    element.end = pos + 1 + length;
    next = pos + 2 + length;
  } else if (first < 0xe0) {
    element.setInt(((((first & 0x1f) << 8) | (bytes[pos + 1])) << 19) >> 19);
    next = pos + 3;
  } else if (first < 0xf0) {
    next = string(bytes, pos, pos + 2, ((first & 0x0f) << 8) | (bytes[pos + 1]), element);
  } else {
    switch (first) {
      case 0xf0:
        if (pos + 5 > end) return incomplete(element);
        next = string(bytes, pos, pos + 5, uint32(bytes, pos + 1), element);
        break;
      case 0xf1:
        element.setInt(int16(bytes, pos + 1));
        next = pos + 4;
        break;
      case 0xf2:
        element.setInt(
          (((bytes[pos + 1]) << 8) | ((bytes[pos + 2]) << 16) | ((bytes[pos + 3]) << 24)) >> 8,
        );
        next = pos + 5;
        break;
      case 0xf3:
        element.setInt(int32(bytes, pos + 1));
        next = pos + 6;
        break;
      case 0xf4:
        element.setInt64(int32(bytes, pos + 5), uint32(bytes, pos + 1));
        next = pos + 10;
        break;
      default:
        if (pos >= end) return incomplete(element);
        throw bad(pos, 'a listpack entry', hexByte(first));
    }
  }
  return next > end ? -1 : next;
}

function string(bytes: Uint8Array, pos: number, start: number, length: number, element: Element): number {
  element.kind = BYTES;
  element.bytes = bytes;
  element.start = start;
  element.end = start + length;
  return start + length + backlen(bytes, start + length, start - pos + length);
}

function incomplete(element: Element): number {
  element.setInt(0);
  return -1;
}

function bad(within: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_LISTPACK', { within, expected, got });
}
