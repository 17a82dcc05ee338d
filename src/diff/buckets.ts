import { type Codec, TS_CODEC } from '../kernels/codec.js';
import { words } from './memory.js';
import { add128, same128 } from './sum.js';

/** As a power of two. With 100 million keys, one key that differs makes a second look at 800. */
export const BUCKET_BITS = 17;
/** Counts and sums in a message to another thread. */
export interface BucketsParts {
  readonly sums: Int32Array;
  readonly counts: Int32Array;
}

/**
 * Sets of records, each known by the number of its records and the sum of their fingerprints modulo 2^128: two that have the same records
 * in any order are equal, and others are not, but for a chance of 2^-128. A key's bucket is known from its hash.
 */
export class Buckets implements BucketsParts {
  /** Four words for each. */
  readonly sums: Int32Array;
  readonly counts: Int32Array;

  constructor(
    readonly bits: number = BUCKET_BITS,
    codec: Codec = TS_CODEC,
  ) {
    this.sums = words(codec, 4 << bits);
    this.counts = words(codec, 1 << bits);
  }

  get size(): number {
    return this.counts.length;
  }

  /** The bucket of a key whose hash is at `keys[at]`. */
  of(keys: Int32Array, at: number): number {
    return keys[at] & (this.size - 1);
  }

  add(bucket: number, fingerprint: Int32Array): void {
    add128(this.sums, 4 * bucket, fingerprint, 0);
    this.counts[bucket]++;
  }

  /** Adds those of another thread. */
  merge({ counts, sums }: BucketsParts): void {
    for (let bucket = 0; bucket < this.size; bucket++) {
      add128(this.sums, 4 * bucket, sums, 4 * bucket);
      this.counts[bucket] += counts[bucket];
    }
  }

  /** Buckets whose records are not the same, in order. Both must have the same number of buckets, and come from the same seed. */
  differing(other: Buckets): number[] {
    if (this.size !== other.size) throw new RangeError(`${this.size} buckets against ${other.size}`);
    const found: number[] = [];
    for (let bucket = 0; bucket < this.size; bucket++) {
      if (this.counts[bucket] !== other.counts[bucket] || !same128(this.sums, 4 * bucket, other.sums, 4 * bucket)) found.push(bucket);
    }
    return found;
  }

  /** Records in all of these buckets. */
  records(buckets: Iterable<number>): number {
    let sum = 0;
    for (const bucket of buckets) sum += this.counts[bucket];
    return sum;
  }
}

/** Some of the buckets, a bit for each. */
export class BucketSet {
  readonly words: Int32Array;
  size = 0;

  constructor(
    readonly bits: number,
    buckets: Iterable<number>,
    codec: Codec = TS_CODEC,
  ) {
    this.words = words(codec, Math.max(1, (1 << bits) / 32));
    for (const bucket of buckets) this.add(bucket);
  }

  add(bucket: number): void {
    if (this.has(bucket)) return;
    this.words[bucket >> 5] |= 1 << (bucket & 31);
    this.size++;
  }

  has(bucket: number): boolean {
    return (this.words[bucket >> 5] & (1 << (bucket & 31))) !== 0;
  }

  /** Whether the bucket of a key whose hash is at `keys[at]` is one of them. */
  hasKey(keys: Int32Array, at: number): boolean {
    return this.has(keys[at] & ((1 << this.bits) - 1));
  }

  delete(bucket: number): void {
    if (!this.has(bucket)) return;
    this.words[bucket >> 5] &= ~(1 << (bucket & 31));
    this.size--;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let bucket = 0; bucket < 1 << this.bits; bucket++) if (this.has(bucket)) yield bucket;
  }
}
