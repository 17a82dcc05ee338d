import { ByteBuilder } from '../bytes/builder.js';
import type { Element } from './element.js';
import { integerWidth } from './integer.js';
import { PackedWriter } from './packed-writer.js';
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
 * Writes ziplists (layout: ziplist.ts) with the choices of servers (redis 6.2 ziplist.c, zipTryEncoding,
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
