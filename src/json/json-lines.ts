import { writeInt } from '../bytes/decimal.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { DOUBLE, type Element } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import { DROPPED } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';
import type { RedisType } from '../rdb/types.js';
import { FIELD, type Layout, MEMBER, MODULE_PART, VALUE } from '../values/layouts.js';
import { MODULE_UINT, type ModuleType } from '../values/module.js';
import { PartsReader } from '../values/parts.js';
import type { StreamTail } from '../values/stream-tail.js';
import { BigText } from './big-text.js';
import { plainRows, runKind } from './forms.js';
import { headSize, VALUES, writeHead } from './head.js';
import { endJson, jsonLine, metaJson, MODULE_PART_NAMES } from './meta.js';
import { writeStreamTail } from './stream.js';
import { ascii, JsonWriter } from './writer.js';
import type { LargeValue } from '../io/large-value.js';
import type { Output } from '../io/output.js';
import type { FileEnd, RecordSink } from '../pipeline/sink.js';

const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const OBJECT_END = 0x7d;
const ARRAY_END = 0x5d;

const EXPIRE_AT = ascii(',"expireAt":');
const FIELD_VALUE = ascii('{"value":');
const ENTRY = ascii('{"id":"');
const ENTRY_FIELDS = ascii('","fields":[');

export interface JsonLinesOptions {
  /** Write a line at the end of each file (`{"type":"end",…}`). */
  readonly meta?: boolean;
  /** The make of the hot loops (default: TypeScript). */
  readonly codec?: Codec | undefined;
}

/**
 * Keys as JSON lines (docs/json-lines.md), from bytes to bytes: no string, number object or array is made for an element.
 * A thread gets the parts of large values one by one: `settle` must be awaited after each of them.
 */
export class JsonLines extends PartsReader implements RecordSink {
  private readonly json: JsonWriter;
  private readonly codec: Codec;
  private readonly rowFrame = new Frame();
  private type: RedisType = 'string';
  /** Nothing stands before the next element. */
  private first = true;
  private arrayOpen = false;
  /** The value is complete, but for a large string that is still to be written. */
  private ended = false;

  /** Of the hash field at hand: where its value begins in the output, and its expiry, 0 for none. */
  private valueAt = 0;
  private fieldExpiry = 0;
  /** Whether field expiries come before the field or behind the value, where there are any. */
  private expiryBefore = false;
  private expiryBehind = false;

  /** A line was begun and is not complete. */
  inLine = false;
  /** Where it begins in the output, and how much had been handed on before it. */
  private lineAt = 0;
  private lineFlushed = 0;

  /** The large string at hand, what it is, and whether it cannot be written before its expiry is known. */
  private big: BigText | undefined;
  private bigRole = 0;
  private bigWaits = false;

  constructor(
    private readonly output: Output,
    private readonly options: JsonLinesOptions = {},
  ) {
    super(options.codec);
    this.codec = options.codec ?? TS_CODEC;
    this.json = new JsonWriter(output, options.codec);
  }

  /** Takes back the line at hand after an error; where a part of it was handed on already, ends it and returns false. */
  rollback(): boolean {
    this.big?.close();
    this.big = undefined;
    const { output } = this;
    output.held = false;
    if (!this.inLine) return true;
    this.inLine = false;
    if (this.lineFlushed !== output.flushed) {
      this.newline();
      return false;
    }
    output.length = this.lineAt;
    return true;
  }

  /** Ends a line that is torn. */
  newline(): void {
    this.output.room(1);
    this.json.byte(0x0a);
  }

  fileBegin(): void {
    // all files are read alike
  }

  batch(batch: Batch): void {
    const { rowFrame } = this;
    const { table, to } = batch;
    for (let row = batch.from; row < to; row++) {
      row = batch.row = plainRows(this.codec, this.output, table, row, to, batch.bytes);
      if (row === to) break;
      if (table.has(row, DROPPED)) continue;
      batch.read(row, rowFrame);
      if (rowFrame.opcode === undefined) this.frame(RECORD, rowFrame);
      else this.meta(rowFrame);
    }
  }

  async large(value: LargeValue): Promise<void> {
    for await (const { frame, kind } of value.parts()) {
      this.frame(kind, frame);
      await this.settle();
    }
  }

  get full(): boolean {
    return this.output.full;
  }

  flush(): Promise<void> {
    return this.output.flush();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  /** Whether there is a line at hand, and it has no element yet. */
  get bare(): boolean {
    return this.inLine && this.first;
  }

  /** Goes on in the middle of a line that another began: something stands before what comes. */
  override resume(frame: Frame, leastExpiry: number): void {
    super.resume(frame, leastExpiry);
    this.line(frame);
    this.first = false;
    this.lineFlushed = -1;
  }

  /** Writes out what waits for it: a large string of the part before. */
  async settle(): Promise<void> {
    const { big, output } = this;
    if (big !== undefined && !this.bigWaits && (await big.settle(output))) {
      this.big = undefined;
      output.room(64);
      if (this.bigRole === FIELD || this.bigRole === MEMBER) this.colon();
      else if (this.bigRole === VALUE) this.endFieldValue();
      else if (this.bigRole === MODULE_PART) this.json.byte(OBJECT_END);
      if (this.ended) this.close();
    }
    await output.flushIfFull();
  }

  meta(frame: Frame): void {
    this.object(metaJson(frame));
  }

  fileEnd(file: FileEnd): void {
    if (this.options.meta === true) this.object(endJson(file));
  }

  private object(value: object): void {
    const { output } = this;
    const bytes = jsonLine(value);
    output.room(bytes.length);
    output.bytes.set(bytes, output.length);
    output.length += bytes.length;
  }

  protected begin(frame: Frame): void {
    this.output.room(headSize(frame));
    this.line(frame);
    writeHead(this.json, this.codec, frame);
    this.json.bytes(VALUES[frame.type.redisType][1]);
  }

  /** What there is to remember of a line. */
  private line(frame: Frame): void {
    const { form, name, redisType } = frame.type;
    this.inLine = true;
    this.lineAt = this.output.length;
    this.lineFlushed = this.output.flushed;
    this.type = redisType;
    this.first = true;
    this.arrayOpen = redisType === 'array';
    this.ended = false;
    this.fieldExpiry = 0;
    this.expiryBefore = form === 'hash-metadata';
    this.expiryBehind = form === 'listpack-ex' || name === 'HASH_2';
  }

  protected end(): void {
    this.ended = true;
    if (this.big === undefined) this.close();
  }

  private close(): void {
    this.output.room(32);
    if (this.arrayOpen) this.json.byte(ARRAY_END);
    this.json.bytes(VALUES[this.type][2]);
    this.inLine = false;
  }

  private comma(): void {
    if (this.first) this.first = false;
    else {
      this.output.room(16);
      this.json.byte(COMMA);
    }
  }

  private colon(): void {
    this.json.byte(COLON);
    this.valueAt = this.output.length;
    this.output.held = this.expiryBehind;
    if (this.fieldExpiry > 0) this.json.bytes(FIELD_VALUE);
  }

  /** Runs of the plain kinds are written in one go. */
  protected override run(layout: Layout, bytes: Uint8Array, start: number, end: number): number {
    const kind = runKind(layout);
    if (kind < 0 || this.phase !== 0) return super.run(layout, bytes, start, end);
    const { codec, output } = this;
    const stop = codec.jsonRun(kind, layout.reads, bytes, start, end, output.bytes, output.length, this.first);
    if (stop < 0) return super.run(layout, bytes, start, end);
    output.length = stop;
    this.first &&= end === start;
    this.walked += codec.walked;
    return end;
  }

  text(element: Element): void {
    this.json.text(element);
  }

  item(element: Element): void {
    this.comma();
    this.json.text(element);
  }

  field(element: Element): void {
    this.comma();
    this.json.text(element);
    this.colon();
  }

  value(element: Element): void {
    this.json.text(element);
    if (this.fieldExpiry > 0) this.endFieldValue();
  }

  expiry(ms: number): void {
    this.fieldExpiry = ms;
    this.output.held = false;
    if (this.expiryBefore || ms === 0) {
      this.bigWaits = false;
      return;
    }
    const { json, output, valueAt } = this;
    output.room(64);
    if (this.bigWaits) {
      this.bigWaits = false;
      json.bytes(FIELD_VALUE);
      return;
    }
    output.bytes.copyWithin(valueAt + FIELD_VALUE.length, valueAt, output.length);
    output.bytes.set(FIELD_VALUE, valueAt);
    output.length += FIELD_VALUE.length;
    this.endFieldValue();
  }

  /** Closes the object of a field that has an expiry. */
  private endFieldValue(): void {
    if (this.fieldExpiry === 0) return;
    this.output.room(64);
    this.json.bytes(EXPIRE_AT);
    this.output.length = writeInt(this.fieldExpiry, this.output.bytes, this.output.length);
    this.json.byte(OBJECT_END);
    this.fieldExpiry = 0;
  }

  member(element: Element): void {
    this.comma();
    this.json.text(element);
    this.json.byte(COLON);
  }

  score(element: Element): void {
    this.json.score(element);
  }

  entry(id: StreamId): void {
    this.output.room(32);
    this.comma();
    this.json.bytes(ENTRY);
    this.json.id(id);
    this.json.bytes(ENTRY_FIELDS);
    this.first = true;
  }

  entryElement(element: Element): void {
    this.comma();
    this.json.text(element);
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
    const { json } = this;
    this.comma();
    json.raw(`{"${MODULE_PART_NAMES[opcode]}":`);
    if (element.kind === DOUBLE) json.score(element);
    else if (opcode === MODULE_UINT) this.quotedUnsigned(element);
    else json.text(element);
    json.byte(OBJECT_END);
  }

  private quotedUnsigned(element: Element): void {
    this.json.byte(QUOTE);
    this.json.unsigned(element);
    this.json.byte(QUOTE);
  }

  arrayElement(index: Element, value: Element): void {
    const { json } = this;
    this.comma();
    json.raw('{"index":');
    this.quotedUnsigned(index);
    json.raw(',"value":');
    json.text(value);
    json.byte(OBJECT_END);
  }

  arrayInsertIndex(index: Element): void {
    this.json.raw('],"insertIndex":');
    this.quotedUnsigned(index);
    this.arrayOpen = false;
  }

  protected bigBegin(role: number): void {
    this.output.room(64);
    if (role !== VALUE && this.type !== 'string') this.comma();
    if (role === MODULE_PART) this.json.raw('{"string":');
    this.big = new BigText();
    this.bigRole = role;
    this.bigWaits = role === VALUE && this.expiryBehind;
  }

  protected bigBytes(bytes: Uint8Array, start: number, end: number): void {
    this.big?.add(bytes, start, end);
  }

  protected bigEnd(): void {
    this.big?.end();
  }
}
