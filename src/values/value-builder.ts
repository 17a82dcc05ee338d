import type { Element } from '../encodings/element.js';
import type { Codec } from '../kernels/codec.js';
import type { StreamId } from '../encodings/stream.js';
import { type Frame, shownKey } from '../rdb/frame.js';
import { FIELD, ITEM, MEMBER, MODULE_PART, VALUE } from './layouts.js';
import { MODULE_FLOAT, MODULE_DOUBLE, MODULE_SINT, MODULE_STRING, MODULE_UINT, type ModuleType } from './module.js';
import { PartsReader } from './parts.js';
import type { StreamTail } from './stream-tail.js';
import { idText, int64Of, scoreOf, uint64Of } from './value-integers.js';
import { streamOf } from './value-stream.js';
import { GrowingString, type Texts } from './value-texts.js';
import type { ArrayValue, HashField, ModulePart, ModuleValue, StreamEntry, Values, ZsetMember } from './value-types.js';

/**
 * Makes the JavaScript value of a key: give it a RECORD, or all the parts of a large value, and then take `built`. The value
 * shares no memory with the frame or with other values.
 */
export class ValueBuilder<T> extends PartsReader {
  /** The value of the last key; what it is follows from the key's type. */
  built: Values<T>[keyof Values<T>];

  private list: T[] = [];
  private members: ZsetMember<T>[] = [];
  private fields: HashField<T>[] = [];
  private entries: StreamEntry<T>[] = [];
  private pairs: [name: T, value: T][] = [];
  private moduleValue!: ModuleValue<T>;
  private arrayValue!: ArrayValue<T>;

  /** A field, member or name whose value or score comes next. */
  private before: T;
  private inPair = false;
  /** The expiry of the field that comes next, 0 for none. */
  private fieldExpiry = 0;
  /** Whether expiries come before their fields or behind the values, where there are any. */
  private expiryBefore = false;

  private key!: Frame;
  private big: GrowingString | undefined;
  private bigRole = 0;

  constructor(
    private readonly texts: Texts<T>,
    codec?: Codec,
  ) {
    super(codec);
    this.built = this.list;
    this.before = texts.bytes(new Uint8Array(0), 0, 0);
  }

  protected begin(frame: Frame): void {
    this.key = frame;
    switch (frame.redisType) {
      case 'list':
      case 'set':
        this.built = this.list = [];
        break;
      case 'zset':
        this.built = this.members = [];
        break;
      case 'hash':
        this.built = this.fields = [];
        this.fieldExpiry = 0;
        this.expiryBefore = frame.type.form === 'hash-metadata';
        break;
      case 'stream':
        this.entries = [];
        break;
      case 'array':
        this.built = this.arrayValue = { elements: [] };
        break;
      default: // text and module make theirs
    }
  }

  protected end(): void {
    this.big = undefined;
  }

  text(element: Element): void {
    this.built = this.texts.element(element);
  }

  item(element: Element): void {
    this.list.push(this.texts.element(element));
  }

  field(element: Element): void {
    this.before = this.texts.element(element);
  }

  value(element: Element): void {
    this.addField(this.texts.element(element));
  }

  private addField(value: T): void {
    const field = { field: this.before, value };
    this.fields.push(this.fieldExpiry > 0 ? { ...field, expireAt: this.fieldExpiry } : field);
  }

  expiry(ms: number): void {
    if (this.expiryBefore) this.fieldExpiry = ms;
    else if (ms > 0) (this.fields[this.fields.length - 1]).expireAt = ms;
  }

  member(element: Element): void {
    this.before = this.texts.element(element);
  }

  score(element: Element): void {
    this.members.push({ member: this.before, score: scoreOf(element) });
  }

  entry(id: StreamId): void {
    this.pairs = [];
    this.inPair = false;
    this.entries.push({ id: idText(id), fields: this.pairs });
  }

  entryElement(element: Element): void {
    const text = this.texts.element(element);
    if (this.inPair) this.pairs.push([this.before, text]);
    else this.before = text;
    this.inPair = !this.inPair;
  }

  entryEnd(): void {
    // A node gives names and values in turn, as many of one as of the other.
  }

  streamTail(tail: StreamTail): void {
    this.built = streamOf(this.entries, tail, this.texts);
  }

  module(type: ModuleType): void {
    this.built = this.moduleValue = { module: type.name, version: type.version, parts: [] };
  }

  modulePart(opcode: number, element: Element): void {
    this.moduleValue.parts.push(modulePartOf(opcode, element, this.texts));
  }

  arrayElement(index: Element, value: Element): void {
    this.arrayValue.elements.push({ index: uint64Of(index), value: this.texts.element(value) });
  }

  arrayInsertIndex(index: Element): void {
    this.arrayValue.insertIndex = uint64Of(index);
  }

  protected bigBegin(role: number, length: number): void {
    if (length > this.texts.greatest) throw this.tooLong(length);
    this.big = new GrowingString(length);
    this.bigRole = role;
  }

  protected bigBytes(bytes: Uint8Array, start: number, end: number): void {
    this.big?.add(bytes, start, end);
  }

  /** The string that is whole now. */
  private bigText(): T {
    const bytes = (this.big as GrowingString).bytes();
    this.big = undefined;
    try {
      return this.texts.own(bytes);
    } catch (cause) {
      throw this.tooLong(bytes.length, cause); // base64 is longer than the bytes, and nothing else can go wrong
    }
  }

  private tooLong(length: number, cause?: unknown): RangeError {
    const { db } = this.key;
    const key = JSON.stringify(shownKey(this.key));
    const advice = 'frames() gives such values in parts, the filter maxSize leaves them out';
    return new RangeError(`db ${db}, key ${key}: a string of ${length} bytes is longer than JavaScript allows; ${advice}`, { cause });
  }

  protected bigEnd(): void {
    const text = this.bigText();
    switch (this.bigRole) {
      case ITEM:
        this.list.push(text);
        break;
      case FIELD:
      case MEMBER:
        this.before = text;
        break;
      case VALUE:
        this.addField(text);
        break;
      case MODULE_PART:
        this.moduleValue.parts.push({ kind: 'string', value: text });
        break;
      default:
        this.built = text;
    }
  }
}

/** A part of a module value; the opcode is one of module.ts. */
export function modulePartOf<T>(opcode: number, element: Element, texts: Texts<T>): ModulePart<T> {
  switch (opcode) {
    case MODULE_SINT:
      return { kind: 'sint', value: int64Of(element) };
    case MODULE_UINT:
      return { kind: 'uint', value: uint64Of(element) };
    case MODULE_FLOAT:
      return { kind: 'float', value: element.num };
    case MODULE_DOUBLE:
      return { kind: 'double', value: element.num };
    case MODULE_STRING:
      return { kind: 'string', value: texts.element(element) };
    default:
      throw new TypeError(`no module part ${opcode}`);
  }
}
