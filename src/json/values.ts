import { writeInt, writeInt64 } from '../bytes/decimal.js';
import { jsonTextSize } from '../bytes/json.js';
import { DOUBLE, type Element, LARGE } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Output } from '../io/output.js';
import { type Codec, RUN_ITEMS, RUN_PAIRS, RUN_SCORES } from '../kernels/codec.js';
import type { Frame } from '../rdb/frame.js';
import type { RedisType } from '../rdb/types.js';
import type { AllItems } from '../values/by-type.js';
import { FIELD, ITEM, type Layout, MEMBER, MODULE_PART, VALUE } from '../values/layouts.js';
import { MODULE_UINT, type ModuleType } from '../values/module.js';
import type { StreamTail } from '../values/stream-tail.js';
import { BigText } from './big-text.js';
import { keyMetaJson, MODULE_PART_NAMES } from './meta.js';
import { OTHER_VALUES, OtherJsonValues } from './others.js';
import { writeStreamTail } from './stream.js';
import { ascii, type JsonWriter } from './writer.js';

const OBJECT = 0x7b;
const DB = ascii('{"db":');
const KEY = ascii(',"key":');
const EXPIRE_AT = ascii(',"expireAt":');
const IDLE = ascii(',"idle":');
const FREQ = ascii(',"freq":');

/** By type: its name, what stands before the elements of a value, and what stands after them. */
export const VALUES = {
  string: [ascii(',"type":"string"'), ascii(',"value":'), ascii('}\n')],
  list: [ascii(',"type":"list"'), ascii(',"value":['), ascii(']}\n')],
  set: [ascii(',"type":"set"'), ascii(',"value":['), ascii(']}\n')],
  zset: [ascii(',"type":"zset"'), ascii(',"value":{'), ascii('}}\n')],
  hash: [ascii(',"type":"hash"'), ascii(',"value":{'), ascii('}}\n')],
  stream: [ascii(',"type":"stream"'), ascii(',"value":{"entries":['), ascii('}}\n')],
  module: [ascii(',"type":"module"'), ascii(',"value":{"module":'), ascii(']}}\n')],
  ...OTHER_VALUES,
} as const satisfies Record<RedisType, readonly [Uint8Array, Uint8Array, Uint8Array]>;

/** The longest that stands between the text of a key and the first element. */
const HEAD_SIZE = 256;

/** Room for `writeHead` and a few bytes after it. */
export function headSize({ keyEnd, keyStart }: Frame): number {
  return jsonTextSize(keyEnd - keyStart) + HEAD_SIZE;
}

/** Writes the beginning of the line of a key, up to what is said of its value. Room for it must be there. */
export function writeHead(json: JsonWriter, codec: Codec, frame: Frame): void {
  const { output } = json;
  const [type] = VALUES[frame.type.redisType];
  if (frame.db >= 0) {
    json.bytes(DB);
    output.length = writeInt(frame.db, output.bytes, output.length);
    json.bytes(KEY);
    output.length = codec.writeJsonText(frame.keyBytes, frame.keyStart, frame.keyEnd, output.bytes, output.length);
    json.bytes(type);
  } else {
    json.byte(OBJECT);
    json.bytes(type.subarray(1)); // without its comma
  }
  if (frame.hasExpire) {
    json.bytes(EXPIRE_AT);
    output.length = writeInt64(frame.expireHi, frame.expireLo, output.bytes, output.length);
  }
  if (frame.idle >= 0) {
    json.bytes(IDLE);
    output.length = writeInt(frame.idle, output.bytes, output.length);
  }
  if (frame.freq >= 0) {
    json.bytes(FREQ);
    output.length = writeInt(frame.freq, output.bytes, output.length);
  }
  if (frame.metaBytes !== undefined) writeKeyMeta(json, frame.metaBytes);
}

function writeKeyMeta(json: JsonWriter, bytes: Uint8Array): void {
  const text = new TextEncoder().encode(`,"keyMeta":${JSON.stringify(keyMetaJson(bytes))}`);
  json.output.room(text.length + HEAD_SIZE);
  json.bytes(text);
}

const COMMA = 0x2c;
const COLON = 0x3a;
const OBJECT_END = 0x7d;
const ARRAY_END = 0x5d;

const FIELD_VALUE = ascii('{"value":');
const ENTRY = ascii('{"id":"');
const ENTRY_FIELDS = ascii('","fields":[');

/** What `Codec.jsonRun` calls a layout, or -1. */
export function runKind({ roles }: Layout): number {
  if (roles.length === 1) return roles[0] === ITEM ? RUN_ITEMS : -1;
  if (roles.length > 2) return -1;
  return roles[0] === FIELD ? RUN_PAIRS : RUN_SCORES;
}

/**
 * Values as JSON (docs/json-lines.md), from bytes to bytes: no string, number object or array is made for an element. With a value in
 * parts, `settle` must be awaited after each of them.
 */
export class JsonValues extends OtherJsonValues implements AllItems {
  private type: RedisType = 'string';
  /** The value is written, with the end of its line. */
  complete = true;
  /** A score that was written is not a number; whoever looks clears it. */
  nan = false;
  /** All items came, but a large string may be still to be written. */
  private ended = false;

  /** The current large string, and what it is. */
  private large: BigText | undefined;
  private largeRole = 0;
  /** It cannot be written before the expiry of its field is known. */
  private largeWaits = false;
  /** The expiry of its field, 0 for none. */
  private expireAt = 0;

  constructor(
    json: JsonWriter,
    output: Output,
    private readonly codec: Codec,
  ) {
    super(json, output);
  }

  /** The line of a key begins. */
  open(type: RedisType): void {
    this.resume(type);
    this.first = true;
  }

  /** The rest of a value follows that was begun elsewhere: something stands before it. */
  resume(type: RedisType): void {
    this.type = type;
    this.first = this.complete = this.ended = false;
    this.arrayOpen = type === 'array';
    this.expireAt = 0;
  }

  /** Drops the unfinished value. */
  drop(): void {
    this.nan = false;
    this.large?.close();
    this.large = undefined;
  }

  /** Writes out what waits for it: a large string of the part before. */
  async settle(): Promise<void> {
    const { large, largeRole, output } = this;
    if (large === undefined || this.largeWaits || !(await large.settle(output))) return;
    this.large = undefined;
    output.room(64);
    if (largeRole === FIELD || largeRole === MEMBER) this.json.byte(COLON);
    else if (largeRole === VALUE) this.endFieldValue(this.expireAt);
    else if (largeRole === MODULE_PART) this.json.byte(OBJECT_END);
    if (this.ended) this.close();
  }

  begin(): void {
    this.json.bytes(VALUES[this.type][1]);
  }

  end(): void {
    this.ended = true;
    if (this.large === undefined) this.close();
  }

  private close(): void {
    this.output.room(32);
    if (this.arrayOpen) this.json.byte(ARRAY_END);
    this.json.bytes(VALUES[this.type][2]);
    this.complete = true;
  }

  /** Runs of the plain kinds are written in one go. */
  run(layout: Layout, bytes: Uint8Array, start: number, end: number): number {
    const kind = runKind(layout);
    if (kind < 0) return -1;
    const { codec, output } = this;
    const stop = codec.jsonRun(kind, layout.reads, bytes, start, end, output.bytes, output.length, this.first);
    if (stop < 0) return -1;
    output.length = stop;
    this.first &&= end === start;
    return codec.walked;
  }

  text(element: Element): void {
    if (element.kind !== LARGE) this.json.text(element);
  }

  item(element: Element): void {
    if (element.kind === LARGE) return;
    this.comma();
    this.json.text(element);
  }

  pair(field: Element, value: Element, expireAt: number): void {
    if (value.kind === LARGE) {
      this.expireAt = expireAt;
      if (this.largeWaits) this.beginFieldValue(expireAt);
      this.largeWaits = false;
      return;
    }
    this.name(field);
    this.beginFieldValue(expireAt);
    this.json.text(value);
    this.endFieldValue(expireAt);
  }

  /** A field or member; a large one is written already. */
  private name(element: Element): void {
    if (element.kind === LARGE) return;
    this.comma();
    this.json.text(element);
    this.json.byte(COLON);
  }

  /** Opens the object of a field that has an expiry. */
  private beginFieldValue(expireAt: number): void {
    if (expireAt === 0) return;
    this.output.room(64);
    this.json.bytes(FIELD_VALUE);
  }

  private endFieldValue(expireAt: number): void {
    if (expireAt === 0) return;
    this.output.room(64);
    this.json.bytes(EXPIRE_AT);
    this.output.length = writeInt(expireAt, this.output.bytes, this.output.length);
    this.json.byte(OBJECT_END);
  }

  scored(member: Element, score: Element): void {
    this.name(member);
    if (Number.isNaN(this.json.score(score))) this.nan = true;
  }

  entry(id: StreamId): void {
    this.output.room(32);
    this.comma();
    this.json.bytes(ENTRY);
    this.json.id(id);
    this.json.bytes(ENTRY_FIELDS);
    this.first = true;
  }

  entryField(name: Element, value: Element): void {
    this.comma();
    this.json.text(name);
    this.json.byte(COMMA);
    this.json.text(value);
  }

  entryEnd(): void {
    this.output.room(32);
    this.json.byte(ARRAY_END);
    this.json.byte(OBJECT_END);
    this.first = false;
  }

  streamTail(tail: StreamTail): void {
    writeStreamTail(this.json, tail);
  }

  module(type: ModuleType): void {
    this.json.raw(`${JSON.stringify(type.name)},"version":${type.version},"parts":[`);
  }

  modulePart(opcode: number, element: Element): void {
    if (element.kind === LARGE) return;
    const { json } = this;
    this.comma();
    json.raw(`{"${MODULE_PART_NAMES[opcode]}":`);
    if (element.kind === DOUBLE) json.score(element);
    else if (opcode === MODULE_UINT) this.quotedUnsigned(element);
    else json.text(element);
    json.byte(OBJECT_END);
  }

  largeBegin(role: number, _length: number, field: Element | undefined, expireAt: number | undefined): void {
    this.output.room(64);
    if (field !== undefined) this.name(field);
    else if (this.type !== 'string') this.comma();
    if (role === MODULE_PART) this.json.raw('{"string":');
    this.large = new BigText();
    this.largeRole = role;
    this.largeWaits = role === VALUE && expireAt === undefined;
    if (role === VALUE && expireAt !== undefined) this.beginFieldValue(expireAt);
  }

  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    this.large?.add(bytes, start, end);
  }

  largeEnd(): void {
    this.large?.end();
  }
}
