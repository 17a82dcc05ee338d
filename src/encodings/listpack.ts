import { hexByte, RdbError } from '../bytes/errors.js';
import { BYTES, type Element, int16, int32, uint32 } from './element.js';
import { integerWidth } from './integer.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';
import { PackedWriter } from './packed-writer.js';

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

/** How many entries the header can say; this stands for not known. */
const UNCOUNTED = 0xffff;
/** Encodings of integers by their bytes: 2, 3, 4, 8. */
const ENCODINGS: readonly number[] = [0, 0, 0xf1, 0xf2, 0xf3, 0, 0, 0, 0xf4];

/**
 * Writes listpacks with the choices of servers (redis 7.2 listpack.c, lpEncodeGetType,
 * lpEncodeString, lpEncodeBacklen): a text that is an integer becomes one, in the fewest bytes that hold it; lengths take
 * the fewest bytes.
 */
export class ListpackWriter extends PackedWriter {
  /** @param wide whether the lengths after entries are those of Valkey 9.1 and Redis 8.8, one byte less at the border values */
  constructor(private readonly wide = false) {
    super(LISTPACK_HEADER, ENCODINGS);
  }

  add(element: Element): void {
    const at = this.out.length;
    this.body(element);
    this.backlen(this.out.length - at);
  }

  protected integer(): void {
    const { element, out } = this;
    const width = integerWidth(element);
    if (width <= 2 && element.num >= 0 && element.num < 0x80) {
      out.byte(element.num);
    } else if (width <= 2 && element.num >= -0x1000 && element.num < 0x1000) {
      out.be(0xc000 | (element.num & 0x1fff), 2);
    } else {
      this.wideInteger(width);
    }
  }

  protected string(): void {
    const { out } = this;
    const { bytes, end, start } = this.element;
    const length = end - start;
    if (length < 0x40) {
      out.byte(0x80 | length);
    } else if (length < 0x1000) {
      out.be(0xe000 | length, 2);
    } else {
      out.byte(0xf0);
      out.le(length, 4);
    }
    out.copy(bytes, start, end);
  }

  /** The length of the entry, 7 bits a byte, to be read backwards: the first one read is the last, all but the last have bit 7. */
  private backlen(length: number): void {
    const { out } = this;
    const least = this.wide ? length : length + 1;
    let more = 0;
    if (length > 0x7f) more = least < 0x4000 ? 1 : least < 0x200000 ? 2 : least < 0x10000000 ? 3 : 4;
    out.byte(Math.floor(length / 2 ** (7 * more)));
    while (more-- > 0) out.byte(((length >>> (7 * more)) & 0x7f) | 0x80);
  }

  protected counts(): void {
    this.out.le(Math.min(this.count, UNCOUNTED), 2);
  }
}

/** Bytes of a backward length. */
const LONGEST_BACKLEN = 5;

/** A listpack (redis 7.0 listpack.c, lpValidateIntegrity and lpValidateNext): header, encodings, backward lengths, end byte, count. */
export class ListpackCheck extends PackedCheck {
  private stated = UNCOUNTED;

  constructor(report: Report, visit: Visit) {
    super(report, visit, LISTPACK_HEADER, 1);
  }

  protected head(bytes: Uint8Array, start: number): void {
    const total = uint32(bytes, start);
    this.stated = bytes[start + 4] | (bytes[start + 5] << 8);
    if (total !== this.size) this.report(0, `a header that says ${this.size} bytes`, `${total}`);
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const length = bodyLength(bytes, pos, stop);
    if (length === CUT) return stop < last ? -1 : this.lost(pos, 'a listpack element', 'the end of the listpack');
    if (length < 0) return this.lost(pos, 'a listpack element', hexByte(bytes[pos]));
    const after = pos + length;
    if (after >= last) return this.lost(pos, `a listpack element of at most ${last - pos - 1} bytes`, `${length}`);
    if (after >= stop) return -1;
    const next = after + backlen(bytes, after, length);
    if (next > last) return this.lost(pos, 'a listpack element with its backward length', 'the end of the listpack');
    if (next > stop) return -1;
    const stated = backwards(bytes, next);
    if (stated !== length) {
      this.report(next - 1 + this.shift, `a backward length of ${length}`, stated < 0 ? 'one of too many bytes' : `${stated}`, this.count);
    }
    readListpack(bytes, pos, stop, this.element);
    this.visit(this.element, this.count, pos + this.shift);
    return next;
  }

  protected closed(): void {
    if (this.stated !== UNCOUNTED && this.stated !== this.count) {
      this.report(4, `a header that says ${this.count} elements`, `${this.stated}`);
    }
  }
}

/** The bytes end before an element says how long it is. */
export const CUT = -2;

/** Bytes of the element at `at` without the length after it; CUT, or -1 where there is no such encoding. */
function bodyLength(bytes: Uint8Array, at: number, stop: number): number {
  if (at >= stop) return CUT;
  const left = stop - at;
  const first = bytes[at];
  if (first < 0x80) return 1;
  if (first < 0xc0) return 1 + (first & 0x3f);
  if (first < 0xe0) return 2;
  if (first < 0xf0) return left < 2 ? CUT : 2 + (((first & 0x0f) << 8) | bytes[at + 1]);
  if (first === 0xf0) return left < 5 ? CUT : 5 + uint32(bytes, at + 1);
  if (first < 0xf4) return first - 0xee;
  return first === 0xf4 ? 9 : -1;
}

/** The length that stands before `end`, read backwards (lpDecodeBacklen); -1 for one of too many bytes. */
export function backwards(bytes: Uint8Array, end: number): number {
  let length = 0;
  let weight = 1;
  for (let i = 1; i <= LONGEST_BACKLEN; i++) {
    const byte = bytes[end - i];
    length += (byte & 0x7f) * weight;
    if ((byte & 0x80) === 0) return length;
    weight *= 0x80;
  }
  return -1;
}
