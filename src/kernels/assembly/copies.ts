/* Rows of a batch (../layout.ts) as the records that they are in their file. dump/rdb-sink.ts is the reference. */
import { DROPPED, HAS_EXPIRE, HAS_META, HEAD_EDITED, KEY_HELD, KEY_RENAMED, RECORD } from '../layout';
import { DB, END, FLAGS, FREQ, GROWN, HEAD_START, IDLE, KEY_END, KEY_START, KIND, ROW, START, TYPE, TYPE_AT } from './row';

let to: usize = 0;
let keys: i32 = 0;
let expiring: i32 = 0;

export function copiesOut(): usize {
  return to;
}

export function copiedKeys(): i32 {
  return keys;
}

/** Keys with an expiry. */
export function copiedExpiring(): i32 {
  return expiring;
}

/**
 * Copies the records of rows [row, rows), whose positions count from `base`, to `out`, where there is room for all; those of records that
 * were dropped are passed over. Keys that were renamed are written as text. Stops at a row that is no whole record, that is of another
 * database than `db`, whose decompressed value is larger than `largest` allows (512 doubles by type), or whose modifiers have to be
 * written anew. Returns that row. `modifiers`: whether the file may have idle times and frequencies.
 */
export function copies(table: usize, row: i32, rows: i32, base: usize, largest: usize, db: i32, modifiers: bool, out: usize): i32 {
  let o = out;
  let spanStart: usize = 0;
  let spanEnd: usize = 0;
  let count = 0;
  let expires = 0;
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0) continue;
    if (load<i32>(at, KIND) != RECORD || load<i32>(at, DB) != db || (flags & HAS_META) != 0) break;
    if (!((load<i32>(at, GROWN) as f64) <= load<f64>(largest + ((load<u32>(at, TYPE) as usize) << 3)))) break;
    const bare = load<i32>(at, FREQ) < 0 && load<f64>(at, IDLE) < 0;
    const isExpiring = (flags & HAS_EXPIRE) != 0;
    const typeAt = load<u32>(at, TYPE_AT);
    let start = load<u32>(at, HEAD_START);
    if ((flags & HEAD_EDITED) != 0) {
      if (isExpiring || !bare) break;
      start = typeAt;
    } else if (!bare && !modifiers) {
      break;
    } else if (start == typeAt && (isExpiring || !bare)) {
      break;
    }
    let first = base + (start as usize);
    if ((flags & KEY_RENAMED) != 0) {
      if ((flags & KEY_HELD) != 0) break;
      o = copy(spanStart, spanEnd, o);
      o = copy(first, base + (typeAt as usize) + 1, o);
      o = string(base + (load<u32>(at, KEY_START) as usize), base + (load<u32>(at, KEY_END) as usize), o);
      spanStart = spanEnd = first = base + (load<u32>(at, START) as usize);
    }
    if (first != spanEnd) {
      o = copy(spanStart, spanEnd, o);
      spanStart = first;
    }
    spanEnd = base + (load<u32>(at, END) as usize);
    count++;
    expires += isExpiring as i32;
  }
  to = copy(spanStart, spanEnd, o);
  keys = count;
  expiring = expires;
  return row;
}

/** Copies a text with its length before it. */
@inline
function string(start: usize, end: usize, at: usize): usize {
  const size = (end - start) as u32;
  if (size < 0x40) {
    store<u8>(at, size as u8);
    return copy(start, end, at + 1);
  }
  if (size < 0x4000) {
    store<u16>(at, (0x40 | (size >> 8) | (size << 8)) as u16);
    return copy(start, end, at + 2);
  }
  store<u8>(at, 0x80);
  store<u32>(at, bswap<u32>(size), 1);
  return copy(start, end, at + 5);
}

/** The copy of the runtime is a call, and slow for little; up to 64 bytes more may change. Most spans take the first 64 and few more. */
@inline
function copy(start: usize, end: usize, at: usize): usize {
  const size = end - start;
  if (size > 512) {
    memory.copy(at, start, size);
    return at + size;
  }
  for (let k: usize = 0; k < 64; k += 16) v128.store(at + k, v128.load(start + k));
  for (let k: usize = 64; k < size; k += 32) {
    v128.store(at + k, v128.load(start + k));
    v128.store(at + k, v128.load(start + k, 16), 16);
  }
  return at + size;
}
