import type { ByteBuilder } from '../../bytes/builder.js';
import { doubleText } from '../../bytes/double.js';
import { BYTES, Element, int32, LARGE, uint32 } from '../../encodings/element.js';
import { highHalf, lowHalf, toInteger } from '../../encodings/integer.js';
import type { Spill } from '../../io/spill.js';
import type { Frame } from '../../rdb/frame.js';
import { type Length, readLength } from '../../rdb/length.js';
import { readString } from '../../rdb/string.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addLength64 } from '../../rdb/write-string.js';
import { readDouble } from '../layouts.js';
import type { OwnForm } from '../own-form.js';
import { NotRepresentable } from '../target-limits.js';
import { targetName, typeFor } from '../targets.js';
import type { Encoding, ValueWriter } from './encoding.js';

/** What is told of a sparse array. */
export interface ArrayItems {
  /** `index` is an INT or INT64 element, unsigned. */
  arrayElement?(index: Element, value: Element): void;
  /** The index of the next insertion; after the elements, if the array has one. */
  arrayInsertIndex?(index: Element): void;
}

/** The tag after an index. */
const STRING = 0;
const INTEGER = 1;
const DOUBLE = 2;

const length: Length = { value: 0, hi: 0, lo: 0 };
const element = new Element();
const index = new Element();
const text = new Uint8Array(64);

/**
 * An array (28, Redis 8.8): count, 0 or 1 and the next insertion index, then per element index, tag and payload: 0 a string,
 * 1 an integer of 8 bytes, 2 a double, 3 a short string. All are texts to the user; a double's is its shortest form, with
 * `.0` where it would look like an integer. No server of this version was available: the layout is from the sources (see
 * docs/compatibility.md).
 */
export const arrayForm: OwnForm<ArrayItems> = {
  whole(handler: ArrayItems, _: Frame, bytes: Uint8Array, start: number, end: number): void {
    let pos = readLength(bytes, start, end, length);
    pos = readLength(bytes, pos, end, length);
    const insertIndex = length.value === 0 ? undefined : new Element();
    if (insertIndex !== undefined) {
      pos = readLength(bytes, pos, end, length);
      insertIndex.setInt64(length.hi | 0, length.lo);
    }
    while (pos < end) {
      pos = readLength(bytes, pos, end, length);
      index.setInt64(length.hi | 0, length.lo);
      pos = readTagged(bytes, pos, end);
      handler.arrayElement?.(index, element);
    }
    if (insertIndex !== undefined) handler.arrayInsertIndex?.(insertIndex);
  },
};

function readTagged(bytes: Uint8Array, pos: number, end: number): number {
  const next = readLength(bytes, pos, end, length);
  if (length.value === INTEGER) {
    element.setInt64(int32(bytes, next + 4), uint32(bytes, next));
    return next + 8;
  }
  if (length.value === DOUBLE) {
    element.kind = BYTES;
    element.bytes = text;
    element.start = 0;
    element.end = doubleText(readDouble(bytes, next), text, 0);
    return next + 8;
  }
  return readString(bytes, next, end, element);
}

/** Writes them: an integer as one, anything else as a string. */
export class ArrayWriter implements ValueWriter, ArrayItems {
  private count = 0;
  private readonly integer = new Element();
  private readonly insertIndex = new Element();
  private hasInsertIndex = false;
  private held: Spill | undefined;

  constructor(private readonly encoding: Encoding) {}

  open(source?: TypeRow): void {
    if (source !== undefined) throw this.encoding.lacks(source);
    this.count = 0;
    this.hasInsertIndex = false;
    this.held?.close();
    this.held = undefined;
  }

  large(spill: Spill): void {
    this.held = spill;
  }

  arrayElement(index: Element, value: Element): void {
    const { encoding, held, integer } = this;
    const { out } = encoding.body;
    this.count++;
    addUnsigned(out, index);
    if (value.kind === LARGE) {
      addLength(out, STRING);
      if (held !== undefined) encoding.body.spilled(held);
      this.held = undefined;
    } else if (toInteger(integer.copy(value))) {
      addLength(out, INTEGER);
      out.le64(highHalf(integer), lowHalf(integer));
    } else {
      addLength(out, STRING);
      encoding.body.string(value);
    }
    encoding.body.flushIfFull();
  }

  arrayInsertIndex(index: Element): void {
    this.insertIndex.copy(index);
    this.hasInsertIndex = true;
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, hasInsertIndex, insertIndex } = this;
    const type = typeFor(encoding.target, 'ARRAY');
    if (type === undefined) throw new NotRepresentable(`${targetName(encoding.target)} has no arrays`);
    addLength(head, this.count);
    addLength(head, Number(hasInsertIndex));
    if (hasInsertIndex) addUnsigned(head, insertIndex);
    return type;
  }
}

/** An integer of 64 bits as a length. */
export function addUnsigned(out: ByteBuilder, element: Element): void {
  addLength64(out, highHalf(element), lowHalf(element));
}
