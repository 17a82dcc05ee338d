import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { INT, Element } from '../encodings/element.js';
import { highHalf, lowHalf, toInteger } from '../encodings/integer.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength } from '../rdb/write-string.js';
import { NotRepresentable } from '../values/target-limits.js';
import { targetName, typeFor } from '../values/targets.js';
import { Body } from '../values/writers/body.js';
import { addText, emptyValue, type LineEncoding, type ValueEncoder } from './encoding.js';
import { Fields } from './fields.js';
import { IntegerTextPlace, MOST_UNSIGNED } from './number-places.js';
import { ArrayPlace, ObjectPlace, type Place, TextPlace } from './places.js';
import { addUnsigned } from './stream-ids.js';
import type { Text } from './text.js';

/** What stands behind an index (values/array-and-template.ts). */
const STRING = 0;
const INTEGER = 1;

const nothing = (): void => undefined;

/** A sparse array (28, Redis 8.8): an integer as one, anything else as a string. */
export class ArrayEncoder implements ValueEncoder {
  readonly place: Place;
  private count = 0;
  private index = 0n;
  private before = -1n;
  private insertIndex: bigint | undefined;
  private readonly value = new Body();
  private readonly integer = new Element();

  constructor(private readonly encoding: LineEncoding) {
    const { unknown } = encoding;
    const element = new Fields(
      {
        index: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) => (this.index = index)),
        value: new TextPlace((text) => this.tagged(text)),
      },
      ['index', 'value'],
      unknown,
      () => this.add(),
    );
    const begin = (): Fields => {
      this.value.clear();
      return element.begin();
    };
    const fields = new Fields(
      {
        elements: new ArrayPlace('an array of elements', new ObjectPlace('an element: an object', begin), nothing, nothing),
        insertIndex: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) => (this.insertIndex = index)),
      },
      ['elements'],
      unknown,
      nothing,
    );
    this.place = new ObjectPlace('a sparse array: an object', () => fields.begin());
  }

  begin(): void {
    this.count = 0;
    this.before = -1n;
    this.insertIndex = undefined;
  }

  /** Tag and value, which may come before the index. */
  private tagged(text: Text): void {
    const { integer, value } = this;
    if (text.element !== undefined && toInteger(integer.copy(text.element))) {
      addLength(value.out, INTEGER);
      if (integer.kind === INT) value.out.le64(highHalf(integer), integer.num >>> 0);
      else value.out.le64(integer.hi, lowHalf(integer));
    } else {
      addLength(value.out, STRING);
      addText(value, text);
    }
  }

  private add(): void {
    if (this.index <= this.before) throw new RdbError('BAD_LINE', { expected: 'indexes that rise', got: 'one that does not' });
    this.before = this.index;
    this.count++;
    const { body } = this.encoding;
    addUnsigned(body.out, this.index);
    body.add(this.value);
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, insertIndex } = this;
    const type = typeFor(encoding.target, 'ARRAY');
    if (type === undefined) throw new NotRepresentable(`${targetName(encoding.target)} has no arrays`);
    if (this.count === 0) throw emptyValue('array');
    addLength(head, this.count);
    addLength(head, insertIndex === undefined ? 0 : 1);
    if (insertIndex !== undefined) addUnsigned(head, insertIndex);
    return type;
  }
}
