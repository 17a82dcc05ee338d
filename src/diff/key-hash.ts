import { Murmur3 } from '../bytes/murmur3.js';
import { DATABASE_FACTOR, DOMAIN_COUNT, DOMAIN_KEY } from '../kernels/layout.js';
import { domainStates, type Seed } from './domains.js';

/** The hashes of keys, for those whose records are not read. */
export class KeyHash {
  /** Four words of the last key. */
  readonly words = new Int32Array(4);
  private readonly murmur = new Murmur3();
  private readonly domains = new Int32Array(4 * DOMAIN_COUNT);

  constructor(seed: Seed) {
    domainStates(seed, this.domains);
  }

  of(db: number, bytes: Uint8Array, start: number, end: number): Int32Array {
    const { domains, murmur, words } = this;
    const at = 4 * DOMAIN_KEY;
    murmur.begin(domains[at] ^ Math.imul(db, DATABASE_FACTOR), domains[at + 1], domains[at + 2], domains[at + 3]);
    murmur.add(bytes, start, end).end(words, 0);
    return words;
  }
}
