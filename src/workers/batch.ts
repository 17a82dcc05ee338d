import type { Hot } from '../bytes/hot.js';
import type { Frame } from '../rdb/frame.js';
import type { Framer } from '../rdb/framer.js';
import {
  END, BODY_START, FrameTable, KEY_END, KEY_START, KEYS_EXPIRED, KEYS_READ, FLAGS, KIND, LAST, LEAST_EXPIRY, LINE, OFFSET, START,
} from '../rdb/frame-table.js';
import type { TakenCounts } from '../sinks/sink.js';
import type { Extras, Slot } from './messages.js';
import { SLOT_ROWS } from './sizes.js';

/** Bytes between frames that were filtered out are copied along up to this many, since a copy of its own costs more. */
const GAP = 512;

/** A batch on its way into a slot: frames as rows of its table, their bytes copied in as large runs as they come in. */
export class Batch {
  rows = 0;
  /** Whether the next frame must be read by whoever reads this batch. */
  binds = false;
  /** Whether the value at hand has parts still to come. */
  open = false;
  templates: Frame['templates'] | undefined;
  private readonly table: FrameTable;
  private bytes: Uint8Array;
  private length = 0;
  private readonly keyMeta = new Map<number, Uint8Array>();
  /** What was seen before the first row. */
  private before: TakenCounts = { read: 0, keys: 0, expired: 0, bytes: 0 };

  /** The run that is still to be copied: `[runStart, runEnd)` of `run` stands at `runAt`. */
  private run: Uint8Array | undefined;
  private runStart = 0;
  private runEnd = 0;
  private runAt = 0;

  constructor(
    private readonly slot: Slot,
    private readonly hot: Hot,
    private readonly enough: number,
  ) {
    this.table = new FrameTable(slot.table.buffer, slot.table.byteOffset, SLOT_ROWS);
    this.bytes = slot.bytes;
  }

  get full(): boolean {
    return this.rows >= SLOT_ROWS - 1 || this.length + (this.runEnd - this.runStart) >= this.enough;
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
    table.setDouble(row, LEAST_EXPIRY, leastExpiry);
    this.count(row, counts);
    if (frame.metaBytes !== undefined) this.keyMeta.set(row, frame.metaBytes);
    this.templates = frame.templates;
    this.open = !frame.last;
    this.binds = this.open && !frame.splits;
  }

  /** Takes whole values from the framer in a run, `most` at the most; returns how many. Their bytes are borrowed as in `frame`. */
  take(framer: Framer, most: number, counts: TakenCounts, now: number): number {
    this.begin(counts);
    const { before, enough, table } = this;
    const row = this.rows;
    const room = enough - this.length - (this.runEnd - this.runStart);
    const to = this.place(framer.bytes, framer.position, framer.position);
    const rows = Math.min(SLOT_ROWS - 1, row + most);
    const [read, expired] = [counts.read - before.read, counts.expired - before.expired];
    this.rows = framer.run({ table: table.words, row, rows, to, room, read, expired, now });
    this.runEnd = framer.position;
    this.open = this.binds = false;
    return this.rows - row;
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

  /** A key in memory of its own. */
  private copyKey({ keyBytes, keyStart, keyEnd }: Frame): number {
    this.release();
    return this.copy(keyBytes, keyStart, keyEnd);
  }

  /** Where `bytes[start, end)` will stand. */
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

  /** Copies what was borrowed. */
  release(): void {
    if (this.run === undefined) return;
    this.copy(this.run, this.runStart, this.runEnd);
    this.run = undefined;
    this.runStart = this.runEnd = 0;
  }

  private copy(bytes: Uint8Array, start: number, end: number): number {
    const at = this.length;
    if (at + end - start > this.bytes.length) this.grow(at + end - start);
    this.hot.copy(bytes, start, end, this.bytes, at);
    this.length += end - start;
    return at;
  }

  private grow(size: number): void {
    const grown = new Uint8Array(new SharedArrayBuffer(Math.max(size, 2 * this.bytes.length)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** What goes along with the slot; `templates` where the worker has to be told of them. */
  extras(templates: Frame['templates'] | undefined): Extras | undefined {
    const bytes = this.bytes === this.slot.bytes ? undefined : this.bytes;
    if (bytes === undefined && this.keyMeta.size === 0 && templates === undefined) return undefined;
    return { keyMeta: this.keyMeta, ...(templates === undefined ? {} : { templates }), ...(bytes === undefined ? {} : { bytes }) };
  }

  /** What would have been seen if the frame of this row had been refused at once. */
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
