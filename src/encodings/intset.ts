import { RdbError } from '../bytes/errors.js';
import { type Element, int16, int32, uint32 } from './element.js';

/*
 * Intset (redis intset.c): bytes per integer (4, little-endian: 2, 4 or 8), number of integers (4), the integers,
 * little-endian, ascending.
 */
export const INTSET_HEADER = 8;

/** Checks the header of the intset whose first 8 bytes are at `start`, `size` bytes long. Returns bytes per integer. */
export function openIntset(bytes: Uint8Array, start: number, size: number): number {
  if (size < INTSET_HEADER) throw bad(start, 'an intset of 8 bytes or more', `${size} bytes`);
  const width = uint32(bytes, start);
  if (width !== 2 && width !== 4 && width !== 8) throw bad(start, '2, 4 or 8 bytes an integer', `${width}`);
  const count = uint32(bytes, start + 4);
  if (INTSET_HEADER + count * width !== size) {
    throw bad(start, `${(size - INTSET_HEADER) / width} integers of ${width} bytes`, `a header that says ${count}`);
  }
  return width;
}

/** Reads the integer of `width` bytes at `pos`; returns the position after it, or -1 where it does not end before `end`. */
export function readIntset(bytes: Uint8Array, pos: number, end: number, width: number, element: Element): number {
  if (pos + width > end) return -1;
  if (width === 2) element.setInt(int16(bytes, pos));
  else if (width === 4) element.setInt(int32(bytes, pos));
  else element.setInt64(int32(bytes, pos + 4), uint32(bytes, pos));
  return pos + width;
}

function bad(within: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_INTSET', { within, expected, got });
}
