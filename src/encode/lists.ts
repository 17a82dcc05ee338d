import type { ByteBuilder } from '../bytes/builder.js';
import { RdbError } from '../bytes/errors.js';
import { toInteger } from '../encodings/integer.js';
import { Element } from '../encodings/element.js';
import { bigZiplistHead } from '../encodings/ziplist-writer.js';
import type { TypeRow } from '../rdb/types.js';
import { PACKED_NODE, PLAIN_NODE } from '../rdb/write.js';
import { addLength, addString } from '../rdb/write-string.js';
import { INTSET_ITEMS, PACKED_ITEMS } from '../values/packed-limits.js';
import { typeFor } from '../values/targets.js';
import { checkZiplist } from '../values/transcode-lists.js';
import { type Encoding, isShort, Small, type ValueEncoder } from './encoding.js';
import { Members } from './members.js';
import { ArrayPlace, TextPlace } from './places.js';
import type { Text } from './text.js';

/** Bytes of a list node (list-max-listpack-size -2), and what servers add to an element's when they look whether it fits. */
const NODE_BYTES = 8192;
const NODE_OVERHEAD = 8;

/** A value without elements, which no server has: a key goes with its last one. */
export function emptyValue(what: string): RdbError {
  return new RdbError('BAD_LINE', { expected: `a ${what} with elements`, got: 'one without, which no server has', path: 'value' });
}

export class StringEncoder implements ValueEncoder {
  readonly place = new TextPlace((text) => this.encoding.body.string(text));

  constructor(private readonly encoding: Encoding) {}

  begin(): void {
    // one text is all
  }

  finish(): TypeRow {
    return this.encoding.choose('STRING');
  }
}

/**
 * A list: nodes of 8 KiB, listpacks (18) or, before 7.0, ziplists (14), in which a larger element stands alone; before 3.2 one
 * element behind another (1).
 */
export class ListEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), () => undefined, () => undefined);
  private nodes = 0;
  private items = 0;
  private readonly type: TypeRow;
  /** Bytes of the largest ziplist with one element. */
  private largest = 0;

  constructor(private readonly encoding: Encoding) {
    this.type = encoding.choose('LIST_QUICKLIST_2', 'LIST_QUICKLIST', 'LIST');
  }

  begin(): void {
    this.nodes = this.items = this.largest = 0;
    this.writer.begin();
  }

  private get writer(): Encoding['listpack'] | Encoding['ziplist'] {
    return this.type.name === 'LIST_QUICKLIST_2' ? this.encoding.listpack : this.encoding.ziplist;
  }

  private add(text: Text): void {
    const { element } = text;
    if (this.type.name === 'LIST') {
      this.nodes++;
      this.encoding.body.string(text);
      return;
    }
    const size = element === undefined ? Infinity : element.end - element.start;
    if (this.items > 0 && this.writer.size + size + NODE_OVERHEAD > NODE_BYTES) this.endNode();
    if (element === undefined || size > NODE_BYTES) {
      this.nodes++;
      this.large(text);
      return;
    }
    this.items++;
    this.writer.add(element);
  }

  /** An element with a node of its own. */
  private large(text: Text): void {
    const { body } = this.encoding;
    if (this.type.name === 'LIST_QUICKLIST_2') {
      addLength(body.out, PLAIN_NODE);
      body.string(text);
      return;
    }
    const size = text.spilled?.size ?? (text.element as Element).end - (text.element as Element).start;
    const head = bigZiplistHead(size);
    const whole = head.length + size + 1;
    if (whole > this.largest) this.largest = whole;
    addLength(body.out, whole);
    body.out.copy(head, 0, head.length);
    body.rest(text);
    body.out.byte(0xff);
  }

  private endNode(): void {
    const { body } = this.encoding;
    this.nodes++;
    this.items = 0;
    if (this.type.name === 'LIST_QUICKLIST_2') addLength(body.out, PACKED_NODE);
    body.packed(this.writer.finish());
    this.writer.begin();
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.items > 0) this.endNode();
    if (this.nodes === 0) throw emptyValue('list');
    checkZiplist(this.encoding, this.largest);
    addLength(head, this.nodes);
    return this.type;
  }
}

/** A set: an intset (11), a listpack (20, since 7.2), or plain (2). */
export class SetEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), () => undefined, () => undefined);
  private readonly small = new Small();
  private isSmall = true;
  private readonly members = new Members('a member');
  private readonly integer = new Element();

  constructor(private readonly encoding: Encoding) {}

  begin(): void {
    this.small.begin();
    this.isSmall = true;
    this.members.begin();
  }

  private add(text: Text): void {
    const { encoding, members, small } = this;
    members.add(text);
    if (this.isSmall && isShort(text.element) && small.count < INTSET_ITEMS) {
      small.add(text.element);
      return;
    }
    if (this.isSmall) this.spread();
    encoding.body.string(text);
  }

  /** The few elements that there are, as those of a plain set. */
  private spread(): void {
    this.isSmall = false;
    const { encoding, small } = this;
    for (let i = 0; i < small.count; i++) addString(encoding.body.out, small.at(i));
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, members, small } = this;
    const { count } = members;
    members.end();
    if (count === 0) throw emptyValue('set');
    if (this.isSmall && small.integers) return this.intset();
    const packed = this.isSmall && count <= PACKED_ITEMS ? typeFor(encoding.target, 'SET_LISTPACK') : undefined;
    if (packed !== undefined) {
      encoding.listpack.begin();
      for (let i = 0; i < count; i++) encoding.listpack.add(small.at(i));
      encoding.body.packed(encoding.listpack.finish());
      return packed;
    }
    if (this.isSmall) this.spread();
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
