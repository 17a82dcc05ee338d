import { RdbError } from '../bytes/errors.js';
import { LzfStream } from '../bytes/lzf.js';
import { BYTES, type Element, LARGE, LZF } from '../encodings/element.js';
import { ITEMS_PART, type Frame, STRING_PART, RECORD } from '../rdb/frame.js';
import { readLength } from '../rdb/length.js';
import { readString } from '../rdb/string.js';
import type { AllItems } from './by-type.js';
import { Gathered } from './gathered.js';
import { EXPIRY_PAIR, ITEM, LAYOUTS, type Layout, MODULE_PART, PAIR_EXPIRY, RELATIVE_EXPIRY_PAIR, VALUE } from './layouts.js';
import { MODULE_STRING, readModulePart } from './module.js';
import type { OwnForm, StringTarget } from './own-form.js';
import { badEnd, LIST_LISTPACK, LIST_ZIPLIST, type Packed, packedOf } from './packed.js';
import { isPlainNode, ItemReader, itemsLayout } from './reader.js';

/**
 * An ItemReader that also takes values in parts (see Framer), with the same calls to the handler, and those for large strings.
 *
 * These are held whole: an item of a packed value (listpack, ziplist …), a stream node, what follows the nodes of a stream, and
 * forms that are only read whole (see OwnForm).
 */
export class PartsReader extends ItemReader {
  private started = false;
  /** The reader of the value's form, if it is like no other. */
  private own: OwnForm<AllItems> | undefined;
  /** Quicklist node: its container was read, and it is a plain one. Stream node: its key was read. */
  private inNode = false;
  private plainNode = false;
  private nodesLeft = 0;
  /** Whether the opcode before a module's string was read. */
  private inModuleString = false;
  private readonly gathered = new Gathered();
  private target: StringTarget | undefined;
  private lzf: LzfStream | undefined;
  /** Offset of the current large string in the RDB. */
  private stringOffset = 0;

  /** Resumes within a value that another reader began, with a part that `resumes` (see Frame). `leastExpiry`: that of the hash. */
  resume(frame: Frame, leastExpiry: number): void {
    this.phase = this.walked = 0;
    this.started = true;
    this.inNode = this.inModuleString = false;
    this.own = undefined;
    this.nodesLeft = frame.itemsAhead;
    this.minExpiry = leastExpiry;
    this.gathered.clear();
  }

  /** Takes a frame of any of the three kinds. */
  frame(kind: number, frame: Frame): void {
    if (kind === RECORD) {
      this.record(frame);
      return;
    }
    if (frame.first) {
      this.start(frame);
      this.started = this.inNode = this.inModuleString = false;
      this.own = this.ownForms.get(frame.type.form);
      this.gathered.clear();
    }
    this.origin = frame.start;
    try {
      if (kind === ITEMS_PART) this.fragment(frame);
      else if (kind === STRING_PART) this.piece(frame);
      if (frame.last) this.complete(frame);
    } catch (error) {
      this.target = this.lzf = undefined;
      throw this.placed(error, kind === STRING_PART ? this.stringOffset : frame.offset);
    }
  }

  /** Whether the value is held until it is whole. */
  private get isHeld(): boolean {
    return this.own !== undefined && this.own.parts === undefined;
  }

  private complete(frame: Frame): void {
    const { gathered, handler, isHeld, own } = this;
    if (frame.type.form === 'stream' || isHeld) this.origin = 0;
    if (frame.type.form === 'stream') this.streamRest(frame.type, gathered.bytes, 0, gathered.length);
    else if (isHeld) own?.whole(handler, frame, gathered.bytes, 0, gathered.length);
    gathered.clear();
    this.handler.end?.();
  }

  private fragment(frame: Frame): void {
    const { bytes, end, type } = frame;
    let { start } = frame;
    if (start === end) return;
    switch (type.form) {
      case 'string':
        return;
      case 'items':
      case 'hash-metadata':
        if (!this.started) start = this.head(type, bytes, start, end);
        this.started = true;
        this.plainItems(itemsLayout(type), bytes, start, end);
        this.keep();
        return;
      case 'quicklist':
      case 'quicklist2':
        this.quicklistNodes(bytes, start, end, type.form === 'quicklist2');
        return;
      case 'stream':
        this.streamNodes(bytes, start, end);
        return;
      case 'module':
        this.moduleFragment(bytes, start, end);
        return;
      default:
        if (this.isHeld) this.gathered.add(bytes, start, end);
        else if (this.own?.parts !== undefined) this.own.parts.fragment(this.handler, bytes, start, end);
        else this.leastExpiry(type, bytes, start);
    }
  }

  /** Copies the elements of an item that continues in the next part. */
  private keep(): void {
    for (let i = 0; i < this.phase; i++) {
      const element = this.elements[i];
      if (element.kind !== BYTES && element.kind !== LZF) continue;
      element.bytes = element.bytes.slice(element.start, element.end);
      element.end -= element.start;
      element.start = 0;
    }
  }

  private quicklistNodes(bytes: Uint8Array, start: number, end: number, second: boolean): void {
    let pos = start;
    if (!this.started) pos = readLength(bytes, pos, end, this.length);
    this.started = true;
    while (pos < end) {
      if (second && !this.inNode) {
        pos = readLength(bytes, pos, end, this.length);
        this.plainNode = isPlainNode(this.length, pos);
        this.inNode = true;
        continue;
      }
      pos = this.quicklistNode(second, second && this.plainNode, bytes, pos, end);
      this.inNode = false;
    }
  }

  private streamNodes(bytes: Uint8Array, start: number, end: number): void {
    let pos = start;
    if (!this.started) {
      pos = readLength(bytes, pos, end, this.length);
      this.nodesLeft = this.length.value;
      this.started = true;
    }
    while (pos < end && this.nodesLeft > 0) {
      if (!this.inNode) {
        pos = this.streamKey(bytes, pos, end);
        this.inNode = true;
        continue;
      }
      pos = this.streamNode(bytes, pos, end);
      this.inNode = false;
      this.nodesLeft--;
    }
    if (pos < end) this.gathered.add(bytes, pos, end);
  }

  private moduleFragment(bytes: Uint8Array, start: number, end: number): void {
    const { element } = this;
    let pos = start;
    if (!this.started) pos = this.moduleHead(bytes, pos, end);
    this.started = true;
    while (pos < end) {
      if (this.inModuleString) {
        pos = readString(bytes, pos, end, element);
        this.inModuleString = false;
        this.handler.modulePart?.(MODULE_STRING, element);
      } else if (bytes[pos] === MODULE_STRING) {
        this.inModuleString = true;
        pos++;
      } else {
        const opcode = bytes[pos];
        pos = readModulePart(bytes, pos, end, element);
        if (opcode !== 0) this.handler.modulePart?.(opcode, element);
      }
    }
  }

  private piece(frame: Frame): void {
    const { bytes, bodyStart, end, type } = frame;
    if (frame.stringFirst) this.stringOffset = frame.offset;
    if (this.isHeld || type.form === 'stream') {
      this.gathered.add(bytes, frame.start, end);
      if (frame.stringLast && type.form === 'stream' && this.nodesLeft > 0) this.gatheredNode();
      return;
    }
    this.origin = 0;
    if (frame.stringFirst) {
      this.target = this.open(frame);
      const { target } = this;
      this.lzf =
        frame.lzf && target.stored !== true
          ? new LzfStream(frame.stringLength, (plain, from, to) => target.bytes(plain, from, to))
          : undefined;
    }
    if (this.lzf !== undefined) this.lzf.push(bytes, bodyStart, end);
    else this.target?.bytes(bytes, this.target.stored === true ? frame.start : bodyStart, end);
    if (frame.stringLast) {
      this.lzf?.finish();
      this.target?.end();
      this.target = this.lzf = undefined;
      this.inNode = this.inModuleString = false;
    }
  }

  /** A large string of a stream node is complete. */
  private gatheredNode(): void {
    const { gathered } = this;
    this.origin = 0;
    if (this.inNode) {
      this.streamNode(gathered.bytes, 0, gathered.length);
      this.nodesLeft--;
    } else {
      this.streamKey(gathered.bytes, 0, gathered.length);
    }
    this.inNode = !this.inNode;
    gathered.clear();
  }

  /** The target for the current large string: a packed value or an element. */
  private open(frame: Frame): StringTarget {
    const { type } = frame;
    if (this.own?.parts !== undefined) return this.own.parts.string(this.handler);
    switch (type.form) {
      case 'string':
        return this.largeElement(LAYOUTS.string, frame);
      case 'items':
      case 'hash-metadata':
        return this.largeElement(itemsLayout(type), frame);
      case 'module':
        return this.large(MODULE_PART, frame, this.element, (element) => this.handler.modulePart?.(MODULE_STRING, element));
      case 'quicklist':
        return this.packedListNode(this.split(LIST_ZIPLIST, frame.stringLength));
      case 'quicklist2':
        return this.plainNode ? this.plainListNode(frame) : this.packedListNode(this.split(LIST_LISTPACK, frame.stringLength));
      default:
        return this.split(packedOf(type), frame.stringLength);
    }
  }

  /** A large element of an item, such as the field of a pair. */
  private largeElement(layout: Layout, frame: Frame): StringTarget {
    const { elements, phase } = this;
    const { roles, shape } = layout;
    const role = roles[phase];
    const isPair = roles.includes(VALUE);
    const expireAt =
      shape === EXPIRY_PAIR || shape === RELATIVE_EXPIRY_PAIR ? this.expiryBefore(shape) : shape === PAIR_EXPIRY || !isPair ? undefined : 0;
    const target = this.large(
      role,
      frame,
      elements[phase],
      () => {
        this.phase = (phase + 1) % roles.length;
        if (this.phase === 0) this.tell(shape);
      },
      role === VALUE ? elements[phase - 1] : undefined,
      expireAt,
    );
    return target;
  }

  private plainListNode(frame: Frame): StringTarget {
    this.handler.nodeBegin?.(true);
    return this.large(ITEM, frame, this.element, (element) => {
      this.handler.item?.(element);
      this.handler.nodeEnd?.();
    });
  }

  /** A large string that is passed on in pieces; `atEnd` gets the element for it. */
  private large(
    role: number,
    frame: Frame,
    element: Element,
    atEnd: (element: Element) => void,
    field?: Element,
    expireAt?: number,
  ): StringTarget {
    const { handler } = this;
    const { stringLength } = frame;
    handler.largeBegin?.(role, stringLength, field, expireAt);
    return {
      stored: handler.wantsStoredLarge === true,
      bytes: (bytes, start, end) => handler.largeBytes?.(bytes, start, end),
      end: () => {
        handler.largeEnd?.();
        element.kind = LARGE;
        element.num = stringLength;
        atEnd(element);
      },
    };
  }

  /** A list node whose packed value is cut. */
  private packedListNode(target: StringTarget): StringTarget {
    this.handler.nodeBegin?.(false);
    return {
      bytes: (bytes, start, end) => target.bytes(bytes, start, end),
      end: () => {
        target.end();
        this.handler.nodeEnd?.();
      },
    };
  }

  /** Cuts a large packed value, `size` bytes in all, into runs of whole items. */
  private split(packed: Packed, size: number): StringTarget {
    this.handler.packedBegin?.(size);
    const held = new Gathered();
    let done = 0;
    let count = -1;
    let layout: Layout | undefined;
    /** Walks whole elements of `bytes[start, end)`; returns where it stopped. */
    const walk = (bytes: Uint8Array, start: number, end: number): number => {
      let pos = start;
      this.origin = start - done;
      if (layout === undefined) {
        if (end - start < packed.header) return start;
        count = packed.check(bytes, start, size);
        this.walked = 0;
        layout = packed.layout(bytes, start);
        pos += packed.header;
      }
      const stop = Math.min(end, start + size - packed.footer - done);
      pos = this.run(layout, bytes, pos, stop);
      if (this.phase > 0 && done + stop - start < size - packed.footer) {
        // the item is incomplete: it is read again with its rest
        this.walked -= this.phase;
        this.phase = 0;
        pos = this.itemAt;
      }
      done += pos - start;
      this.origin = 0;
      return pos;
    };
    return {
      bytes: (bytes, start, end) => {
        if (held.length > 0) {
          held.add(bytes, start, end);
          held.drop(walk(held.bytes, 0, held.length));
        } else {
          const stop = walk(bytes, start, end);
          held.add(bytes, stop, end);
        }
      },
      end: () => {
        this.origin = -done;
        if (done !== size - packed.footer) {
          throw new RdbError(packed.code, { within: 0, expected: 'a whole element', got: 'the end of the packed value' });
        }
        if (packed.footer === 1 && held.bytes[0] !== 0xff) throw badEnd(packed.code, 0, held.bytes[0]);
        this.balanced(packed, count, -done);
      },
    };
  }
}
