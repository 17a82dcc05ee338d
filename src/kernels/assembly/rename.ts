/* Rows of a batch (../layout.ts) whose keys get other prefixes. pipeline/passes.ts is the reference. */
import { DROPPED, KEY_APART, KEY_HELD, KEY_RENAMED, RECORD } from '../layout';
import { beginsWith } from './filter';
import { FLAGS, KEY_END, KEY_START, KIND, RENAMED_BY, ROW } from './row';

/** What copies may change beyond the end of a key. */
const ARENA_SLACK: usize = 32;

let to: usize = 0;

/** Where the last new name ends. */
export function renamedTo(): usize {
  return to;
}

/**
 * Gives the keys of rows [row, rows), whose positions count from `base`, new names by `pairs`: they are written to `arena`. Records that
 * were dropped keep theirs. Stops at an empty key, at one that is held elsewhere, and where there is no room. Returns that row.
 */
export function renameRows(pairs: usize, table: usize, row: i32, rows: i32, base: usize, arena: usize, arenaEnd: usize): i32 {
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0 || load<i32>(at, KIND) != RECORD) continue;
    if ((flags & KEY_HELD) != 0) break;
    const start = base + (load<u32>(at, KEY_START) as usize);
    const size = base + (load<u32>(at, KEY_END) as usize) - start;
    if (size == 0) break;
    let pair = load<u32>(pairs + ((load<u8>(start) as usize) << 2)) as usize;
    if (pair == 0) continue;
    let left = load<u32>(pair);
    pair += 4;
    for (; left > 0; left--) {
      if (beginsWith(start, size, pair + 8, load<u32>(pair, 4))) break;
      pair = after(after(pair + 4));
    }
    if (left == 0) continue;
    const from = load<u32>(pair, 4) as usize;
    const prefix = after(pair + 4);
    const prefixSize = load<u32>(prefix) as usize;
    const end = arena + prefixSize + size - from;
    if (end + ARENA_SLACK > arenaEnd) break;
    copy(prefix + 4, prefixSize, arena);
    copy(start + from, size - from, arena + prefixSize);
    store<i32>(at, flags | KEY_APART | KEY_RENAMED, FLAGS);
    store<u32>(at, load<u32>(pair), RENAMED_BY);
    store<u32>(at, (arena - base) as u32, KEY_START);
    store<u32>(at, (end - base) as u32, KEY_END);
    arena = end;
  }
  to = arena;
  return row;
}

/** What follows the size at `at`, and as many bytes. */
@inline
function after(at: usize): usize {
  return at + 4 + (((load<u32>(at) as usize) + 3) & ~3);
}

/** The copy of the runtime is a call, and slow for little; 16 bytes more may change. */
@inline
function copy(from: usize, size: usize, at: usize): void {
  if (size > 512) memory.copy(at, from, size);
  else for (let k: usize = 0; k < size; k += 16) v128.store(at + k, v128.load(from + k));
}
