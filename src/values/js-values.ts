import { type Element, LARGE } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Codec } from '../kernels/codec.js';
import { type Frame, shownKey } from '../rdb/frame.js';
import type { AllItems } from './by-type.js';
import { FIELD, MEMBER } from './layouts.js';
import { MODULE_DOUBLE, MODULE_FLOAT, MODULE_SINT, MODULE_STRING, MODULE_UINT, type ModuleType } from './module.js';
import { PartsReader } from './parts.js';
import type { GroupVisitor, IdempotenceVisitor, StreamTail } from './stream-tail.js';
import { idText, int64Of, scoreOf, signedOf, uint64Of, unsignedOf } from './value-integers.js';
import { GrowingString, type Texts } from './value-texts.js';

/*
 * Redis values as JavaScript values. `T` is the type of Redis strings (keys, elements, fields, members, names): a Buffer or a
 * string. All of it is plain data that belongs to the caller.
 *
 * Counts and times are numbers; one above 2^53 (which only a command like XSETID can set) is the nearest number, as JSON.parse
 * would read it. Integers that commonly use all 64 bits (of modules, indexes of arrays) are bigints, whatever their size. Times
 * are Unix milliseconds.
 */

/** A field of a hash. Fields are in the order of the file; a damaged hash that names a field twice has it twice here. */
export interface HashField<T> {
  field: T;
  value: T;
  /** Unix milliseconds; only if the field has its own expiry. */
  expireAt?: number;
}

/** A member of a sorted set. Scores may be Infinity, -Infinity, NaN and -0. */
export interface ZsetMember<T> {
  member: T;
  score: number;
}

/** An entry of a stream. IDs are text, `milliseconds-sequence`, as commands print them. */
export interface StreamEntry<T> {
  id: string;
  /** In the order they were added; names may repeat. */
  fields: [name: T, value: T][];
}

/** An entry that was delivered to a consumer and not acknowledged yet. */
export interface StreamPending<T> {
  id: string;
  /** Null for an entry that was handed back (Redis 8.8). */
  consumer: T | null;
  /** Unix milliseconds. */
  deliveredAt: number;
  deliveries: number;
}

export interface StreamConsumer<T> {
  name: T;
  /** Unix milliseconds of its last attempt to read. */
  seenTime: number;
  /** Unix milliseconds of its last successful read, null for never; absent in files of servers before 7.2. */
  activeTime?: number | null;
}

/** A consumer group. */
export interface StreamGroup<T> {
  name: T;
  lastId: string;
  /** Null if the server does not know. */
  entriesRead: number | null;
  pending: StreamPending<T>[];
  consumers: StreamConsumer<T>[];
}

/** Idempotent producing (Redis 8.6). */
export interface StreamIdempotence<T> {
  /** Seconds. */
  duration: number;
  maxEntries: number;
  producers: { id: T; entries: { id: T; streamId: string }[] }[];
  added: number;
  duplicates: number;
}

export interface StreamValue<T> {
  /** Deleted entries are left out. */
  entries: StreamEntry<T>[];
  length: number;
  lastId: string;
  /** This and the next two: since Redis 7.0. */
  firstId?: string;
  maxDeletedId?: string;
  entriesAdded?: number;
  groups: StreamGroup<T>[];
  idempotence?: StreamIdempotence<T>;
}

/** What a module wrote, part by part: only the module knows what the parts mean. */
export type ModulePart<T> =
  | { kind: 'sint' | 'uint'; value: bigint }
  | { kind: 'float' | 'double'; value: number }
  | { kind: 'string'; value: T };

/** A value of a type that a module defines. */
export interface ModuleValue<T> {
  /** The nine characters that name the type. */
  module: string;
  /** Version of the module's own format. */
  version: number;
  parts: ModulePart<T>[];
}

/** A sparse array (Redis 8.8). */
export interface ArrayValue<T> {
  elements: { index: bigint; value: T }[];
  /** The index of the next insertion, if the array has one. */
  insertIndex?: bigint;
}

/** A bitmap with a type of its own (Redis 8.12). */
export interface BitmapValue {
  /** In bytes, with zeros at its end. */
  length: bigint;
  /** The bits that are set, in ascending order: the first and the last of each run, the same for a single bit. */
  runs: [first: bigint, last: bigint][];
}

/** The value of a key by its type. */
export interface Values<T> {
  string: T;
  /** In order. */
  list: T[];
  /** In the order of the file, which has no meaning. */
  set: T[];
  zset: ZsetMember<T>[];
  hash: HashField<T>[];
  stream: StreamValue<T>;
  module: ModuleValue<T>;
  array: ArrayValue<T>;
  bitmap: BitmapValue;
}

/**
 * Builds the JavaScript value of a key: pass a RECORD, or all parts of a large value, then take `built`. The value shares no memory
 * with the frame or with other values.
 *
 * @internal
 */
export class ValueBuilder<T> implements AllItems {
  /** The value of the last key; the type of the key determines its kind. */
  built: Values<T>[keyof Values<T>];

  private list: T[] = [];
  private members: ZsetMember<T>[] = [];
  private fields: HashField<T>[] = [];
  private entries: StreamEntry<T>[] = [];
  private pairs: [name: T, value: T][] = [];
  private moduleValue!: ModuleValue<T>;
  private arrayValue!: ArrayValue<T>;
  private bitmapValue!: BitmapValue;

  private key!: Frame;
  private growing: GrowingString | undefined;
  private isName = false;
  /** Large strings of the next item: its field or member, and any other. */
  private largeName: T | undefined;
  private large: T | undefined;
  private readonly reader: PartsReader;

  constructor(
    private readonly texts: Texts<T>,
    codec?: Codec,
  ) {
    this.reader = new PartsReader(this, codec);
    this.built = this.list;
  }

  /** Takes a record or a part of one (see Framer). */
  frame(kind: number, frame: Frame): void {
    this.reader.frame(kind, frame);
  }

  begin(frame: Frame): void {
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
        break;
      case 'stream':
        this.entries = [];
        break;
      case 'array':
        this.built = this.arrayValue = { elements: [] };
        break;
      default: // text and module build their own
    }
  }

  end(): void {
    this.growing = this.largeName = this.large = undefined;
  }

  private textOf(element: Element, isName = false): T {
    if (element.kind === LARGE) return (isName ? this.largeName : this.large) as T;
    return this.texts.element(element);
  }

  text(element: Element): void {
    this.built = this.textOf(element);
  }

  item(element: Element): void {
    this.list.push(this.textOf(element));
  }

  pair(name: Element, element: Element, expireAt: number): void {
    const field = this.textOf(name, true);
    const value = this.textOf(element);
    this.fields.push(expireAt > 0 ? { field, value, expireAt } : { field, value });
  }

  scored(member: Element, score: Element): void {
    this.members.push({ member: this.textOf(member, true), score: scoreOf(score) });
  }

  entry(id: StreamId): void {
    this.pairs = [];
    this.entries.push({ id: idText(id), fields: this.pairs });
  }

  entryField(name: Element, value: Element): void {
    this.pairs.push([this.texts.element(name), this.texts.element(value)]);
  }

  streamTail(tail: StreamTail): void {
    this.built = streamOf(this.entries, tail, this.texts);
  }

  module(type: ModuleType): void {
    this.built = this.moduleValue = { module: type.name, version: type.version, parts: [] };
  }

  modulePart(opcode: number, element: Element): void {
    this.moduleValue.parts.push(
      element.kind === LARGE ? { kind: 'string', value: this.textOf(element) } : modulePartOf(opcode, element, this.texts),
    );
  }

  arrayElement(index: Element, value: Element): void {
    this.arrayValue.elements.push({ index: uint64Of(index), value: this.texts.element(value) });
  }

  arrayInsertIndex(index: Element): void {
    this.arrayValue.insertIndex = uint64Of(index);
  }

  bitmap(lengthHi: number, lengthLo: number): void {
    this.built = this.bitmapValue = { length: bigOf(lengthHi, lengthLo), runs: [] };
  }

  bits(hi: number, first: number, last: number): void {
    this.bitmapValue.runs.push([bigOf(hi, first), bigOf(hi, last)]);
  }

  largeBegin(role: number, length: number): void {
    if (length > this.texts.greatest) throw this.tooLong(length);
    this.growing = new GrowingString(length);
    this.isName = role === FIELD || role === MEMBER;
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.growing?.add(bytes, start, end);
  }

  largeEnd(): void {
    const bytes = (this.growing as GrowingString).bytes();
    this.growing = undefined;
    if (this.isName) this.largeName = this.own(bytes);
    else this.large = this.own(bytes);
  }

  private own(bytes: Buffer): T {
    try {
      return this.texts.own(bytes);
    } catch (cause) {
      throw this.tooLong(bytes.length, cause); // base64 is longer than the bytes; nothing else can go wrong
    }
  }

  private tooLong(length: number, cause?: unknown): RangeError {
    const { db } = this.key;
    const key = JSON.stringify(shownKey(this.key));
    const advice = 'frames() gives such values in parts, the filter maxSize leaves them out';
    return new RangeError(`db ${db}, key ${key}: a string of ${length} bytes is longer than JavaScript allows; ${advice}`, { cause });
  }
}

function bigOf(hi: number, lo: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo);
}

/**
 * A part of a module value; the opcode is one of module.ts.
 *
 * @internal
 */
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

/** A stream from its entries and its tail. */
function streamOf<T>(entries: StreamEntry<T>[], tail: StreamTail, texts: Texts<T>): StreamValue<T> {
  const groups = new Groups(texts);
  tail.groups(groups);
  return {
    entries,
    length: unsignedOf(tail.length),
    lastId: idText(tail.lastId),
    ...(tail.hasOffsets
      ? { firstId: idText(tail.firstId), maxDeletedId: idText(tail.maxDeletedId), entriesAdded: unsignedOf(tail.entriesAdded) }
      : {}),
    groups: groups.all,
    ...(tail.hasIdempotence ? { idempotence: idempotenceOf(tail, texts) } : {}),
  };
}

class Groups<T> implements GroupVisitor {
  readonly all: StreamGroup<T>[] = [];
  private group!: StreamGroup<T>;

  constructor(private readonly texts: Texts<T>) {}

  groupBegin(name: Element, lastId: StreamId, entriesRead: Element | undefined): void {
    this.group = {
      name: this.texts.element(name),
      lastId: idText(lastId),
      entriesRead: entriesRead === undefined ? null : unsignedOf(entriesRead),
      pending: [],
      consumers: [],
    };
  }

  pending(id: StreamId, consumer: Element | undefined, deliveredAt: Element, deliveries: Element): void {
    this.group.pending.push({
      id: idText(id),
      consumer: consumer === undefined ? null : this.texts.element(consumer),
      deliveredAt: signedOf(deliveredAt),
      deliveries: unsignedOf(deliveries),
    });
  }

  consumer(name: Element, seenTime: Element, activeTime: Element | null | undefined): void {
    this.group.consumers.push({
      name: this.texts.element(name),
      seenTime: signedOf(seenTime),
      ...(activeTime === undefined ? {} : { activeTime: activeTime === null ? null : signedOf(activeTime) }),
    });
  }

  groupEnd(): void {
    this.all.push(this.group);
  }
}

function idempotenceOf<T>(tail: StreamTail, texts: Texts<T>): StreamIdempotence<T> {
  const { duration, maxEntries, added, duplicates, producers: tell } = tail.idempotence();
  const producers: StreamIdempotence<T>['producers'] = [];
  const visitor: IdempotenceVisitor = {
    producer: (id) => void producers.push({ id: texts.element(id), entries: [] }),
    produced: (id, streamId) => void producers.at(-1)?.entries.push({ id: texts.element(id), streamId: idText(streamId) }),
  };
  tell(visitor);
  return {
    duration: unsignedOf(duration),
    maxEntries: unsignedOf(maxEntries),
    producers,
    added: unsignedOf(added),
    duplicates: unsignedOf(duplicates),
  };
}
