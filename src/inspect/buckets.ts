import { BUCKETS, BUCKETS_ENDS, BUCKETS_KEYS, BUCKETS_MEMORY, BUCKETS_MOST } from '../kernels/layout.js';
import type { Bucket } from './report.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Upper ends of the buckets of the time left, in milliseconds. */
export const TIMES_LEFT: readonly number[] = [
  ...[1, 5, 15, 30].map((n) => n * MINUTE),
  ...[1, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 3, 7, 14, 30, 90, 180, 365].map((n) => n * DAY),
];

/** Upper ends of the buckets of idle times, in seconds. */
export const IDLE_TIMES: readonly number[] = [60, 300, 900, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400];
/** Upper ends of the buckets of the LFU counter. */
export const FREQUENCIES: readonly number[] = [0, 1, 5, 10, 20, 50, 100, 200, 255];

/** Keys and memory by bucket: BUCKETS doubles, which `kernels/assembly/tally.ts` adds to as well. */
export function startBuckets(doubles: Float64Array, ends: readonly number[]): void {
  if (ends.length > BUCKETS_MOST) throw new TypeError(`${ends.length} buckets`);
  doubles[0] = ends.length;
  doubles.set(ends, BUCKETS_ENDS);
}

export function addToBuckets(doubles: Float64Array, value: number, memory: number): void {
  const [count] = doubles;
  let i = 0;
  while (i < count && value > doubles[BUCKETS_ENDS + i]) i++;
  doubles[BUCKETS_KEYS + i]++;
  doubles[BUCKETS_MEMORY + i] += memory;
}

/** Adds others with the same ends. */
export function mergeBuckets(doubles: Float64Array, others: Float64Array): void {
  for (let i = BUCKETS_KEYS; i < BUCKETS; i++) doubles[i] += others[i];
}

export function bucketsOf(doubles: Float64Array, scale: number): readonly Bucket[] {
  const [count] = doubles;
  return Array.from({ length: count + 1 }, (_, i) => ({
    upTo: i < count ? doubles[BUCKETS_ENDS + i] : null,
    keys: Math.round(doubles[BUCKETS_KEYS + i] * scale),
    memory: Math.round(doubles[BUCKETS_MEMORY + i] * scale),
  }));
}
