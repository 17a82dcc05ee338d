import type { ByteBuilder } from '../../bytes/builder.js';
import { Element, LARGE } from '../../encodings/element.js';
import { highHalf, lowHalf, toInteger } from '../../encodings/integer.js';
import type { Spill } from '../../io/spill.js';
import type { TypeRow } from '../../rdb/types.js';
import { addLength, addLength64 } from '../../rdb/write-string.js';
import { NotRepresentable } from '../target-limits.js';
import { targetName, typeFor } from '../targets.js';
import type { Encoding, ValueWriter } from './encoding.js';

/** The tag after an index (values/array-and-template.ts). */
const STRING = 0;
const INTEGER = 1;

/** A sparse array (28, Redis 8.8): an integer as one, anything else as a string. */
export class ArrayWriter implements ValueWriter {
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
