import { randomBytes } from 'node:crypto';
import type { Words128 } from './murmur3.js';

const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** Of HalfSipHash, for each word and at the end. With 1 and 3, as hash tables use it. */
export interface Rounds {
  readonly each: number;
  readonly end: number;
}

const FAST: Rounds = { each: 1, end: 3 };

/**
 * 128 bits of a keyed hash: HalfSipHash (Aumasson and Bernstein) with 64 bits of output, under two keys. Who does not know the keys cannot
 * construct two strings with the same hash, so strings of strangers can be told apart by it.
 */
export class KeyedHash {
  private v0 = 0;
  private v1 = 0;
  private v2 = 0;
  private v3 = 0;

  /** `key`: four words; random unless given. */
  constructor(
    private readonly key: ArrayLike<number> = new Uint32Array(new Uint8Array(randomBytes(16)).buffer),
    private readonly rounds: Rounds = FAST,
  ) {}

  /** The hash of `bytes[start, end)` and a number of 32 bits, to `out`. */
  of(bytes: Uint8Array, start: number, end: number, out: Words128, number = 0): void {
    const { key } = this;
    this.half(bytes, start, end, key[0] ^ number, key[1]);
    out[0] = (this.v1 ^ this.v3) >>> 0;
    out[1] = this.second();
    this.half(bytes, start, end, key[2] ^ number, key[3]);
    out[2] = (this.v1 ^ this.v3) >>> 0;
    out[3] = this.second();
  }

  private half(bytes: Uint8Array, start: number, end: number, k0: number, k1: number): void {
    const { each } = this.rounds;
    this.v0 = k0;
    this.v1 = k1 ^ 0xee;
    this.v2 = k0 ^ 0x6c796765;
    this.v3 = k1 ^ 0x74656462;
    let i = start;
    for (; i + 4 <= end; i += 4) {
      const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
      this.v3 ^= word;
      this.round(each);
      this.v0 ^= word;
    }
    let last = (end - start) << 24;
    for (let shift = 0; i < end; i++, shift += 8) last |= bytes[i] << shift;
    this.v3 ^= last;
    this.round(each);
    this.v0 ^= last;
    this.v2 ^= 0xee;
    this.round(this.rounds.end);
  }

  private second(): number {
    this.v1 ^= 0xdd;
    this.round(this.rounds.end);
    return (this.v1 ^ this.v3) >>> 0;
  }

  private round(times: number): void {
    let { v0, v1, v2, v3 } = this;
    for (let i = 0; i < times; i++) {
      v0 = (v0 + v1) | 0;
      v1 = rotl(v1, 5) ^ v0;
      v0 = rotl(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotl(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotl(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotl(v1, 13) ^ v2;
      v2 = rotl(v2, 16);
    }
    this.v0 = v0;
    this.v1 = v1;
    this.v2 = v2;
    this.v3 = v3;
  }
}
