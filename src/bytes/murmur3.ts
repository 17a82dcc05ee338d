/** Four 32-bit words of a digest. */
export type Words128 = [number, number, number, number];

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** Spreads the bits of a hash over all 32: the end of MurmurHash3_x86_32. */
export function mixed(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain) of `bytes[start, end)`, to `out`. Not cryptographic, but with a secret seed
 * nobody can construct collisions.
 */
export function murmur3(bytes: Uint8Array, start: number, end: number, seed: number, out: Words128): void {
  let [h1, h2, h3, h4] = [seed, seed, seed, seed];
  const word = (at: number): number => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  let i = start;
  for (; i + 16 <= end; i += 16) {
    h1 ^= Math.imul(rotl(Math.imul(word(i), C1), 15), C2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(word(i + 4), C2), 16), C3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(word(i + 8), C3), 17), C4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(word(i + 12), C4), 18), C1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const tail = (from: number): number => {
    let k = 0;
    for (let b = 0; b < 4; b++) if (from + b < end) k |= bytes[from + b] << (8 * b);
    return k;
  };
  h4 ^= Math.imul(rotl(Math.imul(tail(i + 12), C4), 18), C1);
  h3 ^= Math.imul(rotl(Math.imul(tail(i + 8), C3), 17), C4);
  h2 ^= Math.imul(rotl(Math.imul(tail(i + 4), C2), 16), C3);
  h1 ^= Math.imul(rotl(Math.imul(tail(i), C1), 15), C2);
  const size = end - start;
  h1 ^= size;
  h2 ^= size;
  h3 ^= size;
  h4 ^= size;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mixed(h1);
  h2 = mixed(h2);
  h3 = mixed(h3);
  h4 = mixed(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1 >>> 0;
  out[1] = (h2 + h1) >>> 0;
  out[2] = (h3 + h1) >>> 0;
  out[3] = (h4 + h1) >>> 0;
}
