import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import { BucketSet } from './buckets.js';
import { same128 } from './sum.js';

/** A record as a table takes it; borrowed. */
export interface KeyRecord {
  db: number;
  /** Which key of its side it is, where several may have this name now: its database there, and what gave it the name; -1 for nothing. */
  sourceDb: number;
  renamedBy: number;
  /** Of side B: side A may have left it out. */
  doubtful: boolean;
  keyBytes: Uint8Array;
  keyStart: number;
  keyEnd: number;
  /** The hash of database and key, and the digest of the value: four words each, from `at` on. */
  keys: Int32Array;
  values: Int32Array;
  at: number;
  /** Of a stream, where known: see ValueDigest. */
  offsets: Int32Array | undefined;
  /** Index into REDIS_TYPES. */
  type: number;
  hasExpire: boolean;
  /** Halves of Unix milliseconds. */
  expireHi: number;
  expireLo: number;
  /** As in ValueDigest; -1 where values were not read. */
  elements: number;
}

/** What is wrong with a key: `missing` on side B, `extra` on side B, or both have it and it differs. */
export type DifferenceKind = 'missing' | 'extra' | 'type' | 'expiry' | 'value';

/** What one side has of a key. */
export interface KeyFacts {
  readonly type: RedisType;
  /** Unix milliseconds; undefined for none. */
  readonly expireAt: number | undefined;
  /** As in ValueDigest; undefined where values were not read. */
  readonly elements: number | undefined;
}

export interface Difference {
  /** `missing` or `extra` alone; or `type`, `expiry` and `value`, in this order, as they apply. Values of different types differ anyway. */
  readonly kinds: readonly DifferenceKind[];
  readonly db: number;
  readonly key: Uint8Array;
  readonly a: KeyFacts | undefined;
  readonly b: KeyFacts | undefined;
}

export interface KeyTableOptions {
  /** The buckets that differ, and the number of all of them as a power of two. */
  readonly buckets: Iterable<number>;
  readonly bits: number;
  /** Bytes that the table may take. A single bucket may take more. */
  readonly limit: number;
  /** Milliseconds that expiries may be apart. */
  readonly tolerance: number;
  /** Whether values count. */
  readonly values: boolean;
}

/* Words of an entry. */
const HASH = 0;
const VALUE = 4;
const KEY_AT = 8;
const KEY_LENGTH = 9;
const DATABASE = 10;
const STATE = 11;
const A_EXPIRE = 12;
const A_ELEMENTS = 14;
const B_EXPIRE = 16;
const B_ELEMENTS = 18;
/** Of a stream on side A. */
const OFFSETS = 20;
/** Which key of side A it is. */
const A_DATABASE = 24;
const A_RENAMED_BY = 25;
const ENTRY = 26;

/* Bits of STATE: the types of both sides, from bits 0 and 8 on, and what is known of the key. */
const TYPE_MASK = 0xff;
const B_TYPE = 8;
const ON_A = 1 << 16;
const ON_B = 1 << 17;
const A_HAS_EXPIRE = 1 << 18;
const B_HAS_EXPIRE = 1 << 19;
const HAS_OFFSETS = 1 << 20;
const OTHER_TYPE = 1 << 22;
const OTHER_EXPIRY = 1 << 23;
const OTHER_VALUE = 1 << 24;
/** Several keys of side A have become this one. */
const MET = 1 << 25;
const DOUBTED = 1 << 26;
const DIFFERS = OTHER_TYPE | OTHER_EXPIRY | OTHER_VALUE;

const FIRST_ENTRIES = 256;
const FIRST_ARENA = 1 << 14;
/** Bytes of a place in the index; half of the places are empty at least. */
const PLACE = 4;

/**
 * Pass 2 of a comparison: the keys of side A in the buckets that differ, with which those of side B are compared. A key that comes twice on
 * a side counts as it came last, so a key that is scanned twice makes no difference and hides none.
 *
 * If the table would take more bytes than it may, it gives up the upper half of its buckets, whatever side is being read: `left` has them
 * for another pass over both sides.
 */
export class KeyTable {
  readonly wanted: BucketSet;
  /** Buckets that were given up. */
  readonly left: number[] = [];
  private entries = new Int32Array(FIRST_ENTRIES * ENTRY);
  private count = 0;
  private index = new Int32Array(FIRST_ENTRIES * 2);
  private arena = new Uint8Array(FIRST_ARENA);
  private arenaLength = 0;

  constructor(private readonly options: KeyTableOptions) {
    this.wanted = new BucketSet(options.bits, options.buckets);
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.entries.byteLength + this.index.byteLength + this.arena.byteLength;
  }

  wants(keys: Int32Array, at: number): boolean {
    return this.wanted.hasKey(keys, at);
  }

  /** Takes a record of side A. */
  addA(record: KeyRecord): void {
    const at = this.entryOf(record);
    if (at < 0) return;
    const { entries } = this;
    const { hasExpire, offsets, renamedBy, sourceDb, type } = record;
    const before = entries[at + STATE];
    const isOther = entries[at + A_DATABASE] !== sourceDb || entries[at + A_RENAMED_BY] !== renamedBy;
    const met = (before & ON_A) !== 0 && isOther ? MET : before & MET;
    entries[at + A_DATABASE] = sourceDb;
    entries[at + A_RENAMED_BY] = renamedBy;
    for (let i = 0; i < 4; i++) entries[at + VALUE + i] = record.values[record.at + i];
    if (offsets !== undefined) entries.set(offsets, at + OFFSETS);
    entries[at + STATE] = ON_A | met | type | (hasExpire ? A_HAS_EXPIRE : 0) | (offsets === undefined ? 0 : HAS_OFFSETS);
    this.putFacts(at, A_EXPIRE, A_ELEMENTS, record);
  }

  /** Compares a record of side B. */
  addB(record: KeyRecord): void {
    const at = this.entryOf(record);
    if (at < 0) return;
    const { entries } = this;
    const { doubtful, hasExpire, type } = record;
    let state = (entries[at + STATE] & ~(DIFFERS | (TYPE_MASK << B_TYPE) | B_HAS_EXPIRE)) | ON_B | (type << B_TYPE);
    if (hasExpire) state |= B_HAS_EXPIRE;
    if (doubtful) state |= DOUBTED;
    this.putFacts(at, B_EXPIRE, B_ELEMENTS, record);
    if ((state & ON_A) !== 0) {
      if ((state & TYPE_MASK) !== type) state |= OTHER_TYPE;
      else if (this.options.values && !this.hasValue(at, record)) state |= OTHER_VALUE;
      if (this.expiryDiffers(at, state)) state |= OTHER_EXPIRY;
    }
    entries[at + STATE] = state;
  }

  private hasValue(at: number, { at: from, offsets, values }: KeyRecord): boolean {
    const { entries } = this;
    if (!same128(entries, at + VALUE, values, from)) return false;
    // an older server does not know them
    return offsets === undefined || (entries[at + STATE] & HAS_OFFSETS) === 0 || same128(entries, at + OFFSETS, offsets, 0);
  }

  private expiryDiffers(at: number, state: number): boolean {
    const { entries } = this;
    if ((state & A_HAS_EXPIRE) === 0 || (state & B_HAS_EXPIRE) === 0) return (state & (A_HAS_EXPIRE | B_HAS_EXPIRE)) !== 0;
    const { tolerance } = this.options;
    const [a, b] = [at + A_EXPIRE, at + B_EXPIRE];
    if (tolerance === 0) return entries[a] !== entries[b] || entries[a + 1] !== entries[b + 1];
    return Math.abs(this.number(a) - this.number(b)) > tolerance;
  }

  /** The entry of a key, a new one if there is none; -1 if its bucket is not wanted, or not any more. */
  private entryOf(record: KeyRecord): number {
    if (!this.wants(record.keys, record.at)) return -1;
    const found = this.find(record);
    if (found >= 0) return found;
    const size = record.keyEnd - record.keyStart;
    if (!this.makeRoom(record, size)) return -1;
    const { entries } = this;
    const at = this.count++ * ENTRY;
    for (let i = 0; i < 4; i++) entries[at + HASH + i] = record.keys[record.at + i];
    entries[at + DATABASE] = record.db;
    entries[at + KEY_LENGTH] = size;
    entries[at + KEY_AT] = this.arenaLength;
    this.arena.set(record.keyBytes.subarray(record.keyStart, record.keyEnd), this.arenaLength);
    this.arenaLength += size;
    entries[at + STATE] = 0;
    this.place(at);
    return at;
  }

  private putFacts(at: number, expire: number, elements: number, record: KeyRecord): void {
    const { entries } = this;
    entries[at + expire] = record.expireLo;
    entries[at + expire + 1] = record.expireHi;
    entries[at + elements] = record.elements >>> 0;
    entries[at + elements + 1] = Math.floor(record.elements / 0x100000000);
  }

  /** Two words as an integer. */
  private number(at: number): number {
    return this.entries[at + 1] * 0x100000000 + (this.entries[at] >>> 0);
  }

  private find({ at, keyBytes, keyEnd, keyStart, keys }: KeyRecord): number {
    const { arena, entries, index } = this;
    const mask = index.length - 1;
    for (let place = keys[at + 1] & mask; index[place] !== 0; place = (place + 1) & mask) {
      const entry = (index[place] - 1) * ENTRY;
      if (!same128(entries, entry + HASH, keys, at) || entries[entry + KEY_LENGTH] !== keyEnd - keyStart) continue;
      const from = entries[entry + KEY_AT];
      if (Buffer.compare(arena.subarray(from, from + keyEnd - keyStart), keyBytes.subarray(keyStart, keyEnd)) === 0) return entry;
    }
    return -1;
  }

  private place(at: number): void {
    const { entries, index } = this;
    const mask = index.length - 1;
    let place = entries[at + HASH + 1] & mask;
    while (index[place] !== 0) place = (place + 1) & mask;
    index[place] = at / ENTRY + 1;
  }

  /** Makes room for another entry with these bytes. Returns false if its bucket was given up for that. */
  private makeRoom(record: KeyRecord, bytes: number): boolean {
    while (!this.fits(bytes)) {
      if (!this.giveUpHalf()) break;
      if (!this.wants(record.keys, record.at)) return false;
    }
    this.grow(bytes);
    return true;
  }

  /** Sizes of the table with another entry: of entries, of the index, of the arena. */
  private sizes(bytes: number): readonly [entries: number, index: number, arena: number] {
    const entries = (this.count + 1) * ENTRY > this.entries.length ? this.entries.length * 2 : this.entries.length;
    const arenaUsed = this.arenaLength + bytes;
    const arena = arenaUsed > this.arena.length ? Math.max(this.arena.length * 2, arenaUsed) : this.arena.length;
    return [entries, (2 * entries) / ENTRY, arena];
  }

  private fits(bytes: number): boolean {
    const [entries, index, arena] = this.sizes(bytes);
    const grows = entries > this.entries.length || arena > this.arena.length;
    return !grows || entries * 4 + index * PLACE + arena <= this.options.limit;
  }

  private grow(bytes: number): void {
    const [entries, index, arena] = this.sizes(bytes);
    if (arena > this.arena.length) {
      const before = this.arena.subarray(0, this.arenaLength);
      this.arena = new Uint8Array(arena);
      this.arena.set(before);
    }
    if (entries === this.entries.length) return;
    const before = this.entries.subarray(0, this.count * ENTRY);
    this.entries = new Int32Array(entries);
    this.entries.set(before);
    this.index = new Int32Array(index);
    this.placeAll();
  }

  private placeAll(): void {
    this.index.fill(0);
    for (let entry = 0; entry < this.count; entry++) this.place(entry * ENTRY);
  }

  /** Leaves the upper half of the buckets to another pass. Returns false if there is only one. */
  private giveUpHalf(): boolean {
    const { wanted } = this;
    if (wanted.size < 2) return false;
    const upper = [...wanted].slice(Math.ceil(wanted.size / 2));
    for (const bucket of upper) wanted.delete(bucket);
    this.left.push(...upper);
    this.compact();
    return true;
  }

  /** Drops the entries whose buckets are not wanted any more, with their keys. */
  private compact(): void {
    const { arena, entries } = this;
    const all = this.count;
    this.count = this.arenaLength = 0;
    for (let entry = 0; entry < all; entry++) {
      const from = entry * ENTRY;
      if (!this.wants(entries, from + HASH)) continue;
      const at = this.count++ * ENTRY;
      entries.copyWithin(at, from, from + ENTRY);
      const key = entries[at + KEY_AT];
      const size = entries[at + KEY_LENGTH];
      entries[at + KEY_AT] = this.arenaLength;
      arena.copyWithin(this.arenaLength, key, key + size); // keys follow one another as their entries do
      this.arenaLength += size;
    }
    this.placeAll();
  }

  /**
   * What differs, after side B was read. A key that only one side has, and that expires up to `now` (Unix milliseconds), has expired since
   * that side was read: it is excused. So is one that the other side may have had with an expiry within the tolerance.
   */
  *differences(now: number): Generator<Difference, KeyTableCounts, void> {
    const counts = { same: 0, missing: 0, extra: 0, different: 0, excused: 0, met: 0, firstMet: undefined as MetKey | undefined };
    for (let entry = 0; entry < this.count; entry++) {
      const at = entry * ENTRY;
      const state = this.entries[at + STATE];
      if ((state & MET) !== 0) {
        counts.met++;
        counts.firstMet ??= { db: this.entries[at + DATABASE], key: this.keyAt(at) };
      }
      if ((state & ON_A) !== 0 && (state & ON_B) !== 0) {
        if ((state & DIFFERS) === 0) {
          counts.same++;
        } else {
          counts.different++;
          yield this.difference(at, kindsOf(state));
        }
      } else if (this.hasExpired(at, state, now)) {
        counts.excused++;
      } else if ((state & DOUBTED) === 0) {
        const kind = (state & ON_A) !== 0 ? 'missing' : 'extra';
        counts[kind]++;
        yield this.difference(at, [kind]);
      }
    }
    return counts;
  }

  private hasExpired(at: number, state: number, now: number): boolean {
    const onA = (state & ON_A) !== 0;
    if ((state & (onA ? A_HAS_EXPIRE : B_HAS_EXPIRE)) === 0) return false;
    return this.number(at + (onA ? A_EXPIRE : B_EXPIRE)) - this.options.tolerance <= now;
  }

  private keyAt(at: number): Uint8Array {
    const from = this.entries[at + KEY_AT];
    return this.arena.slice(from, from + this.entries[at + KEY_LENGTH]);
  }

  private difference(at: number, kinds: readonly DifferenceKind[]): Difference {
    const { entries } = this;
    const state = entries[at + STATE];
    const facts = (type: number, hasExpire: number, expire: number, elements: number): KeyFacts => {
      const count = this.number(at + elements);
      return {
        type: REDIS_TYPES[type & TYPE_MASK],
        expireAt: (state & hasExpire) === 0 ? undefined : this.number(at + expire),
        elements: count < 0 ? undefined : count,
      };
    };
    return {
      kinds,
      db: entries[at + DATABASE],
      key: this.keyAt(at),
      a: (state & ON_A) === 0 ? undefined : facts(state, A_HAS_EXPIRE, A_EXPIRE, A_ELEMENTS),
      b: (state & ON_B) === 0 ? undefined : facts(state >> B_TYPE, B_HAS_EXPIRE, B_EXPIRE, B_ELEMENTS),
    };
  }
}

/** Keys of the buckets that were compared. */
export interface KeyTableCounts {
  readonly same: number;
  readonly missing: number;
  readonly extra: number;
  /** On both sides, but with another type, expiry or value. */
  readonly different: number;
  /** On one side only, and expired since. */
  readonly excused: number;
  /** Keys that several of side A have become, which count as the last of those, and the first of them. */
  readonly met: number;
  readonly firstMet: MetKey | undefined;
}

export interface MetKey {
  readonly db: number;
  readonly key: Uint8Array;
}

function kindsOf(state: number): DifferenceKind[] {
  const kinds: DifferenceKind[] = [];
  if ((state & OTHER_TYPE) !== 0) kinds.push('type');
  if ((state & OTHER_EXPIRY) !== 0) kinds.push('expiry');
  if ((state & OTHER_VALUE) !== 0) kinds.push('value');
  return kinds;
}
