import { keySlot, SLOTS } from '../bytes/crc16.js';
import { EMPTY } from '../encodings/element.js';
import { DROPPED, FLAGS, HAS_EXPIRE, KIND, RECORD, ROW_WORDS } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';

export interface KeyCountsOptions {
  /** The bytes of which the first one ends a prefix. */
  readonly delimiters: Uint8Array;
  /** Whether keys are counted by slot. */
  readonly slots: boolean;
  /** Most prefixes (default 10,000). */
  readonly most?: number | undefined;
}

const MOST_PREFIXES = 10_000;
/** Bytes of a prefix that is counted. Longer ones are others. */
const LONGEST = 256;
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Counts keys by prefix (up to and with the first delimiter), by slot, and those with an expiry. Memory is bounded: the prefixes that come
 * first are counted, exactly, from their first key to their last; all others together.
 */
export class KeyCounts {
  withExpiry = 0;
  /** Keys that have no delimiter. */
  withoutPrefix = 0;
  /** Keys of prefixes that are not counted. */
  others = 0;
  /** Keys by slot; empty if that was not asked for. */
  readonly slots: Float64Array;
  private readonly most: number;
  private readonly ends = new Uint8Array(256);
  private readonly names: Uint8Array[] = [];
  private readonly keys: number[] = [];
  /** Places of names, plus 1: half of them are empty at least. */
  private readonly index: Int32Array;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(private readonly options: KeyCountsOptions) {
    const { delimiters, most = MOST_PREFIXES, slots } = options;
    this.most = most;
    for (const byte of delimiters) this.ends[byte] = 1;
    this.slots = new Float64Array(slots ? SLOTS : 0);
    this.index = new Int32Array(2 ** Math.ceil(Math.log2(2 * most)));
  }

  /** Prefixes that are counted, with their keys. */
  get prefixes(): [name: Uint8Array, keys: number][] {
    return this.names.map((name, i) => [name, this.keys[i]]);
  }

  /** Takes rows [batch.from, to). `now`: keys that expire up to then are left out. */
  rows(batch: Batch, to: number, now: number): void {
    const { key, options } = this;
    const { table } = batch;
    const { words } = table;
    for (let row = batch.from; row < to; row++) {
      const at = row * ROW_WORDS;
      const flags = words[at + FLAGS];
      if (words[at + KIND] !== RECORD || (flags & DROPPED) !== 0) continue;
      if ((flags & HAS_EXPIRE) !== 0) {
        if (table.expireAt(row) <= now) continue;
        this.withExpiry++;
      }
      batch.readKey(row, key);
      this.prefix(key.keyBytes, key.keyStart, key.keyEnd);
      if (options.slots) this.slots[keySlot(key.keyBytes, key.keyStart, key.keyEnd)]++;
    }
    key.keyBytes = EMPTY;
  }

  private prefix(bytes: Uint8Array, start: number, end: number): void {
    const { ends } = this;
    const stop = Math.min(end, start + LONGEST);
    let hash = FNV_BASIS;
    for (let i = start; i < stop; i++) {
      const byte = bytes[i];
      hash = Math.imul(hash ^ byte, FNV_PRIME);
      if (ends[byte] === 1) {
        this.count(bytes, start, i + 1, hash);
        return;
      }
    }
    let rest = stop;
    while (rest < end && ends[bytes[rest]] === 0) rest++;
    if (rest === end) this.withoutPrefix++;
    else this.others++;
  }

  private count(bytes: Uint8Array, start: number, end: number, hash: number): void {
    const { index, keys, names } = this;
    const mask = index.length - 1;
    let place = (hash ^ (hash >>> 15)) & mask;
    for (; index[place] !== 0; place = (place + 1) & mask) {
      const found = index[place] - 1;
      if (isSame(names[found], bytes, start, end)) {
        keys[found]++;
        return;
      }
    }
    if (names.length === this.most) {
      this.others++;
      return;
    }
    names.push(bytes.slice(start, end));
    keys.push(1);
    index[place] = names.length;
  }
}

function isSame(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
