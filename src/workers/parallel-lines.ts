import { int32, uint32 } from '../encodings/element.js';
import type { ByteSink } from '../io/byte-sink.js';
import type { LargeValue } from '../io/large-value.js';
import { Output } from '../io/output.js';
import { JsonLines } from '../json/json-lines.js';
import { endJson, jsonLine, metaJson } from '../json/meta.js';
import { nanText } from '../json/nan-scores.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Damage } from '../pipeline/damage.js';
import type { Counts, FileEnd, LastSink } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';
import { type Frame, ITEMS_PART } from '../rdb/frame.js';
import type { Setup } from './messages.js';
import { type PoolOptions, WorkerPool } from './pool.js';
import { SERIAL_BYTES, SLOTS, WORKER_BYTES } from './sizes.js';
import { newSlot, type SlotBatch } from './slot-batch.js';

/** The memory of threads, by number: a thread that takes the place of another takes its memory, too. */
class Setups {
  private readonly made: Setup[] = [];

  constructor(
    private readonly kernels: Kernels | undefined,
    private readonly skips: boolean,
  ) {}

  of(thread: number): Setup {
    return (this.made[thread] ??= this.make());
  }

  /** From the memory of the kernels where that has room, so that they copy and decode without a detour. */
  private make(): Setup {
    const { kernels } = this;
    const share = kernels?.share(WORKER_BYTES);
    const bytes = (size: number): Uint8Array =>
      (share === undefined ? undefined : kernels?.allocate(size)) ?? new Uint8Array(new SharedArrayBuffer(size));
    return { share, skips: this.skips, slots: Array.from({ length: SLOTS }, () => newSlot(bytes)) };
  }
}

export interface ParallelOptions extends Pick<PoolOptions, 'threads' | 'worker' | 'batchBytes'> {
  readonly meta: boolean;
  /** Kernels with `THREAD_BYTES` for each thread. */
  readonly codec: Kernels | undefined;
  /** Counts so far: read when a frame is taken. */
  readonly counts: Readonly<Counts>;
  /** Takes damaged values, which are gone past. */
  readonly damage: Damage | undefined;
  /** Bytes of input decoded on this thread before threads are started (default `SERIAL_BYTES`). */
  readonly serialBytes?: number | undefined;
}

/**
 * Keys as JSON lines, decoded in batches by worker threads and written in input order. Small inputs are decoded on this thread, as
 * is the beginning of large ones while the threads start.
 */
export class ParallelLines implements LastSink {
  private readonly output: Output;
  private readonly local: JsonLines;
  private readonly poolOptions: PoolOptions;
  private pool: WorkerPool;
  private readonly serialBytes: number;
  private readonly codec: Codec;
  /** The batch being filled; undefined while frames are decoded on this thread. */
  private slot: SlotBatch | undefined;
  private decodedHere = 0;
  /** Whether all output of this thread is written, so that the next frame may go to a worker. */
  private mayLeave = false;
  /** Resolves when the abandoned threads have ended. */
  private stopping: Promise<void> | undefined;
  /** Bytes written by abandoned threads. */
  private writtenBefore = 0;
  /** Least field expiry of the hash that is being taken in parts. */
  private leastExpiry = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly options: ParallelOptions,
  ) {
    const { codec, damage, meta } = options;
    this.output = new Output(sink, { codec });
    this.local = new JsonLines(this.output, { meta, codec, damage });
    this.serialBytes = options.serialBytes ?? SERIAL_BYTES;
    this.codec = codec ?? TS_CODEC;
    const setups = new Setups(codec, damage !== undefined);
    this.poolOptions = { ...options, codec: this.codec, nan: this.local.nan, setups: (thread) => setups.of(thread) };
    this.pool = new WorkerPool(sink, this.poolOptions);
  }

  /** Bytes written or about to be. */
  get written(): number {
    return this.output.flushed + this.writtenBefore + this.pool.written;
  }

  /** The size of the input, if known: for a large one, threads start at once. */
  expect(bytes: number | undefined): void {
    if (bytes !== undefined && bytes > 2 * this.serialBytes) this.start();
  }

  /** With one thread, everything is decoded here. New threads reuse the memory of earlier ones, which must have ended. */
  private start(): void {
    if (this.stopping === undefined && this.options.threads > 1) this.pool.start();
  }

  fileBegin(): void {
    // all files are handled alike
  }

  async large(value: LargeValue): Promise<void> {
    for await (const { frame, kind } of value.parts()) {
      this.part(kind, frame);
      await this.settle();
    }
  }

  private part(kind: number, frame: Frame): void {
    if (kind === ITEMS_PART && frame.first) this.rememberExpiry(frame);
    if (
      this.slot === undefined &&
      !(this.mayLeave && (frame.first || (frame.resumes && this.options.damage === undefined)) && this.leave())
    ) {
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

  /** Switches to the workers, if possible. */
  private leave(): boolean {
    this.mayLeave = false;
    this.slot = this.pool.open(this.local.inLine, this.local.bare);
    if (this.slot === undefined) return false;
    this.local.leave();
    return true;
  }

  /** Types 24 and 25 begin with the least expiry, 8 bytes. */
  private rememberExpiry({ bytes, end, start, type }: Frame): void {
    this.leastExpiry = type.form === 'hash-metadata' && end - start >= 8 ? int32(bytes, start + 4) * 0x100000000 + uint32(bytes, start) : 0;
  }

  private async settle(): Promise<void> {
    this.slot?.release();
    if (this.slot === undefined) {
      await this.local.settle();
      if (this.pool.ready && !(this.local.inLine && this.options.damage !== undefined)) await this.empty();
    } else if (this.full) await this.flush();
  }

  fileEnd(file: FileEnd): void {
    if (this.slot === undefined) {
      this.mayLeave = false; // its line comes before what workers write
      this.local.fileEnd(file);
    } else if (this.options.meta) this.slot.line(jsonLine(endJson(file)), this.options.counts);
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

  remark(): string | undefined {
    const nan = this.local.nan.take();
    return nan && nanText(nan);
  }

  rollback(): boolean {
    this.mayLeave = false; // write the end of a torn line before what workers write
    if (this.slot === undefined) return this.local.rollback();
    const { inLine, torn } = this.giveUp();
    if (inLine) this.local.newline();
    return !torn && !inLine;
  }

  /** Abandons the threads with what they have; the next frame starts over. */
  private giveUp(): WorkerPool {
    const { pool } = this;
    this.slot = undefined;
    this.stopping = pool.close().then(() => (this.stopping = undefined));
    this.writtenBefore += pool.written;
    this.decodedHere = 0;
    this.pool = new WorkerPool(this.sink, this.poolOptions);
    return pool;
  }

  /** Writes everything that is left. */
  async end(): Promise<void> {
    await this.finish();
    await this.output.flush();
    await this.output.written();
  }

  async close(): Promise<void> {
    await Promise.all([this.stopping, this.pool.close()]);
  }
}
