/*
 * Records as rows of a batch: what rdb/framer.ts finds with rdb/shapes.ts, for the plain cases. Anything else (an opcode whose meaning
 * the framer has to know, a cut, damaged or large value, a full arena) ends the run, and the framer looks at it again.
 */
import { FIRST, HAS_EXPIRE, KEY_APART, LAST, META, OPCODES, RECORD } from '../layout';
import { lzf } from './lzf';
import { signed } from './numbers';
import {
  BODY_START, DB, END, EXPIRE, FLAGS, FREQ, GROWN, HEAD_START, IDLE, KEY_END, KEY_START, KEYS_READ, KIND, NEXT_ARENA,
  NEXT_DB, NEXT_EXPIRE, NEXT_FLAGS,
  NEXT_EXPIRED, NEXT_FREQ, NEXT_IDLE, NEXT_KEYS_READ, NEXT_POS, OFFSET, ROW, SOURCE_DB, START, TYPE, TYPE_AT,
} from './row';
import { length, readLength } from './run';

/** Operations of rdb/shapes.ts. */
const STR: u32 = 1;
const LEN: u32 = 2;
const ASCII_DOUBLE: u32 = 3;
const LOOP: u32 = 4;
const FIX: u32 = 16;

/** LZF grows no more than this (bytes/lzf.ts, lzfMaxLength). */
const LZF_GROWTH: u64 = 88;

const SELECTDB: u32 = OPCODES + 254;
const AUX: u32 = OPCODES + 250;
/** Database numbers are C ints. */
const MAX_DB: usize = 0x7fffffff;
/**
 * Lengths of the names of aux fields that mean something to the framer, as bits: df-ver, aof-base, valkey-ver, aof-preamble,
 * keydb-subexpire-key.
 */
const TELLING: u32 = (1 << 6) | (1 << 8) | (1 << 10) | (1 << 12) | (1 << 19);

/** An integer as text takes no more, and `lzf` writes up to 32 bytes past its end. */
const ARENA_SLACK: usize = 48;

/** Bytes by which the strings of the current value grow when decompressed. */
let growth: u64 = 0;

/**
 * Fills rows [row, rows) with the records that begin in [pos, stop) and end before `end`. `types`: by first byte, the address of a
 * program (a count of words, and the words), 0 for none, and its number (rows of opcodes are written only where `meta` is set); without a
 * program, whether the file may have the opcode. Positions in rows count from `base`, which stands at `offset` in the file. Keys that are
 * not stored as bytes go to the arena, which ends at `arenaEnd`. `state`: NEXT_… of layout.ts, in and out. Returns the first row that was
 * not filled.
 */
export function frames(
  types: usize, table: usize, row: i32, rows: i32, base: usize, end: usize, stop: usize, offset: f64, limit: f64,
  now: f64, meta: bool, arenaEnd: usize, state: usize,
): i32 {
  let pos = load<u32>(state, NEXT_POS) as usize;
  let nextFlags = load<i32>(state, NEXT_FLAGS);
  let nextFreq = load<i32>(state, NEXT_FREQ);
  let nextExpire = load<i64>(state, NEXT_EXPIRE);
  let nextIdle = load<f64>(state, NEXT_IDLE);
  let db = load<i32>(state, NEXT_DB);
  let arena = load<u32>(state, NEXT_ARENA) as usize;
  let read = load<u32>(state, NEXT_KEYS_READ);
  let expired = load<u32>(state, NEXT_EXPIRED);
  const hasMs = load<u32>(types, (252 << 3) + 4) != 0;
  const hasFreq = load<u32>(types, (249 << 3) + 4) != 0;
  const hasIdle = load<u32>(types, (248 << 3) + 4) != 0;
  while (row < rows && pos < stop) {
    let flags = nextFlags;
    let expire = nextExpire;
    let idle = nextIdle;
    let freq = nextFreq;
    let p = pos;
    for (; p < end; ) {
      const byte = load<u8>(p);
      if (byte == 252 && hasMs) {
        expire = load<i64>(p, 1);
        flags |= HAS_EXPIRE;
        p += 9;
      } else if (byte == 253) {
        expire = (load<i32>(p, 1) as i64) * 1000;
        flags |= HAS_EXPIRE;
        p += 5;
      } else if (byte == 249 && hasFreq) {
        freq = load<u8>(p, 1);
        p += 2;
      } else if (byte == 248 && hasIdle) {
        p = readLength(p + 1);
        if (p == 0) break;
        idle = length as f64;
      } else break;
    }
    if (p == 0 || p >= end) break;
    const type = types + ((load<u8>(p) as usize) << 3);
    const program = load<u32>(type) as usize;
    if (program == 0) break;
    const number = load<u32>(type, 4);
    const at = table + (row as usize) * ROW;
    if (number >= (OPCODES as u32)) {
      if (p + 1 >= end || (number == AUX && load<u8>(p, 1) < 32 && (TELLING & ((1 as u32) << load<u8>(p, 1))) != 0)) break;
      const next = walk(program + 4, program + 4 + ((load<u32>(program) as usize) << 2), p + 1, end);
      if (next == 0) break;
      if (number == SELECTDB) {
        if (readLength(p + 1) == 0 || length > MAX_DB) break;
        db = length as i32;
      } else if (meta) {
        store<i32>(at, META, KIND);
        store<i32>(at, FIRST | LAST, FLAGS);
        store<u32>(at, number - (OPCODES as u32), TYPE);
        store<i32>(at, db, DB);
        store<u32>(at, p + 1 - base, START);
        store<u32>(at, next - base, END);
        store<f64>(at, offset + ((p + 1 - base) as f64), OFFSET);
        store<u32>(at, read, KEYS_READ);
        row++;
      }
      nextFlags = flags;
      nextExpire = expire;
      nextIdle = idle;
      nextFreq = freq;
      pos = next;
      continue;
    }
    if (p + 1 >= end) break;
    flags |= FIRST | LAST;
    let keyStart: usize;
    let keyEnd: usize;
    let value: usize;
    let used = arena;
    const coded = load<u8>(p, 1);
    if (coded < 0xc0) {
      keyStart = readLength(p + 1);
      if (keyStart == 0 || keyStart > end || length > end - keyStart) break;
      value = keyEnd = keyStart + length;
    } else {
      keyStart = arena;
      value = coded == 0xc3
        ? expanded(p + 2, end, arena, arenaEnd)
        : coded > 0xc3 || arena + ARENA_SLACK > arenaEnd ? 0 : numbered(coded, p + 2, arena);
      if (value == 0) break;
      used = keyEnd = expandedTo;
      flags |= KEY_APART;
    }
    if (value >= end) break;
    growth = 0;
    const next = walk(program + 4, program + 4 + ((load<u32>(program) as usize) << 2), value, end);
    if (next == 0 || ((next - value) as f64) + (growth as f64) >= limit) break;

    store<i32>(at, RECORD, KIND);
    store<i32>(at, flags, FLAGS);
    store<u32>(at, number, TYPE);
    store<i32>(at, db, DB);
    store<i64>(at, expire, EXPIRE);
    store<f64>(at, idle, IDLE);
    store<i32>(at, freq, FREQ);
    store<u32>(at, keyStart - base, KEY_START);
    store<u32>(at, keyEnd - base, KEY_END);
    store<u32>(at, value - base, START);
    store<u32>(at, next - base, END);
    store<u32>(at, value - base, BODY_START);
    store<f64>(at, offset + ((value - base) as f64), OFFSET);
    store<u32>(at, ((next - value) as u32) + (growth as u32), GROWN);
    store<i32>(at, db, SOURCE_DB);
    // what stands before an opcode is not next to the key
    store<u32>(at, (nextFlags == 0 && nextIdle < 0 && nextFreq < 0 ? pos : p) - base, HEAD_START);
    store<u32>(at, p - base, TYPE_AT);
    store<u32>(at, ++read, KEYS_READ);
    if ((flags & HAS_EXPIRE) != 0 && (expire as f64) <= now) expired++;
    nextFlags = 0;
    nextExpire = 0;
    nextIdle = -1;
    nextFreq = -1;
    arena = used;
    row++;
    pos = next;
  }
  store<u32>(state, pos as u32, NEXT_POS);
  store<i32>(state, nextFlags, NEXT_FLAGS);
  store<i32>(state, nextFreq, NEXT_FREQ);
  store<i64>(state, nextExpire, NEXT_EXPIRE);
  store<f64>(state, nextIdle, NEXT_IDLE);
  store<i32>(state, db, NEXT_DB);
  store<u32>(state, arena as u32, NEXT_ARENA);
  store<u32>(state, read, NEXT_KEYS_READ);
  store<u32>(state, expired, NEXT_EXPIRED);
  return row;
}

/** Where the last key ends in the arena. */
let expandedTo: usize = 0;

/** The integer of a kind (c0, c1, c2) at `pos` as text. Returns the position after it. */
@inline
function numbered(kind: u32, pos: usize, to: usize): usize {
  const value = kind == 0xc0 ? (load<i8>(pos) as i64) : kind == 0xc1 ? (load<i16>(pos) as i64) : (load<i32>(pos) as i64);
  expandedTo = signed(value, to);
  return pos + ((1 as usize) << (kind - 0xc0));
}

/** The LZF string whose lengths stand at `pos`, decompressed. Returns the position after it, or 0. */
function expanded(pos: usize, end: usize, to: usize, toEnd: usize): usize {
  const middle = readLength(pos);
  if (middle == 0 || middle > end) return 0;
  const size = length;
  const start = readLength(middle);
  if (start == 0 || start > end || size > end - start || to + length + ARENA_SLACK > toEnd) return 0;
  if (!lzf(start, start + size, to, to + length)) return 0;
  expandedTo = to + length;
  return start + size;
}

/** Runs the program [pc, stop) over bytes; returns the position after the value, or 0. */
function walk(pc: usize, stop: usize, pos: usize, end: usize): usize {
  while (pc < stop) {
    const op = load<u32>(pc);
    pc += 4;
    if (op == STR) {
      pos = passString(pos, end);
      if (pos == 0) return 0;
    } else if (op == LOOP) {
      const body = pc + 4;
      pc = body + ((load<u32>(pc) as usize) << 2);
      if (pos >= end) return 0;
      pos = readLength(pos);
      if (pos == 0) return 0;
      pos = loop(body, pc, length, pos, end);
      if (pos == 0) return 0;
    } else if (op == LEN) {
      if (pos >= end) return 0;
      pos = passLength(pos);
      if (pos == 0) return 0;
    } else if (op == ASCII_DOUBLE) {
      if (pos >= end) return 0;
      const size = load<u8>(pos) as usize;
      pos += 1 + (size < 253 ? size : 0);
    } else pos += op - FIX;
    if (pos > end) return 0;
  }
  return pos;
}

/** `count` times the body [body, stop). */
function loop(body: usize, stop: usize, count: usize, pos: usize, end: usize): usize {
  let strings: u64 = (stop - body) >> 2;
  for (let pc = body; pc < stop; pc += 4) {
    if (load<u32>(pc) != STR) strings = 0;
  }
  if (strings > 0) {
    for (let left = strings * (count as u64); left > 0; left--) {
      pos = passString(pos, end);
      if (pos == 0) return 0;
    }
    return pos;
  }
  for (; count > 0; count--) {
    pos = walk(body, stop, pos, end);
    if (pos == 0) return 0;
  }
  return pos;
}

/** Position after a length of up to 64 bits, or 0. */
@inline
function passLength(pos: usize): usize {
  const first = load<u8>(pos);
  return first < 0x40 ? pos + 1 : first < 0x80 ? pos + 2 : first == 0x80 ? pos + 5 : first == 0x81 ? pos + 9 : 0;
}

/** Position after a string, or 0 where it is damaged or does not end before `end`. */
@inline
function passString(pos: usize, end: usize): usize {
  if (pos >= end) return 0;
  const first = load<u8>(pos) as usize;
  if (first < 0x40) return within(pos + 1, first, end);
  if (first < 0x80) return within(pos + 2, ((first & 0x3f) << 8) | (load<u8>(pos, 1) as usize), end);
  if (first == 0xc3) return passCompressed(pos + 1, end);
  if (first == 0x80) return within(pos + 5, bswap<u32>(load<u32>(pos, 1)) as usize, end);
  return first == 0xc0 || first == 0xc1 || first == 0xc2 ? within(pos + 1, 1 << (first - 0xc0), end) : 0;
}

@inline
function within(pos: usize, size: usize, end: usize): usize {
  return pos <= end && size <= end - pos ? pos + size : 0;
}

function passCompressed(pos: usize, end: usize): usize {
  const middle = readLength(pos);
  if (middle == 0) return 0;
  const size = length;
  const start = readLength(middle);
  if (start == 0 || (length as u64) > (size as u64) * LZF_GROWTH) return 0;
  growth += (length as u64) - (size as u64);
  return within(start, size, end);
}
