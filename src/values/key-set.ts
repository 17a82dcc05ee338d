import { randomInt } from 'node:crypto';
import { murmur3, type Words128 } from '../bytes/murmur3.js';
import { DigestSet } from './digest-set.js';

/**
 * Which keys of which databases were seen, as digests of 128 bits: 23 to 46 bytes a key, however long it is. Two keys that
 * meet are less likely than a memory that errs; the seed is another one in every run.
 */
export class KeySet {
  private readonly digests = new DigestSet();
  private readonly words: Words128 = [0, 0, 0, 0];
  private readonly seed = randomInt(2 ** 32);
  /** Keys came that are not remembered: there are as many as there may be. */
  full = false;

  constructor(private readonly most = Infinity) {}

  /** Whether the key is new, as far as is remembered; it is not any more then. */
  add(db: number, bytes: Uint8Array, start: number, end: number): boolean {
    murmur3(bytes, start, end, (this.seed ^ Math.imul(db, 0x9e3779b1)) >>> 0, this.words);
    if (this.digests.size < this.most) return this.digests.add(this.words);
    this.full ||= !this.digests.has(this.words);
    return !this.digests.has(this.words);
  }
}
