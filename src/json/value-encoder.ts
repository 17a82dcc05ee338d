import { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { BYTES, Element, LARGE } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import type { Target } from '../values/targets.js';
import { Encoding, type ValueWriter } from '../values/types/encoding.js';
import type { Place, Unknown } from './places.js';
import type { Text } from './read-text.js';

/** What the values of lines are encoded with. */
export class LineEncoding extends Encoding {
  constructor(target: Target, allowLoss: boolean, readonly unknown: Unknown) {
    super(target, allowLoss);
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

/** An integer of 64 bits as an element. */
export function setInteger(element: Element, value: bigint): Element {
  element.setInt64(Number(BigInt.asIntN(32, value >> 32n)), Number(value & 0xffffffffn));
  return element;
}

const large = new Element();
large.kind = LARGE;

/** The element of a text; a large one is handed to the writer first, and a LARGE element stands for it. */
export function elementOf(text: Text, role: number, writer: ValueWriter, { body }: Encoding, field?: Element): Element {
  const { element, spilled } = text;
  if (element !== undefined) return element;
  const size = spilled?.size ?? 0;
  if (writer.large === undefined) {
    writer.largeBegin?.(role, size, field, undefined);
    body.spilled(text.take());
  } else {
    writer.large(text.take());
  }
  return large;
}

/** An element that is kept until the rest of its item comes. */
export class KeptElement {
  private readonly out = new ByteBuilder();
  readonly element = new Element();

  keep(other: Element): Element {
    const { element, out } = this;
    element.copy(other);
    if (other.kind !== BYTES) return element;
    out.clear();
    out.copy(other.bytes, other.start, other.end);
    element.bytes = out.bytes;
    element.start = 0;
    element.end = out.length;
    return element;
  }
}
