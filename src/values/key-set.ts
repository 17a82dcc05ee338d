import { randomInt } from 'node:crypto';
import { murmur3, type Words128 } from '../bytes/murmur3.js';
import { DigestSet } from './duplicates.js';

/**
 * The keys seen, by database, as digests of 128 bits: 23 to 46 bytes per key, whatever its length. A collision is less likely than
 * a memory error; every run has another seed.
 */
export class KeySet {
  private readonly digests = new DigestSet();
  private readonly words: Words128 = [0, 0, 0, 0];
  private readonly seed = randomInt(2 ** 32);
  /** Whether keys were not remembered because the set was full. */
  full = false;

  constructor(private readonly most = Infinity) {}

  /** Returns whether the key is new, as far as is remembered, and adds it. */
  add(db: number, bytes: Uint8Array, start: number, end: number): boolean {
    murmur3(bytes, start, end, (this.seed ^ Math.imul(db, 0x9e3779b1)) >>> 0, this.words);
    if (this.digests.size < this.most) return this.digests.add(this.words);
    this.full ||= !this.digests.has(this.words);
    return !this.digests.has(this.words);
  }
}
