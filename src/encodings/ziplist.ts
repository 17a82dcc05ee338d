import { ByteBuilder } from '../bytes/builder.js';
import { hexByte, RdbError } from '../bytes/errors.js';
import { BYTES, type Element, int16, int32, uint32 } from './element.js';
import { integerWidth } from './integer.js';
import { PackedCheck, type Report, type Visit } from './packed-check.js';
import { PackedWriter } from './packed-writer.js';

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

const MOST_COUNTED = 0xffff;
/** From this length on, the entry before is given in five bytes (redis ziplist.c, ZIP_BIG_PREVLEN). */
const BIG = 254;
/** Encodings of integers by their bytes: 1, 2, 3, 4, 8. */
const ENCODINGS: readonly number[] = [0, 0xfe, 0xc0, 0xf0, 0xd0, 0, 0, 0, 0xe0];
/** 0xf1 to 0xfd: 0 to 12 in the encoding itself. */
const SMALLEST = 0xf1;
const GREATEST_SMALL = 12;

/**
 * Everything before the bytes of the only string of a ziplist; a byte ff follows them. `size` is 64 or
 * more, and below 2^32.
 */
export function bigZiplistHead(size: number): Uint8Array {
  const [out, string] = [new ByteBuilder(), new ByteBuilder()];
  addStringHead(string, size);
  out.le(ZIPLIST_HEADER + 1 + string.length + size + 1, 4);
  out.le(ZIPLIST_HEADER, 4);
  out.le(1, 2);
  out.byte(0);
  out.copy(string.bytes, 0, string.length);
  return out.view();
}

/** The encoding of a string: its length in 6, 14 or 32 bits. */
function addStringHead(out: ByteBuilder, length: number): void {
  if (length < 0x40) {
    out.byte(length);
  } else if (length < 0x4000) {
    out.be(0x4000 | length, 2);
  } else {
    out.byte(0x80);
    out.be(length, 4);
  }
}

/**
 * Writes ziplists with the choices of servers (redis 6.2 ziplist.c, zipTryEncoding,
 * zipStoreEntryEncoding, zipStorePrevEntryLength): a text that is an integer becomes one, in the fewest bytes that hold it;
 * lengths take the fewest bytes.
 */
export class ZiplistWriter extends PackedWriter {
  /** Where the last entry begins, and its length. */
  private lastAt = ZIPLIST_HEADER;
  private lastSize = 0;

  constructor() {
    super(ZIPLIST_HEADER, ENCODINGS);
  }

  override begin(): void {
    super.begin();
    this.lastAt = ZIPLIST_HEADER;
    this.lastSize = 0;
  }

  add(element: Element): void {
    const { out } = this;
    const at = out.length;
    if (this.lastSize < BIG) {
      out.byte(this.lastSize);
    } else {
      out.byte(0xfe);
      out.le(this.lastSize, 4);
    }
    this.body(element);
    this.lastAt = at;
    this.lastSize = out.length - at;
  }

  protected integer(): void {
    const { element, out } = this;
    if (element.num >= 0 && element.num <= GREATEST_SMALL && integerWidth(element) === 1) {
      out.byte(SMALLEST + element.num);
      return;
    }
    this.wideInteger(integerWidth(element));
  }

  protected string(): void {
    const { out } = this;
    const { bytes, end, start } = this.element;
    addStringHead(out, end - start);
    out.copy(bytes, start, end);
  }

  protected counts(): void {
    this.out.le(this.lastAt, 4);
    this.out.le(Math.min(this.count, MOST_COUNTED), 2);
  }
}

const UNCOUNTED = 0xffff;
const LONG = 0xfe;

/**
 * A ziplist (redis 7.0 ziplist.c, ziplistValidateIntegrity): header, encodings, the length of the entry before, offset of the last
 * entry, end byte, count.
 */
export class ZiplistCheck extends PackedCheck {
  private tail = 0;
  private stated = UNCOUNTED;
  /** Of the entry before. */
  private lastAt = 0;
  private lastSize = 0;

  constructor(report: Report, visit: Visit) {
    super(report, visit, ZIPLIST_HEADER, 1);
  }

  protected head(bytes: Uint8Array, start: number): void {
    const total = uint32(bytes, start);
    this.tail = uint32(bytes, start + 4);
    this.stated = bytes[start + 8] | (bytes[start + 9] << 8);
    this.lastAt = this.lastSize = 0;
    if (total !== this.size) this.report(0, `a header that says ${this.size} bytes`, `${total}`);
  }

  protected entry(bytes: Uint8Array, pos: number, stop: number, last: number): number {
    const before = bytes[pos];
    if (before === LONG && pos + 5 > stop) return stop < last ? -1 : this.lost(pos, 'a ziplist entry', 'the end of the ziplist');
    const { element } = this;
    const next = this.read(bytes, pos, stop);
    if (this.broken) return -1;
    if (next < 0) {
      if (element.kind === BYTES && element.end > last) {
        return this.lost(pos, `a ziplist entry of at most ${last - element.start} bytes`, `${element.end - element.start}`);
      }
      return stop < last ? -1 : this.lost(pos, 'a ziplist entry', 'the end of the ziplist');
    }
    const stated = before === LONG ? uint32(bytes, pos + 1) : before;
    if (stated !== this.lastSize) {
      this.report(pos + this.shift, `${this.lastSize} as the length of the entry before`, `${stated}`, this.count);
    }
    this.lastAt = pos + this.shift;
    this.lastSize = next - pos;
    this.visit(element, this.count, this.lastAt);
    return next;
  }

  private read(bytes: Uint8Array, pos: number, stop: number): number {
    try {
      return readZiplist(bytes, pos, stop, this.element);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return this.lost(error.within ?? pos, error.expected ?? 'a ziplist entry', error.got ?? 'something else');
    }
  }

  protected closed(): void {
    const { count, lastAt, size, stated, tail } = this;
    if (count > 0 ? tail !== lastAt : tail >= size) {
      this.report(4, count > 0 ? `${lastAt} as the offset of the last entry` : 'an offset inside the ziplist', `${tail}`);
    }
    if (stated !== UNCOUNTED && stated !== count) this.report(8, `a header that says ${count} entries`, `${stated}`);
  }
}
