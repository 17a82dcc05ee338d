import type { Percentiles } from './report.js';

/** Buckets for each doubling: a value is known within 1.6 %. */
const STEPS = 32;
const STEP_BITS = 5;
/** Values up to 2^53. */
const BUCKETS = STEPS * 50;

/**
 * Counts of whole numbers in buckets whose width grows with the numbers, as in HdrHistogram: exact below 32, then 32 buckets for each
 * doubling.
 */
export class Histogram {
  count = 0;
  sum = 0;
  max = 0;
  private readonly buckets = new Float64Array(BUCKETS);

  add(value: number): void {
    this.count++;
    this.sum += value;
    if (value > this.max) this.max = value;
    this.buckets[bucketOf(value)]++;
  }

  merge(other: Histogram): void {
    this.count += other.count;
    this.sum += other.sum;
    this.max = Math.max(this.max, other.max);
    for (let i = 0; i < BUCKETS; i++) this.buckets[i] += other.buckets[i];
  }

  /** The value that this share of the values does not exceed. */
  percentile(share: number): number {
    let left = Math.ceil(this.count * share);
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.buckets[i];
      if (left <= 0) return Math.min(this.max, highest(i));
    }
    return this.max;
  }

  get percentiles(): Percentiles {
    return {
      mean: this.count === 0 ? 0 : Math.round(this.sum / this.count),
      p50: this.percentile(0.5),
      p90: this.percentile(0.9),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      max: this.max,
    };
  }
}

function bucketOf(value: number): number {
  if (value < STEPS) return value < 0 ? 0 : Math.floor(value);
  if (value < 0x80000000) {
    const shift = 31 - STEP_BITS - Math.clz32(value);
    return (shift << STEP_BITS) + (value >>> shift);
  }
  const high = Math.min(value, Number.MAX_SAFE_INTEGER) / 0x400000; // 2^22, which leaves more than 5 bits
  const shift = 31 - STEP_BITS - Math.clz32(high);
  return ((shift + 22) << STEP_BITS) + (high >>> shift);
}

/** The greatest value in a bucket. */
function highest(bucket: number): number {
  if (bucket < STEPS * 2) return bucket;
  const shift = (bucket >>> STEP_BITS) - 1;
  return ((bucket & (STEPS - 1)) + STEPS + 1) * 2 ** shift - 1;
}
