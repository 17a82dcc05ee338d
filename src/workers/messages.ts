import type { ErrorCode } from '../bytes/errors.js';
import type { KernelShare } from '../kernels/kernels.js';
import type { NanScores } from '../json/nan-scores.js';
import type { Frame } from '../rdb/frame.js';

/*
 * What the threads say to one another. Batches and output are in shared memory; messages say where.
 */

/** What a worker starts with. */
export interface Setup {
  /** Undefined where there are no kernels. */
  readonly share: KernelShare | undefined;
  readonly slots: readonly Slot[];
  /** Whether damaged values are gone past. */
  readonly skips: boolean;
}

/** Where a batch is written for a worker: the bytes of its frames, and the table of them (rdb/frame-table.ts). */
export interface Slot {
  readonly bytes: Uint8Array;
  readonly table: Int32Array;
}

/** What is rare in a batch, and too large or too odd for a row. */
export interface Extras {
  /** KEY_META, by row. */
  readonly keyMeta?: ReadonlyMap<number, Uint8Array>;
  /** All hash templates so far, where there are more than the worker was told of. */
  readonly templates?: Frame['templates'];
  /** Instead of the slot's, where they are too many for it. */
  readonly bytes?: Uint8Array;
}

/** To a worker. Batches are decoded in the order they come. */
export type Order =
  | { readonly kind: 'batch'; readonly slot: number; readonly rows: number; readonly extras: Extras | undefined }
  /** The output sent first is written: its memory may be used again. */
  | { readonly kind: 'written' };

/** From a worker. */
export type Report =
  | { readonly kind: 'ready' }
  /** Output of the current batch; `leads`: as far as the worker knows, it continues a value that already has elements. */
  | { readonly kind: 'output'; readonly bytes: Uint8Array; readonly leads: boolean }
  | { readonly kind: 'done'; readonly end: BatchEnd }
  | {
      readonly kind: 'failed';
      readonly row: number;
      readonly torn: boolean;
      readonly failure: Failure;
      readonly before: Pick<BatchEnd, 'nan' | 'damaged'>;
    };

export interface BatchEnd {
  /** Whether the last line began in this batch. */
  readonly began: boolean;
  /** Whether it is still without elements, as far as this batch goes. */
  readonly bare: boolean;
  /** Sorted sets with scores that are not numbers, if there are any. */
  readonly nan: NanScores | undefined;
  /** The damaged values that it went past. */
  readonly damaged: readonly SkippedValue[];
}

export interface SkippedValue {
  readonly failure: Failure;
  readonly torn: boolean;
  /** Unix milliseconds; undefined if the key does not expire. */
  readonly expireAt: number | undefined;
}

/** An error on its way between threads. */
export type Failure =
  | { readonly kind: 'rdb'; readonly code: ErrorCode; readonly detail: RdbDetail; readonly stack: string | undefined }
  | { readonly kind: 'output'; readonly path: string; readonly reason: string }
  | { readonly kind: 'other'; readonly error: Error };

export interface RdbDetail {
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly offset: number | undefined;
  readonly within: number | undefined;
  readonly db: number | undefined;
  readonly key: string | undefined;
}
