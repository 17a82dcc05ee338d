import type { Codec, OwnRun } from '../kernels/codec.js';
import {
  BODY_START, DROPPED, END, FLAGS, HEAD_START, KEY_END, KEY_START, KEYS_EXPIRED, KEYS_READ, KIND, LAST, LEAST_EXPIRY, LINE, OFFSET, RECORD,
  ROW_WORDS, START, TYPE_AT,
} from '../kernels/layout.js';
import { type Batch, BATCH_ROWS } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { FrameTable } from '../rdb/frame-table.js';
import type { TakenCounts } from '../pipeline/sink.js';
import type { Extras, Slot } from './messages.js';
import { BATCH_BYTES, SLOT_BYTES, SLOT_ROWS } from './sizes.js';

/** Bytes of dropped frames up to which two runs are copied as one, since a second copy costs more. */
const GAP = 512;

/** A slot in memory that threads share. */
export function newSlot(shared: (size: number) => Uint8Array): Slot {
  const { buffer, byteOffset } = shared(SLOT_ROWS * ROW_WORDS * 4);
  return { bytes: shared(SLOT_BYTES), table: new Int32Array(buffer, byteOffset, SLOT_ROWS * ROW_WORDS) };
}

/** A batch for a thread: rows and parts of large values, with their bytes copied into a slot. */
export class SlotBatch {
  rows = 0;
  /** Whether the thread of this batch must also get the next frame. */
  binds = false;
  /** Whether more parts of the current value follow. */
  open = false;
  templates: Frame['templates'] | undefined;
  private readonly table: FrameTable;
  private bytes: Uint8Array;
  private length = 0;
  private readonly keyMeta = new Map<number, Uint8Array>();
  private readonly rowFrame = new Frame();
  /** Counts before the first row. */
  private before: TakenCounts = { read: 0, keys: 0, expired: 0, bytes: 0 };

  /** The run not copied yet: `run[runStart, runEnd)` goes to `runAt`. */
  private run: Uint8Array | undefined;
  private runStart = 0;
  private runEnd = 0;
  private runAt = 0;

  constructor(
    private readonly slot: Slot,
    private readonly codec: Codec,
    private readonly options: { readonly batchBytes?: number | undefined; readonly damage: unknown },
  ) {
    this.table = new FrameTable(slot.table.buffer, slot.table.byteOffset, SLOT_ROWS);
    this.bytes = slot.bytes;
  }

  get full(): boolean {
    return this.rows >= SLOT_ROWS - BATCH_ROWS || this.length + (this.runEnd - this.runStart) >= (this.options.batchBytes ?? BATCH_BYTES);
  }

  /** Takes a frame, whose bytes are borrowed until `release`. */
  frame(kind: number, frame: Frame, leastExpiry: number, counts: TakenCounts): void {
    const { table } = this;
    this.begin(counts);
    const row = this.rows++;
    table.write(row, kind, frame);
    const key = frame.keyBytes === frame.bytes ? this.place(frame.bytes, frame.keyStart, frame.keyEnd) : this.copyKey(frame);
    const at = this.place(frame.bytes, frame.start, frame.end);
    table.setWord(row, KEY_START, key);
    table.setWord(row, KEY_END, key + frame.keyEnd - frame.keyStart);
    table.setWord(row, START, at);
    table.setWord(row, END, at + frame.end - frame.start);
    table.setWord(row, BODY_START, at + frame.bodyStart - frame.start);
    if (kind === RECORD) {
      table.setWord(row, HEAD_START, at + frame.headStart - frame.start);
      table.setWord(row, TYPE_AT, at + frame.typeAt - frame.start);
    }
    table.setDouble(row, LEAST_EXPIRY, leastExpiry);
    this.count(row, counts);
    if (frame.metaBytes !== undefined) this.keyMeta.set(row, frame.metaBytes);
    this.templates = frame.templates;
    this.open = !frame.last;
    this.binds = this.open && (!frame.splits || this.options.damage !== undefined);
  }

  /** Takes rows of a batch except dropped ones; `meta` takes those that are not records. */
  take(batch: Batch, counts: TakenCounts, meta: (frame: Frame) => void): void {
    const { rowFrame } = this;
    const { from, now, table, to } = batch;
    this.begin(counts);
    const seen = { ...counts };
    for (let row = from; row < to; row++) {
      row = this.copyRows(batch, row, counts, seen);
      if (row === to) break;
      if (table.has(row, DROPPED)) continue;
      batch.read(row, rowFrame);
      if (rowFrame.opcode !== undefined) {
        meta(rowFrame);
        continue;
      }
      seen.read = counts.read + batch.readBefore(row + 1) - batch.readBefore(from);
      this.frame(RECORD, rowFrame, 0, seen);
      if (rowFrame.hasExpire && rowFrame.expireAt <= now) seen.expired++;
    }
    this.release();
  }

  /** Takes rows from `row` on through a kernel. Returns the first that it cannot take. */
  private copyRows(batch: Batch, row: number, counts: TakenCounts, seen: { expired: number }): number {
    const { before, bytes, codec, length, table } = this;
    if (this.run !== undefined) return row; // bytes not copied yet come first
    const run: OwnRun = {
      from: { table: batch.table.words, bytes: batch.bytes },
      to: { table: table.words, bytes },
      ...{ toRow: this.rows, toRows: SLOT_ROWS - 1, length, now: batch.now },
      read: counts.read - before.read - batch.readBefore(batch.from),
      expired: seen.expired - before.expired,
    };
    const done = codec.ownRows(run, row, batch.to);
    if (run.toRow > this.rows) {
      this.templates = batch.templates;
      this.open = this.binds = false;
    }
    this.rows = run.toRow;
    this.length = run.length;
    seen.expired = before.expired + run.expired;
    return done;
  }

  /** Takes a finished line. */
  line(bytes: Uint8Array, counts: TakenCounts): void {
    this.begin(counts);
    const row = this.rows++;
    this.release();
    this.table.setWord(row, KIND, LINE);
    this.table.setWord(row, START, this.length);
    this.copy(bytes, 0, bytes.length);
    this.table.setWord(row, END, this.length);
    this.count(row, counts);
    this.open = this.binds = false;
  }

  private begin(counts: TakenCounts): void {
    if (this.rows === 0) this.before = { ...counts };
  }

  private count(row: number, counts: TakenCounts): void {
    this.table.setWord(row, KEYS_READ, counts.read - this.before.read);
    this.table.setWord(row, KEYS_EXPIRED, counts.expired - this.before.expired);
  }

  /** Copies a key. */
  private copyKey({ keyBytes, keyStart, keyEnd }: Frame): number {
    this.release();
    return this.copy(keyBytes, keyStart, keyEnd);
  }

  /** The position that `bytes[start, end)` will have. */
  private place(bytes: Uint8Array, start: number, end: number): number {
    if (this.run !== bytes || start < this.runEnd || start > this.runEnd + GAP) {
      this.release();
      this.run = bytes;
      this.runStart = start;
      this.runAt = this.length;
    }
    this.runEnd = end;
    return this.runAt + start - this.runStart;
  }

  /** Copies what is borrowed. */
  release(): void {
    if (this.run === undefined) return;
    this.copy(this.run, this.runStart, this.runEnd);
    this.run = undefined;
    this.runStart = this.runEnd = 0;
  }

  private copy(bytes: Uint8Array, start: number, end: number): number {
    const at = this.length;
    if (at + end - start > this.bytes.length) this.grow(at + end - start);
    this.codec.copy(bytes, start, end, this.bytes, at);
    this.length += end - start;
    return at;
  }

  private grow(size: number): void {
    const grown = new Uint8Array(new SharedArrayBuffer(Math.max(size, 2 * this.bytes.length)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** What accompanies the slot; `templates`: those that the worker does not know yet. */
  extras(templates: Frame['templates'] | undefined): Extras | undefined {
    const bytes = this.bytes === this.slot.bytes ? undefined : this.bytes;
    if (bytes === undefined && this.keyMeta.size === 0 && templates === undefined) return undefined;
    return { keyMeta: this.keyMeta, ...(templates === undefined ? {} : { templates }), ...(bytes === undefined ? {} : { bytes }) };
  }

  /** The counts if the frame of this row had been refused at once. */
  countsAt(row: number): TakenCounts {
    const { before, table } = this;
    let { keys } = before;
    for (let i = 0; i < row; i++) {
      if (table.word(i, KIND) !== LINE && (table.word(i, FLAGS) & LAST) !== 0) keys++;
    }
    return {
      read: before.read + table.word(row, KEYS_READ),
      keys,
      expired: before.expired + table.word(row, KEYS_EXPIRED),
      bytes: table.double(row, OFFSET) + table.word(row, END) - table.word(row, START),
    };
  }
}
