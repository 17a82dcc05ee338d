/*
 * Rows of a batch (../layout.ts) that a filter lets through (values/filters.ts is the reference), and how many there are
 * (../count-rows.ts). Which keys pass is often like a toss of a coin, so that a branch on it costs more than the work it saves.
 */
import { ANY_KEY, DROPPED, FILTERED, HAS_EXPIRE, KEY_HELD, RECORD, TTL_ALL, TTL_EXPIRED, TTL_LIVE, TTL_NONE } from '../layout';
import {
  DB, END, EXPIRE, FILTER_DBS, FILTER_MAX_SIZE, FILTER_MIN_SIZE, FILTER_NOT_PREFIXES, FILTER_NOW, FILTER_PREFIXES, FILTER_TTL, FILTER_TYPES,
  FLAGS, KEY_END, KEY_START, KIND, ROW, START, TYPE,
} from './row';

/** Marks those of rows [row, rows), whose positions count from `base`, that do not pass. Returns the first whose key is out of reach. */
export function filterRows(filter: usize, table: usize, row: i32, rows: i32, base: usize): i32 {
  const dbs = load<u32>(filter, FILTER_DBS) as usize;
  const types = load<u32>(filter, FILTER_TYPES) as usize;
  const prefixes = load<u32>(filter, FILTER_PREFIXES) as usize;
  const notPrefixes = load<u32>(filter, FILTER_NOT_PREFIXES) as usize;
  const ttl = load<i32>(filter, FILTER_TTL);
  const now = load<f64>(filter, FILTER_NOW);
  const minSize = load<f64>(filter, FILTER_MIN_SIZE);
  const maxSize = load<f64>(filter, FILTER_MAX_SIZE);
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    if (load<i32>(at, KIND) != RECORD) continue;
    const flags = load<i32>(at, FLAGS);
    if ((flags & KEY_HELD) != 0) break;
    const size = (load<i32>(at, END) - load<i32>(at, START)) as f64;
    let passes = ((size >= minSize) as i32) & ((size <= maxSize) as i32);
    if (ttl != TTL_ALL) passes &= ((expiryState(at, flags, now) & ttl) != 0) as i32;
    if (types != 0) passes &= load<u8>(types + (load<u32>(at, TYPE) as usize)) as i32;
    if (dbs != 0) passes &= holds(dbs, load<i32>(at, DB));
    const start = base + (load<u32>(at, KEY_START) as usize);
    const end = base + (load<u32>(at, KEY_END) as usize);
    if (prefixes != 0) passes &= begins(prefixes, start, end);
    if (notPrefixes != 0) passes &= 1 - begins(notPrefixes, start, end);
    store<i32>(at, flags | ((passes - 1) & (DROPPED | FILTERED)), FLAGS);
  }
  return row;
}

@inline
function expiryState(row: usize, flags: i32, now: f64): i32 {
  if ((flags & HAS_EXPIRE) == 0) return TTL_NONE;
  return (load<i64>(row, EXPIRE) as f64) <= now ? TTL_EXPIRED : TTL_LIVE;
}

function holds(list: usize, number: i32): i32 {
  const end = list + ((load<u32>(list) as usize) << 2);
  for (let at = list; at < end; at += 4) if (load<i32>(at, 4) == number) return 1;
  return 0;
}

/** Whether the key [start, end) begins with one of the prefixes. */
@inline
function begins(prefixes: usize, start: usize, end: usize): i32 {
  const entry = load<u32>(prefixes + ((load<u8>(start) as usize) << 2)) as usize;
  if (entry > (ANY_KEY as usize)) return one(entry, start, end - start);
  return ((start != end) as i32) & (entry as i32);
}

function one(list: usize, key: usize, size: usize): i32 {
  let at = list + 4;
  for (let left = load<u32>(list); left > 0; left--) {
    const length = load<u32>(at) as usize;
    if (beginsWith(key, size, at + 4, length)) return 1;
    at += 4 + ((length + 3) & ~3);
  }
  return 0;
}

/** Whether the key of `size` bytes begins with the prefix of `length` bytes. */
@inline
export function beginsWith(key: usize, size: usize, prefix: usize, length: usize): bool {
  return length <= size && same(prefix, key, length);
}

@inline
function same(a: usize, b: usize, size: usize): bool {
  let k: usize = 0;
  for (; k + 8 <= size; k += 8) if (load<u64>(a + k) != load<u64>(b + k)) return false;
  const rest = size - k;
  return rest == 0 || (load<u64>(a + k) ^ load<u64>(b + k)) << ((8 - (rest as u64)) << 3) == 0;
}

let keys: i32 = 0;
let expiredKeys: i32 = 0;
let filteredKeys: i32 = 0;

export function countedKeys(): i32 {
  return keys;
}

export function countedExpired(): i32 {
  return expiredKeys;
}

export function countedFiltered(): i32 {
  return filteredKeys;
}

/** Counts the records in rows [row, rows). */
export function countRows(table: usize, row: i32, rows: i32, now: f64): void {
  let kept = 0;
  let expired = 0;
  let filtered = 0;
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    const isRecord = (load<i32>(at, KIND) == RECORD) as i32;
    const stays = isRecord & (((flags & DROPPED) == 0) as i32);
    kept += stays;
    expired += stays & (((flags & HAS_EXPIRE) != 0) as i32) & (((load<i64>(at, EXPIRE) as f64) <= now) as i32);
    filtered += isRecord & (((flags & (DROPPED | FILTERED)) == (DROPPED | FILTERED)) as i32);
  }
  keys = kept;
  expiredKeys = expired;
  filteredKeys = filtered;
}
