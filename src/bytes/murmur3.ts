/** Four 32-bit words of a digest. */
export type Words128 = [number, number, number, number];

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** Bytes. */
const BLOCK = 16;

const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** Spreads the bits of a hash over all 32: the end of MurmurHash3_x86_32. */
export function mixed(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** Where four words are written. */
type Out = Words128 | Int32Array;

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);

/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain) of bytes that may come in pieces, from a state of four words instead of a seed. Not
 * cryptographic: a collision is less likely than a memory error unless somebody constructs one, which a secret state does not prevent
 * (Aumasson and Bernstein, 2012); KeyedHash is for strings of strangers. With the hash of one string as the state for the
 * next one, the result depends on the order of the strings and on where each of them ends (kernels/assembly/murmur3.ts is the twin).
 */
export class Murmur3 {
  private h1 = 0;
  private h2 = 0;
  private h3 = 0;
  private h4 = 0;
  /** Bytes of a block that is not complete, and their number. */
  private readonly held = new Uint8Array(BLOCK);
  private heldLength = 0;
  private size = 0;

  begin(h1: number, h2: number, h3: number, h4: number): this {
    this.h1 = h1;
    this.h2 = h2;
    this.h3 = h3;
    this.h4 = h4;
    this.heldLength = this.size = 0;
    return this;
  }

  add(bytes: Uint8Array, start: number, end: number): this {
    const { held } = this;
    this.size += end - start;
    let pos = start;
    if (this.heldLength > 0) {
      while (pos < end && this.heldLength < BLOCK) held[this.heldLength++] = bytes[pos++];
      if (this.heldLength < BLOCK) return this;
      this.blocks(held, 0, BLOCK);
      this.heldLength = 0;
    }
    pos = this.blocks(bytes, pos, end);
    while (pos < end) held[this.heldLength++] = bytes[pos++];
    return this;
  }

  /** Takes all whole blocks; returns where the rest begins. */
  private blocks(bytes: Uint8Array, start: number, end: number): number {
    let { h1, h2, h3, h4 } = this;
    let i = start;
    for (; i + BLOCK <= end; i += BLOCK) {
      h1 ^= Math.imul(rotl(Math.imul(word(bytes, i), C1), 15), C2);
      h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
      h2 ^= Math.imul(rotl(Math.imul(word(bytes, i + 4), C2), 16), C3);
      h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
      h3 ^= Math.imul(rotl(Math.imul(word(bytes, i + 8), C3), 17), C4);
      h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
      h4 ^= Math.imul(rotl(Math.imul(word(bytes, i + 12), C4), 18), C1);
      h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
    }
    this.h1 = h1;
    this.h2 = h2;
    this.h3 = h3;
    this.h4 = h4;
    return i;
  }

  /** Writes the hash to `out[at, at + 4)`: unsigned words, where that holds them. */
  end(out: Out, at = 0): void {
    const { held, size } = this;
    let { h1, h2, h3, h4 } = this;
    held.fill(0, this.heldLength);
    h4 ^= Math.imul(rotl(Math.imul(word(held, 12), C4), 18), C1) ^ size;
    h3 ^= Math.imul(rotl(Math.imul(word(held, 8), C3), 17), C4) ^ size;
    h2 ^= Math.imul(rotl(Math.imul(word(held, 4), C2), 16), C3) ^ size;
    h1 ^= Math.imul(rotl(Math.imul(word(held, 0), C1), 15), C2) ^ size;
    h1 = (h1 + h2 + h3 + h4) | 0;
    h2 = (h2 + h1) | 0;
    h3 = (h3 + h1) | 0;
    h4 = (h4 + h1) | 0;
    h1 = mixed(h1);
    h2 = mixed(h2);
    h3 = mixed(h3);
    h4 = mixed(h4);
    h1 = (h1 + h2 + h3 + h4) | 0;
    out[at] = h1 >>> 0;
    out[at + 1] = (h2 + h1) >>> 0;
    out[at + 2] = (h3 + h1) >>> 0;
    out[at + 3] = (h4 + h1) >>> 0;
  }
}
