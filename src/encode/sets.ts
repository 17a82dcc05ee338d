import type { ByteBuilder } from '../bytes/builder.js';
import { Element } from '../encodings/element.js';
import { toInteger } from '../encodings/integer.js';
import type { TypeRow } from '../rdb/types.js';
import { addLength } from '../rdb/write-string.js';
import { INTSET_ITEMS, PACKED_ITEMS } from '../values/packed-limits.js';
import { typeFor } from '../values/targets.js';
import { emptyValue, type Encoding, type ValueEncoder } from './encoding.js';
import { FewItems } from './few-items.js';
import { Members } from './members.js';
import { ArrayPlace, TextPlace } from './places.js';
import type { Text } from './text.js';

/** A set: an intset (11), a listpack (20, since 7.2), or plain (2). */
export class SetEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), () => undefined, () => undefined);
  private readonly items: FewItems;
  private readonly members = new Members('a member');
  private readonly integer = new Element();

  constructor(private readonly encoding: Encoding) {
    this.items = new FewItems(encoding, INTSET_ITEMS);
  }

  begin(): void {
    this.items.begin();
    this.members.begin();
  }

  private add(text: Text): void {
    this.members.add(text);
    this.items.add(text);
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, items, members } = this;
    const { areHeld, count, small } = items;
    members.end();
    if (count === 0) throw emptyValue('set');
    if (areHeld && small.integers) return this.intset();
    const packed = areHeld && count <= PACKED_ITEMS ? typeFor(encoding.target, 'SET_LISTPACK') : undefined;
    if (packed !== undefined) {
      items.pack(encoding.listpack);
      return packed;
    }
    items.spread();
    addLength(head, count);
    return encoding.choose('SET');
  }

  private intset(): TypeRow {
    const { encoding, integer } = this;
    const { small } = this.items;
    encoding.intset.begin();
    for (let i = 0; i < small.count; i++) {
      toInteger(integer.copy(small.at(i)));
      encoding.intset.add(integer);
    }
    encoding.body.packed(encoding.intset.finish());
    return encoding.choose('SET_INTSET');
  }
}
