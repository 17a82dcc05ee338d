import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { int32, uint32 } from '../encodings/element.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Batch } from '../rdb/batch.js';
import { type Frame, ITEMS_PART } from '../rdb/frame.js';
import type { ByteSink } from '../io/byte-sink.js';
import { JsonLines } from '../json/json-lines.js';
import { endJson, jsonLine, metaJson } from '../json/meta.js';
import type { LargeValue } from '../io/large-value.js';
import { Output } from '../io/output.js';
import { type Counts, type FileEnd, type LastSink } from '../pipeline/sink.js';
import { type PoolOptions, WorkerPool } from './pool.js';
import { Setups } from './setups.js';
import type { SlotBatch } from './slot-batch.js';
import { SERIAL_BYTES } from './sizes.js';

export interface ParallelOptions extends Pick<PoolOptions, 'threads' | 'worker' | 'batchBytes'> {
  readonly meta: boolean;
  /** With room for `THREAD_BYTES` for every thread. */
  readonly codec: Kernels | undefined;
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
  private readonly codec: Codec;
  /** The batch that is being filled; there is none while frames are decoded here. */
  private slot: SlotBatch | undefined;
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
    const { codec, meta } = options;
    this.output = new Output(sink, { codec });
    this.local = new JsonLines(this.output, { meta, codec });
    this.serialBytes = options.serialBytes ?? SERIAL_BYTES;
    this.codec = codec ?? TS_CODEC;
    const setups = new Setups(codec);
    this.poolOptions = { ...options, codec: this.codec, setups: (thread) => setups.of(thread) };
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

  async large(value: LargeValue): Promise<void> {
    for await (const { frame, kind } of value.parts()) {
      this.part(kind, frame);
      await this.settle();
    }
  }

  private part(kind: number, frame: Frame): void {
    if (kind === ITEMS_PART && frame.first) this.rememberExpiry(frame);
    if (this.slot === undefined && !(this.mayLeave && (frame.first || frame.resumes) && this.leave())) {
      this.mayLeave = false;
      this.decodedHere += frame.end - frame.start;
      if (this.decodedHere > this.serialBytes) this.start();
      this.local.frame(kind, frame);
      return;
    }
    this.slot?.frame(kind, frame, this.leastExpiry, this.options.counts);
  }

  batch(batch: Batch): void {
    if (this.slot === undefined && !(this.mayLeave && this.leave())) this.decodeHere(batch);
    else this.slot?.take(batch, this.options.counts, (frame) => this.slot?.line(jsonLine(metaJson(frame)), this.options.counts));
  }

  private decodeHere(batch: Batch): void {
    this.mayLeave = false;
    this.local.batch(batch);
    this.decodedHere += batch.byteSize;
    if (this.decodedHere > this.serialBytes) this.start();
  }

  /** Changes over to the workers, where that is possible. */
  private leave(): boolean {
    this.mayLeave = false;
    this.slot = this.pool.open(this.local.inLine, this.local.bare);
    if (this.slot === undefined) return false;
    this.local.leave();
    return true;
  }

  /** Types 24 and 25 begin with it, 8 bytes. */
  private rememberExpiry({ bytes, end, start, type }: Frame): void {
    this.leastExpiry = type.form === 'hash-metadata' && end - start >= 8 ? int32(bytes, start + 4) * 0x100000000 + uint32(bytes, start) : 0;
  }

  private async settle(): Promise<void> {
    this.slot?.release();
    if (this.slot === undefined) {
      await this.local.settle();
      if (this.pool.ready) await this.empty();
    } else if (this.full) await this.flush();
  }


  fileEnd(file: FileEnd): void {
    if (this.slot === undefined) this.local.fileEnd(file);
    else if (this.options.meta) this.slot.line(jsonLine(endJson(file)), this.options.counts);
  }

  get full(): boolean {
    if (this.slot === undefined) return this.local.full || this.pool.ready;
    return this.slot.full;
  }

  async flush(): Promise<void> {
    if (this.slot !== undefined) this.slot = await this.pool.next();
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
    if (this.slot === undefined) return;
    await this.flush();
    await this.pool.idle();
  }

  rollback(): boolean {
    this.mayLeave = false; // the end of a torn line is to be written before what workers write
    if (this.slot === undefined) return this.local.rollback();
    const { inLine, torn } = this.giveUp();
    if (inLine) this.local.newline();
    return !torn && !inLine;
  }

  /** Leaves the threads with what they have; what comes next begins anew. */
  private giveUp(): WorkerPool {
    const { pool } = this;
    this.slot = undefined;
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
