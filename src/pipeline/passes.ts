import { mixed } from '../bytes/murmur3.js';
import { EMPTY } from '../encodings/element.js';
import {
  DB, DOUBTFUL, DROPPED, END, EXPIRE, FILTERED, FLAGS, HAS_EXPIRE, HEAD_EDITED, KEY_APART, KEY_END, KEY_HELD, KEY_START, KIND, OFFSET,
  RECORD, ROW_WORDS, START, TYPE,
} from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { REDIS_TYPES } from '../rdb/frame-table.js';
import type { Filter, KeyPlace, RecordHead } from '../values/filters.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';

/** Marks or edits the rows of every batch before the sink gets it; never touches bytes. */
export type Pass = (batch: Batch) => void;

/** Calls `visit` for every record that was not dropped, with its row and the index of the row's first word. */
function forEachRecord({ rows, table: { words } }: Batch, visit: (at: number, row: number) => void): void {
  for (let row = 0, at = 0; row < rows; row++, at += ROW_WORDS) {
    if (words[at + KIND] === RECORD && (words[at + FLAGS] & DROPPED) === 0) visit(at, row);
  }
}

/** The head of a row, for filters. */
const head: RecordHead = { db: 0, redisType: 'string', keyBytes: EMPTY, keyStart: 0, keyEnd: 0, hasExpire: false, expireAt: -1 };

/** Drops records that do not pass the filter. */
export function filterRows(batch: Batch, filter: Filter): void {
  const { bytes, codec, rows, table } = batch;
  const { words } = table;
  const { maxSize, minSize, plain } = filter;
  for (let row = 0; row < rows; row++) {
    if (plain !== undefined) row = codec.filterRows(plain, words, row, rows, bytes);
    if (row === rows) break;
    const at = row * ROW_WORDS;
    if (words[at + KIND] !== RECORD) continue;
    const flags = words[at + FLAGS];
    head.db = words[at + DB];
    head.redisType = REDIS_TYPES[words[at + TYPE]];
    head.hasExpire = (flags & HAS_EXPIRE) !== 0;
    head.expireAt = head.hasExpire ? table.expireAt(row) : -1;
    if ((flags & (KEY_APART | KEY_HELD)) === 0) {
      head.keyBytes = bytes;
      head.keyStart = words[at + KEY_START];
      head.keyEnd = words[at + KEY_END];
    } else {
      batch.readKey(row, head);
    }
    const size = words[at + END] - words[at + START];
    if (filter.head(head) && size >= minSize && size <= maxSize) continue;
    words[at + FLAGS] = flags | DROPPED | FILTERED;
  }
  head.keyBytes = EMPTY;
}

/** Options that change keys, apart from their values. */
export interface Edits {
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  /** From the database number in the source; unlisted ones stay. */
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** Remove expiries. */
  readonly stripTtl?: boolean | undefined;
  /** Milliseconds added to expiries. */
  readonly ttlShift?: number | undefined;
  /** All keys go to this database. */
  readonly intoDb?: number | undefined;
}

export function editsOf({ dbMap, intoDb, keyPrefixMap, stripTtl: strip, ttlShift = 0 }: Edits): Pass[] {
  return [
    ...(keyPrefixMap === undefined ? [] : [renameKeys(keyPrefixMap)]),
    ...(intoDb !== undefined ? [mapDatabases(() => intoDb)] : dbMap === undefined ? [] : [mapDatabases((db) => dbMap.get(db) ?? db)]),
    ...(strip === true ? [stripTtl] : ttlShift === 0 ? [] : [shiftTtl(ttlShift)]),
  ];
}

/** Gives keys their new names. */
export function renameKeys(prefixes: KeyPrefixes): Pass {
  const { pairs } = prefixes;
  const key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  return (batch) => {
    const { rows, table: { words } } = batch;
    for (let row = 0; row < rows; row++) {
      row = batch.renameRows(pairs, row);
      if (row === rows) return;
      const at = row * ROW_WORDS;
      if (words[at + KIND] !== RECORD || (words[at + FLAGS] & DROPPED) !== 0) continue;
      batch.readKey(row, key);
      const number = prefixes.pairOf(key);
      if (number >= 0) batch.rename(row, pairs[number], number);
    }
  };
}

/** Marks keys that may have been left out elsewhere. */
export function doubtKeys(isSure: (key: KeyPlace) => boolean): Pass {
  const key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  return (batch) => {
    const { words } = batch.table;
    forEachRecord(batch, (at, row) => {
      batch.readKey(row, key);
      if (!isSure(key)) words[at + FLAGS] |= DOUBTFUL;
    });
  };
}

/** Maps database numbers. */
export function mapDatabases(map: (db: number) => number): Pass {
  return (batch) => {
    const { words } = batch.table;
    forEachRecord(batch, (at) => (words[at + DB] = map(words[at + DB])));
  };
}

/** Removes expiries. */
export const stripTtl: Pass = (batch) => {
  const { words } = batch.table;
  forEachRecord(batch, (at) => {
    const flags = words[at + FLAGS];
    if ((flags & HAS_EXPIRE) !== 0) words[at + FLAGS] = (flags & ~HAS_EXPIRE) | HEAD_EDITED;
  });
};

/** Adds milliseconds to expiries. */
export function shiftTtl(by: number): Pass {
  return (batch) => {
    const { table } = batch;
    const { words } = table;
    forEachRecord(batch, (at, row) => {
      if ((words[at + FLAGS] & HAS_EXPIRE) === 0) return;
      const sum = table.expireAt(row) + by;
      if (Number.isSafeInteger(sum)) {
        words[at + EXPIRE] = sum | 0;
        words[at + EXPIRE + 1] = Math.floor(sum / 0x100000000);
      } else {
        const exact = ((BigInt(words[at + EXPIRE + 1]) << 32n) | BigInt(words[at + EXPIRE] >>> 0)) + BigInt(by);
        words[at + EXPIRE] = Number(BigInt.asIntN(32, exact));
        words[at + EXPIRE + 1] = Number(BigInt.asIntN(32, exact >> 32n));
      }
      words[at + FLAGS] |= HEAD_EDITED;
    });
  };
}

/** Drops records whose value is at a lower offset of the file. */
export function dropBefore(offset: number): Pass {
  return (batch) => {
    const { table } = batch;
    if (batch.rows === 0 || table.double(0, OFFSET) >= offset) return;
    forEachRecord(batch, (at, row) => {
      if (table.double(row, OFFSET) < offset) table.words[at + FLAGS] |= DROPPED;
    });
  };
}

/** Keeps this share of the keys, chosen by a hash of the key: the same keys in every source. */
export function sampleKeys(share: number): Pass {
  const limit = share * 2 ** 32;
  const key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  return (batch) => {
    const { words } = batch.table;
    forEachRecord(batch, (at, row) => {
      batch.readKey(row, key);
      if (keyHash(key.keyBytes, key.keyStart, key.keyEnd) >= limit) words[at + FLAGS] |= DROPPED | FILTERED;
    });
  };
}

/** Keeps the keys that are wanted, by database and key. */
export function onlyWanted(wants: (db: number, key: Uint8Array, start: number, end: number) => boolean): Pass {
  const key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  return (batch) => {
    const { words } = batch.table;
    forEachRecord(batch, (at, row) => {
      batch.readKey(row, key);
      if (!wants(words[at + DB], key.keyBytes, key.keyStart, key.keyEnd)) words[at + FLAGS] |= DROPPED | FILTERED;
    });
  };
}

/** FNV-1a, and the end of MurmurHash3, which spreads its bits: 32 bits, unsigned. */
function keyHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return mixed(hash) >>> 0;
}
