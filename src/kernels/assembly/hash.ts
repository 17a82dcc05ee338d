/* Digests of values and names (bytes/digest.ts is the reference). */
import { HELD, scratch } from './scratch';

const STRIPE: usize = 32;
const A: u32 = 0x9e3779b1;
const B: u32 = 0x85ebca6b;
const C: u32 = 0xc2b2ae35;
const LEAST: usize = 64;

@inline
function mixed(lane: u32, word: u32): u32 {
  return rotl<u32>(lane + word * A, 13) * C;
}

@inline
function finished(hash: u32): u32 {
  let h = (hash ^ (hash >>> 16)) * B;
  h = (h ^ (h >>> 13)) * C;
  return h ^ (h >>> 16);
}

@inline
function mixedLanes(lanes: v128, words: v128): v128 {
  const sums = i32x4.add(lanes, i32x4.mul(words, i32x4.splat(A as i32)));
  return i32x4.mul(v128.or(i32x4.shl(sums, 13), i32x4.shr_u(sums, 19)), i32x4.splat(C as i32));
}

@inline
function spread(lanes: v128, by: u32): v128 {
  const product = i32x4.mul(v128.xor(lanes, i32x4.shr_u(lanes, 15)), i32x4.splat(by as i32));
  return v128.xor(product, i32x4.shr_u(product, 13));
}

export function digest(seed: u32, start: usize, end: usize): f64 {
  const total = end - start;
  if (total < LEAST) return 0;
  const seeds = i32x4.add(i32x4.splat(seed as i32), i32x4(1, 2, 3, 4));
  let low4 = i32x4.mul(seeds, i32x4.splat(B as i32));
  let high4 = i32x4.mul(i32x4.add(seeds, i32x4.splat(4)), i32x4.splat(B as i32));
  let p = start;
  for (; p + STRIPE <= end; p += STRIPE) {
    low4 = mixedLanes(low4, v128.load(p));
    high4 = mixedLanes(high4, v128.load(p, 16));
  }
  // what follows the value must not count: its last bytes are copied to a stripe, with room for one more
  const held = scratch + HELD;
  v128.store(held, v128.load(p));
  v128.store(held, v128.load(p, 16), 16);
  v128.store(held + (end - p), i64x2.splat(0));
  v128.store(held + (end - p), i64x2.splat(0), 16);
  low4 = mixedLanes(low4, v128.load(held));
  high4 = mixedLanes(high4, v128.load(held, 16));
  const a = spread(low4, B);
  const b = spread(high4, C);
  const lows = i32x4.add(a, b);
  const highs = v128.xor(i32x4.mul(a, i32x4.splat(A as i32)), b);
  let low = total as u32;
  let high = total as u32;
  low = mixed(low, i32x4.extract_lane(lows, 0) as u32);
  high = mixed(high, i32x4.extract_lane(highs, 0) as u32);
  low = mixed(low, i32x4.extract_lane(lows, 1) as u32);
  high = mixed(high, i32x4.extract_lane(highs, 1) as u32);
  low = mixed(low, i32x4.extract_lane(lows, 2) as u32);
  high = mixed(high, i32x4.extract_lane(highs, 2) as u32);
  low = mixed(low, i32x4.extract_lane(lows, 3) as u32);
  high = mixed(high, i32x4.extract_lane(highs, 3) as u32);
  const both = (((finished(high) >>> 11) as u64) << 32) | (finished(low) as u64);
  return both == 0 ? 1 : (both as f64);
}

const HASHED_NAME: usize = 256;

export function nameHash(start: usize, length: usize): u32 {
  const end = start + min(length, HASHED_NAME);
  let h = ((length + 1) as u32) * C;
  let p = start;
  for (; p + 4 <= end; p += 4) h = mixed(h, load<u32>(p));
  const left = ((end - p) << 3) as u32;
  const rest = load<u32>(p) & ((1 << left) - 1);
  return finished(mixed(h, rest));
}
