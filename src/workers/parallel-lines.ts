import { RdbError } from '../bytes/errors.js';
import { type Hot, PLAIN } from '../bytes/hot.js';
import { int32, uint32 } from '../encodings/element.js';
import type { Kernels } from '../kernels/kernels.js';
import { Frame, FRAGMENT, RECORD, shownKey } from '../rdb/frame.js';
import { FrameTable, KEYS_EXPIRED, OFFSET } from '../rdb/frame-table.js';
import type { Framer } from '../rdb/framer.js';
import type { ByteSink } from '../sinks/byte-sink.js';
import { plainRows } from '../sinks/json-forms.js';
import { JsonLines } from '../sinks/json-lines.js';
import { endJson, jsonLine, metaJson } from '../sinks/json-meta.js';
import { Output } from '../sinks/output.js';
import { type Counts, type FileEnd, FrameFailure, type LastSink } from '../sinks/sink.js';
import type { Batch } from './batch.js';
import { type PoolOptions, WorkerPool } from './pool.js';
import { Setups } from './setups.js';
import { LOCAL_BYTES, LOCAL_ROWS, SERIAL_BYTES } from './sizes.js';

export interface ParallelOptions extends Pick<PoolOptions, 'threads' | 'worker' | 'batchBytes'> {
  readonly meta: boolean;
  /** With room for `THREAD_BYTES` for every thread. */
  readonly hot: Kernels | undefined;
  /** What was seen so far: read when a frame is taken. */
  readonly counts: Readonly<Counts>;
  /** Input in bytes that is decoded here before threads are started (default `SERIAL_BYTES`). */
  readonly serialBytes?: number | undefined;
}

/**
 * Keys as JSON lines, decoded by worker threads in batches and written in the order of the input. Small inputs are decoded
 * here, as the beginning of large ones is while the threads start.
 */
export class ParallelLines implements LastSink {
  private readonly output: Output;
  private readonly local: JsonLines;
  private readonly poolOptions: PoolOptions;
  private pool: WorkerPool;
  private readonly serialBytes: number;
  private readonly hot: Hot;
  /** What `localRun` works with. */
  private readonly table: FrameTable;
  private readonly rowFrame = new Frame();
  /** Every key is written. */
  readonly dropped = false;
  /** The batch that is being filled; there is none while frames are decoded here. */
  private batch: Batch | undefined;
  private decodedHere = 0;
  /** All output of our own is written: the next frame may go to a worker. */
  private mayLeave = false;
  /** Threads that were given up. */
  private stopping: Promise<void> | undefined;
  /** Output of workers that were given up. */
  private writtenBefore = 0;
  /** Of the hash that comes in parts: the least expiry of its fields. */
  private leastExpiry = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly options: ParallelOptions,
  ) {
    const { hot, meta } = options;
    this.output = new Output(sink, { hot });
    this.local = new JsonLines(this.output, { meta, hot });
    this.serialBytes = options.serialBytes ?? SERIAL_BYTES;
    this.hot = hot ?? PLAIN;
    this.table = FrameTable.allocate(this.hot, LOCAL_ROWS);
    const setups = new Setups(hot);
    this.poolOptions = { ...options, hot: this.hot, setups: (thread) => setups.of(thread) };
    this.pool = new WorkerPool(sink, this.poolOptions);
  }

  /** Bytes written, or on their way. */
  get written(): number {
    return this.output.flushed + this.writtenBefore + this.pool.written;
  }

  /** Says how large the input is, where that is known: a large one needs no waiting. */
  expect(bytes: number | undefined): void {
    if (bytes !== undefined && bytes > 2 * this.serialBytes) this.start();
  }

  /** With one thread, all is decoded here. Threads take over the memory of those before them, which must have ended. */
  private start(): void {
    if (this.stopping === undefined && this.options.threads > 1) this.pool.start();
  }

  fileBegin(): void {
    // all files are read alike
  }

  frame(kind: number, frame: Frame): void {
    if (kind === FRAGMENT && frame.first) this.rememberExpiry(frame);
    if (this.batch === undefined && !(this.mayLeave && (frame.first || frame.resumes) && this.leave())) {
      this.mayLeave = false;
      this.decodedHere += frame.end - frame.start;
      if (this.decodedHere > this.serialBytes) this.start();
      this.local.frame(kind, frame);
      return;
    }
    this.batch?.frame(kind, frame, this.leastExpiry, this.options.counts);
  }

  takeRun(framer: Framer, most: number, now: number): number {
    if (this.batch === undefined && !(this.mayLeave && this.leave())) return this.localRun(framer, most, now);
    return this.batch?.take(framer, most, this.options.counts, now) ?? 0;
  }

  /** Rows are filled and decoded a few at a time. */
  private localRun(framer: Framer, most: number, now: number): number {
    const { hot, local, output, rowFrame, table } = this;
    const bytes = framer.bytes;
    const from = framer.position;
    const rows = framer.run({ table: table.words, row: 0, rows: Math.min(LOCAL_ROWS, most), to: from, room: LOCAL_BYTES, read: 0, expired: 0, now });
    if (rows === 0) return 0;
    this.mayLeave = false;
    let row = 0;
    try {
      for (; row < rows; row++) {
        row = plainRows(hot, output, table, row, rows, bytes);
        if (row === rows) break;
        table.read(row, rowFrame, bytes);
        local.frame(RECORD, rowFrame);
      }
    } catch (error) {
      throw error instanceof RdbError ? this.failure(error, row) : error;
    }
    this.decodedHere += framer.position - from;
    if (this.decodedHere > this.serialBytes) this.start();
    return rows;
  }

  private failure(error: RdbError, row: number): FrameFailure {
    const { rowFrame: frame, table } = this;
    const { expired, keys, read } = this.options.counts;
    const bytes = table.double(row, OFFSET) + frame.end - frame.start;
    error.at({ db: frame.db, key: shownKey(frame) });
    return new FrameFailure(error, { read: read + row + 1, keys: keys + row, expired: expired + table.word(row, KEYS_EXPIRED), bytes });
  }

  /** Changes over to the workers, where that is possible. */
  private leave(): boolean {
    this.mayLeave = false;
    this.batch = this.pool.open(this.local.inLine, this.local.bare);
    if (this.batch === undefined) return false;
    this.local.inLine = false;
    return true;
  }

  /** Types 24 and 25 begin with it, 8 bytes. */
  private rememberExpiry({ bytes, end, start, type }: Frame): void {
    this.leastExpiry = type.form === 'hash-metadata' && end - start >= 8 ? int32(bytes, start + 4) * 0x100000000 + uint32(bytes, start) : 0;
  }

  async settle(): Promise<void> {
    this.release();
    if (this.batch === undefined) {
      await this.local.settle();
      if (this.pool.ready && !this.output.held) await this.empty();
    } else if (this.full) await this.flush();
  }

  meta(frame: Frame): void {
    if (this.batch === undefined) this.local.meta(frame);
    else this.batch.line(jsonLine(metaJson(frame)), this.options.counts);
  }

  fileEnd(file: FileEnd): void {
    if (this.batch === undefined) this.local.fileEnd(file);
    else if (this.options.meta) this.batch.line(jsonLine(endJson(file)), this.options.counts);
  }

  release(): void {
    this.batch?.release();
  }

  get full(): boolean {
    if (this.batch === undefined) return this.local.full || this.pool.ready;
    return this.batch.full;
  }

  async flush(): Promise<void> {
    if (this.batch !== undefined) this.batch = await this.pool.next();
    else if (this.pool.ready) await this.empty();
    else await this.local.flush();
  }

  /** Writes what was decoded here, so that the workers' output can follow. */
  private async empty(): Promise<void> {
    this.pool.check();
    await this.output.flush();
    await this.output.written();
    this.mayLeave = true;
  }

  async finish(): Promise<void> {
    if (this.batch === undefined) return;
    await this.flush();
    await this.pool.idle();
  }

  rollback(): boolean {
    if (this.batch === undefined) return this.local.rollback();
    const { inLine, torn } = this.giveUp();
    if (inLine) this.local.newline();
    return !torn && !inLine;
  }

  /** Leaves the threads with what they have; what comes next begins anew. */
  private giveUp(): WorkerPool {
    const { pool } = this;
    this.batch = undefined;
    this.stopping = pool.close().then(() => (this.stopping = undefined));
    this.writtenBefore += pool.written;
    this.decodedHere = 0;
    this.pool = new WorkerPool(this.sink, this.poolOptions);
    return pool;
  }

  /** Writes all that is left. */
  async end(): Promise<void> {
    await this.finish();
    await this.output.flush();
    await this.output.written();
  }

  async close(): Promise<void> {
    await Promise.all([this.stopping, this.pool.close()]);
  }
}
