import { randomSeed } from './domains.js';
import { KeyHash } from './key-hash.js';

/** A key with its database. */
export interface ListedKey {
  readonly db: number;
  readonly key: Uint8Array;
}

/* Words of an entry. */
const HASH = 0;
const KEY_AT = 1;
const KEY_LENGTH = 2;
const DATABASE = 3;
const ENTRY = 4;

const FIRST_ENTRIES = 64;
const FIRST_ARENA = 1 << 12;
/** Bytes that a list may take: several million keys of usual length. */
const MOST_BYTES = 256 << 20;

/** Keys by database, each once, numbered in the order in which they came. */
export class KeyList {
  size = 0;
  private readonly hash = new KeyHash(randomSeed());
  private entries = new Int32Array(FIRST_ENTRIES * ENTRY);
  /** The number of an entry and one, by hash; half of the places are empty at least. */
  private index = new Int32Array(FIRST_ENTRIES * 2);
  private arena = new Uint8Array(FIRST_ARENA);
  private used = 0;

  constructor(private readonly limit = MOST_BYTES) {}

  /** The number of the key, a new one if it is not listed; -1 if there is no room for it. */
  add(db: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    const [hash] = this.hash.of(db, bytes, start, end);
    const found = this.lookUp(hash, db, bytes, start, end);
    if (found >= 0) return found;
    if (!this.makeRoom(end - start)) return -1;
    const { entries } = this;
    const at = this.size * ENTRY;
    entries[at + HASH] = hash;
    entries[at + KEY_AT] = this.used;
    entries[at + KEY_LENGTH] = end - start;
    entries[at + DATABASE] = db;
    this.arena.set(bytes.subarray(start, end), this.used);
    this.used += end - start;
    this.place(this.size);
    return this.size++;
  }

  /** The number of the key, or -1. */
  find(db: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.lookUp(this.hash.of(db, bytes, start, end)[0], db, bytes, start, end);
  }

  has(db: number, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    return this.find(db, bytes, start, end) >= 0;
  }

  /** The keys, which are views. */
  *[Symbol.iterator](): Generator<ListedKey, void, void> {
    for (let i = 0; i < this.size; i++) {
      const { arena, entries } = this;
      const at = i * ENTRY;
      const from = entries[at + KEY_AT];
      yield { db: entries[at + DATABASE], key: arena.subarray(from, from + entries[at + KEY_LENGTH]) };
    }
  }

  private lookUp(hash: number, db: number, bytes: Uint8Array, start: number, end: number): number {
    const { arena, entries, index } = this;
    const mask = index.length - 1;
    for (let place = hash & mask; index[place] !== 0; place = (place + 1) & mask) {
      const at = (index[place] - 1) * ENTRY;
      if (entries[at + HASH] !== hash || entries[at + DATABASE] !== db || entries[at + KEY_LENGTH] !== end - start) continue;
      const from = entries[at + KEY_AT];
      if (Buffer.compare(arena.subarray(from, from + end - start), bytes.subarray(start, end)) === 0) return index[place] - 1;
    }
    return -1;
  }

  private place(entry: number): void {
    const { entries, index } = this;
    const mask = index.length - 1;
    let place = entries[entry * ENTRY + HASH] & mask;
    while (index[place] !== 0) place = (place + 1) & mask;
    index[place] = entry + 1;
  }

  /** Returns false if the list would take too many bytes. */
  private makeRoom(bytes: number): boolean {
    const entries = this.entries.length * ((this.size + 1) * ENTRY > this.entries.length ? 2 : 1);
    const arena = this.used + bytes > this.arena.length ? Math.max(this.arena.length * 2, this.used + bytes) : this.arena.length;
    const places = (2 * entries) / ENTRY;
    const grows = entries > this.entries.length || arena > this.arena.length;
    if (grows && 4 * (entries + places) + arena > this.limit) return false;
    if (arena > this.arena.length) {
      const before = this.arena.subarray(0, this.used);
      this.arena = new Uint8Array(arena);
      this.arena.set(before);
    }
    if (entries === this.entries.length) return true;
    const before = this.entries;
    this.entries = new Int32Array(entries);
    this.entries.set(before);
    this.index = new Int32Array(places);
    for (let entry = 0; entry < this.size; entry++) this.place(entry);
    return true;
  }
}
