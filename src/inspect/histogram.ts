import { HISTOGRAM, HISTOGRAM_BITS, HISTOGRAM_BUCKETS, HISTOGRAM_MAX } from '../kernels/layout.js';
import type { Percentiles } from './report.js';

const STEPS = 1 << HISTOGRAM_BITS;

/**
 * Counts of whole numbers in buckets whose width grows with the numbers, as in HdrHistogram: exact below 32, then 32 buckets for each
 * doubling. A histogram is HISTOGRAM doubles, which `kernels/assembly/tally.ts` adds to as well.
 */
export function addToHistogram(doubles: Float64Array, at: number, value: number): void {
  if (value > doubles[at + HISTOGRAM_MAX]) doubles[at + HISTOGRAM_MAX] = value;
  doubles[at + HISTOGRAM_BUCKETS + bucketOf(value)]++;
}

/** Adds another one, at the same place of its array. */
export function mergeHistograms(doubles: Float64Array, others: Float64Array, at: number): void {
  if (others[at + HISTOGRAM_MAX] > doubles[at + HISTOGRAM_MAX]) doubles[at + HISTOGRAM_MAX] = others[at + HISTOGRAM_MAX];
  for (let i = at + HISTOGRAM_BUCKETS; i < at + HISTOGRAM; i++) doubles[i] += others[i];
}

/** `sum`: of all values. */
export function percentilesOf(doubles: Float64Array, at: number, sum: number): Percentiles {
  let count = 0;
  for (let i = HISTOGRAM_BUCKETS; i < HISTOGRAM; i++) count += doubles[at + i];
  const max = doubles[at + HISTOGRAM_MAX];
  const percentile = (share: number): number => {
    let left = Math.ceil(count * share);
    for (let i = HISTOGRAM_BUCKETS; i < HISTOGRAM; i++) {
      left -= doubles[at + i];
      if (left < 0) return Math.min(max, middle(i - HISTOGRAM_BUCKETS));
      if (left === 0) return bucketOf(max) === i - HISTOGRAM_BUCKETS ? max : middle(i - HISTOGRAM_BUCKETS); // the last of its bucket
    }
    return max;
  };
  return {
    mean: count === 0 ? 0 : Math.round(sum / count),
    p50: percentile(0.5),
    p90: percentile(0.9),
    p99: percentile(0.99),
    p999: percentile(0.999),
    max,
  };
}

function bucketOf(value: number): number {
  const whole = Math.floor(value);
  if (whole < STEPS) return whole < 0 ? 0 : whole;
  if (whole < 0x80000000) {
    const shift = 31 - HISTOGRAM_BITS - Math.clz32(whole);
    return (shift << HISTOGRAM_BITS) + (whole >>> shift);
  }
  const high = Math.floor(Math.min(whole, Number.MAX_SAFE_INTEGER) / 0x400000); // 2^22, which leaves more bits than are needed
  const shift = 31 - HISTOGRAM_BITS - Math.clz32(high);
  return ((shift + 22) << HISTOGRAM_BITS) + (high >>> shift);
}

/** The middle of a bucket: no number in it is more than 1/64 off. */
function middle(bucket: number): number {
  if (bucket < STEPS * 2) return bucket;
  const shift = (bucket >>> HISTOGRAM_BITS) - 1;
  return Math.floor(((bucket & (STEPS - 1)) + STEPS + 0.5) * 2 ** shift);
}
