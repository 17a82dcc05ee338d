import type { ByteBuilder } from '../bytes/builder.js';
import type { TypeRow } from '../rdb/types.js';
import { ITEM } from '../values/layouts.js';
import { SetWriter } from '../values/writers/sets.js';
import { elementOf, emptyValue, type LineEncoding, type ValueEncoder } from './value-encoder.js';
import { Members } from './members.js';
import { ArrayPlace, TextPlace } from './places.js';
import type { Text } from './read-text.js';

export class SetEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), () => undefined, () => undefined);
  private readonly writer: SetWriter;
  private readonly members = new Members('a member');

  constructor(private readonly encoding: LineEncoding) {
    this.writer = new SetWriter(encoding);
  }

  begin(): void {
    this.writer.open();
    this.members.begin();
  }

  private add(text: Text): void {
    const { writer } = this;
    this.members.add(text);
    writer.item(elementOf(text, ITEM, writer, this.encoding));
  }

  finish(head: ByteBuilder): TypeRow {
    const { members } = this;
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('set');
    return this.writer.finish(head);
  }
}
