import { RdbError } from '../bytes/errors.js';
import type { Codec } from '../kernels/codec.js';
import { BYTES, Element, INT, int32, uint32 } from '../encodings/element.js';
import { StreamId, StreamNode } from '../encodings/stream.js';
import type { Frame } from '../rdb/frame.js';
import { type Length, lengthText, readLength } from '../rdb/length.js';
import { readString, Scratch } from '../rdb/string.js';
import type { Form, TypeRow } from '../rdb/types.js';
import { type AllItems, ownForms } from './by-type.js';
import { EXPIRY_PAIR, type Layout, LAYOUTS, PAIR, PAIR_EXPIRY, PLAIN_ITEM, readElement, RELATIVE_EXPIRY_PAIR, SCORED } from './layouts.js';
import { moduleType, readModulePart } from './module.js';
import type { OwnForm } from './own-form.js';
import { LIST_LISTPACK, LIST_ZIPLIST, type Packed, packedOf } from './packed.js';
import { StreamTail } from './stream-tail.js';

/** Most elements of an item: expiry, field and value. */
const WIDEST = 3;

/**
 * Reads whole values and passes their items to a handler (see AllItems). For much data, give each handler its own reader: calls are
 * fast while they always reach the same one.
 */
export class ItemReader {
  /** Index of the next element in its item. */
  protected phase = 0;
  /** Where the current item begins. */
  protected itemAt = 0;
  /** Elements walked since the beginning of the value, or of its packed part. */
  protected walked = 0;
  /** Least field expiry of the current hash. */
  protected minExpiry = 0;
  /** Where the bytes begin that positions in errors are relative to. */
  protected origin = 0;

  /** The elements of the current item; the first one also serves for everything else that is read. */
  protected readonly elements: readonly Element[] = Array.from({ length: WIDEST }, () => new Element());
  protected readonly element = this.elements[0];
  protected readonly scratch: Scratch;
  protected readonly length: Length = { value: 0, hi: 0, lo: 0 };
  private readonly node = new StreamNode();
  private readonly streamId = new StreamId();
  protected readonly ownForms: ReadonlyMap<Form, OwnForm<AllItems>>;

  /** @param handler may be replaced between values */
  constructor(public handler: AllItems = {}, codec?: Codec) {
    this.scratch = codec === undefined ? new Scratch() : new Scratch(codec, codec.allocate(1 << 21));
    this.ownForms = ownForms(this.scratch);
  }

  /** Walks a whole value. Throws RdbError with the place of the damage. */
  record(frame: Frame, handler = this.handler): void {
    this.handler = handler;
    this.start(frame);
    const { bytes, start, end } = frame;
    this.origin = start;
    try {
      this.whole(frame, bytes, start, end);
    } catch (error) {
      throw this.placed(error, frame.offset);
    }
    handler.end?.();
  }

  protected start(frame: Frame): void {
    this.phase = this.walked = this.minExpiry = 0;
    this.handler.begin?.(frame);
  }

  /** Adds the offset of the string or value in the file to an error, and the position of the damage within it. */
  protected placed(error: unknown, offset: number): unknown {
    if (!(error instanceof RdbError)) return error;
    if (error.within !== undefined) error.within = Math.max(0, error.within - this.origin);
    return error.at({ offset });
  }

  protected whole(frame: Frame, bytes: Uint8Array, start: number, end: number): void {
    const { type } = frame;
    switch (type.form) {
      case 'string':
        this.run(LAYOUTS.string, bytes, start, end);
        return;
      case 'items':
      case 'hash-metadata':
        this.plainItems(itemsLayout(type), bytes, this.head(type, bytes, start, end), end);
        return;
      case 'quicklist':
        this.quicklist(bytes, start, end, false);
        return;
      case 'quicklist2':
        this.quicklist(bytes, start, end, true);
        return;
      case 'stream':
        this.stream(type, bytes, start, end);
        return;
      case 'module':
        this.moduleParts(bytes, this.moduleHead(bytes, start, end), end);
        return;
      default: {
        const own = this.ownForms.get(type.form);
        if (own === undefined) this.packedString(packedOf(type), bytes, this.leastExpiry(type, bytes, start), end);
        else own.whole(this.handler, frame, bytes, start, end);
      }
    }
  }

  /** 1 + milliseconds after the least expiry of the hash, 0 for none. */
  private relativeExpiry(element: Element): number {
    if (element.kind === INT && element.num === 0) return 0;
    const ms = this.minExpiry + element.num - 1;
    if (element.kind === INT && ms > 0 && ms <= Number.MAX_SAFE_INTEGER) return ms;
    throw new RdbError('BAD_HASH', { expected: 'a field expiry in Unix milliseconds', got: 'a number out of range' });
  }

  /** Reads what precedes the first item; returns its position. */
  protected head(type: TypeRow, bytes: Uint8Array, start: number, end: number): number {
    return readLength(bytes, this.leastExpiry(type, bytes, start), end, this.length);
  }

  /** Types 24 and 25 begin with the least expiry of their fields, 8 bytes. */
  protected leastExpiry(type: TypeRow, bytes: Uint8Array, start: number): number {
    if (type.id < 24) return start;
    this.minExpiry = int32(bytes, start + 4) * 0x100000000 + uint32(bytes, start);
    return start + 8;
  }

  protected plainItems(layout: Layout, bytes: Uint8Array, start: number, end: number): void {
    if (this.run(layout, bytes, start, end) !== end) {
      throw new RdbError('TRUNCATED', { within: start, expected: 'a whole element', got: 'the end of the value' });
    }
  }

  /**
   * Walks the elements in `bytes[start, end)`, of which the first has index `phase` in its item. Returns where the first cut
   * element begins, or `end`.
   */
  protected run(layout: Layout, bytes: Uint8Array, start: number, end: number): number {
    const { elements, handler } = this;
    const { reads, shape } = layout;
    const width = reads.length;
    let { phase } = this;
    if (phase === 0 && handler.run !== undefined) {
      const taken = handler.run(layout, bytes, start, end);
      if (taken >= 0) {
        this.walked += taken;
        return end;
      }
    }
    let pos = start;
    while (pos < end) {
      if (phase === 0) this.itemAt = pos;
      const next = readElement(reads[phase], bytes, pos, end, elements[phase]);
      if (next < 0) break;
      this.walked++;
      pos = next;
      if (++phase < width) continue;
      phase = 0;
      this.tell(shape);
    }
    this.phase = phase;
    return pos;
  }

  /** Passes a complete item to the handler. */
  protected tell(shape: number): void {
    const { elements, handler } = this;
    switch (shape) {
      case PAIR:
        handler.pair?.(elements[0], elements[1], 0);
        return;
      case PLAIN_ITEM:
        handler.item?.(elements[0]);
        return;
      case SCORED:
        handler.scored?.(elements[0], elements[1]);
        return;
      case PAIR_EXPIRY:
        handler.pair?.(elements[0], elements[1], expiryOf(elements[2]));
        return;
      case EXPIRY_PAIR:
      case RELATIVE_EXPIRY_PAIR:
        handler.pair?.(elements[1], elements[2], this.expiryBefore(shape));
        return;
      default:
        handler.text?.(elements[0]);
    }
  }

  /** The expiry stored before a field. */
  protected expiryBefore(shape: number): number {
    const [element] = this.elements;
    return shape === EXPIRY_PAIR ? expiryOf(element) : this.relativeExpiry(element);
  }

  /** Reads the string at `pos`, a packed value. Returns the position after it. */
  protected packedString(packed: Packed, bytes: Uint8Array, pos: number, end: number): number {
    const { element } = this;
    const next = readString(bytes, pos, end, element);
    if (next < 0 || element.kind === INT) {
      throw new RdbError(packed.code, { within: pos, expected: 'a packed value', got: 'an integer or nothing' });
    }
    this.origin = element.start;
    this.scratch.inflate(element);
    this.origin = element.start;
    this.handler.packedBegin?.(element.end - element.start);
    this.packedValue(packed, element.bytes, element.start, element.end);
    return next;
  }

  private packedValue(packed: Packed, bytes: Uint8Array, start: number, end: number): void {
    const count = packed.open(bytes, start, end);
    const last = end - packed.footer;
    this.walked = 0;
    const stop = this.run(packed.layout(bytes, start), bytes, start + packed.header, last);
    if (stop !== last) throw new RdbError(packed.code, { within: stop, expected: 'a whole element', got: 'the end of the packed value' });
    this.balanced(packed, count, start);
  }

  /**
   * Checks that the last item is complete, and that there are `count` elements as the header at `start` says, unless that is -1.
   */
  protected balanced(packed: Packed, count: number, start: number): void {
    if (this.phase !== 0) {
      throw new RdbError(packed.code, { within: start, expected: 'as many values as fields or members', got: 'one fewer' });
    }
    if (count >= 0 && count !== this.walked) {
      throw new RdbError(packed.code, { within: start, expected: `${count} elements, as its header says`, got: `${this.walked}` });
    }
  }

  private quicklist(bytes: Uint8Array, start: number, end: number, second: boolean): void {
    let pos = readLength(bytes, start, end, this.length);
    while (pos < end) {
      let plain = false;
      if (second) {
        pos = readLength(bytes, pos, end, this.length);
        plain = isPlainNode(this.length, pos);
      }
      pos = this.quicklistNode(second, plain, bytes, pos, end);
    }
  }

  protected quicklistNode(second: boolean, plain: boolean, bytes: Uint8Array, pos: number, end: number): number {
    const { element, handler } = this;
    handler.nodeBegin?.(plain);
    let next: number;
    if (plain) {
      next = readString(bytes, pos, end, element);
      handler.item?.(element);
    } else {
      next = this.packedString(second ? LIST_LISTPACK : LIST_ZIPLIST, bytes, pos, end);
    }
    handler.nodeEnd?.();
    return next;
  }

  private stream(type: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    let pos = readLength(bytes, start, end, this.length);
    for (let nodes = this.length.value; nodes > 0; nodes--) {
      pos = this.streamKey(bytes, pos, end);
      pos = this.streamNode(bytes, pos, end);
    }
    this.streamRest(type, bytes, pos, end);
  }

  /** Reads what follows the nodes of a stream. */
  protected streamRest(type: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    const { handler } = this;
    if (handler.storedTail !== undefined) handler.storedTail(type, bytes, start, end);
    else handler.streamTail?.(new StreamTail(type, bytes, start, end));
  }

  /** Reads the key of a stream node: the ID that its entries are relative to. */
  protected streamKey(bytes: Uint8Array, pos: number, end: number): number {
    const { element, handler } = this;
    const next = readString(bytes, pos, end, element);
    if (handler.storedNodeKey !== undefined && next >= 0) {
      handler.storedNodeKey(bytes, pos, next);
      return next;
    }
    this.scratch.inflate(element);
    if (next < 0 || element.kind !== BYTES || element.end - element.start !== 16) {
      throw new RdbError('BAD_STREAM', { within: pos, expected: 'an ID of 16 bytes', got: 'another string' });
    }
    this.streamId.read(element.bytes, element.start);
    return next;
  }

  protected streamNode(bytes: Uint8Array, pos: number, end: number): number {
    const { element, handler, node, streamId } = this;
    const next = readString(bytes, pos, end, element);
    if (next < 0 || element.kind === INT) {
      throw new RdbError('BAD_STREAM', { within: pos, expected: 'a listpack', got: 'an integer or nothing' });
    }
    if (handler.storedNode !== undefined) {
      handler.storedNode(bytes, pos, next);
      return next;
    }
    this.origin = element.start;
    this.scratch.inflate(element);
    this.origin = element.start;
    node.open(streamId, element.bytes, element.start, element.end);
    while (node.next()) {
      handler.entry?.(node.id);
      while (node.nextField()) handler.entryField?.(node.field, node.value);
      handler.entryEnd?.();
    }
    return next;
  }

  protected moduleHead(bytes: Uint8Array, start: number, end: number): number {
    const pos = readLength(bytes, start, end, this.length);
    this.handler.module?.(moduleType(this.length));
    return pos;
  }

  protected moduleParts(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    while (pos < end) {
      const opcode = bytes[pos];
      pos = readModulePart(bytes, pos, end, this.element);
      if (opcode !== 0) this.handler.modulePart?.(opcode, this.element);
    }
  }
}

/** The layout of types whose elements follow a count. */
export function itemsLayout(type: TypeRow): Layout {
  return ITEMS[type.name];
}

const ITEMS: Readonly<Record<string, Layout>> = {
  LIST: LAYOUTS.list,
  SET: LAYOUTS.list,
  ZSET: LAYOUTS.zset,
  ZSET_2: LAYOUTS.zset2,
  HASH: LAYOUTS.hash,
  HASH_2: LAYOUTS.hash2,
  HASH_METADATA: LAYOUTS.hashMetadata,
  HASH_METADATA_PRE_GA: LAYOUTS.hashMetadataPreGa,
};

/** The container of a quicklist node (redis quicklist.h): 1 one large element, 2 a listpack. */
export function isPlainNode(container: Length, within: number): boolean {
  if (container.value === 1 || container.value === 2) return container.value === 1;
  throw new RdbError('BAD_QUICKLIST', { within, expected: 'a node of kind 1 or 2', got: `kind ${lengthText(container)}` });
}

function expiryOf(element: Element): number {
  if (element.kind !== INT) throw new RdbError('BAD_HASH', { expected: 'a field expiry', got: 'a string' });
  return element.num <= 0 ? 0 : element.num;
}

