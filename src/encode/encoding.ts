import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { BYTES, Element } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import { IntsetWriter } from '../encodings/intset-writer.js';
import { ListpackWriter } from '../encodings/listpack-writer.js';
import { ZiplistWriter } from '../encodings/ziplist-writer.js';
import type { TypeRow } from '../rdb/types.js';
import { TargetLimits } from '../values/target-limits.js';
import { PACKED_BYTES } from '../values/packed-limits.js';
import type { Target } from '../values/targets.js';
import { Body } from './body.js';
import type { Unknown } from './fields.js';
import type { Place } from './places.js';

/** What values are encoded with: who for, writers, and where they go. */
export class Encoding extends TargetLimits {
  readonly body = new Body();
  readonly listpack: ListpackWriter;
  readonly ziplist = new ZiplistWriter();
  readonly intset = new IntsetWriter();

  constructor(target: Target, allowLoss: boolean, readonly unknown: Unknown) {
    super(target, allowLoss);
    this.listpack = new ListpackWriter(target.wide);
  }
}

/** Makes a value of one type from its place in a line. */
export interface ValueEncoder {
  readonly place: Place;
  begin(): void;
  /**
   * The end of the line: writes what stands before `Encoding.body`, which has the elements. Returns the type. Throws RdbError
   * for what makes no value, NotRepresentable for what the target cannot be told.
   */
  finish(head: ByteBuilder): TypeRow;
  /** Where the body is not written as it stands. */
  pieces?(): Iterable<Uint8Array> | undefined;
}

/** A value without elements, which no server has: a key goes with its last one. */
export function emptyValue(what: string): RdbError {
  return new RdbError('BAD_LINE', { expected: `a ${what} with elements`, got: 'one without, which no server has', path: 'value' });
}

/** A few short texts behind one another. */
export class Small {
  private readonly out = new ByteBuilder();
  private ends: number[] = [];
  /** Whether all of them are integers. */
  integers = true;
  private readonly element = new Element();

  begin(): void {
    this.out.clear();
    this.ends = [];
    this.integers = true;
  }

  get count(): number {
    return this.ends.length;
  }

  add(element: Element): void {
    this.out.copy(element.bytes, element.start, element.end);
    this.ends.push(this.out.length);
    if (this.integers) this.integers = toInteger(this.element.copy(element));
  }

  /** Number `i`, until the next call. */
  at(i: number): Element {
    const { element, ends, out } = this;
    element.kind = BYTES;
    element.bytes = out.bytes;
    element.start = i === 0 ? 0 : ends[i - 1];
    element.end = ends[i];
    return element;
  }
}

/** Whether an element may stand in a packed collection. */
export function isShort(element: Element | undefined): element is Element {
  return element !== undefined && element.end - element.start <= PACKED_BYTES;
}
