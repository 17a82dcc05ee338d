import { DROPPED, EXPIRE, FILTERED, FLAGS, HAS_EXPIRE, KIND, RECORD, ROW_WORDS } from './layout.js';

/** What became of the records in some rows. */
export interface RowCounts {
  /** Records that were not dropped, and those of them that have expired. */
  keys: number;
  expired: number;
  /** Records that filters dropped. */
  filtered: number;
}

/** Counts the records in rows [row, rows) of a batch; `now` in Unix milliseconds. */
export function countRows(table: Int32Array, row: number, rows: number, now: number): RowCounts {
  const counts: RowCounts = { keys: 0, expired: 0, filtered: 0 };
  for (let at = row * ROW_WORDS; at < rows * ROW_WORDS; at += ROW_WORDS) {
    const flags = table[at + FLAGS];
    if (table[at + KIND] !== RECORD) continue;
    if ((flags & DROPPED) !== 0) {
      if ((flags & FILTERED) !== 0) counts.filtered++;
      continue;
    }
    counts.keys++;
    if ((flags & HAS_EXPIRE) !== 0 && table[at + EXPIRE + 1] * 0x100000000 + (table[at + EXPIRE] >>> 0) <= now) counts.expired++;
  }
  return counts;
}
