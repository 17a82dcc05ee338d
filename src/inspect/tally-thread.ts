import { RdbError } from '../bytes/errors.js';
import { Kernels, type KernelShare } from '../kernels/kernels.js';
import { Batch } from '../rdb/batch.js';
import { FrameTable } from '../rdb/frame-table.js';
import { TARGETS } from '../values/targets.js';
import { failureOf } from '../workers/failures.js';
import type { Extras, Failure, Slot } from '../workers/messages.js';
import { SLOT_ROWS } from '../workers/sizes.js';
import { type Counted, KeyCounter } from './key-counter.js';
import { Tally, type TallyOptions, type TallyParts } from './tally.js';

/** What a thread starts with. */
export interface TallySetup {
  readonly share: KernelShare;
  readonly slots: readonly Slot[];
  /** A word for each slot, EMPTY or FILLED. */
  readonly states: Int32Array;
  readonly tally: TallyOptions;
  /** How many threads count. */
  readonly trees: number;
}

/** What a slot is: the main thread fills it, the other one empties it. */
export const EMPTY = 0;
export const FILLED = 1;

/** To a thread, which does them in their order. */
export type TallyOrder =
  | {
      readonly kind: 'batch';
      readonly slot: number;
      readonly rows: number;
      readonly extras: Extras | undefined;
      /** The index of its source, the bytes before that, and the index of its server in TARGETS. */
      readonly source: number;
      readonly place: number;
      readonly server: number;
      readonly delimiters: Uint8Array | undefined;
    }
  /** A source has ended. */
  | { readonly kind: 'settle' }
  /** Nothing follows. */
  | { readonly kind: 'give' };

export type TallyReport =
  | { readonly kind: 'ready' }
  /** The value of a row is damaged, or something went wrong. The slot stays FILLED. */
  | { readonly kind: 'failed'; readonly slot: number; readonly row: number; readonly failure: Failure }
  /** All before `settle` was counted; what was added to the databases. */
  | { readonly kind: 'settled'; readonly databases: ReadonlyMap<number, Float64Array> }
  | { readonly kind: 'parts'; readonly parts: TallyParts; readonly counted: Counted };

/** Measures the keys of slots and adds them up: what a thread does. */
export class TallyThread {
  private readonly counter: KeyCounter;
  private readonly batches: readonly Batch[];
  private readonly states: Int32Array;
  /** Nothing of this source is counted after a failure. */
  private failed = -1;

  constructor(
    { share, slots, states, tally: options, trees }: TallySetup,
    private readonly report: (report: TallyReport) => void,
  ) {
    const kernels = Kernels.within(share);
    this.states = states;
    const tally = new Tally(options, kernels);
    tally.prefixes.share(trees);
    this.counter = new KeyCounter(kernels, tally, SLOT_ROWS);
    this.batches = slots.map(({ bytes, table: { buffer, byteOffset, byteLength } }) => {
      const table = kernels.view(new Uint8Array(buffer, byteOffset, byteLength));
      const batch = new Batch(kernels, SLOT_ROWS, undefined, new FrameTable(table.buffer, table.byteOffset, SLOT_ROWS));
      batch.bytes = kernels.view(bytes);
      return batch;
    });
    report({ kind: 'ready' });
  }

  take(order: TallyOrder): void {
    const { counter, report } = this;
    const { beside, guessed, tally } = counter;
    if (order.kind === 'settle') report({ kind: 'settled', databases: tally.takeDatabases() });
    else if (order.kind === 'give') report({ kind: 'parts', parts: tally.parts, counted: { beside, guessed } });
    else if (order.source === this.failed || this.batch(order)) Atomics.store(this.states, order.slot, EMPTY);
  }

  /** Returns false if a row is damaged. */
  private batch({ delimiters, extras, place, rows, server, slot, source }: TallyOrder & { readonly kind: 'batch' }): boolean {
    const { counter } = this;
    const { tally } = counter;
    const batch = this.batches[slot];
    const bytes = batch.bytes;
    try {
      if (tally.delimiters === undefined && delimiters !== undefined) tally.delimit(delimiters);
      tally.sourceBegin(source, place);
      batch.clear(extras?.bytes ?? bytes, extras?.templates ?? new Map<number, readonly Uint8Array[]>());
      batch.rows = batch.to = rows;
      counter.batch(batch, counter.measurerOf(TARGETS[server]));
      return true;
    } catch (error) {
      this.failed = source;
      this.report({ kind: 'failed', slot, row: batch.row, failure: failureOf(error instanceof RdbError ? batch.failed(error) : error) });
      return false;
    } finally {
      batch.bytes = bytes;
    }
  }
}
