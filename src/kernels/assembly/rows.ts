/* The rows of a batch, copied to a slot for another thread (workers/slot-batch.ts). */
import { DROPPED, HAS_EXPIRE, HAS_META, KEY_APART, KEY_HELD, RECORD } from '../layout';
import { END, EXPIRE, FLAGS, FREQ, GROWN, KEY_END, KEY_START, KEYS_EXPIRED, KIND, LEAST_EXPIRY, ROW, START } from './row';

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
  // what is added to the words of a row from FREQ, END, GROWN and LEAST_EXPIRY on: by how much its positions are higher in the slot, and
  // keys read
  let fromFreq: v128 = i32x4.splat(0);
  let fromEnd: v128 = i32x4.splat(0);
  let fromGrown: v128 = i32x4.splat(0);
  const fromExpiry = v128.and(i32x4.splat(read), i32x4(0, 0, -1, 0));
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0) continue;
    if (load<i32>(at, KIND) != RECORD || (flags & (HAS_META | KEY_HELD)) != 0 || toRow >= toRows) break;
    const apart = (flags & KEY_APART) != 0;
    const first = base + (load<u32>(apart ? at + START : at + KEY_START) as usize);
    const end = base + (load<u32>(at, END) as usize);
    let keyAt: usize = 0;
    if (apart || first - spanEnd > GAP) {
      memory.copy(to, spanStart, spanEnd - spanStart);
      to += spanEnd - spanStart;
      spanStart = spanEnd = first;
      if (apart) {
        const size = load<u32>(at, KEY_END) - load<u32>(at, KEY_START);
        if (to + size + (end - first) > slotEnd) break;
        memory.copy(to, base + load<u32>(at, KEY_START), size);
        keyAt = to - slot;
        to += size;
      }
      const by = i32x4.splat((to - slot - (first - base)) as i32);
      fromFreq = v128.and(by, i32x4(0, -1, -1, -1));
      fromEnd = v128.and(by, i32x4(-1, -1, 0, 0));
      fromGrown = v128.and(by, i32x4(0, 0, -1, -1));
    }
    if (to + (end - spanStart) > slotEnd) break;
    spanEnd = end;
    const into = toTable + (toRow as usize) * ROW;
    v128.store(into, v128.load(at));
    v128.store(into, v128.load(at, EXPIRE), EXPIRE);
    v128.store(into, i32x4.add(v128.load(at, FREQ), fromFreq), FREQ);
    v128.store(into, i32x4.add(v128.load(at, END), fromEnd), END);
    v128.store(into, i32x4.add(v128.load(at, GROWN), fromGrown), GROWN);
    v128.store(into, i32x4.add(v128.load(at, LEAST_EXPIRY), fromExpiry), LEAST_EXPIRY);
    store<u32>(into, expired, KEYS_EXPIRED);
    if (apart) {
      store<i32>(into, flags & ~KEY_APART, FLAGS);
      store<u32>(into, keyAt, KEY_START);
      store<u32>(into, to - slot, KEY_END);
    }
    if ((flags & HAS_EXPIRE) != 0 && (load<i64>(at, EXPIRE) as f64) <= now) expired++;
    toRow++;
  }
  memory.copy(to, spanStart, spanEnd - spanStart);
  lengthAfter = to + (spanEnd - spanStart) - slot;
  rowAfter = toRow;
  expiredAfter = expired;
  return row;
}
