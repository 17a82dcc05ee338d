import type { ByteBuilder } from '../../bytes/builder.js';
import { Element, LARGE } from '../../encodings/element.js';
import { toInteger } from '../../encodings/integer.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addString } from '../../rdb/write-string.js';
import { type Encoding, INTSET_ITEMS, isShort, PACKED_ITEMS, Small, type ValueWriter } from './encoding.js';
import { typeFor } from '../targets.js';

/**
 * Writes items of a list or set: held while they are few and short, since such a value may be packed, and else in the body, one after
 * another.
 */
export abstract class FewItemsWriter implements ValueWriter {
  readonly wantsStoredLarge = true;
  protected readonly small = new Small();
  protected count = 0;
  /** Whether all of them are held. */
  protected areHeld = true;

  /** @param most as many are held */
  constructor(
    protected readonly encoding: Encoding,
    private readonly most: number,
  ) {}

  abstract open(source?: TypeRow): void;
  abstract finish(head: ByteBuilder): TypeRow;

  protected reset(areHeld: boolean): void {
    this.small.begin();
    this.count = 0;
    this.areHeld = areHeld;
  }

  item(element: Element): void {
    this.count++;
    if (this.areHeld && this.count <= this.most && isShort(element)) {
      this.small.add(this.encoding.plain(element));
      return;
    }
    this.spread();
    if (element.kind !== LARGE) this.encoding.body.string(element);
  }

  largeBegin(): void {
    this.spread();
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.encoding.body.bytes(bytes, start, end);
  }

  /** Puts those that are held into the body, as it is without packing. */
  protected spread(): void {
    if (!this.areHeld) return;
    this.areHeld = false;
    const { encoding, small } = this;
    for (let i = 0; i < small.count; i++) addString(encoding.body.out, small.at(i));
  }
}

/** A set: an intset (11), a listpack (20, since 7.2), or plain (2). */
export class SetWriter extends FewItemsWriter {
  private readonly integer = new Element();

  constructor(encoding: Encoding) {
    super(encoding, INTSET_ITEMS);
  }

  open(): void {
    this.reset(true);
  }

  finish(head: ByteBuilder): TypeRow {
    const { areHeld, count, encoding, small } = this;
    if (areHeld && small.integers) return this.intset();
    const packed = areHeld && count <= PACKED_ITEMS ? typeFor(encoding.target, 'SET_LISTPACK') : undefined;
    if (packed !== undefined) {
      encoding.body.packed(small.pack(encoding.listpack));
      return packed;
    }
    this.spread();
    addLength(head, count);
    return encoding.choose('SET');
  }

  private intset(): TypeRow {
    const { encoding, integer, small } = this;
    encoding.intset.begin();
    for (let i = 0; i < small.count; i++) {
      toInteger(integer.copy(small.at(i)));
      encoding.intset.add(integer);
    }
    encoding.body.packed(encoding.intset.finish());
    return encoding.choose('SET_INTSET');
  }
}
