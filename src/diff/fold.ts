import { Murmur3 } from '../bytes/murmur3.js';
import type { Codec } from '../kernels/codec.js';
import {
  DB, DIGEST_MASK, DOMAIN_OFFSETS, DOMAIN_RECORD, DROPPED, EXPIRE, FLAGS, FOLD_COUNTS, FOLD_DATABASES, FOLD_EXPIRED, FOLD_HAS_EXPIRE,
  FOLD_NOW, FOLD_ONLY_COUNTS, FOLD_RECORD, FOLD_SUMS, FOLD_TALLY, FOLD_TALLY_TYPES, FOLD_TOLERANCE, FOLD_TYPES, HAS_EXPIRE, KIND, RECORD,
  ROW_WORDS, TYPE,
} from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { REDIS_TYPES as TYPE_OF_NUMBER, TYPE_NUMBERS } from '../rdb/frame-table.js';
import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import type { Buckets } from './buckets.js';
import { Chain } from './chain.js';
import { areTogether, doubles } from './memory.js';
import type { RowDigests } from './row-digests.js';

/** Index of a Redis type by type number. */
export const TYPE_INDEX = Uint8Array.from(TYPE_OF_NUMBER, (type) => REDIS_TYPES.indexOf(type));

export interface FoldOptions {
  /** Unix milliseconds: keys that expire up to then are left out, on both sides. -Infinity leaves out none. */
  readonly now: number;
  /** Milliseconds that expiries may be apart. With more than 0 some that are nearer differ, too: a second look tells. */
  readonly tolerance: number;
  /** Records are only counted. */
  readonly onlyCounts: boolean;
}

/**
 * Folds records into buckets: each is known by a fingerprint of its key, database, type, expiry and the digest of its value. `rows` has a
 * twin, assembly/digest.ts.
 */
export class Fold {
  /** Keys by type in databases below FOLD_DATABASES, and in others. */
  private readonly tally: Float64Array;
  private readonly others = new Map<number, Float64Array>();
  private readonly murmur = new Murmur3();
  private readonly record = new Uint8Array(FOLD_RECORD);
  private readonly view = new DataView(this.record.buffer);
  private readonly fingerprint = new Int32Array(4);
  private readonly combined: Chain;
  private readonly state: Float64Array;
  private readonly hasKernel: boolean;

  constructor(
    private readonly codec: Codec,
    private readonly buckets: Buckets,
    private readonly digests: RowDigests,
    private readonly options: FoldOptions,
  ) {
    const { block, domains } = digests;
    this.tally = doubles(codec, FOLD_DATABASES * FOLD_TALLY_TYPES);
    this.combined = new Chain(domains, codec);
    this.state = new Float64Array(block.buffer, block.byteOffset, block.length / 2);
    const types = codec.allocate(TYPE_NUMBERS);
    types.set(TYPE_INDEX);
    block[FOLD_SUMS] = buckets.sums.byteOffset;
    block[FOLD_COUNTS] = buckets.counts.byteOffset;
    block[FOLD_TYPES] = types.byteOffset;
    block[FOLD_TALLY] = this.tally.byteOffset;
    block[FOLD_ONLY_COUNTS] = options.onlyCounts ? 1 : 0;
    block[DIGEST_MASK] = buckets.size - 1;
    this.hasKernel = areTogether([block, buckets.sums, buckets.counts, types, this.tally]);
    this.state[FOLD_NOW / 2] = options.now;
    this.state[FOLD_TOLERANCE / 2] = options.tolerance;
  }

  /** Keys left out since they have expired. */
  get expired(): number {
    return this.state[FOLD_EXPIRED / 2];
  }

  /** Keys by database and type, without those left out. */
  get counts(): Map<number, Readonly<Partial<Record<RedisType, number>>>> {
    const found = new Map<number, Readonly<Partial<Record<RedisType, number>>>>();
    for (let db = 0; db < FOLD_DATABASES; db++) {
      const cells = this.tally.subarray(db * FOLD_TALLY_TYPES, (db + 1) * FOLD_TALLY_TYPES);
      if (cells.some((keys) => keys > 0)) found.set(db, byType(cells));
    }
    for (const [db, cells] of this.others) found.set(db, byType(cells));
    return found;
  }

  /** Takes rows [batch.from, to), after their digests. */
  rows(batch: Batch, to: number): void {
    const { codec, digests } = this;
    const { words } = batch.table;
    for (const [row, offsets] of digests.offsets) this.combine(row, offsets);
    for (let row = batch.from; row < to; row++) {
      if (this.hasKernel) row = codec.foldRows(digests.block, words, row, to);
      if (row === to) return;
      if (words[row * ROW_WORDS + KIND] === RECORD && (words[row * ROW_WORDS + FLAGS] & DROPPED) === 0) this.row(words, row);
    }
  }

  /** What only newer servers know of a stream counts, too: where one side lacks it, a second look tells. */
  private combine(row: number, offsets: Int32Array): void {
    const { values } = this.digests;
    values.set(this.combined.begin(DOMAIN_OFFSETS).words(values.subarray(4 * row, 4 * row + 4)).words(offsets).state, 4 * row);
  }

  private row(words: Int32Array, row: number): void {
    const { buckets, digests, options } = this;
    const at = row * ROW_WORDS;
    const hasExpire = (words[at + FLAGS] & HAS_EXPIRE) !== 0;
    const expireAt = words[at + EXPIRE + 1] * 0x100000000 + (words[at + EXPIRE] >>> 0);
    if (hasExpire && expireAt <= options.now) {
      this.state[FOLD_EXPIRED / 2]++;
      return;
    }
    const db = words[at + DB];
    const type = TYPE_INDEX[words[at + TYPE]];
    this.cells(db)[type]++;
    if (options.onlyCounts) return;
    let [hi, lo] = hasExpire ? [words[at + EXPIRE + 1], words[at + EXPIRE]] : [0, 0];
    if (hasExpire && options.tolerance > 0) {
      const cell = Math.floor(expireAt / options.tolerance);
      hi = Math.floor(cell / 0x100000000);
      lo = cell >>> 0;
    }
    const { murmur, record, view } = this;
    for (let i = 0; i < 4; i++) {
      view.setInt32(4 * i, digests.keys[4 * row + i], true);
      view.setInt32(32 + 4 * i, digests.values[4 * row + i], true);
    }
    view.setInt32(16, db, true);
    view.setInt32(20, type + (hasExpire ? FOLD_HAS_EXPIRE : 0), true);
    view.setInt32(24, lo, true);
    view.setInt32(28, hi, true);
    const [a, b, c, d] = digests.domains.subarray(4 * DOMAIN_RECORD);
    murmur.begin(a, b, c, d).add(record, 0, FOLD_RECORD).end(this.fingerprint);
    buckets.add(buckets.of(digests.keys, 4 * row), this.fingerprint);
  }

  private cells(db: number): Float64Array {
    if (db >= 0 && db < FOLD_DATABASES) return this.tally.subarray(db * FOLD_TALLY_TYPES, (db + 1) * FOLD_TALLY_TYPES);
    let cells = this.others.get(db);
    if (cells === undefined) this.others.set(db, (cells = new Float64Array(FOLD_TALLY_TYPES)));
    return cells;
  }
}

function byType(cells: Float64Array): Readonly<Partial<Record<RedisType, number>>> {
  return Object.fromEntries(REDIS_TYPES.map((type, i) => [type, cells[i]] as const).filter(([, keys]) => keys > 0));
}
