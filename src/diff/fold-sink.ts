import type { LargeValue } from '../io/large-value.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { Batch, BATCH_ROWS } from '../rdb/batch.js';
import type { RedisType } from '../rdb/types.js';
import { BUCKET_BITS, Buckets } from './buckets.js';
import type { Seed } from './domains.js';
import { Fold } from './fold.js';
import type { KeyCounts } from './key-counts.js';
import { largeRow } from './large-row.js';
import { RowDigests } from './row-digests.js';
import { SilentSink } from './silent-sink.js';
import type { ValueDigestOptions } from './value-digest.js';

/** How much of a record counts: `counts` only numbers, `keys` also with their type and expiry, `values` all. */
export type DiffLevel = 'counts' | 'keys' | 'values';

export interface FoldSinkOptions extends ValueDigestOptions {
  /** The same for both sides. */
  readonly seed: Seed;
  readonly level: DiffLevel;
  /** Unix milliseconds: keys that expire up to then are left out, and counted. -Infinity leaves out none. The same for both sides. */
  readonly now: number;
  /** Milliseconds that expiries may be apart; 0 for exact ones. */
  readonly tolerance: number;
  /** Counts keys by more than database and type. */
  readonly keyCounts?: KeyCounts | undefined;
  /** Buckets, as a power of two. The same for both sides. */
  readonly bits?: number | undefined;
}

/** Rows that are digested and folded before the next ones, while all that belongs to them is in the cache. */
const GROUP = 1024;

/** Pass 1 of a comparison: folds all records of one side into buckets. */
export class FoldSink extends SilentSink {
  readonly buckets: Buckets;
  private readonly digests: RowDigests;
  private readonly fold: Fold;
  private readonly single = new Batch(TS_CODEC, 1);

  constructor(
    codec: Codec | undefined,
    private readonly options: FoldSinkOptions,
  ) {
    super();
    const { bits = BUCKET_BITS, level, now, seed, streams, tolerance } = options;
    const use = codec ?? TS_CODEC;
    this.buckets = new Buckets(bits, use);
    this.digests = new RowDigests(use, { seed, streams, values: level === 'values' }, BATCH_ROWS);
    this.fold = new Fold(use, this.buckets, this.digests, { now, tolerance, onlyCounts: level === 'counts' });
  }

  /** Keys left out since they have expired. */
  get expired(): number {
    return this.fold.expired;
  }

  /** Keys by database and type, without those left out. */
  get counts(): ReadonlyMap<number, Readonly<Partial<Record<RedisType, number>>>> {
    return this.fold.counts;
  }

  get keyCounts(): KeyCounts | undefined {
    return this.options.keyCounts;
  }

  batch(batch: Batch): void {
    const { from, to } = batch;
    try {
      for (let row = from; row < to; row = batch.to) {
        batch.from = batch.row = row;
        batch.to = Math.min(to, row + GROUP);
        this.group(batch);
      }
    } finally {
      batch.from = from;
      batch.to = to;
    }
  }

  private group(batch: Batch): void {
    try {
      this.digests.rows(batch);
    } catch (error) {
      this.take(batch, batch.row); // those before the damaged one
      throw error;
    }
    this.take(batch, batch.to);
  }

  private take(batch: Batch, to: number): void {
    const { keyCounts, now } = this.options;
    this.fold.rows(batch, to);
    keyCounts?.rows(batch, to, now);
  }

  async large(value: LargeValue): Promise<void> {
    const { expireAt, hasExpire } = value.head;
    if (!hasExpire || expireAt > this.options.now) await this.digests.large(value);
    this.take(largeRow(this.single, value), 1);
  }
}
