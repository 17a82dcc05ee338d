import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { Element } from '../encodings/element.js';
import type { TypeRow } from '../rdb/types.js';
import { ITEM } from '../values/layouts.js';
import { ArrayWriter } from '../values/writers/arrays.js';
import { elementOf, emptyValue, KeptElement, type LineEncoding, setInteger, type ValueEncoder } from './value-encoder.js';
import { Fields } from './fields.js';
import { IntegerTextPlace, MOST_UNSIGNED } from './number-places.js';
import { ArrayPlace, ObjectPlace, type Place, TextPlace } from './places.js';

const nothing = (): void => undefined;

export class ArrayEncoder implements ValueEncoder {
  readonly place: Place;
  private readonly writer: ArrayWriter;
  private count = 0;
  private index = 0n;
  private before = -1n;
  private readonly indexElement = new Element();
  /** It may come before its index. */
  private readonly value = new KeptElement();

  constructor(encoding: LineEncoding) {
    const { unknown } = encoding;
    const writer = (this.writer = new ArrayWriter(encoding));
    const element = new Fields(
      {
        index: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) => (this.index = index)),
        value: new TextPlace((text) => this.value.keep(elementOf(text, ITEM, writer, encoding))),
      },
      ['index', 'value'],
      unknown,
      () => this.add(),
    );
    const fields = new Fields(
      {
        elements: new ArrayPlace('an array of elements', new ObjectPlace('an element: an object', () => element.begin()), nothing, nothing),
        insertIndex: new IntegerTextPlace('an index', 0n, MOST_UNSIGNED, (index) =>
          writer.arrayInsertIndex(setInteger(this.indexElement, index)),
        ),
      },
      ['elements'],
      unknown,
      nothing,
    );
    this.place = new ObjectPlace('a sparse array: an object', () => fields.begin());
  }

  begin(): void {
    this.writer.open();
    this.count = 0;
    this.before = -1n;
  }

  private add(): void {
    if (this.index <= this.before) throw new RdbError('BAD_LINE', { expected: 'indexes that rise', got: 'one that does not' });
    this.before = this.index;
    this.count++;
    this.writer.arrayElement(setInteger(this.indexElement, this.index), this.value.element);
  }

  finish(head: ByteBuilder): TypeRow {
    const type = this.writer.finish(head);
    if (this.count === 0) throw emptyValue('array');
    return type;
  }
}
