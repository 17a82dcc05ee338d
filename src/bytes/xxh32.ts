/**
 * XXH32, the checksum inside LZ4 frames, over a stream of byte ranges.
 * Source: xxHash specification 0.1.1 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
 */
const P1 = 0x9e3779b1 | 0;
const P2 = 0x85ebca77 | 0;
const P3 = 0xc2b2ae3d | 0;
const P4 = 0x27d4eb2f | 0;
const P5 = 0x165667b1 | 0;
const STRIPE = 16;

const rotl = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

const round = (lane: number, word: number): number => Math.imul(rotl((lane + Math.imul(word, P2)) | 0, 13), P1);

const word = (b: Uint8Array, i: number): number => b[i] | (b[i + 1] << 8) | (b[i + 2] << 16) | (b[i + 3] << 24);

export class Xxh32 {
  private readonly held = new Uint8Array(STRIPE);
  private heldLength = 0;
  private total = 0;
  private v1: number;
  private v2: number;
  private v3: number;
  private v4: number;

  constructor(private readonly seed = 0) {
    this.v1 = (seed + P1 + P2) | 0;
    this.v2 = (seed + P2) | 0;
    this.v3 = seed | 0;
    this.v4 = (seed - P1) | 0;
  }

  /** Adds `bytes[start, end)`; nothing of it is kept by reference. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.total += end - start;
    let i = start;
    if (this.heldLength > 0) {
      const take = Math.min(STRIPE - this.heldLength, end - i);
      this.held.set(bytes.subarray(i, i + take), this.heldLength);
      this.heldLength += take;
      i += take;
      if (this.heldLength < STRIPE) return this;
      this.stripes(this.held, 0, STRIPE);
      this.heldLength = 0;
    }
    i = this.stripes(bytes, i, end);
    this.held.set(bytes.subarray(i, end));
    this.heldLength = end - i;
    return this;
  }

  /** Takes all whole stripes of `bytes[i, end)`; returns where the rest begins. */
  private stripes(bytes: Uint8Array, i: number, end: number): number {
    let { v1, v2, v3, v4 } = this;
    for (; i + STRIPE <= end; i += STRIPE) {
      v1 = round(v1, word(bytes, i));
      v2 = round(v2, word(bytes, i + 4));
      v3 = round(v3, word(bytes, i + 8));
      v4 = round(v4, word(bytes, i + 12));
    }
    this.v1 = v1;
    this.v2 = v2;
    this.v3 = v3;
    this.v4 = v4;
    return i;
  }

  /** The checksum of everything so far, unsigned; more may be added afterwards. */
  digest(): number {
    let h =
      this.total >= STRIPE
        ? (rotl(this.v1, 1) + rotl(this.v2, 7) + rotl(this.v3, 12) + rotl(this.v4, 18)) | 0
        : (this.seed + P5) | 0;
    h = (h + this.total) | 0;
    let i = 0;
    for (; i + 4 <= this.heldLength; i += 4) h = Math.imul(rotl((h + Math.imul(word(this.held, i), P3)) | 0, 17), P4);
    for (; i < this.heldLength; i++) h = Math.imul(rotl((h + Math.imul(this.held[i], P5)) | 0, 11), P1);
    h = Math.imul(h ^ (h >>> 15), P2);
    h = Math.imul(h ^ (h >>> 13), P3);
    return (h ^ (h >>> 16)) >>> 0;
  }
}

/** XXH32 of one byte range, seed 0, unsigned. */
export function xxh32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  return new Xxh32().update(bytes, start, end).digest();
}
