import { randomInt } from 'node:crypto';
import { murmur3, type Words128 } from '../bytes/murmur3.js';

const WORDS = 4;
const FIRST_SLOTS = 1 << 12;
/** Share of the slots that is used before there are twice as many. */
const FULL = 0.7;

/**
 * Which keys of which databases were seen, as digests of 128 bits: 23 to 46 bytes a key, however long it is. Two keys that
 * meet are less likely than a memory that errs; the seed is another one in every run.
 */
export class KeySet {
  private slots = FIRST_SLOTS;
  private table = new Uint32Array(FIRST_SLOTS * WORDS);
  private used = 0;
  private readonly words: Words128 = [0, 0, 0, 0];
  private readonly seed = randomInt(2 ** 32);

  /** Whether the key is new; it is not any more then. */
  add(db: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { words } = this;
    murmur3(bytes, start, end, (this.seed ^ Math.imul(db, 0x9e3779b1)) >>> 0, words);
    if ((words[0] | words[1] | words[2] | words[3]) === 0) words[0] = 1; // four zeros are an empty slot
    if (!this.put(words[0], words[1], words[2], words[3])) return false;
    if (++this.used > this.slots * FULL) this.grow();
    return true;
  }

  private put(a: number, b: number, c: number, d: number): boolean {
    const { table } = this;
    const mask = this.slots - 1;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if ((table[at] | table[at + 1] | table[at + 2] | table[at + 3]) === 0) {
        table[at] = a;
        table[at + 1] = b;
        table[at + 2] = c;
        table[at + 3] = d;
        return true;
      }
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return false;
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
