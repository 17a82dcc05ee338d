import type { Kernels } from '../kernels/kernels.js';
import { ROW_WORDS } from '../kernels/layout.js';
import { type Counts, FrameFailure } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';
import { type Target, TARGETS } from '../values/targets.js';
import { errorOf } from '../workers/failures.js';
import { elsewhere, type Host } from '../workers/host.js';
import { SERIAL_BYTES, SLOT_BYTES, SLOT_ROWS, SLOTS } from '../workers/sizes.js';
import { newSlot, SlotBatch } from '../workers/slot-batch.js';
import { EMPTY, FILLED, type TallyOrder, type TallyReport, type TallySetup } from './tally-thread.js';
import type { Counted } from './key-counter.js';
import { Tally, type TallyOptions } from './tally.js';

/** Memory of a thread for its models of servers, beside its tally. */
const MODEL_BYTES = 16 << 20;
const SLOTS_BYTES = SLOTS * (SLOT_BYTES + SLOT_ROWS * ROW_WORDS * 4 + (1 << 12));

/** More threads than this count no faster, since one reads and frames for all of them. */
export const MOST_THREADS = 8;

/** Threads at first, the main one included; more are started when all have enough to do. */
const FIRST_THREADS = 3;

export interface TallyThreadsOptions {
  /** Most threads, the main one included. */
  readonly threads: number;
  /** Script of the threads (default: tally-worker.js). */
  readonly worker?: URL | undefined;
  /** Bytes of input that are counted on the main thread before others are started (default SERIAL_BYTES). */
  readonly serialBytes?: number | undefined;
  /** Bytes at which a slot is handed over (default BATCH_BYTES). */
  readonly batchBytes?: number | undefined;
}

/** Where the rows of a batch come from. */
export interface Origin {
  readonly source: number;
  /** Bytes before that source. */
  readonly place: number;
  readonly server: Target;
  readonly delimiters: Uint8Array | undefined;
}

interface Thread {
  readonly host: Host<TallyOrder>;
  readonly setup: TallySetup;
  /** What is in its slots, and which number each of them has in the order of the input. */
  readonly batches: SlotBatch[];
  readonly order: number[];
  ready: boolean;
  /** Whether it was given batches since it settled the last time. */
  busy: boolean;
  heard: (report: TallyReport) => void;
}

/**
 * Threads that count keys, each in a tally of its own. Rows of batches are copied to a slot of theirs while they have one that is empty;
 * otherwise the main thread counts the batch itself. The order makes no difference, and nobody waits before the end of a source.
 */
export class TallyThreads {
  private readonly threads: Thread[] = [];
  /** The slot that is being filled. */
  private current: { readonly thread: Thread; readonly slot: number; readonly batch: SlotBatch; readonly origin: Origin } | undefined;
  private handed = 0;
  /** The damage that comes first in the input. */
  private damage: { readonly order: number; readonly failure: FrameFailure } | undefined;
  /** A thread was lost. */
  private lost: Error | undefined;
  private countedHere = 0;
  private readonly serialBytes: number;
  private reject: ((error: Error) => void) | undefined;

  constructor(
    private readonly kernels: Kernels,
    /** That of the main thread. */
    private readonly tally: Tally,
    private readonly tallyOptions: TallyOptions,
    /** Counts so far: read when rows are taken. */
    private readonly counts: Readonly<Counts>,
    private readonly options: TallyThreadsOptions,
  ) {
    this.serialBytes = options.serialBytes ?? SERIAL_BYTES;
  }

  /** Bytes of kernel memory for each thread beside the main one. */
  static get room(): number {
    return Tally.room + MODEL_BYTES + SLOTS_BYTES;
  }

  /** The size of the input, if known: for a large one, threads start at once. */
  expect(bytes: number | undefined): void {
    if (bytes !== undefined && bytes > 2 * this.serialBytes) this.start(FIRST_THREADS);
  }

  private start(threads: number): void {
    this.tally.prefixes.share(this.options.threads);
    while (this.threads.length + 1 < Math.min(threads, this.options.threads)) {
      const setup = this.setup();
      if (setup === undefined) return;
      this.threads.push(this.thread(setup));
    }
  }

  private setup(): TallySetup | undefined {
    const { kernels } = this;
    const share = kernels.share(Tally.room + MODEL_BYTES);
    if (share === undefined) return undefined;
    const { buffer, byteOffset } = kernels.allocate(SLOTS * 4);
    const slots = Array.from({ length: SLOTS }, () => newSlot((size) => kernels.allocate(size)));
    return { share, slots, states: new Int32Array(buffer, byteOffset, SLOTS), tally: this.tallyOptions, trees: this.options.threads };
  }

  private thread(setup: TallySetup): Thread {
    const { worker = new URL('./tally-worker.js', import.meta.url) } = this.options;
    const onReport = (report: TallyReport): void => this.onReport(thread, report);
    const thread: Thread = {
      host: elsewhere(worker, setup, onReport, (error) => this.onEnd(error)),
      ...{ setup, batches: [], order: [], ready: false, busy: false, heard: () => undefined },
    };
    return thread;
  }

  private onReport(thread: Thread, report: TallyReport): void {
    if (report.kind === 'ready') {
      thread.ready = true;
    } else if (report.kind === 'failed') {
      const { failure, row, slot } = report;
      const order = thread.order[slot];
      if (this.damage === undefined || order < this.damage.order) {
        this.damage = { order, failure: new FrameFailure(errorOf(failure), thread.batches[slot].countsAt(row)) };
      }
      thread.setup.states[slot] = EMPTY;
    } else {
      thread.heard(report);
    }
  }

  private onEnd(error: Error): void {
    this.lost = new Error(`a thread was lost: ${error.message}. With --threads 1 there is none to lose`, { cause: error });
    this.reject?.(this.lost);
  }

  /** Whether a batch that was taken is damaged, or a thread was lost. */
  get failed(): boolean {
    return this.damage !== undefined || this.lost !== undefined;
  }

  /** Takes rows [batch.from, batch.to) if there is room for them. */
  take(batch: Batch, origin: Origin): boolean {
    this.current ??= this.empty(origin);
    if (this.current === undefined) {
      this.countedHere += batch.byteSize;
      if (this.threads.length > 0) this.grow();
      else if (this.countedHere > this.serialBytes) this.start(FIRST_THREADS);
      return false;
    }
    this.current.batch.take(batch, this.counts, () => undefined);
    if (this.current.batch.full) this.handOver();
    return true;
  }

  /** An empty slot of the thread that has most of them. */
  private empty(origin: Origin): typeof this.current {
    let found: Thread | undefined;
    let most = 0;
    for (const thread of this.threads) {
      if (!thread.ready) continue;
      const empty = emptySlots(thread).length;
      if (empty > most) {
        found = thread;
        most = empty;
      }
    }
    if (found === undefined) return undefined;
    const [slot] = emptySlots(found);
    const batch = new SlotBatch(found.setup.slots[slot], this.kernels, { ...this.options, damage: undefined });
    return { thread: found, slot, batch, origin };
  }

  private grow(): void {
    if (this.threads.every(({ ready }) => ready)) this.start(this.threads.length + 2);
  }

  /** Hands over what is in the slot. */
  handOver(): void {
    const { current } = this;
    this.current = undefined;
    if (current === undefined || current.batch.rows === 0) return;
    const { batch, origin, slot, thread } = current;
    const { delimiters, place, server, source } = origin;
    const { templates } = batch;
    thread.batches[slot] = batch;
    thread.order[slot] = this.handed++;
    thread.busy = true;
    Atomics.store(thread.setup.states, slot, FILLED);
    const extras = batch.extras(templates === undefined || templates.size === 0 ? undefined : templates);
    thread.host.post({ kind: 'batch', slot, rows: batch.rows, extras, source, place, server: TARGETS.indexOf(server), delimiters });
  }

  /**
   * Waits until all that was taken is counted, and adds databases to those of the main thread. Throws FrameFailure if a row was damaged.
   */
  async settle(): Promise<void> {
    if (this.damage === undefined) this.handOver(); // else that is beyond the damage
    this.current = undefined;
    for (const thread of this.threads) {
      if (!thread.busy) continue;
      const report = await this.ask(thread, { kind: 'settle' });
      if (report.kind === 'settled') this.tally.addDatabases(report.databases);
      thread.busy = false;
    }
    if (this.damage !== undefined) throw this.damage.failure;
  }

  /** The failure was dealt with, and another source may follow. */
  rollback(): void {
    this.damage = undefined;
  }

  /** Adds what the threads have counted to the tally of the main thread. Returns what they counted beside it. */
  async merge(): Promise<Counted> {
    let [beside, guessed] = [0, 0];
    for (const thread of this.threads) {
      if (thread.order.length === 0) continue;
      const report = await this.ask(thread, { kind: 'give' });
      if (report.kind !== 'parts') continue;
      this.tally.merge(report.parts);
      beside += report.counted.beside;
      guessed += report.counted.guessed;
    }
    return { beside, guessed };
  }

  private ask(thread: Thread, order: TallyOrder): Promise<TallyReport> {
    if (this.lost !== undefined) throw this.lost;
    return new Promise((resolve, reject) => {
      this.reject = reject;
      thread.heard = resolve;
      thread.host.post(order);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map(({ host }) => host.stop()));
  }
}

const emptySlots = ({ setup: { slots, states } }: Thread): number[] =>
  [...slots.keys()].filter((slot) => Atomics.load(states, slot) === EMPTY);
