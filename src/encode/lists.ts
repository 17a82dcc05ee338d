import type { ByteBuilder } from '../bytes/builder.js';
import { bigZiplistHead } from '../encodings/ziplist-writer.js';
import type { TypeRow } from '../rdb/types.js';
import { PACKED_NODE, PLAIN_NODE } from '../rdb/write.js';
import { addLength } from '../rdb/write-string.js';
import { PACKED_FIELDS } from '../values/packed-limits.js';
import { checkZiplist } from '../values/transcode-lists.js';
import { emptyValue, type Encoding, type ValueEncoder } from './encoding.js';
import { FewItems } from './few-items.js';
import { ArrayPlace, TextPlace } from './places.js';
import type { Text } from './text.js';

/** What stands at the end of a ziplist. */
const ZIPLIST_END = Uint8Array.of(0xff);
/** Bytes of a list node (list-max-listpack-size -2), and what servers add to an element's when they look whether it fits. */
const NODE_BYTES = 8192;
const NODE_OVERHEAD = 8;

/** A list, as the target has it. */
export function listEncoder(encoding: Encoding): ValueEncoder {
  const type = encoding.choose('LIST_QUICKLIST_2', 'LIST_QUICKLIST', 'LIST');
  return type.name === 'LIST' ? new PlainListEncoder(encoding) : new ListEncoder(encoding, type);
}

const nothing = (): void => undefined;

/** Before 3.2: a ziplist (10) or, where it is not small, one element behind another (1). */
class PlainListEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.items.add(text)), nothing, nothing);
  private readonly items: FewItems;

  constructor(private readonly encoding: Encoding) {
    this.items = new FewItems(encoding, PACKED_FIELDS);
  }

  begin(): void {
    this.items.begin();
  }

  finish(head: ByteBuilder): TypeRow {
    const { encoding, items } = this;
    if (items.count === 0) throw emptyValue('list');
    if (items.areHeld) {
      items.pack(encoding.ziplist);
      return encoding.choose('LIST_ZIPLIST');
    }
    addLength(head, items.count);
    return encoding.choose('LIST');
  }
}

/** Nodes of 8 KiB, listpacks (18) or, before 7.0, ziplists (14), in which a larger element stands alone. */
class ListEncoder implements ValueEncoder {
  readonly place = new ArrayPlace('an array of strings', new TextPlace((text) => this.add(text)), nothing, nothing);
  private nodes = 0;
  private items = 0;
  /** Bytes of the largest ziplist with one element. */
  private largest = 0;

  constructor(
    private readonly encoding: Encoding,
    private readonly type: TypeRow,
  ) {}

  begin(): void {
    this.nodes = this.items = this.largest = 0;
    this.writer.begin();
  }

  private get writer(): Encoding['listpack'] | Encoding['ziplist'] {
    return this.type.name === 'LIST_QUICKLIST_2' ? this.encoding.listpack : this.encoding.ziplist;
  }

  private add(text: Text): void {
    const { element } = text;
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
    if (text.element !== undefined) {
      this.writer.add(text.element);
      body.packed(this.writer.finish());
      this.writer.begin();
      return;
    }
    const spilled = text.take();
    const head = bigZiplistHead(spilled.size);
    this.largest = Math.max(this.largest, head.length + spilled.size + 1);
    body.large(spilled, head, ZIPLIST_END);
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
