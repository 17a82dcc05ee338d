import { KeyedHash } from '../../bytes/keyed-hash.js';
import type { Words128 } from '../../bytes/murmur3.js';

/** Bytes of names that are held; of further keys there are digests. */
const NAMES = 16 << 20;
/** What stands before a name: its length, its database, and what `digest` gives. */
const HEAD = 12;
const FIRST_NAMES = 1 << 16;
const FIRST_SLOTS = 1 << 10;
/** Parts of the table of digests, each of which grows by itself, so that growing needs little more memory. */
const PARTS = 256;
const FIRST_PART = 8;
/** A part of the table grows to 1.5 times when it is fuller than this: it is at least 0.57 full then, which is 14 bytes a key. */
const FULL = 0.86;

/** The database of a key of which only the name is known. */
export const ANY_DB = -1;

/**
 * Keys that are to be fetched, each once. The first ones are held by name, in 16 MiB and a table of at most 16 MiB. Of those beyond that,
 * there are only digests, under a random key: at most 16 bytes for each.
 */
export class PendingKeys {
  /** Unix milliseconds when the first one came; Infinity if there is none. */
  since = Infinity;
  /** Keys of which there is only a digest. */
  digests = 0;
  private names = 0;
  private arena = new Uint8Array(FIRST_NAMES);
  private view = new DataView(this.arena.buffer);
  private used = 0;
  /** Where names begin, plus 1; by their hash. */
  private slots = new Uint32Array(FIRST_SLOTS);
  private readonly parts: Uint32Array[] = [];
  private readonly counts = new Uint32Array(PARTS);
  private readonly words: Words128 = [0, 0, 0, 0];

  constructor(
    private readonly hash = new KeyedHash(),
    /** Bytes of names. */
    private readonly most = NAMES,
  ) {}

  get size(): number {
    return this.names + this.digests;
  }

  /** Bytes of memory that it holds. */
  get bytes(): number {
    return this.arena.length + 4 * this.slots.length + this.parts.reduce((sum, part) => sum + 4 * part.length, 0);
  }

  add(db: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.hash.of(bytes, start, end, this.words, db);
    const slot = this.slotOf(db, bytes, start, end);
    if (this.slots[slot] !== 0) return;
    if (this.size === 0) this.since = Date.now();
    if (this.digests > 0 || this.used + HEAD + end - start > this.most) this.addDigest();
    else this.addName(slot, db, bytes, start, end);
  }

  private addName(slot: number, db: number, bytes: Uint8Array, start: number, end: number): void {
    const size = HEAD + end - start;
    if (this.used + size > this.arena.length) {
      const grown = new Uint8Array(Math.min(this.most, Math.max(2 * this.arena.length, this.used + size)));
      grown.set(this.arena.subarray(0, this.used));
      this.arena = grown;
      this.view = new DataView(grown.buffer);
    }
    const { used, view } = this;
    view.setUint32(used, end - start);
    view.setInt32(used + 4, db);
    view.setUint32(used + 8, this.words[0]);
    this.arena.set(bytes.subarray(start, end), used + HEAD);
    this.slots[slot] = used + 1;
    this.used += size;
    this.names++;
    if (2 * this.names > this.slots.length) this.widen();
  }

  private widen(): void {
    const { view } = this;
    const slots = new Uint32Array(2 * this.slots.length);
    for (let at = 0; at < this.used; at += HEAD + view.getUint32(at)) {
      let slot = view.getUint32(at + 8) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = at + 1;
    }
    this.slots = slots;
  }

  /** Where a name is, or belongs. */
  private slotOf(db: number, bytes: Uint8Array, start: number, end: number): number {
    const { arena, slots, view, words } = this;
    const size = end - start;
    for (let slot = words[0] & (slots.length - 1); ; slot = (slot + 1) & (slots.length - 1)) {
      const at = slots[slot] - 1;
      if (at < 0) return slot;
      if (view.getUint32(at + 8) !== words[0] || view.getUint32(at) !== size || view.getInt32(at + 4) !== db) continue;
      let i = 0;
      while (i < size && arena[at + HEAD + i] === bytes[start + i]) i++;
      if (i === size) return slot;
    }
  }

  private addDigest(): void {
    if (this.parts.length === 0) for (let i = 0; i < PARTS; i++) this.parts.push(new Uint32Array(2 * FIRST_PART));
    const [, second, third] = this.words;
    const number = second & (PARTS - 1);
    const low = third === 0 && second === 0 ? 1 : third; // 0 is an empty place
    let part = this.parts[number];
    if (this.counts[number] + 1 > (FULL * part.length) / 2) {
      part = new Uint32Array(2 * Math.ceil(0.75 * part.length));
      for (let at = 0; at < this.parts[number].length; at += 2) {
        const [high, rest] = [this.parts[number][at], this.parts[number][at + 1]];
        if (high === 0 && rest === 0) continue;
        const place = placeIn(part, high, rest);
        part[place] = high;
        part[place + 1] = rest;
      }
      this.parts[number] = part;
    }
    const place = placeIn(part, second, low);
    if (part[place] !== 0 || part[place + 1] !== 0) return;
    part[place] = second;
    part[place + 1] = low;
    this.counts[number]++;
    this.digests++;
  }

  /** Whether a key may be among those of which there are only digests. */
  hasDigest(db: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    if (this.digests === 0) return false;
    this.hash.of(bytes, start, end, this.words, db);
    const [, second, third] = this.words;
    const part = this.parts[second & (PARTS - 1)];
    const place = placeIn(part, second, third === 0 && second === 0 ? 1 : third);
    return part[place] !== 0 || part[place + 1] !== 0;
  }

  /** Those that are held by name; keys are views. */
  *all(): Generator<{ db: number; key: Uint8Array }, void, void> {
    for (let at = 0; at < this.used; ) {
      const { arena, view } = this;
      const size = view.getUint32(at);
      yield { db: view.getInt32(at + 4), key: arena.subarray(at + HEAD, at + HEAD + size) };
      at += HEAD + size;
    }
  }
}

/** Where a digest is in a part of the table, or belongs. */
function placeIn(part: Uint32Array, high: number, low: number): number {
  const places = part.length / 2;
  for (let place = low % places; ; place = place + 1 === places ? 0 : place + 1) {
    const at = 2 * place;
    if ((part[at] === 0 && part[at + 1] === 0) || (part[at] === high && part[at + 1] === low)) return at;
  }
}
