/* The rows of a batch, copied to a slot for another thread (workers/slot-batch.ts). */
import { DROPPED, HAS_EXPIRE, HAS_META, KEY_APART, KEY_HELD, RECORD } from '../layout';
import { BODY_START, END, EXPIRE, FLAGS, KEY_END, KEY_START, KEYS_EXPIRED, KEYS_READ, KIND, ROW, START } from './row';

/** Gaps of up to this many bytes between records are copied along: a second copy would cost more. */
const GAP: usize = 512;

let lengthAfter: usize = 0;
let rowAfter: i32 = 0;
let expiredAfter: u32 = 0;

export function ownedLength(): usize {
  return lengthAfter;
}

export function ownedTo(): i32 {
  return rowAfter;
}

export function ownedExpired(): u32 {
  return expiredAfter;
}

/**
 * Copies rows [row, rows), whose positions count from `base`, to rows from `toRow` on, and their bytes to `slot` from `length` on. Rows of
 * records that were dropped are left out. `read` and `expired`: what the slot had before. Ends where there is no room (before `slotEnd`,
 * or in rows before `toRows`), and at a row that is no whole record. Returns that row.
 */
export function ownRows(
  table: usize, row: i32, rows: i32, base: usize, toTable: usize, toRow: i32, toRows: i32, slot: usize, length: usize, slotEnd: usize,
  read: u32, expired: u32, now: f64,
): i32 {
  let spanStart: usize = 0;
  let spanEnd: usize = 0;
  let to = slot + length;
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0) continue;
    if (load<i32>(at, KIND) != RECORD || (flags & (HAS_META | KEY_HELD)) != 0 || toRow >= toRows) break;
    const keyStart = base + (load<u32>(at, KEY_START) as usize);
    const keySize = base + (load<u32>(at, KEY_END) as usize) - keyStart;
    const value = base + (load<u32>(at, START) as usize);
    const end = base + (load<u32>(at, END) as usize);
    const apart = (flags & KEY_APART) != 0;
    const first = apart ? value : keyStart;
    const span = spanEnd - spanStart;
    if (to + span + GAP + keySize + (end - first) > slotEnd) break;
    if (apart || first < spanEnd || first > spanEnd + GAP) {
      memory.copy(to, spanStart, span);
      to += span;
      if (apart) {
        memory.copy(to, keyStart, keySize);
        to += keySize;
      }
      spanStart = first;
    }
    spanEnd = end;
    const into = toTable + (toRow as usize) * ROW;
    copyRow(into, at);
    const valueAt = to + (value - spanStart) - slot;
    const keyAt = apart ? to - slot - keySize : to + (keyStart - spanStart) - slot;
    store<i32>(into, flags & ~KEY_APART, FLAGS);
    store<u32>(into, keyAt, KEY_START);
    store<u32>(into, keyAt + keySize, KEY_END);
    store<u32>(into, valueAt, START);
    store<u32>(into, valueAt, BODY_START);
    store<u32>(into, valueAt + (end - value), END);
    store<u32>(into, read + load<u32>(at, KEYS_READ), KEYS_READ);
    store<u32>(into, expired, KEYS_EXPIRED);
    if ((flags & HAS_EXPIRE) != 0 && (load<i64>(at, EXPIRE) as f64) <= now) expired++;
    toRow++;
  }
  memory.copy(to, spanStart, spanEnd - spanStart);
  lengthAfter = to + (spanEnd - spanStart) - slot;
  rowAfter = toRow;
  expiredAfter = expired;
  return row;
}

@inline
function copyRow(to: usize, from: usize): void {
  for (let k: usize = 0; k < ROW; k += 16) v128.store(to + k, v128.load(from + k));
}
