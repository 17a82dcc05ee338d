import type { ByteBuilder } from '../../bytes/builder.js';
import { type Element, LARGE } from '../../encodings/element.js';
import { bigZiplistHead } from '../../encodings/ziplist.js';
import type { Spill } from '../../io/spill.js';
import type { TypeRow } from '../../rdb/types.js';
import { PACKED_NODE, PLAIN_NODE } from '../../rdb/write.js';
import { addLength } from '../../rdb/write-string.js';
import { NotRepresentable } from '../target-limits.js';
import { type Encoding, PACKED_FIELDS, type ValueWriter } from './encoding.js';
import { targetName } from '../targets.js';
import { FewItemsWriter } from './sets.js';

/** Servers refuse larger ziplists (redis 6.2 ziplist.c, ZIPLIST_MAX_SAFETY_SIZE). */
const GREATEST_ZIPLIST = 1 << 30;
/** What stands at the end of a ziplist. */
const ZIPLIST_END = Uint8Array.of(0xff);
/** Bytes of a list node (list-max-listpack-size -2), and what servers add to an element's when they look whether it fits. */
const NODE_BYTES = 8192;
const NODE_OVERHEAD = 8;
/** Nodes of the source are cut at this many bytes. */
const MOST_NODE_BYTES = 1 << 20;

/** A list, as the target has it. */
export function listWriter(encoding: Encoding): ValueWriter {
  const type = encoding.choose('LIST_QUICKLIST_2', 'LIST_QUICKLIST', 'LIST');
  return type.name === 'LIST' ? new PlainListWriter(encoding) : new ListWriter(encoding, type);
}

/** Before 3.2: a ziplist (10) or, where it is not small or was in nodes, one element after another (1). */
class PlainListWriter extends FewItemsWriter {
  constructor(encoding: Encoding) {
    super(encoding, PACKED_FIELDS);
  }

  open(source?: TypeRow): void {
    this.reset(source === undefined);
  }

  finish(head: ByteBuilder): TypeRow {
    const { areHeld, count, encoding, small } = this;
    if (areHeld) {
      encoding.body.packed(small.pack(encoding.ziplist));
      return encoding.choose('LIST_ZIPLIST');
    }
    addLength(head, count);
    return encoding.choose('LIST');
  }
}

/**
 * Nodes, listpacks (18) or, before 7.0, ziplists (14): those that the list had, or else of 8 KiB, in which a larger element stands
 * alone.
 */
class ListWriter implements ValueWriter {
  private nodes = 0;
  private items = 0;
  private isNew = true;
  /** The current node of the source is of one large element. */
  private inPlainNode = false;
  /** Bytes of the largest ziplist with one element. */
  private largest = 0;
  private readonly writer: Encoding['listpack'] | Encoding['ziplist'];
  private readonly hasPlainNodes: boolean;

  constructor(
    private readonly encoding: Encoding,
    private readonly type: TypeRow,
  ) {
    this.hasPlainNodes = type.name === 'LIST_QUICKLIST_2';
    this.writer = this.hasPlainNodes ? encoding.listpack : encoding.ziplist;
  }

  get wantsStoredLarge(): boolean {
    return this.hasPlainNodes;
  }

  open(source?: TypeRow): void {
    this.isNew = source === undefined;
    this.nodes = this.items = this.largest = 0;
    this.inPlainNode = false;
    this.writer.begin();
  }

  nodeBegin(plain: boolean): void {
    this.inPlainNode = plain;
  }

  nodeEnd(): void {
    if (this.items > 0) this.endNode();
    this.inPlainNode = false;
  }

  item(element: Element): void {
    if (element.kind === LARGE) return;
    const { writer } = this;
    if (this.isNew) {
      const size = element.end - element.start;
      if (this.items > 0 && writer.size + size + NODE_OVERHEAD > NODE_BYTES) this.endNode();
      if (size > NODE_BYTES) {
        this.alone(element);
        return;
      }
    } else if (this.inPlainNode && this.hasPlainNodes) {
      this.alone(element);
      return;
    }
    this.items++;
    writer.add(this.encoding.plain(element));
    if (!this.isNew && writer.size >= MOST_NODE_BYTES) this.endNode();
  }

  /** An element with a node of its own. */
  private alone(element: Element): void {
    const { encoding, writer } = this;
    if (this.hasPlainNodes) {
      this.nodes++;
      addLength(encoding.body.out, PLAIN_NODE);
      encoding.body.string(element);
      return;
    }
    writer.add(element);
    this.endNode();
  }

  large(spill: Spill): void {
    const { body } = this.encoding;
    if (this.items > 0) this.endNode();
    this.nodes++;
    if (this.hasPlainNodes) {
      addLength(body.out, PLAIN_NODE);
      body.spilled(spill);
      return;
    }
    const head = bigZiplistHead(spill.size);
    this.largest = Math.max(this.largest, head.length + spill.size + 1);
    body.spilled(spill, head, ZIPLIST_END);
  }

  largeBegin(_role: number, length: number): void {
    const { body } = this.encoding;
    this.nodes++;
    if (this.hasPlainNodes) {
      addLength(body.out, PLAIN_NODE);
      return;
    }
    const head = bigZiplistHead(length);
    const size = head.length + length + 1;
    this.checkZiplist(size);
    addLength(body.out, size);
    body.out.copy(head, 0, head.length);
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.encoding.body.bytes(bytes, start, end);
  }

  largeEnd(): void {
    if (!this.hasPlainNodes) this.encoding.body.out.byte(0xff);
  }

  private endNode(): void {
    const { body } = this.encoding;
    this.nodes++;
    this.items = 0;
    if (this.hasPlainNodes) addLength(body.out, PACKED_NODE);
    else this.checkZiplist(this.writer.size);
    body.packed(this.writer.finish());
    this.writer.begin();
  }

  finish(head: ByteBuilder): TypeRow {
    if (this.items > 0) this.endNode();
    this.checkZiplist(this.largest);
    addLength(head, this.nodes);
    return this.type;
  }

  /** Refuses nodes that the target would. */
  private checkZiplist(size: number): void {
    if (size > GREATEST_ZIPLIST) throw new NotRepresentable(`${targetName(this.encoding.target)} has no list nodes of ${size} bytes`);
  }
}
