import { ByteBuilder } from '../bytes/builder.js';
import { Element } from './element.js';
import { highHalf, lowHalf, toInteger } from './integer.js';

/**
 * What the writers of ziplists and listpacks have in common: the header begins with the size of the whole, entries follow one
 * another, a byte ff ends it.
 *
 *     writer.begin(); writer.add(element)…; const bytes = writer.finish();
 */
export abstract class PackedWriter {
  protected readonly out = new ByteBuilder();
  protected count = 0;
  /** The current element, an integer if it can be one. */
  protected readonly element = new Element();

  protected constructor(
    private readonly header: number,
    /** The encoding bytes of integers of 1, 2, 3, 4 and 8 bytes. */
    private readonly encodings: readonly number[],
  ) {}

  begin(): void {
    this.out.clear();
    this.out.room(this.header);
    this.out.length = this.header;
    this.count = 0;
  }

  /** Bytes so far, including the end byte. */
  get size(): number {
    return this.out.length + 1;
  }

  /** Adds a string or an integer, which is left as it is. */
  abstract add(element: Element): void;

  /** Writes the element as an integer where it is one, else as a string. */
  protected body(element: Element): void {
    if (toInteger(this.element.copy(element))) this.integer();
    else this.string();
    this.count++;
  }

  protected abstract integer(): void;
  protected abstract string(): void;

  /** Writes the encoding byte of an integer of `width` bytes, then the integer. */
  protected wideInteger(width: number): void {
    const { element, out } = this;
    out.byte(this.encodings[width]);
    if (width === 8) out.le64(highHalf(element), lowHalf(element));
    else out.le(element.num, width);
  }

  /** Writes the header fields that follow the size. */
  protected abstract counts(): void;

  /** The whole value: a view, until `begin`. */
  finish(): Uint8Array {
    const { out } = this;
    out.byte(0xff);
    const size = out.length;
    out.length = 0;
    out.le(size, 4);
    this.counts();
    out.length = size;
    return out.view();
  }
}
