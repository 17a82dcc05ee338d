import { ByteBuilder } from '../bytes/builder.js';
import { Element } from './element.js';
import { highHalf, integerWidth, lowHalf, toInteger } from './integer.js';
import { ZIPLIST_HEADER } from './ziplist.js';

const MOST_COUNTED = 0xffff;
/** From this length on, the entry before is given in five bytes (redis ziplist.c, ZIP_BIG_PREVLEN). */
const BIG = 254;
/** Encodings of integers by their bytes: 1, 2, 3, 4, 8. */
const ENCODINGS: readonly number[] = [0, 0xfe, 0xc0, 0xf0, 0xd0, 0, 0, 0, 0xe0];
/** 0xf1 to 0xfd: 0 to 12 in the encoding itself. */
const SMALLEST = 0xf1;
const GREATEST_SMALL = 12;

/**
 * Writes ziplists, whose layout is told in ziplist.ts, with the choices of servers (redis 6.2 ziplist.c, zipTryEncoding,
 * zipStoreEntryEncoding, zipStorePrevEntryLength): a text that is an integer becomes one, in the fewest bytes that hold it;
 * lengths take the fewest bytes.
 *
 *     writer.begin(); writer.add(element)…; const bytes = writer.finish();
 */
export class ZiplistWriter {
  private readonly out = new ByteBuilder();
  private readonly element = new Element();
  private count = 0;
  /** Where the last entry begins, and its length. */
  private lastAt = ZIPLIST_HEADER;
  private lastSize = 0;

  begin(): void {
    this.out.clear();
    this.out.room(ZIPLIST_HEADER);
    this.out.length = ZIPLIST_HEADER;
    this.count = this.lastSize = 0;
    this.lastAt = ZIPLIST_HEADER;
  }

  /** Bytes so far, with the end. */
  get size(): number {
    return this.out.length + 1;
  }

  /** Adds a string or an integer, which is left as it is. */
  add(element: Element): void {
    const { out } = this;
    const at = out.length;
    if (this.lastSize < BIG) {
      out.byte(this.lastSize);
    } else {
      out.byte(0xfe);
      out.le(this.lastSize, 4);
    }
    if (toInteger(this.element.copy(element))) this.integer();
    else this.string();
    this.lastAt = at;
    this.lastSize = out.length - at;
    this.count++;
  }

  private integer(): void {
    const { element, out } = this;
    if (element.num >= 0 && element.num <= GREATEST_SMALL && integerWidth(element) === 1) {
      out.byte(SMALLEST + element.num);
      return;
    }
    const width = integerWidth(element);
    out.byte(ENCODINGS[width]);
    if (width === 8) out.le64(highHalf(element), lowHalf(element));
    else out.le(element.num, width);
  }

  private string(): void {
    const { out } = this;
    const { bytes, end, start } = this.element;
    const length = end - start;
    if (length < 0x40) {
      out.byte(length);
    } else if (length < 0x4000) {
      out.be(0x4000 | length, 2);
    } else {
      out.byte(0x80);
      out.be(length, 4);
    }
    out.copy(bytes, start, end);
  }

  /** The whole ziplist: a view, until `begin`. */
  finish(): Uint8Array {
    const { out } = this;
    out.byte(0xff);
    const size = out.length;
    out.length = 0;
    out.le(size, 4);
    out.le(this.lastAt, 4);
    out.le(Math.min(this.count, MOST_COUNTED), 2);
    out.length = size;
    return out.view();
  }
}

/** The beginning, as a string of an RDB, of a ziplist of one element of `size` bytes, over 64; the bytes follow, and ff. */
export function writeZiplistHead(out: ByteBuilder, size: number, addLength: (out: ByteBuilder, length: number) => void): void {
  const long = size >= 0x4000;
  const whole = ZIPLIST_HEADER + 1 + (long ? 5 : 2) + size + 1;
  addLength(out, whole);
  out.le(whole, 4);
  out.le(ZIPLIST_HEADER, 4);
  out.le(1, 2);
  out.byte(0);
  if (long) {
    out.byte(0x80);
    out.be(size, 4);
  } else {
    out.be(0x4000 | size, 2);
  }
}
