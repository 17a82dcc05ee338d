import { KeyedHash } from '../bytes/keyed-hash.js';
import type { Words128 } from '../bytes/murmur3.js';
import { DigestSet } from './duplicates.js';

/**
 * The keys seen, by database, as digests of 128 bits: 23 to 46 bytes per key, whatever its length. A collision is less likely than
 * a memory error, and nobody can construct one.
 */
export class KeySet {
  private readonly digests = new DigestSet();
  private readonly words: Words128 = [0, 0, 0, 0];
  private readonly keyed = new KeyedHash();
  /** Whether keys were not remembered because the set was full. */
  full = false;

  constructor(private readonly most = Infinity) {}

  /** Returns whether the key is new, as far as is remembered, and adds it. */
  add(db: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.hash(db, bytes, start, end);
    return this.put();
  }

  /** Writes the digest of a key to `out[at, at + 4)`: what `hasDigest` and `addDigest` take, for keys that are looked up twice. */
  digest(db: number, bytes: Uint8Array, start: number, end: number, out: Uint32Array, at: number): void {
    this.hash(db, bytes, start, end);
    out[at] = this.words[0];
    out[at + 1] = this.words[1];
    out[at + 2] = this.words[2];
    out[at + 3] = this.words[3];
  }

  /** Returns whether the key of this digest is remembered. */
  hasDigest(digests: Uint32Array, at: number): boolean {
    this.use(digests, at);
    return this.digests.has(this.words);
  }

  /** The same as `add`. */
  addDigest(digests: Uint32Array, at: number): boolean {
    this.use(digests, at);
    return this.put();
  }

  private hash(db: number, bytes: Uint8Array, start: number, end: number): void {
    this.keyed.of(bytes, start, end, this.words, db);
  }

  private use(digests: Uint32Array, at: number): void {
    this.words[0] = digests[at];
    this.words[1] = digests[at + 1];
    this.words[2] = digests[at + 2];
    this.words[3] = digests[at + 3];
  }

  private put(): boolean {
    if (this.digests.size < this.most) return this.digests.add(this.words);
    const isKnown = this.digests.has(this.words);
    this.full ||= !isKnown;
    return !isKnown;
  }
}
