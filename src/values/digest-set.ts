import type { Words128 } from '../bytes/murmur3.js';

const WORDS = 4;
const FIRST_SLOTS = 1 << 12;
/** Share of the slots in use above which the table doubles. */
const FULL = 0.7;

/** Digests of 128 bits: an open hash table of 23 to 46 bytes each. */
export class DigestSet {
  private slots: number;
  private table: Uint32Array;
  private used = 0;

  constructor(private readonly firstSlots = FIRST_SLOTS) {
    this.slots = firstSlots;
    this.table = new Uint32Array(firstSlots * WORDS);
  }

  get size(): number {
    return this.used;
  }

  /** Returns whether the digest is new, and adds it. All zeros count as 1, 0, 0, 0. */
  add(words: Readonly<Words128>): boolean {
    const [a, b, c, d] = words;
    if (!this.put((a | b | c | d) === 0 ? 1 : a, b, c, d)) return false;
    if (++this.used > this.slots * FULL) this.grow();
    return true;
  }

  /** Removes all, and frees the memory if it is large. */
  clear(): void {
    if (this.slots > this.firstSlots) {
      this.slots = this.firstSlots;
      this.table = new Uint32Array(this.slots * WORDS);
      this.used = 0;
    } else if (this.used > 0) {
      this.empty();
    }
  }

  /** Removes all, and keeps the memory. */
  empty(): void {
    this.table.fill(0);
    this.used = 0;
  }

  has(words: Readonly<Words128>): boolean {
    const [a, b, c, d] = words;
    return this.find((a | b | c | d) === 0 ? 1 : a, b, c, d) < 0;
  }

  private put(a: number, b: number, c: number, d: number): boolean {
    const { table } = this;
    const at = this.find(a, b, c, d);
    if (at < 0) return false;
    table[at] = a;
    table[at + 1] = b;
    table[at + 2] = c;
    table[at + 3] = d;
    return true;
  }

  /** The slot for a digest that is not in the table; -1 if it is. */
  private find(a: number, b: number, c: number, d: number): number {
    const { table } = this;
    const mask = this.slots - 1;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if ((table[at] | table[at + 1] | table[at + 2] | table[at + 3]) === 0) return at;
      if (((table[at] ^ a) | (table[at + 1] ^ b) | (table[at + 2] ^ c) | (table[at + 3] ^ d)) === 0) return -1;
    }
  }

  private grow(): void {
    const before = this.table;
    this.slots *= 2;
    this.table = new Uint32Array(this.slots * WORDS);
    for (let at = 0; at < before.length; at += WORDS) {
      const [a, b, c, d] = [before[at], before[at + 1], before[at + 2], before[at + 3]];
      if ((a | b | c | d) !== 0) this.put(a, b, c, d);
    }
  }
}
