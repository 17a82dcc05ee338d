/*
 * Rows of a batch (../layout.ts) whose values would not harm a server: packed values entry by entry, scores that are numbers.
 * check/value-check.ts is the reference and says what is wrong with the others; whatever takes more than these rules is left to it.
 */
import {
  DROPPED, RECORD, RECORD_INTSET as INTSET, RECORD_ITEMS as ITEMS, RECORD_LISTPACK as LISTPACK, RECORD_QUICKLIST as QUICKLIST,
  RECORD_QUICKLIST2 as QUICKLIST2, RECORD_TEXT as TEXT, RECORD_ZIPLIST as ZIPLIST, RUN_ITEMS, RUN_SCORES,
} from '../layout';
import { END, FLAGS, KIND, ROW, START, TYPE } from './row';
import { from, isInteger, length, readLength, string, to } from './run';

const LISTPACK_HEADER: usize = 6;
const ZIPLIST_HEADER: usize = 10;
const INTSET_HEADER: usize = 8;
/** Packed values with as many entries or more do not say how many they have. */
const UNCOUNTED: u32 = 0xffff;
/** Entries whose backward length takes one byte, and two for all servers. */
const SHORT: usize = 127;
const MIDDLE: usize = 16383;
const PLAIN: usize = 1;
const PACKED: usize = 2;

/**
 * Looks at rows [row, rows), whose positions count from `base`, and returns the first that is not certainly sound. `structures`: two
 * bytes by type number, its container and the kind of its run; 0 for types that are left to the caller.
 */
export function checkRows(structures: usize, table: usize, row: i32, rows: i32, base: usize): i32 {
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    if ((load<i32>(at, FLAGS) & DROPPED) != 0 || load<i32>(at, KIND) != RECORD) continue;
    const structure = structures + ((load<u32>(at, TYPE) as usize) << 1);
    if (!sound(load<u8>(structure), load<u8>(structure, 1), base + (load<u32>(at, START) as usize), base + (load<u32>(at, END) as usize))) {
      break;
    }
  }
  return row;
}

function sound(container: i32, kind: i32, start: usize, end: usize): bool {
  if (container == TEXT) return true;
  if (container == ITEMS) return items(kind, start, end);
  if (container == QUICKLIST || container == QUICKLIST2) return quicklist(container, start, end);
  if (container == 0) return false;
  const next = string(start, end);
  if (next != end || isInteger) return false;
  if (container == LISTPACK) return listpack(kind, from, to);
  if (container == ZIPLIST) return ziplist(kind, from, to);
  return container == INTSET && intset(from, to);
}

/** A count and elements: only scores say more than the framer has seen. */
function items(kind: i32, start: usize, end: usize): bool {
  let pos = readLength(start);
  if (pos == 0 || length == 0) return false;
  if (kind != RUN_SCORES) return true;
  while (pos < end) {
    const next = afterString(pos);
    if (next <= pos || next + 8 > end) return false;
    const score = load<f64>(next);
    if (score != score) return false;
    pos = next + 8;
  }
  return pos == end;
}

/** The position after a string, which is not decompressed; 0 where it takes more. */
@inline
function afterString(pos: usize): usize {
  const first = load<u8>(pos) as usize;
  if (first < 0x40) return pos + 1 + first;
  if (first < 0x80) return pos + 2 + (((first & 0x3f) << 8) | (load<u8>(pos, 1) as usize));
  if (first == 0xc0) return pos + 2;
  if (first == 0xc1) return pos + 3;
  if (first == 0xc2) return pos + 5;
  if (first != 0xc3) return 0;
  const middle = readLength(pos + 1);
  if (middle == 0) return 0;
  const size = length;
  const body = readLength(middle);
  return body == 0 ? 0 : body + size;
}

function quicklist(container: i32, start: usize, end: usize): bool {
  let pos = readLength(start);
  if (pos == 0 || length == 0) return false;
  while (pos < end) {
    let kind = PACKED;
    if (container == QUICKLIST2) {
      pos = readLength(pos);
      if (pos == 0) return false;
      kind = length;
    }
    const next = string(pos, end);
    if (next == 0 || next > end || next <= pos) return false;
    if (kind == PLAIN) {
      if (!isInteger && from == to) return false;
    } else if (kind != PACKED || isInteger) {
      return false;
    } else if (container == QUICKLIST2 ? !listpack(RUN_ITEMS, from, to) : !ziplist(RUN_ITEMS, from, to)) {
      return false;
    }
    pos = next;
  }
  return pos == end;
}

function listpack(kind: i32, start: usize, end: usize): bool {
  const size = end - start;
  if (size < LISTPACK_HEADER + 1 || (load<u32>(start) as usize) != size || load<u8>(end - 1) != 0xff) return false;
  const stop = end - 1;
  let pos = start + LISTPACK_HEADER;
  let count: u32 = 0;
  while (pos < stop) {
    const first = load<u8>(pos) as usize;
    let head: usize = 1;
    let body: usize = 0;
    let isText = false;
    if (first >= 0x80) {
      if (first < 0xc0) {
        body = first & 0x3f;
        isText = true;
      } else if (first < 0xe0) {
        head = 2;
      } else if (first < 0xf0) {
        head = 2;
        body = ((first & 0x0f) << 8) | (load<u8>(pos, 1) as usize);
        isText = true;
      } else if (first == 0xf0) {
        head = 5;
        body = load<u32>(pos, 1) as usize;
        isText = true;
      } else if (first < 0xf4) {
        head = first - 0xee;
      } else if (first == 0xf4) {
        head = 9;
      } else {
        return false;
      }
    }
    if (body >= MIDDLE) return false;
    const entry = head + body;
    const after = pos + entry;
    if (after >= stop) return false;
    if (entry <= SHORT) {
      if ((load<u8>(after) as usize) != entry) return false;
      if (isText && (count & 1) != 0 && kind == RUN_SCORES && !isNumber(pos + head, after)) return false;
      pos = after + 1;
    } else {
      if (entry >= MIDDLE || after + 2 > stop) return false;
      if ((load<u8>(after) as usize) != entry >> 7 || (load<u8>(after, 1) as usize) != ((entry & 127) | 128)) return false;
      if (isText && (count & 1) != 0 && kind == RUN_SCORES && !isNumber(pos + head, after)) return false;
      pos = after + 2;
    }
    count++;
  }
  return counted(kind, count, load<u16>(start, 4) as u32);
}

/** Whether a packed value that says it has `stated` entries has them all, and whole pairs. */
@inline
function counted(kind: i32, count: u32, stated: u32): bool {
  return count != 0 && count == stated && count < UNCOUNTED && (kind == RUN_ITEMS || (count & 1) == 0);
}

function ziplist(kind: i32, start: usize, end: usize): bool {
  const size = end - start;
  if (size < ZIPLIST_HEADER + 1 || (load<u32>(start) as usize) != size || load<u8>(end - 1) != 0xff) return false;
  const stop = end - 1;
  let pos = start + ZIPLIST_HEADER;
  let last: usize = 0;
  let before: usize = 0;
  let count: u32 = 0;
  while (pos < stop) {
    const previous = load<u8>(pos) as usize;
    let p = pos + 1;
    if (previous < 0xfe) {
      if (previous != before) return false;
    } else {
      if (previous == 0xff || (load<u32>(pos, 1) as usize) != before) return false;
      p = pos + 5;
    }
    const encoding = load<u8>(p) as usize;
    let body: usize = 0;
    let head: usize = 1;
    let isText = true;
    if (encoding < 0x40) {
      body = encoding;
    } else if (encoding < 0x80) {
      head = 2;
      body = ((encoding & 0x3f) << 8) | (load<u8>(p, 1) as usize);
    } else if (encoding < 0xc0) {
      head = 5;
      body = bswap<u32>(load<u32>(p, 1)) as usize;
      if (body > size) return false;
    } else {
      isText = false;
      if (encoding == 0xc0) body = 2;
      else if (encoding == 0xd0) body = 4;
      else if (encoding == 0xe0) body = 8;
      else if (encoding == 0xf0) body = 3;
      else if (encoding == 0xfe) body = 1;
      else if (encoding < 0xf1 || encoding > 0xfd) return false;
    }
    const next = p + head + body;
    if (next > stop) return false;
    if (isText && (count & 1) != 0 && kind == RUN_SCORES && !isNumber(p + head, next)) return false;
    last = pos - start;
    before = next - pos;
    count++;
    pos = next;
  }
  return (load<u32>(start, 4) as usize) == last && counted(kind, count, load<u16>(start, 8) as u32);
}

/** Whether a server reads a number from the text: that what begins like one goes on like one does not matter to strtod. */
@inline
function isNumber(start: usize, end: usize): bool {
  let p = start;
  if (p < end && (load<u8>(p) == 0x2d || load<u8>(p) == 0x2b)) p++;
  return p < end && (load<u8>(p) - 0x30) < (10 as u8);
}

function intset(start: usize, end: usize): bool {
  const size = end - start;
  if (size <= INTSET_HEADER) return false;
  const width = load<u32>(start) as usize;
  if (width != 2 && width != 4 && width != 8) return false;
  const first = start + INTSET_HEADER;
  if ((load<u32>(start, 4) as u64) * (width as u64) != ((end - first) as u64)) return false;
  let before = integer(first, width);
  for (let p = first + width; p < end; p += width) {
    const value = integer(p, width);
    if (value <= before) return false;
    before = value;
  }
  return true;
}

@inline
function integer(at: usize, width: usize): i64 {
  return width == 2 ? (load<i16>(at) as i64) : width == 4 ? (load<i32>(at) as i64) : load<i64>(at);
}
