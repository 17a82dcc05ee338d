/*
 * A run of whole records as rows of a frame table: what rdb/framer.ts finds with rdb/shapes.ts, for the plain cases. A record
 * that is not plain in any way (another opcode, a key that is no raw string, a cut or damaged or large value) ends the run, and
 * the framer looks at it again.
 */
import { BODY_START, DB, END, EXPIRE, FIRST, FLAGS, FREQ, GROWN, HAS_EXPIRE, IDLE, KEY_END, KEY_START, KEYS_EXPIRED, KEYS_READ, KIND, LAST, OFFSET, RECORD, ROW, START, TYPE } from './row';
import { length, readLength } from './run';

/** Operations of rdb/shapes.ts. */
const STR: u32 = 1;
const LEN: u32 = 2;
const ASCII_DOUBLE: u32 = 3;
const LOOP: u32 = 4;
const FIX: u32 = 16;

/** LZF grows no more than this (bytes/lzf.ts, lzfMaxLength). */
const LZF_GROWTH: u64 = 88;

/** Where the last run ended, and the expired keys seen up to there. */
let endsAt: usize = 0;
let expiredKeys: u32 = 0;

export function framesEnd(): usize {
  return endsAt;
}

export function framesExpired(): u32 {
  return expiredKeys;
}

/** By how much the strings of the value at hand are longer than they stand there. */
let growth: u64 = 0;

/**
 * Finds records in [pos, end) that begin before `stop`. `types`: by type byte, the address of a program (a count of words, and
 * the words), 0 for none, and the number for the table; by opcode, 0 and the opcode, where the file may have it. In the rows `pos` is position `to` and offset `offset`. Returns the
 * first row that was not filled.
 */
export function frames(
  types: usize, table: usize, row: i32, rows: i32, pos: usize, end: usize, stop: usize,
  to: usize, offset: f64, limit: f64, db: i32, read: u32, expired: u32, now: f64,
): i32 {
  const shift = to - pos;
  const start = pos;
  const hasMs = load<u32>(types, (252 << 3) + 4) != 0;
  const hasFreq = load<u32>(types, (249 << 3) + 4) != 0;
  const hasIdle = load<u32>(types, (248 << 3) + 4) != 0;
  while (row < rows && pos < stop) {
    let flags = FIRST | LAST;
    let expire: i64 = 0;
    let idle: f64 = -1;
    let freq = -1;
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
    const keyStart = readLength(p + 1);
    if (keyStart == 0 || keyStart > end || length > end - keyStart) break;
    const value = keyStart + length;
    growth = 0;
    const next = walk(program + 4, program + 4 + ((load<u32>(program) as usize) << 2), value, end);
    if (next == 0 || ((next - value) as f64) + (growth as f64) >= limit) break;

    const at = table + (row as usize) * ROW;
    store<i32>(at, RECORD, KIND);
    store<i32>(at, flags, FLAGS);
    store<u32>(at, load<u32>(type, 4), TYPE);
    store<i32>(at, db, DB);
    store<i64>(at, expire, EXPIRE);
    store<f64>(at, idle, IDLE);
    store<i32>(at, freq, FREQ);
    store<u32>(at, keyStart + shift, KEY_START);
    store<u32>(at, value + shift, KEY_END);
    store<u32>(at, value + shift, START);
    store<u32>(at, next + shift, END);
    store<u32>(at, value + shift, BODY_START);
    store<f64>(at, offset + ((value - start) as f64), OFFSET);
    store<u32>(at, ((next - value) as u32) + (growth as u32), GROWN);
    store<u32>(at, ++read, KEYS_READ);
    store<u32>(at, expired, KEYS_EXPIRED);
    if ((flags & HAS_EXPIRE) != 0 && (expire as f64) <= now) expired++;
    row++;
    pos = next;
  }
  endsAt = pos;
  expiredKeys = expired;
  return row;
}

/** Runs the program [pc, stop) over bytes; returns the position behind what it says, or 0. */
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

/** Position behind a length of up to 64 bits, or 0. */
@inline
function passLength(pos: usize): usize {
  const first = load<u8>(pos);
  return first < 0x40 ? pos + 1 : first < 0x80 ? pos + 2 : first == 0x80 ? pos + 5 : first == 0x81 ? pos + 9 : 0;
}

/** Position behind a string, or 0 where it is damaged or does not end before `end`. */
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
