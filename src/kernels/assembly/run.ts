/*
 * A run of elements as JSON: the loop of values/reader.ts and json/json-lines.ts for the plain cases. Everything that is not
 * plain (a cut or damaged element, a score that needs more than a look, no room) makes it give up, and the caller walks the
 * run again, slower and in full.
 */
import { lzf } from './lzf';
import { double, signed } from './numbers';
import { parse, parsed } from './parse';
import { text, textSize } from './text';

/** How elements are read: the numbers of values/layouts.ts. */
const STRING = 0;
const LISTPACK = 1;
const ZIPLIST = 2;
const INT16 = 5;
const INT32 = 6;
const INT64 = 7;
const FLOAT64 = 8;

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;

/** Elements of the last run. */
export let walked: u32 = 0;

export function runWalked(): u32 {
  return walked;
}

/** Where compressed strings are decompressed, and how many bytes fit. */
let scratch: usize = 0;
let scratchSize: usize = 0;

export function runScratch(at: usize, size: usize): void {
  scratch = at;
  scratchSize = size;
}

/** The element read last: a string at [from, to), or an integer. */
export let isInteger: bool = false;
export let integer: i64 = 0;
export let from: usize = 0;
export let to: usize = 0;

@inline
function setInteger(value: i64): void {
  isInteger = true;
  integer = value;
}

@inline
function setString(start: usize, length: usize): usize {
  isInteger = false;
  from = start;
  to = start + length;
  return to;
}

/** Reads an element; returns the position after it, or 0. It may lie past `end`: the caller checks. */
@inline
export function read(how: i32, pos: usize, end: usize): usize {
  if (how == LISTPACK) return listpack(pos);
  if (how == STRING) return string(pos, end);
  if (how == ZIPLIST) return ziplist(pos);
  if (how == INT16) {
    setInteger(load<i16>(pos) as i64);
    return pos + 2;
  }
  if (how == INT32) {
    setInteger(load<i32>(pos) as i64);
    return pos + 4;
  }
  if (how == INT64) {
    setInteger(load<i64>(pos));
    return pos + 8;
  }
  return 0;
}

@inline
function listpack(pos: usize): usize {
  const first = load<u8>(pos) as usize;
  if (first < 0x80) {
    setInteger(first as i64);
    return pos + 2;
  }
  if (first < 0xc0) return setString(pos + 1, first & 0x3f) + 1;
  if (first < 0xe0) {
    setInteger((((((first & 0x1f) << 8) | (load<u8>(pos, 1) as usize)) as i32) << 19 >> 19) as i64);
    return pos + 3;
  }
  if (first < 0xf0) {
    const length = ((first & 0x0f) << 8) | (load<u8>(pos, 1) as usize);
    return setString(pos + 2, length) + (length + 2 <= 127 ? 1 : 2);
  }
  if (first == 0xf1) {
    setInteger(load<i16>(pos, 1) as i64);
    return pos + 4;
  }
  if (first == 0xf2) {
    setInteger(((load<u32>(pos) as i32) >> 8) as i64);
    return pos + 5;
  }
  if (first == 0xf3) {
    setInteger(load<i32>(pos, 1) as i64);
    return pos + 6;
  }
  if (first == 0xf4) {
    setInteger(load<i64>(pos, 1));
    return pos + 10;
  }
  return 0;
}

@inline
function ziplist(pos: usize): usize {
  const previous = load<u8>(pos);
  if (previous == 0xff) return 0;
  const p = pos + (previous < 0xfe ? 1 : 5);
  const encoding = load<u8>(p) as usize;
  if (encoding < 0x40) return setString(p + 1, encoding);
  if (encoding < 0x80) return setString(p + 2, ((encoding & 0x3f) << 8) | (load<u8>(p, 1) as usize));
  if (encoding < 0xc0) return setString(p + 5, bswap<u32>(load<u32>(p, 1)) as usize);
  if (encoding == 0xc0) {
    setInteger(load<i16>(p, 1) as i64);
    return p + 3;
  }
  if (encoding == 0xd0) {
    setInteger(load<i32>(p, 1) as i64);
    return p + 5;
  }
  if (encoding == 0xe0) {
    setInteger(load<i64>(p, 1));
    return p + 9;
  }
  if (encoding == 0xf0) {
    setInteger(((load<u32>(p) as i32) >> 8) as i64);
    return p + 4;
  }
  if (encoding == 0xfe) {
    setInteger(load<i8>(p, 1) as i64);
    return p + 2;
  }
  if (encoding < 0xf1 || encoding > 0xfd) return 0;
  setInteger(((encoding & 15) - 1) as i64);
  return p + 1;
}

/** Reads a string as rdb/string.ts does: see `read`. */
@inline
export function string(pos: usize, end: usize): usize {
  const first = load<u8>(pos) as usize;
  if (first < 0x40) return setString(pos + 1, first);
  if (first < 0x80) return setString(pos + 2, ((first & 0x3f) << 8) | (load<u8>(pos, 1) as usize));
  if (first == 0x80) return setString(pos + 5, bswap<u32>(load<u32>(pos, 1)) as usize);
  if (first == 0xc0) {
    setInteger(load<i8>(pos, 1) as i64);
    return pos + 2;
  }
  if (first == 0xc1) {
    setInteger(load<i16>(pos, 1) as i64);
    return pos + 3;
  }
  if (first == 0xc2) {
    setInteger(load<i32>(pos, 1) as i64);
    return pos + 5;
  }
  if (first == 0xc3) return compressed(pos + 1, end);
  return 0;
}

/** What `readLength` read. */
export let length: usize = 0;

/** A length of up to 32 bits; returns the position after it, or 0. */
@inline
export function readLength(pos: usize): usize {
  const first = load<u8>(pos) as usize;
  if (first < 0x40) {
    length = first;
    return pos + 1;
  }
  if (first < 0x80) {
    length = ((first & 0x3f) << 8) | (load<u8>(pos, 1) as usize);
    return pos + 2;
  }
  if (first != 0x80) return 0;
  length = bswap<u32>(load<u32>(pos, 1)) as usize;
  return pos + 5;
}

function compressed(pos: usize, end: usize): usize {
  const middle = readLength(pos);
  if (middle == 0) return 0;
  const size = length;
  const start = readLength(middle);
  if (start == 0 || start > end || size > end - start || length + 64 > scratchSize) return 0;
  if (!lzf(start, start + size, scratch, scratch + length)) return 0;
  setString(scratch, length);
  return start + size;
}

/** The element read last as a JSON string. */
@inline
export function writeElement(at: usize): usize {
  if (!isInteger) return text(from, to, at);
  store<u8>(at, QUOTE);
  const o = signed(integer, at + 1);
  store<u8>(o, QUOTE);
  return o + 1;
}

@inline
function room(): usize {
  return isInteger ? 64 : textSize(to - from);
}

/** Whether what was read at `pos` ends at `next`, within `end`; a forged length may have gone round the address space. */
@inline
function inside(pos: usize, next: usize, end: usize): bool {
  return next > pos && next <= end;
}

/** Elements of a list or set in [pos, end). `first` says that nothing stands before them. Returns the end of the output, or 0. */
export function runItems(how: i32, pos: usize, end: usize, out: usize, outEnd: usize, first: bool): usize {
  let o = out;
  let p = pos;
  let count: u32 = 0;
  let comma = !first;
  while (p < end) {
    const next = read(how, p, end);
    if (!inside(p, next, end) || room() > outEnd - o) return 0;
    if (comma) store<u8>(o++, COMMA);
    comma = true;
    o = writeElement(o);
    count++;
    p = next;
  }
  walked = count;
  return o;
}

/** Fields and values of a hash. */
export function runPairs(how: i32, pos: usize, end: usize, out: usize, outEnd: usize, first: bool): usize {
  let o = out;
  let p = pos;
  let count: u32 = 0;
  let comma = !first;
  while (p < end) {
    let next = read(how, p, end);
    if (!inside(p, next, end) || next == end || room() > outEnd - o) return 0;
    if (comma) store<u8>(o++, COMMA);
    comma = true;
    o = writeElement(o);
    store<u8>(o++, COLON);
    const value = next;
    next = read(how, value, end);
    if (!inside(value, next, end) || room() > outEnd - o) return 0;
    o = writeElement(o);
    count += 2;
    p = next;
  }
  walked = count;
  return o;
}

/** Members and scores of a sorted set; scores are read as `scores` says: FLOAT64, or like the members. */
export function runScores(how: i32, scores: i32, pos: usize, end: usize, out: usize, outEnd: usize, first: bool): usize {
  let o = out;
  let p = pos;
  let count: u32 = 0;
  let comma = !first;
  while (p < end) {
    let next = read(how, p, end);
    if (!inside(p, next, end) || next == end || room() + 64 > outEnd - o) return 0;
    if (comma) store<u8>(o++, COMMA);
    comma = true;
    o = writeElement(o);
    store<u8>(o++, COLON);
    if (scores == FLOAT64) {
      if (next + 8 > end) return 0;
      const value = load<f64>(next);
      if (value != value) return 0; // NaN, which is counted
      o = double(value, o);
      next += 8;
    } else {
      const text = next;
      next = read(how, text, end);
      if (!inside(text, next, end)) return 0;
      o = score(o);
      if (o == 0) return 0;
    }
    count += 2;
    p = next;
  }
  walked = count;
  return o;
}

/** The score that was read last, an integer or its text. Returns 0 where it takes more than these rules. */
function score(at: usize): usize {
  if (isInteger) {
    // above 2^53 the shortest number may have fewer digits
    if (integer > 9007199254740992 || integer < -9007199254740992) return 0;
    return signed(integer, at);
  }
  return decimalText(from, to, at);
}

@external("env", "parseDouble")
declare function parseDouble(start: usize, end: usize): f64;

/**
 * A decimal text of at most 15 digits is the shortest of its double if it is written without needless zeros; others are read
 * and written again. NaN says that the text is no number.
 */
function decimalText(start: usize, end: usize, at: usize): usize {
  let p = start;
  const size = end - start;
  if (size == 0 || size > 32) return 0;
  if (load<u8>(p) == 0x2d) p++;
  const integerStart = p;
  let digit: u8 = 0;
  while (p < end && (digit = load<u8>(p) - 0x30) < 10) p++;
  const whole = p - integerStart;
  let plain = whole > 0 && (whole == 1 || load<u8>(integerStart) != 0x30);
  let digits = whole;
  if (p < end && load<u8>(p) == 0x2e) {
    p++;
    const fraction = p;
    while (p < end && (digit = load<u8>(p) - 0x30) < 10) p++;
    digits += p - fraction;
    plain = plain && p > fraction && load<u8>(p - 1) != 0x30 && (load<u8>(integerStart) != 0x30 || load<u8>(fraction) != 0x30);
  } else if (integerStart > start && load<u8>(integerStart) == 0x30) {
    plain = false; // -0
  }
  if (plain && p == end && digits <= 15) {
    v128.store(at, v128.load(start));
    v128.store(at, v128.load(start, 16), 16);
    return at + size;
  }
  const value = parse(start, end) ? parsed : parseDouble(start, end);
  return value == value ? double(value, at) : 0;
}
