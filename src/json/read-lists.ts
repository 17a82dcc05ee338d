import type { ByteBuilder } from '../bytes/builder.js';
import type { TypeRow } from '../rdb/types.js';
import { ITEM } from '../values/layouts.js';
import { listWriter } from '../values/writers/lists.js';
import { elementOf, emptyValue, type LineEncoding, type ValueEncoder } from './value-encoder.js';
import { ArrayPlace, TextPlace } from './places.js';
import type { Text } from './read-text.js';

export class ListEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), () => undefined, () => undefined);
  private readonly writer;
  private count = 0;

  constructor(private readonly encoding: LineEncoding) {
    this.writer = listWriter(encoding);
  }

  begin(): void {
    this.writer.open();
    this.count = 0;
  }

  private add(text: Text): void {
    const { writer } = this;
    this.count++;
    writer.item?.(elementOf(text, ITEM, writer, this.encoding));
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.count === 0) throw emptyValue('list');
    return this.writer.finish(head);
  }
}
