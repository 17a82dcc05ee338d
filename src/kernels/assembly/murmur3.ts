/* Hashes one after another, each from the one before (bytes/murmur3.ts is the reference). */

const C1: u32 = 0x239b961b;
const C2: u32 = 0xab0e9789;
const C3: u32 = 0x38b34ae5;
const C4: u32 = 0xa1e38b93;

/** The last hash, from which the next one begins. */
export let s1: u32 = 0;
export let s2: u32 = 0;
export let s3: u32 = 0;
export let s4: u32 = 0;

/** Begins with the four words at `at`. */
@inline
export function beginChain(at: usize): void {
  s1 = load<u32>(at);
  s2 = load<u32>(at, 4);
  s3 = load<u32>(at, 8);
  s4 = load<u32>(at, 12);
}

@inline
export function storeChain(at: usize): void {
  store<u32>(at, s1);
  store<u32>(at, s2, 4);
  store<u32>(at, s3, 8);
  store<u32>(at, s4, 12);
}

@inline
function mixed(hash: u32): u32 {
  let x = hash ^ (hash >>> 16);
  x *= 0x85ebca6b;
  x ^= x >>> 13;
  x *= 0xc2b2ae35;
  return x ^ (x >>> 16);
}

/** Takes `size` bytes; 16 more are read. */
export function chain(start: usize, size: usize): void {
  let h1 = s1;
  let h2 = s2;
  let h3 = s3;
  let h4 = s4;
  let p = start;
  for (const stop = start + (size & ~15); p < stop; p += 16) {
    h1 ^= rotl<u32>(load<u32>(p) * C1, 15) * C2;
    h1 = (rotl<u32>(h1, 19) + h2) * 5 + 0x561ccd1b;
    h2 ^= rotl<u32>(load<u32>(p, 4) * C2, 16) * C3;
    h2 = (rotl<u32>(h2, 17) + h3) * 5 + 0x0bcaa747;
    h3 ^= rotl<u32>(load<u32>(p, 8) * C3, 17) * C4;
    h3 = (rotl<u32>(h3, 15) + h4) * 5 + 0x96cd1c35;
    h4 ^= rotl<u32>(load<u32>(p, 12) * C4, 18) * C1;
    h4 = (rotl<u32>(h4, 13) + h1) * 5 + 0x32ac3b17;
  }
  const left = (size & 15) as u64;
  if (left > 0) {
    let low = load<u64>(p);
    if (left > 8) {
      const high = load<u64>(p, 8) & (0xffffffffffffffff >> ((16 - left) << 3));
      h3 ^= rotl<u32>((high as u32) * C3, 17) * C4;
      h4 ^= rotl<u32>(((high >> 32) as u32) * C4, 18) * C1;
    } else {
      low &= 0xffffffffffffffff >> ((8 - left) << 3);
    }
    h1 ^= rotl<u32>((low as u32) * C1, 15) * C2;
    h2 ^= rotl<u32>(((low >> 32) as u32) * C2, 16) * C3;
  }
  h1 ^= size as u32;
  h2 ^= size as u32;
  h3 ^= size as u32;
  h4 ^= size as u32;
  h1 += h2 + h3 + h4;
  h2 = mixed(h2 + h1);
  h3 = mixed(h3 + h1);
  h4 = mixed(h4 + h1);
  h1 = mixed(h1) + h2 + h3 + h4;
  s1 = h1;
  s2 = h2 + h1;
  s3 = h3 + h1;
  s4 = h4 + h1;
}
