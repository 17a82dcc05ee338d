import { RdbError } from '../bytes/errors.js';
import type { LargeValue } from '../io/large-value.js';
import type { Output } from '../io/output.js';
import { type Codec, type RecordForm, type RecordForms, TS_CODEC } from '../kernels/codec.js';
import { DROPPED } from '../kernels/layout.js';
import type { Damage } from '../pipeline/damage.js';
import type { FileEnd, RecordSink } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';
import { type FrameTable, typeNumber } from '../rdb/frame-table.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { TABLES, type TypeRow } from '../rdb/types.js';
import { CONTAINERS, type Layout, LAYOUTS } from '../values/layouts.js';
import { packedOf } from '../values/packed.js';
import { PartsReader } from '../values/parts.js';
import { itemsLayout } from '../values/reader.js';
import { endJson, jsonLine, metaJson } from './meta.js';
import { headSize, JsonValues, runKind, VALUES, writeHead } from './values.js';
import { NanCount } from './nan-scores.js';
import { JsonWriter } from './writer.js';

export interface JsonLinesOptions {
  /** Write a line at the end of each file (`{"type":"end",…}`). */
  readonly meta?: boolean;
  /** The make of the hot loops (default: TypeScript). */
  readonly codec?: Codec | undefined;
  /** Takes damaged values of batches, which are gone past; without it they are errors. */
  readonly damage?: Damage | undefined;
}

/**
 * Keys as JSON lines (docs/json-lines.md). A thread gets the parts of large values one by one: `settle` must be awaited after each of
 * them.
 */
export class JsonLines implements RecordSink {
  private readonly json: JsonWriter;
  private readonly codec: Codec;
  private readonly rowFrame = new Frame();
  private readonly values: JsonValues;
  private readonly reader: PartsReader;

  /** Sorted sets with scores that are not numbers. */
  readonly nan = new NanCount();

  /** Where the current line begins in the output, and how much had been handed on before it. */
  private lineAt = 0;
  private lineFlushed = 0;

  constructor(
    private readonly output: Output,
    private readonly options: JsonLinesOptions = {},
  ) {
    this.codec = options.codec ?? TS_CODEC;
    this.json = new JsonWriter(output, options.codec);
    this.values = new JsonValues(this.json, output, this.codec);
    this.reader = new PartsReader(this.values, options.codec);
  }

  /** Takes back the current line after an error. If a part of it was flushed already, ends the line and returns false. */
  rollback(): boolean {
    this.values.drop();
    const { output } = this;
    if (!this.inLine) return true;
    this.leave();
    this.nan.takeBack();
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
      if (rowFrame.opcode !== undefined) this.meta(rowFrame);
      else if (this.options.damage === undefined) this.frame(RECORD, rowFrame);
      else this.frameUnlessDamaged(batch, this.options.damage);
    }
  }

  private frameUnlessDamaged(batch: Batch, damage: Damage): void {
    try {
      this.frame(RECORD, this.rowFrame);
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      this.rollback();
      batch.mark(batch.row, DROPPED);
      damage.take(batch.failed(error));
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

  /** A line was begun and is not complete. */
  get inLine(): boolean {
    return !this.values.complete;
  }

  /** Another goes on with the current line. */
  leave(): void {
    this.values.complete = true;
  }

  /** Whether there is a current line, and it has no element yet. */
  get bare(): boolean {
    return this.inLine && this.values.first;
  }

  /** Goes on in the middle of a line that another began: something stands before what comes. */
  resume(frame: Frame, leastExpiry: number): void {
    this.reader.resume(frame, leastExpiry);
    this.values.resume(frame.redisType);
    this.nan.resume();
    this.lineFlushed = -1;
  }

  /** Takes a record or a part of one. */
  frame(kind: number, frame: Frame): void {
    const { values } = this;
    if (frame.first) this.line(frame);
    this.reader.frame(kind, frame);
    if (!values.nan) return;
    values.nan = false;
    this.nan.found(frame);
  }

  async settle(): Promise<void> {
    await this.values.settle();
    await this.output.flushIfFull();
  }

  meta(frame: Frame): void {
    this.output.add(jsonLine(metaJson(frame)));
  }

  fileEnd(file: FileEnd): void {
    if (this.options.meta === true) this.output.add(jsonLine(endJson(file)));
  }

  private line(frame: Frame): void {
    const { output } = this;
    output.room(headSize(frame));
    this.values.open(frame.redisType);
    this.nan.begin();
    this.lineAt = output.length;
    this.lineFlushed = output.flushed;
    writeHead(this.json, this.codec, frame);
  }
}

const NO_BYTES = new Uint8Array(16);

/** Of the containers whose elements are read in one way only. */
function layoutOf(type: TypeRow): Layout {
  if (type.form === 'items') return itemsLayout(type);
  if (type.form === 'ziplist' || type.form === 'listpack') return packedOf(type).layout(NO_BYTES, 0);
  return LAYOUTS.list;
}

function formOf(type: TypeRow): RecordForm | undefined {
  const container = CONTAINERS[type.form];
  if (container === undefined) return undefined;
  const layout = layoutOf(type);
  const kind = runKind(layout);
  return kind < 0 ? undefined : { container, kind, reads: layout.reads, texts: VALUES[type.redisType] };
}

/** Writes rows as lines, as long as a kernel can; returns the first that it cannot. */
export function plainRows(codec: Codec, output: Output, { words }: FrameTable, row: number, rows: number, bytes: Uint8Array): number {
  const done = codec.jsonRecords(JSON_FORMS, words, row, rows, bytes, output.bytes, output.length);
  if (done > row) output.length = codec.recordsEnd;
  return done;
}

/** The types whose lines `Codec.jsonRecords` can write. */
const JSON_FORMS: RecordForms = new Map(
  [...TABLES.redis.types, ...TABLES.valkey.types].flatMap((type): [number, RecordForm][] => {
    const form = type === undefined ? undefined : formOf(type);
    return type === undefined || form === undefined ? [] : [[typeNumber(type), form]];
  }),
);
