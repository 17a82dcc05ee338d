import type { Codec } from '../kernels/codec.js';
import type { NanCount } from '../json/nan-scores.js';
import type { ByteSink } from '../io/byte-sink.js';
import { RdbError } from '../bytes/errors.js';
import type { Damage } from '../pipeline/damage.js';
import { FrameFailure } from '../pipeline/sink.js';
import { SlotBatch } from './slot-batch.js';
import { errorOf } from './failures.js';
import type { BatchEnd, Report, Setup } from './messages.js';
import { type Task, type TaskFailure, Thread } from './thread.js';

export interface PoolOptions {
  /** Maximum number of threads, including this one, which decodes a batch when all others have enough queued. */
  readonly threads: number;
  /** Script of the threads (default: decode-worker.js). */
  readonly worker?: URL | undefined;
  /** The memory of each thread, by number. */
  readonly setups: (thread: number) => Setup;
  readonly codec: Codec;
  /** Counts what the threads report, in the order of the input. */
  readonly nan: NanCount;
  /** Takes damaged values, which are gone past. Then each large value goes to one thread. */
  readonly damage: Damage | undefined;
  /** Bytes at which a batch is handed over (default `BATCH_BYTES`). */
  readonly batchBytes?: number | undefined;
}

const COMMA = 0x2c;
const NEWLINE = 0x0a;

/** Batches queued for a thread that keep it busy while this thread decodes one. */
const ENOUGH_TASKS = 2;

/** Threads at first; more are started when all have more than enough queued. */
const FIRST_THREADS = 2;

/**
 * Worker threads that decode batches, and the writer of their output in batch order. Memory is bounded: each thread has a fixed
 * number of batch slots and output buffers.
 */
export class WorkerPool {
  /** Bytes handed to the sink. */
  written = 0;
  /** Whether a line was cut by damage; its end was written. */
  torn = false;
  /** Whether the output so far ends within a line. */
  inLine = false;
  private readonly threads: Thread[] = [];
  private local: Thread | undefined;
  /** Batches in input order, from the first that is not fully written. */
  private readonly order: Task[] = [];
  private writing = false;
  /** Frames were damaged or the output failed: nothing more is written. */
  private failure: Error | undefined;
  private wake: (() => void)[] = [];
  /** Whether the current value has no element in the output yet. */
  private bare = false;
  /** The batch being filled, and the thread it goes to. */
  private current: { readonly batch: SlotBatch; readonly thread: Thread; readonly slot: number } | undefined;

  constructor(
    private readonly sink: ByteSink,
    private readonly options: PoolOptions,
  ) {}

  start(): void {
    while (this.threads.length < Math.min(FIRST_THREADS, this.options.threads - 1)) this.startThread();
    this.local ??= new Thread(undefined, this.options.setups(this.options.threads - 1), this);
  }

  private startThread(): void {
    const { setups, worker = new URL('./decode-worker.js', import.meta.url) } = this.options;
    this.threads.push(new Thread(worker, setups(this.threads.length), this));
  }

  /** Whether a thread can take a batch, or `check` would throw. */
  get ready(): boolean {
    return this.failure !== undefined || this.local?.ready === true;
  }

  /** The first batch to fill. `inLine`: a value was begun; `bare`: it has no element yet. */
  open(inLine: boolean, bare: boolean): SlotBatch | undefined {
    this.inLine = inLine;
    this.bare = bare;
    const thread = this.idlest();
    return thread === undefined ? undefined : this.fill(thread);
  }

  private fill(thread: Thread): SlotBatch {
    const slot = thread.free.shift() ?? 0;
    const batch = new SlotBatch(thread.setup.slots[slot], this.options.codec, this.options);
    this.current = { batch, thread, slot };
    return batch;
  }

  /** Hands the batch over and waits for room for the next one. Throws the error of an earlier batch. */
  async next(): Promise<SlotBatch> {
    const { current } = this;
    this.check(); // an earlier batch may have failed already
    if (current === undefined) throw new TypeError('no batch is being filled');
    const { batch, slot, thread } = current;
    if (batch.rows === 0) return batch;
    batch.release();
    this.order.push(thread.hand(batch, slot));
    this.current = undefined;
    for (;;) {
      const free = batch.binds ? (thread.free.length > 0 ? thread : undefined) : this.idlest();
      if (free !== undefined) return this.fill(free);
      if (!batch.binds) this.growIfBusy();
      await this.change();
      this.check();
    }
  }

  /** The thread with the shortest queue among those with a free slot; this thread if all queues are long enough. */
  private idlest(): Thread | undefined {
    let found: Thread | undefined;
    for (const thread of this.threads) {
      if (thread.free.length > 0 && (found === undefined || thread.tasks.length < found.tasks.length)) found = thread;
    }
    if ((found === undefined || found.tasks.length >= ENOUGH_TASKS) && this.local?.ready === true && this.local.tasks.length === 0) {
      return this.local;
    }
    return found;
  }

  private growIfBusy(): void {
    const { threads } = this;
    if (threads.length < this.options.threads - 1 && threads.every(({ ready }) => ready)) this.startThread();
  }

  /** Waits until everything handed over is written. Throws its error, if any. */
  async idle(): Promise<void> {
    while (this.order.length > 0) {
      this.check();
      await this.change();
    }
    this.check();
  }

  /** Throws the error of a batch or of the output, if any. */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Waits for the next report or write. */
  private change(): Promise<void> {
    return new Promise((resolve) => this.wake.push(resolve));
  }

  private changed(): void {
    const { wake } = this;
    this.wake = [];
    for (const resolve of wake) resolve();
  }

  onReport(thread: Thread, report: Report): void {
    const task = thread.tasks.at(0);
    if (report.kind === 'ready') {
      thread.ready = true;
      thread.free.push(...thread.setup.slots.keys());
    } else if (task !== undefined) this.progressed(task, report);
    this.changed();
    void this.write();
  }

  private progressed(task: Task, report: Exclude<Report, { kind: 'ready' }>): void {
    if (report.kind === 'output') {
      task.outputs.push(report);
      return;
    }
    const { thread } = task;
    thread.tasks.shift();
    thread.free.push(task.slot);
    if (report.kind === 'done') {
      task.end = report.end;
      return;
    }
    const error = errorOf(report.failure);
    task.failure = { error: new FrameFailure(error, task.batch.countsAt(report.row)), torn: report.torn, before: report.before };
  }

  /** A thread ended unexpectedly: its batches are lost. */
  onEnd(thread: Thread, error: Error): void {
    const task = thread.tasks.at(0);
    const text = `a decoding thread was lost: ${error.message}. With --threads 1 there is none to lose`;
    if (task === undefined) this.failure ??= new Error(text, { cause: error });
    else task.failure ??= { error: new Error(text, { cause: error }), torn: false, before: { nan: undefined, damaged: [] } };
    this.changed();
    void this.write();
  }

  /** Writes finished output in order. */
  private async write(): Promise<void> {
    if (this.writing) return;
    this.writing = true;
    try {
      for (let task = this.order.at(0); task !== undefined && this.failure === undefined; task = this.order.at(0)) {
        const output = task.outputs.shift();
        if (output !== undefined) await this.writeOutput(task.thread, output.bytes, output.leads);
        else if (task.end !== undefined) this.ended(task.end);
        else if (task.failure !== undefined) this.fail(task.failure);
        else break;
      }
    } catch (error) {
      this.failure ??= error instanceof Error ? error : new Error(String(error));
    } finally {
      this.writing = false;
      this.changed();
    }
  }

  private async writeOutput(thread: Thread, bytes: Uint8Array, leads: boolean): Promise<void> {
    // The thread assumed that elements precede its own. If all earlier nodes were empty, its first comma is one too many.
    const needless = leads && this.bare && bytes[0] === COMMA;
    await this.sink.write(needless ? bytes.subarray(1) : bytes);
    this.written += bytes.length - (needless ? 1 : 0);
    this.inLine = bytes[bytes.length - 1] !== NEWLINE;
    thread.post({ kind: 'written' });
  }

  private ended({ bare, began, ...found }: BatchEnd): void {
    this.order.shift();
    this.found(found, began);
    this.bare = bare && (began || this.bare);
    this.changed();
  }

  private found({ damaged, nan }: Pick<BatchEnd, 'nan' | 'damaged'>, began: boolean): void {
    this.options.nan.add(nan, began);
    for (const { expireAt, failure, torn } of damaged) {
      const error = errorOf(failure);
      if (error instanceof RdbError) this.options.damage?.takeLate({ error, torn, expireAt });
    }
  }

  private fail({ before, error, torn }: TaskFailure): void {
    this.failure = error;
    this.found(before, true);
    this.torn = torn;
  }

  async close(): Promise<void> {
    await Promise.all([this.local?.stop(), ...this.threads.map((thread) => thread.stop())]);
  }
}
