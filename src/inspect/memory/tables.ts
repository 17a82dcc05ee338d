/* Hash tables of servers, filled with elements whose hashes are random. */

const LEAST_SLOTS = 4;

/** Slots of a table for a number of elements (redis dict.c, _dictNextExp). */
export const nextPower = (count: number): number => (count <= LEAST_SLOTS ? LEAST_SLOTS : 2 ** Math.ceil(Math.log2(count)));

/** 1 - e^-x for x up to 1 by its series: kernels have the same to the last bit. */
function filled(x: number): number {
  let sum = 0;
  let term = x;
  for (let i = 2; i < 12; i++) {
    sum += term;
    term *= -x / i;
  }
  return sum;
}

/** How many of the slots have elements, on average. */
export const sharedSlots = (slots: number, count: number): number => slots * filled(Math.min(1, count / slots));

/**
 * Slots of a hash that is loaded field by field, first as a listpack: field number `longAt` is too long for that, so a table is made for
 * those before it, and then one for the number of those after it (redis 7.0 rdb.c, rdbLoadObject). Slots are moved from table to table one
 * by one as fields are added: at the end there may be two.
 */
export function convertedSlots(longAt: number, count: number): number {
  let size = nextPower(longAt);
  let used = longAt;
  let next = 0;
  let steps = 0;
  const grow = (to: number): void => {
    next = to;
    steps = Math.ceil(sharedSlots(size, used));
  };
  if (used >= size) grow(nextPower(used + 1));
  used++;
  let left = count - used;
  if (left > LEAST_SLOTS && next === 0 && used <= left && nextPower(left) !== size) grow(nextPower(left));
  while (left > 0) {
    const adds = Math.min(left, next > 0 ? steps : size - used);
    used += adds;
    left -= adds;
    if (next > 0) {
      steps -= adds;
      if (steps > 0) break;
      size = next;
      next = 0;
    } else if (left > 0) {
      grow(nextPower(used + 1));
      used++;
      left--;
    }
  }
  return size + next;
}

const BUCKET = 64;
const BUCKET_ENTRIES = 7;

/**
 * Buckets of a table of elements (valkey hashtable.c, nextBucketExp): 7 elements in each; one with more has 6, and a pointer to
 * another bucket.
 */
export function bucketBytes(count: number): number {
  if (count === 0) return 0;
  const buckets = 2 ** Math.ceil(Math.log2(Math.ceil((count * 5) / 32)));
  return BUCKET * Math.round(buckets * (1 + children(count, buckets)));
}

/** Further buckets of a bucket, on average. */
function children(count: number, buckets: number): number {
  if (buckets === 1) return count > BUCKET_ENTRIES ? Math.ceil((count - BUCKET_ENTRIES) / (BUCKET_ENTRIES - 1)) : 0;
  const mean = count / buckets;
  let share = Math.exp(-mean);
  let sum = 0;
  for (let k = 1; k < 64; k++) {
    share *= mean / k;
    if (k > BUCKET_ENTRIES) sum += share * Math.ceil((k - BUCKET_ENTRIES) / (BUCKET_ENTRIES - 1));
  }
  return sum;
}
