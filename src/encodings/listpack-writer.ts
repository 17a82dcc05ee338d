import type { Element } from './element.js';
import { integerWidth } from './integer.js';
import { LISTPACK_HEADER } from './listpack.js';
import { PackedWriter } from './packed-writer.js';

/** How many entries the header can say; this stands for not known. */
const UNCOUNTED = 0xffff;
/** Encodings of integers by their bytes: 2, 3, 4, 8. */
const ENCODINGS: readonly number[] = [0, 0, 0xf1, 0xf2, 0xf3, 0, 0, 0, 0xf4];

/**
 * Writes listpacks (layout: listpack.ts) with the choices of servers (redis 7.2 listpack.c, lpEncodeGetType,
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
