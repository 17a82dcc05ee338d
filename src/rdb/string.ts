import { writeInt, writeInt64 } from '../bytes/decimal.js';
import { hexByte, RdbError } from '../bytes/errors.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { lzfMaxLength } from '../bytes/lzf.js';
import { BYTES, type Element, EMPTY, INT64, int16, int32, LZF } from '../encodings/element.js';
import { badLength, type Length, MAX_LENGTH, readLength } from './length.js';

const scratchLength: Length = { value: 0, hi: 0, lo: 0 };

/**
 * Reads a string (redis rdb.c, rdbGenericLoadStringObject): a length and bytes; or c0, c1, c2 and an integer of 1, 2, 4
 * bytes, little-endian; or c3, two lengths (compressed, plain) and LZF bytes, which are left compressed. Returns the
 * position after it, or -1 where the bytes end before.
 */
export function readString(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  if (pos >= end) return -1;
  const first = bytes[pos];
  let start: number;
  let size: number;
  if (first < 0x40) {
    start = pos + 1;
    size = first;
    element.kind = BYTES;
  } else if (first < 0xc0) {
    start = readLength(bytes, pos, end, scratchLength);
    if (start < 0) return -1;
    size = scratchLength.value;
    if (size > MAX_LENGTH) throw badLength(scratchLength);
    element.kind = BYTES;
  } else if (first === 0xc3) {
    const middle = readLength(bytes, pos + 1, end, scratchLength);
    if (middle < 0) return -1;
    size = scratchLength.value;
    if (size > MAX_LENGTH) throw badLength(scratchLength);
    start = readLength(bytes, middle, end, scratchLength);
    if (start < 0) return -1;
    element.kind = LZF;
    element.num = scratchLength.value;
    if (element.num > MAX_LENGTH) throw badLength(scratchLength);
    if (element.num > lzfMaxLength(size)) {
      const expected = `at most ${lzfMaxLength(size)} bytes from ${size} compressed ones`;
      throw new RdbError('BAD_LZF', { within: pos, expected, got: `a stated length of ${element.num}` });
    }
  } else {
    return integer(bytes, pos, end, element);
  }
  element.bytes = bytes;
  element.start = start;
  element.end = start + size;
  return start + size > end ? -1 : start + size;
}

function integer(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  switch (bytes[pos]) {
    case 0xc0:
      element.setInt(((bytes[pos + 1]) << 24) >> 24);
      return pos + 2 > end ? -1 : pos + 2;
    case 0xc1:
      element.setInt(int16(bytes, pos + 1));
      return pos + 3 > end ? -1 : pos + 3;
    case 0xc2:
      element.setInt(int32(bytes, pos + 1));
      return pos + 5 > end ? -1 : pos + 5;
    default:
      throw new RdbError('BAD_STRING', { within: pos, expected: 'a string encoding c0 to c3 or a length', got: hexByte(bytes[pos]) });
  }
}

const LEAST = 1 << 12;

/** A buffer that is used again and again, growing to the largest need. */
export class Scratch {
  bytes: Uint8Array;

  constructor(
    private readonly codec: Codec = TS_CODEC,
    /** Serves all needs that fit. */
    private readonly first: Uint8Array = EMPTY,
  ) {
    this.bytes = first;
  }

  /** At least `size` bytes; what it held before is lost where it grows. */
  room(size: number): Uint8Array {
    if (size <= this.first.length) this.bytes = this.first;
    else if (this.bytes.length < size) this.bytes = new Uint8Array(Math.max(size, this.bytes.length * 2, LEAST));
    return this.bytes;
  }

  /** Decompresses an LZF element to this buffer; others are left alone. */
  inflate(element: Element): void {
    if (element.kind !== LZF) return;
    const out = this.room(element.num);
    this.codec.lzfDecompress(element.bytes, element.start, element.end, out, 0, element.num);
    element.kind = BYTES;
    element.bytes = out;
    element.start = 0;
    element.end = element.num;
  }

  /** Makes a string of any element: decompresses LZF and writes integers as decimal text to this buffer. */
  text(element: Element): void {
    if (element.kind === BYTES) return;
    if (element.kind === LZF) {
      this.inflate(element);
      return;
    }
    const out = this.room(32);
    element.end = element.kind === INT64 ? writeInt64(element.hi, element.lo, out, 0) : writeInt(element.num, out, 0);
    element.kind = BYTES;
    element.bytes = out;
    element.start = 0;
  }
}
