/*
 * Memory and elements of the values of rows (../layout.ts), by numbers of a model of a server: inspect/memory/value-memory.ts is the
 * reference. What takes more than these rules, and what may be damaged, is left to it.
 */
import {
  DROPPED, HAS_EXPIRE, MEASURE_ALLOC, MEASURE_ALLOCATOR, MEASURE_BESIDE, MEASURE_BESIDE_DICT, MEASURE_BESIDE_ENTRY, MEASURE_BESIDE_LIST,
  MEASURE_BESIDE_NODE, MEASURE_BESIDE_SETS, MEASURE_DICT, MEASURE_DIGEST, MEASURE_ELEMENTS, MEASURE_EMBED_LENGTH,
  MEASURE_EMBED_MOST, MEASURE_EMBED_ROOMY, MEASURE_EMBEDDED, MEASURE_EMBSTR, MEASURE_ENCODING, MEASURE_FIELD, MEASURE_FIELD_BYTES,
  MEASURE_FIELDS, MEASURE_FRAME, MEASURE_GUESSED, MEASURE_HASH_ENTRIES, MEASURE_HASHES, MEASURE_HASHTABLE, MEASURE_INT, MEASURE_INTSET,
  MEASURE_INTSET_ENTRIES, MEASURE_KEEPS, MEASURE_KEYS, MEASURE_LARGEST, MEASURE_LIST, MEASURE_LIST_CONVERTS, MEASURE_LIST_NODE,
  MEASURE_MEMBER, MEASURE_MEMORY, MEASURE_NODE, MEASURE_PACKED, MEASURE_PAIRS, MEASURE_QUICKLIST, MEASURE_RAW, MEASURE_SCORED,
  MEASURE_SET_ENTRIES, MEASURE_SETS, MEASURE_SKIPLIST, MEASURE_SKIPLISTS, MEASURE_STRUCTURE, MEASURE_STRUCTURES, MEASURE_VALUE,
  MEASURE_ZSET_ENTRIES, MEASURED_COUNTS, MEASURED_HASH, MEASURED_LENGTHS, MEASURED_LIST, MEASURED_SET, MEASURED_SIZES, MEASURED_STRING,
  MEASURED_ZSET, RECORD, RECORD_INTSET, RECORD_ITEMS, RECORD_LISTPACK, RECORD_QUICKLIST, RECORD_QUICKLIST2, RECORD_ZIPLIST,
} from '../layout';
import { digest, nameHash } from './hash';
import { digits, signed } from './numbers';
import { END, FLAGS, KEY_END, KEY_START, KIND, ROW, START, TYPE } from './row';
import { from, isInteger, length, readLength, string, to } from './run';
import { DECIMAL, scratch } from './scratch';

const LISTPACK_HEADER: usize = 6;
const ZIPLIST_HEADER: usize = 10;
const INTSET_HEADER: usize = 8;
const UNCOUNTED: u32 = 0xffff;
const POINTER: u32 = 8;
const OBJECT: u32 = 16;
const ENTRY: u32 = 24;
const SDS8_HEADER: u32 = 4;
const ROOMY_KEY: u32 = 128;
const EMBEDDED_PAIR: u32 = 128;
/** How far the tables of the model go. */
const SIZES: u32 = MEASURED_SIZES;
const LENGTHS: u32 = MEASURED_LENGTHS;
const COUNTS: u32 = MEASURED_COUNTS;
/** Characters of the longest integer. */
const LONGEST: u32 = 20;
/** The most bytes that LZF can make of a single one. */
const LZF_GROWTH: usize = 88;
/** Larger rows than this are left to the caller: sums have room. */
const LARGEST: usize = 1 << 24;

/** The words of the model. */
let model: usize = 0;

@inline
function word(which: usize): u32 {
  return load<u32>(model + (which << 2));
}

/* What was found in the value of a row: as in its columns. */
let memoryOf: f64 = 0;
let beside: i32 = 0;
let elements: u32 = 0;
let largest: u32 = 0;
let encoding: u32 = 0;
let fields: u32 = 0;
let fieldBytes: u32 = 0;

/* Sums over elements, as in the reference. */
let entries: u32 = 0;
let loose: u32 = 0;
let longest: u32 = 0;
let longAt: i32 = -1;
let allIntegers: bool = true;
let width: u32 = 2;

/* The element that was read last: its length as a text, whether it is an integer, or where its text is. */
let size: u32 = 0;
let isNumber: bool = false;
let number: i64 = 0;
let textAt: usize = 0;

/**
 * Measures rows [row, rows), whose positions count from `base`, by the block at `at`. Returns the first row that is left to the caller.
 */
export function measureRows(at: usize, table: usize, row: i32, rows: i32, base: usize): i32 {
  model = at;
  for (; row < rows; row++) {
    const words = table + (row as usize) * ROW;
    const flags = load<u32>(words, FLAGS);
    if ((flags & DROPPED) != 0 || load<i32>(words, KIND) != RECORD) continue;
    const type = load<u32>(words, TYPE);
    const structure = word(MEASURE_STRUCTURES) as usize + (type as usize) * MEASURE_STRUCTURE;
    const start = base + (load<u32>(words, START) as usize);
    const end = base + (load<u32>(words, END) as usize);
    const keyLength = load<u32>(words, KEY_END) - load<u32>(words, KEY_START);
    if (end - start > LARGEST) break;
    if (!value(load<u8>(structure), load<u8>(structure, 1), start, end, keyLength, (flags & HAS_EXPIRE) != 0)) break;
    store<f64>((word(MEASURE_MEMORY) as usize) + ((row as usize) << 3), memoryOf);
    store<f64>((word(MEASURE_ELEMENTS) as usize) + ((row as usize) << 3), elements as f64);
    store<f64>((word(MEASURE_LARGEST) as usize) + ((row as usize) << 3), largest as f64);
    store<u8>((word(MEASURE_ENCODING) as usize) + (row as usize), encoding as u8);
    store<u32>((word(MEASURE_FIELDS) as usize) + ((row as usize) << 2), fields);
    store<f64>((word(MEASURE_FIELD_BYTES) as usize) + ((row as usize) << 3), fieldBytes as f64);
    store<f64>((word(MEASURE_DIGEST) as usize) + ((row as usize) << 3), digest(type, start, end));
    store<u8>((word(MEASURE_GUESSED) as usize) + (row as usize), 0);
    const sum = model + (MEASURE_BESIDE << 2);
    if (beside != 0) store<f64>(sum, load<f64>(sum) + (beside as f64));
  }
  return row;
}

function value(container: i32, type: i32, start: usize, end: usize, keyLength: u32, hasExpire: bool): bool {
  elements = largest = fields = fieldBytes = entries = loose = longest = 0;
  longAt = -1;
  beside = 0;
  allIntegers = true;
  width = 2;
  if (type == MEASURED_STRING) return text(start, end, keyLength, hasExpire);
  memoryOf = object(keyLength, hasExpire) as f64;
  if (type == MEASURED_LIST) return (container == RECORD_QUICKLIST || container == RECORD_QUICKLIST2) && list(container, start, end);
  if (container == RECORD_ITEMS) {
    const pos = readLength(start);
    if (pos == 0) return false;
    if (type == MEASURED_SET) return members(pos, end) && set(0, false);
    if (type == MEASURED_HASH) return pairs(pos, end) && hash(0, false);
    return type == MEASURED_ZSET && scores(pos, end);
  }
  if (type == 0) return false;
  const next = string(start, end);
  if (next != end || isInteger) return false;
  const stored = (to - from) as u32;
  if (container == RECORD_INTSET) return intset(from, to);
  if (container == RECORD_LISTPACK) return listpack(type, from, to) && packed(type, stored);
  return container == RECORD_ZIPLIST && ziplist(type, from, to) && packed(type, word(MEASURE_KEEPS) == 0 ? stored : 0);
}

function packed(type: i32, stored: u32): bool {
  if (type == MEASURED_SET) return set(stored, true);
  if (type == MEASURED_HASH) return hash(stored, true);
  if (elements > word(MEASURE_ZSET_ENTRIES)) return false;
  smallPacked(stored);
  return true;
}

function smallPacked(stored: u32): void {
  encoding = word(MEASURE_PACKED);
  memoryOf += blob(stored > 0 ? stored : word(MEASURE_FRAME) + entries) as f64;
}

function text(start: usize, end: usize, keyLength: u32, hasExpire: bool): bool {
  if (element(start, end) != end) return false;
  elements = largest = size;
  if (isNumber) {
    encoding = word(MEASURE_INT);
    memoryOf = object(keyLength, hasExpire) as f64;
    return true;
  }
  if (size > word(MEASURE_EMBED_LENGTH)) {
    encoding = word(MEASURE_RAW);
    memoryOf = (object(keyLength, hasExpire) + alloc(sdsSize(size))) as f64;
    return true;
  }
  let apart = false;
  let whole: u32 = 0;
  if (word(MEASURE_KEYS) == 2) {
    whole = word(MEASURE_EMBEDDED) + 1 + sdsSize(keyLength) + SDS8_HEADER + size;
    const most = word(MEASURE_EMBED_MOST);
    const roomy = word(MEASURE_EMBED_ROOMY) != 0 && whole <= most && alloc(whole) >= whole + POINTER;
    apart = whole + (hasExpire && !roomy ? POINTER : 0) > most;
    whole = alloc(whole + (hasExpire ? POINTER : 0));
  } else {
    whole = object(keyLength, hasExpire) - OBJECT + (word(MEASURE_KEEPS) != 0 ? alloc(OBJECT + SDS8_HEADER + size) : OBJECT + 2 + size);
  }
  encoding = apart ? word(MEASURE_RAW) : word(MEASURE_EMBSTR);
  memoryOf = (apart ? object(keyLength, hasExpire) + alloc(sdsSize(size)) : whole) as f64;
  return true;
}

function object(keyLength: u32, hasExpire: bool): u32 {
  const key = sdsSize(keyLength);
  const keys = word(MEASURE_KEYS);
  if (keys == 0) return alloc(key) + ENTRY + OBJECT;
  if (keys == 1) return alloc(ENTRY + key) + OBJECT;
  return alloc(OBJECT + 1 + key + (hasExpire || keyLength >= ROOMY_KEY ? POINTER : 0));
}

@inline
function alloc(request: u32): u32 {
  return request < SIZES ? load<u32>((word(MEASURE_ALLOC) as usize) + ((request as usize) << 2)) : largeAlloc(request);
}

/** A packed value: servers with listpacks count it as allocated. */
@inline
function blob(bytes: u32): u32 {
  return word(MEASURE_KEEPS) != 0 ? alloc(bytes) : bytes;
}

/** As inspect/memory/allocator.ts, for requests above MEASURED_SIZES. */
function largeAlloc(request: u32): u32 {
  if (word(MEASURE_ALLOCATOR) == 2) {
    return request >= 131072 ? ((request + 24 + 4095) & ~4095) - 16 : ((request + 8 + 15) & ~15) - 8;
  }
  const spacing: u32 = 1 << (29 - clz<u32>(request - 1));
  return (request + spacing - 1) & ~(spacing - 1);
}

@inline
function sdsSize(n: u32): u32 {
  if (n < 32 && n > 0) return n + 2;
  return n < 256 ? n + 4 : n < 65536 ? n + 6 : n + 10;
}

/** An integer as an entry of a listpack. */
@inline
function integerEntry(n: i64): u32 {
  if (n >= 0 && n < 128) return 2;
  if (n >= -4096 && n < 4096) return 3;
  if (n == ((n as i16) as i64)) return 4;
  if (n == ((n << 40) >> 40)) return 5;
  return n == ((n as i32) as i64) ? 6 : 10;
}

@inline
function textEntry(n: u32): u32 {
  const entry = n + (n < 64 ? 1 : n < 4096 ? 2 : 5);
  if (entry <= 127) return entry + 1;
  return entry + (entry < 16383 ? 2 : entry < 2097151 ? 3 : 4);
}

@inline
function entrySize(): u32 {
  return isNumber ? integerEntry(number) : textEntry(size);
}

@inline
function setNumber(n: i64): void {
  isNumber = true;
  number = n;
  size = n >= 0 ? (digits(n as u64) as u32) : (digits((0 - n) as u64) as u32) + 1;
}

@inline
function setText(at: usize, n: u32): void {
  textAt = at;
  size = n;
  isNumber = n <= LONGEST && n > 0 && load<u8>(at) <= 0x39 && numberIn(at, n);
}

/** A text in a listpack, which is no integer: servers would have stored one as such. */
@inline
function setBytes(at: usize, n: u32): void {
  textAt = at;
  size = n;
  isNumber = false;
}

/** Whether a text is what an integer of 64 bits is written as; `number` is that. */
function numberIn(at: usize, n: u32): bool {
  const negative = load<u8>(at) == 0x2d;
  let p = at + (negative ? 1 : 0);
  const end = at + (n as usize);
  const count = end - p;
  if (count == 0 || count > 19 || (load<u8>(p) == 0x30 && n > 1)) return false;
  let sum: u64 = 0;
  for (; p < end; p++) {
    const digit = (load<u8>(p) as u32) - 0x30;
    if (digit > 9) return false;
    sum = sum * 10 + (digit as u64);
  }
  if (sum > (0x7fffffffffffffff as u64) + (negative ? 1 : 0)) return false;
  number = negative ? 0 - (sum as i64) : (sum as i64);
  return true;
}

/** Reads a string as rdb/string.ts does, without decompressing it (`textAt` is 0 then). Returns the position after it, or 0. */
function element(pos: usize, end: usize): usize {
  const first = load<u8>(pos) as usize;
  let next: usize;
  if (first < 0xc0) {
    const at = readLength(pos);
    if (at == 0 || length > LARGEST) return 0;
    next = at + length;
    if (next > end) return 0;
    setText(at, length as u32);
    return next;
  }
  if (first == 0xc3) {
    const middle = readLength(pos + 1);
    if (middle == 0) return 0;
    const bytes = length;
    const at = readLength(middle);
    if (at == 0 || bytes > LARGEST || length > bytes * LZF_GROWTH) return 0;
    isNumber = false;
    size = length as u32;
    textAt = 0;
    return at + bytes;
  }
  if (first == 0xc0) {
    setNumber(load<i8>(pos, 1) as i64);
    return pos + 2;
  }
  if (first == 0xc1) {
    setNumber(load<i16>(pos, 1) as i64);
    return pos + 3;
  }
  if (first != 0xc2) return 0;
  setNumber(load<i32>(pos, 1) as i64);
  return pos + 5;
}

@inline
function seen(): void {
  if (size > longest) longest = size;
}

/** The element is a field: adds its name to the hash of names. */
@inline
function name(): void {
  fieldBytes += size;
  const decimal = scratch + DECIMAL;
  if (isNumber && textAt == 0) fields += nameHash(decimal, signed(number, decimal) - decimal);
  else fields += nameHash(textAt, size as usize);
}

/** What a field and its value take in a table. */
function pair(field: u32, valueSize: u32): u32 {
  const mode = word(MEASURE_PAIRS);
  if (mode == 2) {
    const whole = sdsSize(field) + SDS8_HEADER + valueSize;
    if (whole <= EMBEDDED_PAIR) return word(MEASURE_FIELD) + alloc(whole);
    const long = field < 32 && field > 0 ? field + SDS8_HEADER : sdsSize(field);
    return word(MEASURE_FIELD) + alloc(long + POINTER) + alloc(sdsSize(valueSize));
  }
  const named = mode == 0 ? sdsSize(field) : field < 32 ? field + 2 : field < 65536 ? field + 4 : field + 10;
  return word(MEASURE_FIELD) + alloc(named) + alloc(sdsSize(valueSize));
}

/** The element is a member of a set. */
@inline
function member(): void {
  elements++;
  seen();
  if (isNumber) {
    const n = number;
    if (n != ((n as i32) as i64)) width = 8;
    else if (width == 2 && n != ((n as i16) as i64)) width = 4;
  } else {
    allIntegers = false;
  }
  entries += entrySize();
  loose += word(MEASURE_MEMBER) + alloc(sdsSize(size));
}

function members(start: usize, end: usize): bool {
  let pos = start;
  while (pos < end) {
    const next = element(pos, end);
    if (next <= pos || next > end) return false;
    member();
    pos = next;
  }
  return pos == end;
}

function pairs(start: usize, end: usize): bool {
  const limit = word(MEASURE_VALUE);
  let pos = start;
  while (pos < end) {
    textAt = 0;
    let next = element(pos, end);
    if (next <= pos || next >= end) return false;
    if (textAt == 0 && !isNumber) {
      if (string(pos, end) != next) return false;
      textAt = from;
    }
    const field = size;
    name();
    seen();
    entries += entrySize();
    pos = next;
    next = element(pos, end);
    if (next <= pos || next > end) return false;
    seen();
    entries += entrySize();
    loose += pair(field, size);
    if (longAt < 0 && longest > limit) longAt = elements;
    elements++;
    pos = next;
  }
  return pos == end;
}

/** A sorted set that is no small one. */
function scores(start: usize, end: usize): bool {
  const table = word(MEASURE_SCORED) as usize;
  let sum: f64 = 0;
  let pos = start;
  while (pos < end) {
    const next = element(pos, end);
    if (next <= pos || next + 8 > end || size >= LENGTHS) return false;
    seen();
    sum += load<f64>(table + ((size as usize) << 3));
    elements++;
    pos = next + 8;
  }
  if (pos != end || elements > COUNTS) return false;
  if (elements <= word(MEASURE_ZSET_ENTRIES) && longest <= word(MEASURE_VALUE)) return false;
  largest = longest;
  encoding = word(MEASURE_SKIPLISTS);
  const buckets = load<u32>((word(MEASURE_HASHES) as usize) + ((elements as usize) << 2)) + word(MEASURE_SKIPLIST);
  memoryOf += Math.floor((buckets as f64) + sum + 0.5);
  besideTable();
  return true;
}

function set(stored: u32, isPacked: bool): bool {
  largest = longest;
  if (allIntegers && elements <= word(MEASURE_INTSET_ENTRIES) && !isPacked) {
    encoding = word(MEASURE_INTSET);
    memoryOf += blob((INTSET_HEADER as u32) + width * elements) as f64;
  } else if (elements <= word(MEASURE_SET_ENTRIES) && (isPacked || longest <= word(MEASURE_VALUE))) {
    smallPacked(stored);
  } else {
    if (elements > COUNTS) return false;
    encoding = word(MEASURE_HASHTABLE);
    memoryOf += (load<u32>((word(MEASURE_SETS) as usize) + ((elements as usize) << 2)) + loose) as f64;
    beside = load<i32>((word(MEASURE_BESIDE_SETS) as usize) + ((elements as usize) << 2));
  }
  return true;
}

function hash(stored: u32, isPacked: bool): bool {
  largest = longest;
  const most = word(MEASURE_HASH_ENTRIES);
  if (elements <= most && (isPacked || longest <= word(MEASURE_VALUE))) {
    smallPacked(stored);
    return true;
  }
  if (elements > COUNTS) return false;
  encoding = word(MEASURE_HASHTABLE);
  const dict = word(MEASURE_DICT);
  const buckets =
    longAt >= 0 && dict != 0 && elements <= most
      ? dict + POINTER * convertedSlots(longAt as u32, elements)
      : load<u32>((word(MEASURE_HASHES) as usize) + ((elements as usize) << 2));
  memoryOf += (buckets + loose) as f64;
  besideTable();
  return true;
}

function besideTable(): void {
  beside = (word(MEASURE_BESIDE_DICT) + elements * word(MEASURE_BESIDE_ENTRY)) as i32;
}

function intset(start: usize, end: usize): bool {
  const bytes = end - start;
  if (bytes <= INTSET_HEADER) return false;
  const each = load<u32>(start) as usize;
  const count = load<u32>(start, 4);
  if ((each != 2 && each != 4 && each != 8) || count > word(MEASURE_INTSET_ENTRIES)) return false;
  if (INTSET_HEADER + (count as usize) * each != bytes) return false;
  for (let p = start + INTSET_HEADER; p < end; p += each) {
    setNumber(each == 2 ? (load<i16>(p) as i64) : each == 4 ? (load<i32>(p) as i64) : load<i64>(p));
    seen();
  }
  elements = count;
  largest = longest;
  encoding = word(MEASURE_INTSET);
  memoryOf += blob(bytes as u32) as f64;
  return true;
}

/** Reads an entry of a listpack; returns the position after it, or 0. */
@inline
function listpackEntry(pos: usize, stop: usize): usize {
  const first = load<u8>(pos) as usize;
  if (first < 0x80) {
    isNumber = true;
    number = first as i64;
    size = first < 10 ? 1 : first < 100 ? 2 : 3;
    textAt = 0;
    return pos + 2;
  }
  if (first < 0xc0) {
    const n = (first & 0x3f) as u32;
    setBytes(pos + 1, n);
    return pos + 2 + (n as usize);
  }
  if (first < 0xe0) {
    textAt = 0;
    setNumber((((((first & 0x1f) << 8) | (load<u8>(pos, 1) as usize)) as i32) << 19 >> 19) as i64);
    return pos + 3;
  }
  if (first < 0xf0) {
    const n = (((first & 0x0f) << 8) | (load<u8>(pos, 1) as usize)) as u32;
    setBytes(pos + 2, n);
    return pos + 2 + (n as usize) + (n + 2 <= 127 ? 1 : 2);
  }
  return wideEntry(first, pos, stop);
}

function otherEntry(pos: usize, stop: usize): usize {
  return listpackEntry(pos, stop);
}

function wideEntry(first: usize, pos: usize, stop: usize): usize {
  textAt = 0;
  if (first == 0xf1) {
    setNumber(load<i16>(pos, 1) as i64);
    return pos + 4;
  }
  if (first == 0xf2) {
    setNumber(((load<u32>(pos) as i32) >> 8) as i64);
    return pos + 5;
  }
  if (first == 0xf3) {
    setNumber(load<i32>(pos, 1) as i64);
    return pos + 6;
  }
  if (first == 0xf4) {
    setNumber(load<i64>(pos, 1));
    return pos + 10;
  }
  if (first != 0xf0) return 0;
  const n = load<u32>(pos, 1);
  // at the border values servers differ in the length after the entry
  if (n > 16000) return 0;
  setBytes(pos + 5, n);
  const next = pos + 5 + (n as usize);
  return next + (n + 5 <= 127 ? 1 : 2) > stop ? 0 : next + (n + 5 <= 127 ? 1 : 2);
}

/** Adds up the entries of a listpack. */
function listpack(type: i32, start: usize, end: usize): bool {
  const bytes = end - start;
  if (word(MEASURE_KEEPS) == 0) return false;
  if (bytes < LISTPACK_HEADER + 1 || (load<u32>(start) as usize) != bytes || load<u8>(end - 1) != 0xff) return false;
  const stated = load<u16>(start, 4) as u32;
  const stop = end - 1;
  let pos = start + LISTPACK_HEADER;
  let count: u32 = 0;
  const isHash = type == MEASURED_HASH;
  // one that becomes a table is left to the caller
  const half = stated >> 1;
  if (isHash ? half > word(MEASURE_HASH_ENTRIES) : type == MEASURED_SET && stated > word(MEASURE_SET_ENTRIES)) return false;
  if (isHash) {
    for (let isField = true; pos < stop; isField = !isField) {
      const next = listpackEntry(pos, stop);
      if (next <= pos || next > stop) return false;
      seen();
      if (isField) name();
      count++;
      pos = next;
    }
  } else {
    const step: u32 = type == MEASURED_ZSET ? 1 : 0;
    let most = longest;
    for (; pos < stop; count++) {
      const first = load<u8>(pos) as u32;
      let next: usize;
      let n: u32;
      if (first - 0x80 < 0x40) {
        n = first & 0x3f;
        next = pos + 2 + (n as usize);
      } else if (first - 0xe0 < 0x10) {
        n = ((first & 0x0f) << 8) | (load<u8>(pos, 1) as u32);
        next = pos + (n as usize) + (n <= 125 ? 3 : 4);
      } else {
        next = otherEntry(pos, stop);
        n = size;
      }
      if (next <= pos || next > stop) return false;
      if (n > most && (count & step) == 0) most = n;
      pos = next;
    }
    longest = most;
  }
  if (count != stated || count >= UNCOUNTED) return false;
  return counted(type, count);
}

/** Sets the counts for a packed value, from its number of entries. */
@inline
function counted(type: i32, count: u32): bool {
  if (type == MEASURED_SET || type == MEASURED_LIST) {
    elements += count;
  } else {
    if ((count & 1) != 0) return false;
    elements = count >> 1;
  }
  largest = longest;
  return true;
}

/** Reads an entry of a ziplist; returns the position after it, or 0. */
function ziplistEntry(pos: usize): usize {
  const previous = load<u8>(pos);
  if (previous == 0xff) return 0;
  const p = pos + (previous < 0xfe ? 1 : 5);
  const first = load<u8>(p) as usize;
  if (first < 0xc0) {
    let n: u32;
    let at: usize;
    if (first < 0x40) {
      n = first as u32;
      at = p + 1;
    } else if (first < 0x80) {
      n = (((first & 0x3f) << 8) | (load<u8>(p, 1) as usize)) as u32;
      at = p + 2;
    } else {
      n = bswap<u32>(load<u32>(p, 1));
      at = p + 5;
    }
    if ((n as usize) > LARGEST) return 0;
    setText(at, n);
    return at + (n as usize);
  }
  textAt = 0;
  if (first == 0xc0) {
    setNumber(load<i16>(p, 1) as i64);
    return p + 3;
  }
  if (first == 0xd0) {
    setNumber(load<i32>(p, 1) as i64);
    return p + 5;
  }
  if (first == 0xe0) {
    setNumber(load<i64>(p, 1));
    return p + 9;
  }
  if (first == 0xf0) {
    setNumber(((load<u32>(p) as i32) >> 8) as i64);
    return p + 4;
  }
  if (first == 0xfe) {
    setNumber(load<i8>(p, 1) as i64);
    return p + 2;
  }
  if (first < 0xf1 || first > 0xfd) return 0;
  setNumber(((first & 15) - 1) as i64);
  return p + 1;
}

function ziplist(type: i32, start: usize, end: usize): bool {
  const bytes = end - start;
  if (bytes < ZIPLIST_HEADER + 1 || (load<u32>(start) as usize) != bytes || load<u8>(end - 1) != 0xff) return false;
  const stated = load<u16>(start, 8) as u32;
  const stop = end - 1;
  let pos = start + ZIPLIST_HEADER;
  let count: u32 = 0;
  if (type == MEASURED_HASH && stated >> 1 > word(MEASURE_HASH_ENTRIES)) return false;
  while (pos < stop) {
    const next = ziplistEntry(pos);
    if (next <= pos || next > stop) return false;
    if ((count & 1) == 0 || type != MEASURED_ZSET) seen();
    if (type == MEASURED_HASH && (count & 1) == 0) name();
    entries += entrySize();
    count++;
    pos = next;
  }
  if (count != stated || count >= UNCOUNTED) return false;
  return counted(type, count);
}

function list(container: i32, start: usize, end: usize): bool {
  let pos = readLength(start);
  if (pos == 0) return false;
  let nodes: u32 = 0;
  let bytes: u32 = 0;
  let last: u32 = 0;
  let hasPlain = false;
  while (pos < end) {
    let kind: usize = 2;
    if (container == RECORD_QUICKLIST2) {
      pos = readLength(pos);
      if (pos == 0) return false;
      kind = length;
    }
    if (kind == 1) {
      const next = element(pos, end);
      if (next <= pos || next > end) return false;
      seen();
      elements++;
      hasPlain = true;
      bytes += blob(size);
      pos = next;
    } else {
      const next = string(pos, end);
      if (next <= pos || next > end || isInteger || kind != 2) return false;
      const stored = (to - from) as u32;
      const before = elements;
      entries = 0;
      if (container == RECORD_QUICKLIST2 ? !listpack(MEASURED_LIST, from, to) : !ziplist(MEASURED_LIST, from, to)) return false;
      if (elements == before) return false;
      last = (container == RECORD_QUICKLIST2) == (word(MEASURE_KEEPS) != 0) ? stored : word(MEASURE_FRAME) + entries;
      bytes += blob(last);
      pos = next;
    }
    nodes++;
  }
  if (pos != end) return false;
  largest = longest;
  if (nodes == 1 && !hasPlain && word(MEASURE_LIST_CONVERTS) != 0 && last <= word(MEASURE_NODE)) {
    encoding = word(MEASURE_PACKED);
    memoryOf += bytes as f64;
    return true;
  }
  encoding = word(MEASURE_QUICKLIST);
  beside = (word(MEASURE_BESIDE_LIST) + nodes * word(MEASURE_BESIDE_NODE)) as i32;
  memoryOf += (word(MEASURE_LIST) + nodes * word(MEASURE_LIST_NODE) + bytes) as f64;
  return true;
}

/* As inspect/memory/tables.ts. */

@inline
function nextPower(count: u32): u32 {
  return count <= 4 ? 4 : 1 << (32 - clz<u32>(count - 1));
}

function sharedSlots(slots: u32, count: u32): f64 {
  const x = Math.min(1, (count as f64) / (slots as f64));
  let sum: f64 = 0;
  let term = x;
  for (let i = 2; i < 12; i++) {
    sum += term;
    term *= -x / (i as f64);
  }
  return (slots as f64) * sum;
}

function convertedSlots(at: u32, count: u32): u32 {
  let slots = nextPower(at);
  let used = at;
  let next: u32 = 0;
  let steps: u32 = 0;
  if (used >= slots) {
    next = nextPower(used + 1);
    steps = Math.ceil(sharedSlots(slots, used)) as u32;
  }
  used++;
  let left = count - used;
  if (left > 4 && next == 0 && used <= left && nextPower(left) != slots) {
    next = nextPower(left);
    steps = Math.ceil(sharedSlots(slots, used)) as u32;
  }
  while (left > 0) {
    const adds = min(left, next > 0 ? steps : slots - used);
    used += adds;
    left -= adds;
    if (next > 0) {
      steps -= adds;
      if (steps > 0) break;
      slots = next;
      next = 0;
    } else if (left > 0) {
      next = nextPower(used + 1);
      steps = Math.ceil(sharedSlots(slots, used)) as u32;
      used++;
      left--;
    }
  }
  return slots + next;
}
