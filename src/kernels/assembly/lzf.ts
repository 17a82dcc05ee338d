/* LZF (bytes/lzf.ts is the reference and says what is wrong where this returns false). */

/**
 * Decompresses `[start, end)` to `[to, stop)`, which it must fill exactly. Runs are copied by 16 bytes: 32 bytes after
 * `stop` may change, and 32 after `end` are read.
 */
export function lzf(start: usize, end: usize, to: usize, stop: usize): bool {
  let i = start;
  let o = to;
  while (i < end) {
    const control = load<u8>(i++) as usize;
    if (control < 32) {
      const run = control + 1;
      if (i + run > end || o + run > stop) return false;
      v128.store(o, v128.load(i));
      if (run > 16) v128.store(o + 16, v128.load(i + 16));
      i += run;
      o += run;
    } else {
      let run = control >> 5;
      if (run == 7) run += load<u8>(i++) as usize;
      run += 2;
      const distance = ((control & 31) << 8) + (load<u8>(i++) as usize) + 1;
      if (i > end || o + run > stop || distance > o - to) return false;
      copy(o, distance, run);
      o += run;
    }
  }
  return o == stop;
}

@inline
function copy(to: usize, distance: usize, run: usize): void {
  const from = to - distance;
  if (distance >= 16) {
    for (let k: usize = 0; k < run; k += 16) v128.store(to + k, v128.load(from + k));
  } else if (distance >= 8) {
    for (let k: usize = 0; k < run; k += 8) store<u64>(to + k, load<u64>(from + k));
  } else if (distance == 1) {
    const byte = v128.splat<u8>(load<u8>(from));
    for (let k: usize = 0; k < run; k += 16) v128.store(to + k, byte);
  } else {
    for (let k: usize = 0; k < run; k++) store<u8>(to + k, load<u8>(from + k));
  }
}
