import type { ByteBuilder } from '../bytes/builder.js';
import { writeInt, writeInt64 } from '../bytes/decimal.js';
import { lzfCompress } from '../bytes/lzf-compress.js';
import { BYTES, Element, INT, LZF } from '../encodings/element.js';
import { integerWidth, toInteger } from '../encodings/integer.js';
import type { TypeRow } from './types.js';
import { LENGTH_SIZE, writeLength } from './write.js';

const INTEGER_ENCODING = 0xc0;
const LZF_ENCODING = 0xc3;
/** Texts longer than this are no integers of 32 bits (redis rdb.c, rdbSaveRawString). */
const LONGEST_INTEGER = 11;
/** Bytes. Shorter strings are never compressed, nor those that would shrink by less than LEAST_GAIN (rdb.c, rdbSaveLzfStringObject). */
const LEAST_COMPRESSED = 21;
export const LEAST_GAIN = 4;

const copy = new Element();
const whole = new Element();
const digits = new Uint8Array(32);
/** What a string becomes when compressed; grows to the largest. */
let compressed = new Uint8Array(1 << 16);

export function addLength(out: ByteBuilder, value: number): void {
  const at = out.room(LENGTH_SIZE);
  out.length = writeLength(out.bytes, at, value);
}

/** A length of 64 bits, unsigned, as two halves (redis rdb.c, rdbSaveLen). */
export function addLength64(out: ByteBuilder, hi: number, lo: number): void {
  if (hi === 0) {
    addLength(out, lo >>> 0);
    return;
  }
  out.byte(0x81);
  out.be(hi, 4);
  out.be(lo, 4);
}

/** Bytes as a string, compressed where a server with `rdbcompression yes` does it, which is the default. */
export function addBytes(out: ByteBuilder, bytes: Uint8Array, start: number, end: number): void {
  const size = end - start;
  if (size >= LEAST_COMPRESSED) {
    if (compressed.length < size) compressed = new Uint8Array(size * 2);
    const packed = lzfCompress(bytes, start, end, compressed, size - LEAST_GAIN);
    if (packed > 0) {
      addLzf(out, compressed, 0, packed, size);
      return;
    }
  }
  addLength(out, size);
  out.copy(bytes, start, end);
}

/** A string of `size` bytes of which the compressed ones are there. */
function addLzf(out: ByteBuilder, bytes: Uint8Array, start: number, end: number, size: number): void {
  addLzfHead(out, end - start, size);
  out.copy(bytes, start, end);
}

/** What stands before the `packed` bytes of a compressed string of `size` bytes. */
export function addLzfHead(out: ByteBuilder, packed: number, size: number): void {
  out.byte(LZF_ENCODING);
  addLength(out, packed);
  addLength(out, size);
}

/**
 * Writes a string, with the choices of servers (redis rdb.c, rdbSaveRawString, rdbSaveLongLongAsStringObject): c0, c1, c2 and
 * an integer of 8, 16, 32 bits where it is one, else its text, compressed where it is long. What is compressed stays as it is.
 */
export function addString(out: ByteBuilder, element: Element): void {
  if (element.kind === LZF) {
    addLzf(out, element.bytes, element.start, element.end, element.num);
    return;
  }
  copy.copy(element);
  const short = copy.kind !== BYTES || copy.end - copy.start <= LONGEST_INTEGER;
  if (short && toInteger(copy)) {
    const width = integerWidth(copy);
    if (width <= 4) {
      const size = width === 3 ? 4 : width;
      out.byte(INTEGER_ENCODING + (size >> 1));
      out.le(copy.num, size);
      return;
    }
  }
  if (element.kind === BYTES) addBytes(out, element.bytes, element.start, element.end);
  else addBytes(out, digits, 0, copy.kind === INT ? writeInt(copy.num, digits, 0) : writeInt64(copy.hi, copy.lo, digits, 0));
}

/** The same of bytes. */
export function addStringOf(out: ByteBuilder, bytes: Uint8Array, start = 0, end = bytes.length): void {
  whole.kind = BYTES;
  whole.bytes = bytes;
  whole.start = start;
  whole.end = end;
  addString(out, whole);
}

/** A score as plain sorted sets of the type have it: of 8 bytes (5) or as text (3). */
export function addScore(out: ByteBuilder, type: TypeRow, score: number): void {
  if (type.name === 'ZSET_2') out.double(score);
  else asciiDouble(out, score);
}

/**
 * A double as ASCII text after its length in one byte; 253 nan, 254 inf, 255 -inf (redis 3.2 rdb.c, rdbSaveDoubleValue). Servers
 * print 17 significant digits; this is the shortest text that is the same double, of up to 17 digits.
 */
function asciiDouble(out: ByteBuilder, value: number): void {
  if (!Number.isFinite(value)) {
    out.byte(Number.isNaN(value) ? 253 : value > 0 ? 254 : 255);
    return;
  }
  const text = Object.is(value, -0) ? '-0' : String(value);
  out.byte(text.length);
  for (let i = 0; i < text.length; i++) out.byte(text.charCodeAt(i));
}
