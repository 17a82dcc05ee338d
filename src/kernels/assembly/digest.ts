/*
 * Digests of rows, and their sums (../layout.ts): diff/row-digests.ts and diff/fold.ts are the references, diff/value-digest.ts says what
 * counts. Field expiries, streams, HyperLogLogs and all that may be damaged are left to them.
 */
import {
  DATABASE_FACTOR, DIGEST_DOMAINS, DIGEST_ELEMENTS, DIGEST_KEYS, DIGEST_MASK, DIGEST_READS_VALUES, DIGEST_STRUCTURE, DIGEST_STRUCTURES,
  DIGEST_VALUES, DIGEST_WANTED, DOMAIN_FIELD, DOMAIN_HASH, DOMAIN_KEY, DOMAIN_LIST, DOMAIN_MEMBER, DOMAIN_RECORD, DOMAIN_SCORED,
  DOMAIN_SET, DOMAIN_STRING, DOMAIN_ZSET, DROPPED, FOLD_COUNTS, FOLD_DATABASES, FOLD_EXPIRED, FOLD_HAS_EXPIRE, FOLD_NOW,
  FOLD_ONLY_COUNTS, FOLD_RECORD, FOLD_SUMS, FOLD_TALLY, FOLD_TALLY_TYPES, FOLD_TOLERANCE, FOLD_TYPES, HAS_EXPIRE, HAS_META, KEY_HELD,
  RECORD, RECORD_INTSET, RECORD_ITEMS, RECORD_LISTPACK, RECORD_QUICKLIST, RECORD_QUICKLIST2, RECORD_ZIPLIST,
} from '../layout';
import { beginChain, chain, s1, s2, s3, s4, storeChain } from './murmur3';
import { signed } from './numbers';
import { parse, parsed } from './parse';
import { DB, END, EXPIRE, FLAGS, KEY_END, KEY_START, KIND, ROW, START, TYPE } from './row';
import { from, integer, isInteger, length, read, readLength, string, to } from './run';
import { DECIMAL, FOLDED, scratch } from './scratch';

/** How elements are read: the numbers of values/layouts.ts. */
const STRING = 0;
const LISTPACK = 1;
const ZIPLIST = 2;
const INT16 = 5;

const LISTPACK_HEADER: usize = 6;
const ZIPLIST_HEADER: usize = 10;
const INTSET_HEADER: usize = 8;
const UNCOUNTED: u32 = 0xffff;
/** The beginning of a HyperLogLog. */
const HYLL: u32 = 0x4c4c5948;
const NAN: u64 = 0x7ff8000000000000;
const DATABASES: u32 = FOLD_DATABASES;
/** Larger milliseconds are left to the caller: doubles would not hold them. */
const GREATEST: i64 = 9007199254740992;

let block: usize = 0;
let domains: usize = 0;
/** Room for numbers that are hashed. */
let folded: usize = 0;
/** Where digests of elements begin. */
let elementDomain: usize = 0;

/* Of the value that is read: elements of its packed parts and in all, and the sum of those that have no order. */
let walked: u32 = 0;
let elements: u32 = 0;
let sumLow: u64 = 0;
let sumHigh: u64 = 0;

@inline
function word(which: usize): usize {
  return load<u32>(block + (which << 2)) as usize;
}

export function digestRows(at: usize, table: usize, row: i32, rows: i32, base: usize): i32 {
  block = at;
  domains = word(DIGEST_DOMAINS);
  folded = scratch + FOLDED;
  const wanted = word(DIGEST_WANTED);
  const mask = word(DIGEST_MASK) as u32;
  const keys = word(DIGEST_KEYS);
  const values = word(DIGEST_VALUES);
  const counts = word(DIGEST_ELEMENTS);
  const structures = word(DIGEST_STRUCTURES);
  const readsValues = word(DIGEST_READS_VALUES) != 0;
  for (; row < rows; row++) {
    const words = table + (row as usize) * ROW;
    const flags = load<u32>(words, FLAGS);
    if ((flags & DROPPED) != 0 || load<i32>(words, KIND) != RECORD) continue;
    if ((flags & (KEY_HELD | HAS_META)) != 0) break;
    beginChain(domains + (DOMAIN_KEY << 4));
    const state = folded;
    storeChain(state);
    store<u32>(state, load<u32>(state) ^ (load<u32>(words, DB) * DATABASE_FACTOR));
    beginChain(state);
    const key = load<u32>(words, KEY_START);
    chain(base + (key as usize), (load<u32>(words, KEY_END) - key) as usize);
    storeChain(keys + ((row as usize) << 4));
    if (!readsValues) continue;
    const bucket = s1 & mask;
    if (wanted != 0 && (load<u32>(wanted + (((bucket >> 5) as usize) << 2)) & (1 << (bucket & 31))) == 0) continue;
    const structure = structures + (load<u32>(words, TYPE) as usize) * DIGEST_STRUCTURE;
    const start = base + (load<u32>(words, START) as usize);
    const end = base + (load<u32>(words, END) as usize);
    if (!value(load<u8>(structure) as i32, load<u8>(structure, 1) as usize, start, end)) break;
    storeChain(values + ((row as usize) << 4));
    store<f64>(counts + ((row as usize) << 3), elements as f64);
  }
  return row;
}

function value(container: i32, domain: usize, start: usize, end: usize): bool {
  if (container == 0) return false;
  elements = 0;
  sumLow = sumHigh = 0;
  if (domain == DOMAIN_STRING) return text(start, end);
  if (domain == DOMAIN_LIST) {
    beginChain(domains + (DOMAIN_LIST << 4));
    if (!list(container, start, end)) return false;
    store<u64>(folded, elements as u64);
    chain(folded, 8);
    return true;
  }
  elementDomain = domains + ((domain == DOMAIN_SET ? DOMAIN_MEMBER : domain == DOMAIN_HASH ? DOMAIN_FIELD : DOMAIN_SCORED) << 4);
  if (container == RECORD_ITEMS) {
    const first = readLength(start);
    if (first == 0 || first > end || !run(domain, STRING, first, end, true)) return false;
  } else {
    if (string(start, end) != end || isInteger || !packed(container, domain, from, to)) return false;
  }
  store<u64>(folded, sumLow);
  store<u64>(folded, sumHigh, 8);
  store<u64>(folded, elements as u64, 16);
  beginChain(domains + (domain << 4));
  chain(folded, 24);
  return true;
}

function text(start: usize, end: usize): bool {
  if (string(start, end) != end) return false;
  if (!isInteger && to - from > 16 && load<u32>(from) == HYLL) return false;
  beginChain(domains + (DOMAIN_STRING << 4));
  elements = takeElement() as u32;
  return true;
}

/** Takes the element that was read last; returns the bytes of its text. */
@inline
function takeElement(): usize {
  if (isInteger) return takeInteger();
  const size = to - from;
  chain(from, size);
  return size;
}

function takeInteger(): usize {
  const decimal = scratch + DECIMAL;
  const size = signed(integer, decimal) - decimal;
  chain(decimal, size);
  return size;
}

/** Adds the chain of one element. */
@inline
function addElement(): void {
  const low = (s1 as u64) | ((s2 as u64) << 32);
  sumLow += low;
  sumHigh += ((s3 as u64) | ((s4 as u64) << 32)) + (sumLow < low ? 1 : 0);
  elements++;
}

/** Whether what was read at `pos` ends at `next`, within `end`; a forged length may have gone round the address space. */
@inline
function inside(pos: usize, next: usize, end: usize): bool {
  return next > pos && next <= end;
}

/** Elements in [start, end); `binary`: scores are doubles. */
function run(domain: usize, how: i32, start: usize, end: usize, binary: bool): bool {
  if (how == LISTPACK) return elementsOf(domain, LISTPACK, start, end, binary);
  if (how == ZIPLIST) return elementsOf(domain, ZIPLIST, start, end, binary);
  return elementsOf(domain, how, start, end, binary);
}

@inline
function elementsOf(domain: usize, how: i32, start: usize, end: usize, binary: bool): bool {
  let pos = start;
  walked = 0;
  if (domain == DOMAIN_LIST) {
    while (pos < end) {
      const next = read(how, pos, end);
      if (!inside(pos, next, end)) return false;
      takeElement();
      walked++;
      pos = next;
    }
    elements += walked;
    return true;
  }
  while (pos < end) {
    let next = read(how, pos, end);
    if (!inside(pos, next, end)) return false;
    beginChain(elementDomain);
    takeElement();
    walked++;
    if (domain != DOMAIN_SET) {
      pos = next;
      if (domain == DOMAIN_ZSET && binary) {
        next += 8;
        if (next > end) return false;
        score(load<f64>(pos));
      } else {
        if (pos == end) return false;
        next = read(how, pos, end);
        if (!inside(pos, next, end)) return false;
        if (domain == DOMAIN_HASH) takeElement();
        else if (isInteger) score(integer as f64);
        else if (parse(from, to)) score(parsed);
        else return false;
      }
      walked++;
    }
    addElement();
    pos = next;
  }
  return true;
}

@inline
function score(value: f64): void {
  store<u64>(folded, value == 0 ? 0 : value == value ? reinterpret<u64>(value) : NAN);
  chain(folded, 8);
}

/** A packed value in [start, end): checks what stands around its elements. */
function packed(container: i32, domain: usize, start: usize, end: usize): bool {
  const size = end - start;
  if (container == RECORD_INTSET) {
    if (size < INTSET_HEADER || domain != DOMAIN_SET) return false;
    const width = load<u32>(start);
    const how = width == 2 ? INT16 : width == 4 ? INT16 + 1 : width == 8 ? INT16 + 2 : 0;
    if (how == 0 || (INTSET_HEADER as u64) + (load<u32>(start, 4) as u64) * (width as u64) != (size as u64)) return false;
    return run(domain, how, start + INTSET_HEADER, end, false);
  }
  if (container != RECORD_LISTPACK && container != RECORD_ZIPLIST) return false;
  const header = container == RECORD_LISTPACK ? LISTPACK_HEADER : ZIPLIST_HEADER;
  if (size < header + 1 || load<u32>(start) != (size as u32) || load<u8>(end - 1) != 0xff) return false;
  const count = load<u16>(start + header - 2) as u32;
  if (!run(domain, container == RECORD_LISTPACK ? LISTPACK : ZIPLIST, start + header, end - 1, false)) return false;
  return count == UNCOUNTED || count == walked;
}

function list(container: i32, start: usize, end: usize): bool {
  if (container == RECORD_LISTPACK || container == RECORD_ZIPLIST) {
    return string(start, end) == end && !isInteger && packed(container, DOMAIN_LIST, from, to);
  }
  let pos = readLength(start);
  if (pos == 0 || pos > end) return false;
  if (container == RECORD_ITEMS) return run(DOMAIN_LIST, STRING, pos, end, false);
  if (container != RECORD_QUICKLIST && container != RECORD_QUICKLIST2) return false;
  while (pos < end) {
    let plain = false;
    if (container == RECORD_QUICKLIST2) {
      pos = readLength(pos);
      if (pos == 0 || pos >= end || length < 1 || length > 2) return false;
      plain = length == 1;
    }
    const next = string(pos, end);
    if (!inside(pos, next, end)) return false;
    if (plain) {
      takeElement();
      elements++;
    } else if (isInteger || !packed(container == RECORD_QUICKLIST2 ? RECORD_LISTPACK : RECORD_ZIPLIST, DOMAIN_LIST, from, to)) {
      return false;
    }
    pos = next;
  }
  return true;
}

export function foldRows(at: usize, table: usize, row: i32, rows: i32): i32 {
  block = at;
  folded = scratch + FOLDED;
  const record = folded;
  const now = load<f64>(block, FOLD_NOW * 4);
  const tolerance = load<f64>(block, FOLD_TOLERANCE * 4);
  const onlyCounts = word(FOLD_ONLY_COUNTS) != 0;
  const keys = word(DIGEST_KEYS);
  const values = word(DIGEST_VALUES);
  const sums = word(FOLD_SUMS);
  const counts = word(FOLD_COUNTS);
  const mask = word(DIGEST_MASK) as u32;
  const types = word(FOLD_TYPES);
  const tally = word(FOLD_TALLY);
  const begin = word(DIGEST_DOMAINS) + (DOMAIN_RECORD << 4);
  for (; row < rows; row++) {
    const words = table + (row as usize) * ROW;
    const flags = load<u32>(words, FLAGS);
    if ((flags & DROPPED) != 0 || load<i32>(words, KIND) != RECORD) continue;
    const hasExpire = (flags & HAS_EXPIRE) != 0;
    const db = load<u32>(words, DB);
    let expiry = hasExpire ? load<i64>(words, EXPIRE) : 0;
    if (db >= DATABASES || expiry > GREATEST || expiry < -GREATEST) break;
    if (hasExpire && (expiry as f64) <= now) {
      store<f64>(block, load<f64>(block, FOLD_EXPIRED * 4) + 1, FOLD_EXPIRED * 4);
      continue;
    }
    const type = load<u8>(types + (load<u32>(words, TYPE) as usize)) as u32;
    const cell = tally + (((db * FOLD_TALLY_TYPES + type) as usize) << 3);
    store<f64>(cell, load<f64>(cell) + 1);
    if (onlyCounts) continue;
    if (hasExpire && tolerance > 0) expiry = Math.floor((expiry as f64) / tolerance) as i64;
    const key = keys + ((row as usize) << 4);
    v128.store(record, v128.load(key));
    store<u32>(record, db, 16);
    store<u32>(record, hasExpire ? type + FOLD_HAS_EXPIRE : type, 20);
    store<i64>(record, expiry, 24);
    v128.store(record, v128.load(values + ((row as usize) << 4)), 32);
    beginChain(begin);
    chain(record, FOLD_RECORD);
    const bucket = (load<u32>(key) & mask) as usize;
    const sum = sums + (bucket << 4);
    const low = (s1 as u64) | ((s2 as u64) << 32);
    const lowSum = load<u64>(sum) + low;
    store<u64>(sum, lowSum);
    store<u64>(sum, load<u64>(sum, 8) + ((s3 as u64) | ((s4 as u64) << 32)) + (lowSum < low ? 1 : 0), 8);
    const count = counts + (bucket << 2);
    store<u32>(count, load<u32>(count) + 1);
  }
  return row;
}
