import { RdbError } from '../bytes/errors.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { Kernels } from '../kernels/kernels.js';
import { END, KIND, LEAST_EXPIRY, LINE, START } from '../kernels/layout.js';
import { Frame, RECORD, shownKey } from '../rdb/frame.js';
import { FrameTable } from '../rdb/frame-table.js';
import type { ByteSink } from '../io/byte-sink.js';
import { JsonLines, plainRows } from '../json/json-lines.js';
import { Output } from '../io/output.js';
import { failureOf } from './failures.js';
import type { BatchEnd, Extras, Order, Report, Setup, SkippedValue } from './messages.js';
import { OUTPUT_BYTES, OUTPUTS, SLOT_ROWS } from './sizes.js';

/** Decodes batches to JSON lines, in the order they come: what a worker thread does. */
export class BatchDecoder {
  private readonly slots: readonly Uint8Array[];
  private readonly tables: readonly FrameTable[];
  private readonly out = new ReportedOutput((report) => this.report(report));
  private readonly codec: Codec;
  private readonly output: Output;
  private readonly json: JsonLines;
  private readonly frame = new Frame();
  /** Batches are taken one after another. */
  private work = Promise.resolve();
  /** Nothing is decoded after a failure. */
  private failed = false;
  private readonly skips: boolean;
  /** The damaged values of the batch that were gone past. */
  private damaged: SkippedValue[] = [];
  /** More parts of such a value follow. */
  private skipping = false;

  constructor(
    { share, skips, slots }: Setup,
    private readonly report: (report: Report) => void,
  ) {
    const kernels = share === undefined ? undefined : Kernels.within(share);
    this.codec = kernels ?? TS_CODEC;
    this.output = new Output(this.out, { codec: kernels, buffers: OUTPUTS, fullAt: OUTPUT_BYTES });
    this.json = new JsonLines(this.output, { codec: kernels });
    this.skips = skips;
    this.slots = slots.map(({ bytes }) => kernels?.view(bytes) ?? bytes);
    const words = slots.map(({ table }) => kernels?.view(new Uint8Array(table.buffer, table.byteOffset, table.byteLength)) ?? table);
    this.tables = words.map(({ buffer, byteOffset }) => new FrameTable(buffer, byteOffset, SLOT_ROWS));
    report({ kind: 'ready' });
  }

  take(order: Order): void {
    if (order.kind === 'written') this.out.written();
    else this.work = this.work.then(() => this.batch(order.slot, order.rows, order.extras));
  }

  private async batch(slot: number, rows: number, extras: Extras | undefined): Promise<void> {
    if (this.failed) return;
    const { frame, codec, json, out, output } = this;
    let row = 0;
    try {
      const table = this.tables[slot];
      const bytes = extras?.bytes ?? this.slots[slot];
      if (extras?.templates !== undefined) this.learn(extras.templates);
      this.resume(table, bytes);
      const before = output.flushed;
      out.leads = json.inLine && !json.bare;
      let began = false;
      while (row < rows) {
        const done = plainRows(codec, output, table, row, rows, bytes);
        began ||= done > row;
        row = done;
        if (row === rows) break;
        const kind = table.word(row, KIND);
        if (kind === LINE) this.line(bytes, table.word(row, START), table.word(row, END));
        else {
          table.read(row, frame, bytes);
          frame.metaBytes = extras?.keyMeta?.get(row);
          began ||= frame.first;
          this.skipping &&= !frame.first;
          if (!this.skipping) await this.value(kind, frame);
        }
        if (output.full) await output.flush();
        row++;
      }
      await output.flush();
      const silent = output.flushed === before;
      this.report({ kind: 'done', end: { began, bare: began ? json.bare : json.inLine && silent, ...this.found() } });
    } catch (error) {
      await this.fail(error, row);
    }
  }

  private async value(kind: number, frame: Frame): Promise<void> {
    const { json } = this;
    try {
      json.frame(kind, frame);
      if (kind !== RECORD) await json.settle();
    } catch (error) {
      if (!this.skips || !(error instanceof RdbError)) throw error;
      const { db, expireAt, hasExpire, last } = frame;
      const failure = failureOf(error.at({ db, key: shownKey(frame) }));
      this.damaged.push({ failure, torn: !json.rollback(), expireAt: hasExpire ? expireAt : undefined });
      this.skipping = !last;
    }
  }

  /** What is to be said of the batch. */
  private found(): Pick<BatchEnd, 'nan' | 'damaged'> {
    const { damaged, json } = this;
    this.damaged = [];
    return { nan: json.nan.take(), damaged };
  }

  /** The value whose part comes first may have been begun elsewhere. */
  private resume(table: FrameTable, bytes: Uint8Array): void {
    const { frame, json } = this;
    if (table.word(0, KIND) === LINE || this.skipping) return;
    table.read(0, frame, bytes);
    if (!frame.first && frame.resumes) json.resume(frame, table.double(0, LEAST_EXPIRY));
  }

  private learn(templates: Frame['templates']): void {
    this.frame.templates.clear();
    for (const [id, names] of templates) this.frame.templates.set(id, names);
  }

  private line(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    output.room(end - start);
    output.bytes.set(bytes.subarray(start, end), output.length);
    output.length += end - start;
  }

  private async fail(error: unknown, row: number): Promise<void> {
    const { frame, json, output } = this;
    this.failed = true;
    if (error instanceof RdbError) error.at({ db: frame.db, key: shownKey(frame) });
    const torn = !json.rollback();
    await output.flush();
    this.report({ kind: 'failed', row, torn, failure: failureOf(error), before: this.found() });
  }
}

/** Hands output on to whoever writes it. */
class ReportedOutput implements ByteSink {
  /** The next bytes go on in the middle of a value that has elements. */
  leads = false;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly report: (report: Report) => void) {}

  write(bytes: Uint8Array): Promise<void> {
    this.report({ kind: 'output', bytes, leads: this.leads });
    this.leads = false;
    return new Promise((resolve) => void this.waiting.push(resolve));
  }

  written(): void {
    this.waiting.shift()?.();
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
