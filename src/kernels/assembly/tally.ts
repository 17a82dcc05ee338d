/*
 * Rows of a batch with their measures, added to the counts of a tally: `count` of inspect/tally.ts and `add` of inspect/prefix-tree.ts,
 * which are the reference.
 * A key is counted as a whole or not at all: the nodes of its prefixes are found or made first. If there is no room for one, the key is
 * left to the caller, and the nodes that were made for it count nothing yet.
 */
import * as layout from '../layout';
import { DROPPED, HAS_EXPIRE, KEY_HELD, RECORD } from '../layout';
import { DB, END, EXPIRE, FLAGS, FREQ, HEAD_START, IDLE, KEY_END, KEY_START, KIND, ROW, TYPE } from './row';
import { CLASSES, NAME, PATH, scratch } from './scratch';
import { keySlot } from './slots';

const DOUBLE: usize = 8;
const CELL: usize = layout.CELL * 8;
const CELL_BYTES: usize = layout.CELL_BYTES * 8;
const CELL_MEMORY: usize = layout.CELL_MEMORY * 8;
const CELL_ELEMENTS: usize = layout.CELL_ELEMENTS * 8;
const CELL_WITH_EXPIRY: usize = layout.CELL_WITH_EXPIRY * 8;
const CELL_EXPIRED: usize = layout.CELL_EXPIRED * 8;
const CELL_KEY_BYTES: usize = layout.CELL_KEY_BYTES * 8;
const SLOT_CELL: usize = layout.SLOT_CELL * 8;

const HISTOGRAM: usize = layout.HISTOGRAM * 8;
const HISTOGRAM_MAX: usize = layout.HISTOGRAM_MAX * 8;
const HISTOGRAM_BUCKETS: usize = layout.HISTOGRAM_BUCKETS * 8;
const BITS: u64 = layout.HISTOGRAM_BITS;
const STEPS: u64 = 1 << layout.HISTOGRAM_BITS;
const MOST: f64 = 9007199254740991.0;

const NODE: usize = layout.NODE_WORDS * 4;
const NODE_MEMORY: usize = layout.NODE_MEMORY * 8;
const NODE_BYTES: usize = layout.NODE_BYTES * 8;
const NODE_ELEMENTS: usize = layout.NODE_ELEMENTS * 8;
const NODE_KEYS: usize = layout.NODE_KEYS * 4;
const NODE_WITH_EXPIRY: usize = layout.NODE_WITH_EXPIRY * 4;
const NODE_EXPIRED: usize = layout.NODE_EXPIRED * 4;
const NODE_PARENT: usize = layout.NODE_PARENT * 4;
const NODE_NAME: usize = layout.NODE_NAME * 4;
const NODE_NAME_LENGTH: usize = layout.NODE_NAME_LENGTH * 4;
const NODE_HASH: usize = layout.NODE_HASH * 4;
const NODE_TYPE: usize = layout.NODE_TYPE * 4;
const NODE_HISTOGRAM: usize = layout.NODE_HISTOGRAM * 4;

const STAR: u8 = 0x2a;
const DASH: u8 = 0x2d;
const UUID: usize = 36;
const ULID: usize = 26;
const SHORTEST_HASH: usize = 12;
/** Classes of characters, as in inspect/fold.ts. */
const DIGIT: u8 = 1;
const HEX: u8 = 2;
const CROCKFORD: u8 = 4;
let classes: usize = 0;

const NAME_BYTES: usize = layout.NAME_BYTES;
const DATABASES: u32 = layout.TALLY_DATABASES;
const LONGEST: usize = layout.LONGEST_SEGMENT;
const BUCKETS: u32 = layout.NODE_BUCKETS;
const MOST_HISTOGRAMS: u32 = layout.MOST_HISTOGRAMS;
const KEYS_FOR_HISTOGRAM: u32 = layout.KEYS_FOR_HISTOGRAM;

/** The nodes of the prefixes of a key, the root first, and the segment that is looked up. */
let path: usize = 0;
let name: usize = 0;

/** What one key adds. */
let memoryOf: f64 = 0;
let bytesOf: f64 = 0;
let elementsOf: f64 = 0;
let keyBytesOf: f64 = 0;
let withExpiry: bool = false;
let expired: bool = false;
let typeOf: i32 = 0;

let state: usize = 0;

export function tallyInit(): void {
  classes = scratch + CLASSES;
  for (let c: usize = 0x30; c <= 0x39; c++) store<u8>(classes + c, DIGIT | CROCKFORD);
  for (let c: usize = 0x61; c <= 0x66; c++) store<u8>(classes + c, HEX);
  for (let c: usize = 0x41; c <= 0x5a; c++) {
    let found: u8 = c <= 0x46 ? HEX : 0;
    if (c != 0x49 && c != 0x4c && c != 0x4f && c != 0x55) found |= CROCKFORD; // without I, L, O, U
    store<u8>(classes + c, found);
  }
}

/** Counts rows [row, rows), whose positions count from `base`. Returns the first that it left to the caller. */
export function tallyRows(
  tally: usize, table: usize, row: i32, rows: i32, base: usize, memories: usize, elements: usize, encodings: usize,
): i32 {
  state = tally;
  path = scratch + PATH;
  name = scratch + NAME;
  const now = load<f64>(state, layout.TALLY_NOW * 4);
  const cells = word(layout.TALLY_CELLS);
  const types = word(layout.TALLY_TYPES);
  const forms = word(layout.TALLY_FORMS);
  for (; row < rows; row++) {
    const at = table + (row as usize) * ROW;
    const flags = load<i32>(at, FLAGS);
    if ((flags & DROPPED) != 0 || load<i32>(at, KIND) != RECORD) continue;
    const db = load<u32>(at, DB);
    if ((flags & KEY_HELD) != 0 || db >= DATABASES) break;
    const database = load<u32>(cells + ((db as usize) << 2)) as usize;
    if (database == 0) break;
    const number = load<u32>(at, TYPE) as usize;
    typeOf = load<u8>(types + number) as i32;
    memoryOf = load<f64>(memories + ((row as usize) << 3));
    elementsOf = load<f64>(elements + ((row as usize) << 3));
    bytesOf = (load<u32>(at, END) - load<u32>(at, HEAD_START)) as f64;
    withExpiry = (flags & HAS_EXPIRE) != 0;
    const expireAt = withExpiry ? (load<i64>(at, EXPIRE) as f64) : 0.0;
    expired = withExpiry && expireAt <= now;
    const start = base + (load<u32>(at, KEY_START) as usize);
    const end = base + (load<u32>(at, KEY_END) as usize);
    const depth = findPath(start, end);
    if (depth < 0) break;
    countPath(depth);

    keyBytesOf = (end - start) as f64;
    addToCell(database + ((load<u32>(forms + (number << 2)) as usize) + (load<u8>(encodings + (row as usize)) as usize)) * CELL);
    addToSlot(word(layout.TALLY_SLOTS) + keySlot(start, end - start) * SLOT_CELL);
    if (expired) addToCell(word(layout.TALLY_EXPIRED));
    else if (withExpiry) {
      addToCell(word(layout.TALLY_EXPIRING));
      addToBuckets(word(layout.TALLY_LEFT), expireAt - now);
    }
    const idle = load<f64>(at, IDLE);
    if (idle >= 0) addToBuckets(word(layout.TALLY_IDLE), idle);
    const freq = load<i32>(at, FREQ);
    if (freq >= 0) addToBuckets(word(layout.TALLY_FREQUENCY), freq as f64);

    const sizes = word(layout.TALLY_SIZES) + (typeOf as usize) * layout.TYPE_HISTOGRAMS * HISTOGRAM;
    addToHistogram(sizes, memoryOf);
    addToHistogram(sizes + HISTOGRAM, bytesOf);
    addToHistogram(sizes + 2 * HISTOGRAM, elementsOf);
    addToHistogram(sizes + 3 * HISTOGRAM, keyBytesOf);
  }
  return row;
}

/** A word of the state. */
@inline
function word(which: usize): usize {
  return load<u32>(state + (which << 2)) as usize;
}

@inline
function addToCell(cell: usize): void {
  store<f64>(cell, load<f64>(cell) + 1);
  store<f64>(cell, load<f64>(cell, CELL_BYTES) + bytesOf, CELL_BYTES);
  store<f64>(cell, load<f64>(cell, CELL_MEMORY) + memoryOf, CELL_MEMORY);
  store<f64>(cell, load<f64>(cell, CELL_ELEMENTS) + elementsOf, CELL_ELEMENTS);
  store<f64>(cell, load<f64>(cell, CELL_KEY_BYTES) + keyBytesOf, CELL_KEY_BYTES);
  if (!withExpiry) return;
  store<f64>(cell, load<f64>(cell, CELL_WITH_EXPIRY) + 1, CELL_WITH_EXPIRY);
  if (expired) store<f64>(cell, load<f64>(cell, CELL_EXPIRED) + 1, CELL_EXPIRED);
}

@inline
function addToSlot(cell: usize): void {
  store<f64>(cell, load<f64>(cell) + 1);
  store<f64>(cell, load<f64>(cell, CELL_BYTES) + bytesOf, CELL_BYTES);
  store<f64>(cell, load<f64>(cell, CELL_MEMORY) + memoryOf, CELL_MEMORY);
  store<f64>(cell, load<f64>(cell, CELL_ELEMENTS) + elementsOf, CELL_ELEMENTS);
}

function addToBuckets(buckets: usize, value: f64): void {
  const count = load<f64>(buckets) as i32;
  let i = 0;
  while (i < count && value > load<f64>(buckets + ((layout.BUCKETS_ENDS + i) << 3))) i++;
  const keys = buckets + ((layout.BUCKETS_KEYS + i) << 3);
  store<f64>(keys, load<f64>(keys) + 1);
  const memory = buckets + ((layout.BUCKETS_MEMORY + i) << 3);
  store<f64>(memory, load<f64>(memory) + memoryOf);
}

@inline
function addToHistogram(histogram: usize, value: f64): void {
  if (value > load<f64>(histogram, HISTOGRAM_MAX)) store<f64>(histogram, value, HISTOGRAM_MAX);
  const whole = (value < MOST ? value : MOST) as u64;
  let bucket = whole;
  if (whole >= STEPS) {
    const shift = 63 - BITS - clz<u64>(whole);
    bucket = (shift << BITS) + (whole >> shift);
  }
  const at = histogram + HISTOGRAM_BUCKETS + ((bucket as usize) << 3);
  store<f64>(at, load<f64>(at) + 1);
}

/**
 * Puts the nodes of the prefixes of a key into `path`, the root first. Returns how many there are, or -1 if one of them needs a node that
 * there is no room for.
 */
function findPath(start: usize, end: usize): i32 {
  const delimiters = word(layout.TREE_DELIMITERS);
  const most = word(layout.TREE_DEPTH) as i32;
  const nodes = word(layout.TREE_NODES);
  store<u32>(path, 0);
  let parent: usize = 0;
  let pos = start;
  let folded = false;
  let depth = 1;
  for (let level = 0; level < most && pos < end; level++) {
    const isId = isUuid(pos, end);
    let stop = isId ? pos + UUID : pos;
    while (stop < end && load<u8>(delimiters + (load<u8>(stop) as usize)) == 0) stop++;
    const id = isId && stop == pos + UUID ? pos : idStart(pos, stop);
    let hash = load<u32>(nodes + parent * NODE, NODE_HASH);
    let length = id - pos;
    if (length > LONGEST) length = shownLength(pos);
    for (let i: usize = 0; i < length; i++) {
      const byte = load<u8>(pos + i);
      store<u8>(name + i, byte);
      hash = (hash ^ (byte as u32)) * layout.PREFIX_PRIME;
    }
    if (id < stop) {
      store<u8>(name + length++, STAR);
      hash = (hash ^ (STAR as u32)) * layout.PREFIX_PRIME;
      folded = true;
    }
    if (stop < end) {
      const delimiter = load<u8>(stop);
      store<u8>(name + length++, delimiter);
      hash = (hash ^ (delimiter as u32)) * layout.PREFIX_PRIME;
      while (stop < end && load<u8>(delimiters + (load<u8>(stop) as usize)) == 1) stop++;
    } else if (!folded) {
      return depth;
    }
    hash = spread(hash);
    let node = find(hash, parent, length, nodes);
    if (node == 0) {
      if (!isWorthNode(hash)) return depth;
      node = insert(hash, parent, length, nodes);
      if (node == 0) return -1;
    }
    store<u32>(path + ((depth as usize) << 2), node as u32);
    depth++;
    parent = node;
    pos = stop;
  }
  return depth;
}

/** Of a long segment: it is cut between characters. */
function shownLength(pos: usize): usize {
  let length = LONGEST;
  while (length > LONGEST - 4 && (load<u8>(pos + length) & 0xc0) == 0x80) length--;
  return length;
}

@inline
function spread(hash: u32): u32 {
  let h = hash;
  h ^= h >> 16;
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ (h >> 16);
}

/** The child of a node with the name in `name`, or 0. */
@inline
function find(hash: u32, parent: usize, length: usize, nodes: usize): usize {
  const table = word(layout.TREE_TABLE);
  const mask = word(layout.TREE_MASK) as u32;
  let at = (hash << 1) & mask;
  let entry = load<u64>(table + ((at as usize) << 2));
  let node = (entry >> 32) as usize;
  while (node != 0 && ((entry as u32) != hash || !isNamed(nodes + node * NODE, parent, length))) {
    at = (at + 2) & mask;
    entry = load<u64>(table + ((at as usize) << 2));
    node = (entry >> 32) as usize;
  }
  return node;
}

function isNamed(node: usize, parent: usize, length: usize): bool {
  if ((load<u32>(node, NODE_PARENT) as usize) != parent || (load<u32>(node, NODE_NAME_LENGTH) as usize) != length) return false;
  return memory.compare(word(layout.TREE_NAMES) + (load<u32>(node, NODE_NAME) as usize), name, length) == 0;
}

/** A new child of a node with the name in `name`; 0 if there is no room for it. */
function insert(hash: u32, parent: usize, length: usize, nodes: usize): usize {
  const node = word(layout.TREE_COUNT);
  const names = word(layout.TREE_NAMES_LENGTH);
  const mask = word(layout.TREE_MASK) as u32;
  if (node >= word(layout.TREE_CAPACITY) || (node + 1) * 4 > mask + 2 || names + length > NAME_BYTES) return 0;
  store<u32>(state, (node + 1) as u32, layout.TREE_COUNT * 4);
  store<u32>(state, (names + length) as u32, layout.TREE_NAMES_LENGTH * 4);
  memory.copy(word(layout.TREE_NAMES) + names, name, length);
  const at = nodes + node * NODE;
  memory.fill(at, 0, NODE);
  store<u32>(at, parent as u32, NODE_PARENT);
  store<u32>(at, names as u32, NODE_NAME);
  store<u32>(at, length as u32, NODE_NAME_LENGTH);
  store<u32>(at, hash, NODE_HASH);
  const table = word(layout.TREE_TABLE);
  let place = (hash << 1) & mask;
  while (load<u32>(table + ((place as usize) << 2), 4) != 0) place = (place + 2) & mask;
  store<u64>(table + ((place as usize) << 2), ((node as u64) << 32) | (hash as u64));
  return node;
}

/** Whether a prefix without a node needs one. If not, its memory is added to the sketch. */
@inline
function isWorthNode(hash: u32): bool {
  const sketch = word(layout.TREE_SKETCH);
  if (sketch == 0) return true;
  const at = sketch + (((hash >> 13) & (layout.SKETCH - 1)) << 2);
  const sum = (load<i32>(at) as f64) + Math.ceil(memoryOf);
  if (sum >= load<f64>(state, layout.TALLY_WORTH * 4)) return true;
  store<i32>(at, sum as i32);
  return false;
}

function countPath(depth: i32): void {
  if (memoryOf < load<f64>(state, layout.TALLY_LEAST * 4)) store<f64>(state, memoryOf, layout.TALLY_LEAST * 4);
  const nodes = word(layout.TREE_NODES);
  const bucket = nodeBucket(memoryOf);
  for (let i = 1; i < depth; i++) {
    const node = nodes + (load<u32>(path + ((i as usize) << 2)) as usize) * NODE;
    store<f64>(node, load<f64>(node, NODE_MEMORY) + memoryOf, NODE_MEMORY);
    store<f64>(node, load<f64>(node, NODE_BYTES) + bytesOf, NODE_BYTES);
    store<f64>(node, load<f64>(node, NODE_ELEMENTS) + elementsOf, NODE_ELEMENTS);
    const keys = load<u32>(node, NODE_KEYS) + 1;
    store<u32>(node, keys, NODE_KEYS);
    if (withExpiry) store<u32>(node, load<u32>(node, NODE_WITH_EXPIRY) + 1, NODE_WITH_EXPIRY);
    if (expired) store<u32>(node, load<u32>(node, NODE_EXPIRED) + 1, NODE_EXPIRED);
    if (load<i32>(node, NODE_TYPE) != typeOf + 1) countType(node);
    const histogram = load<i32>(node, NODE_HISTOGRAM) as usize;
    if (histogram > 0) {
      const at = word(layout.TREE_HISTOGRAMS) + ((((histogram - 1) * layout.NODE_BUCKETS) + bucket) << 2);
      store<u32>(at, load<u32>(at) + 1);
    } else if (keys == KEYS_FOR_HISTOGRAM) {
      const used = word(layout.TREE_HISTOGRAMS_USED) as u32;
      if (used >= MOST_HISTOGRAMS) continue;
      store<u32>(node, used + 1, NODE_HISTOGRAM);
      store<u32>(state, used + 1, layout.TREE_HISTOGRAMS_USED * 4);
    }
  }
}

function countType(node: usize): void {
  const types = word(layout.TALLY_TYPE_COUNT);
  const mixes = word(layout.TREE_MIXES);
  const type = load<i32>(node, NODE_TYPE);
  if (type == 0) {
    store<i32>(node, typeOf + 1, NODE_TYPE);
    return;
  }
  let mix = (-1 - type) as usize;
  if (type > 0) {
    mix = word(layout.TREE_MIXED);
    store<u32>(state, (mix + 1) as u32, layout.TREE_MIXED * 4);
    store<i32>(node, -1 - (mix as i32), NODE_TYPE);
    store<f64>(mixes + (mix * types + (type - 1) as usize) * DOUBLE, load<f64>(node, NODE_MEMORY) - memoryOf);
  }
  const at = mixes + (mix * types + (typeOf as usize)) * DOUBLE;
  store<f64>(at, load<f64>(at) + memoryOf);
}

@inline
function nodeBucket(memory: f64): usize {
  if (!(memory > 1)) return 0;
  const high = (reinterpret<u64>(memory) >> 32) as u32;
  const exponent = (high >> 20) - 1023;
  const fraction = high & 0xfffff;
  const quarter: u32 = fraction < 0x306fe ? 0 : fraction < 0x6a09e ? 1 : fraction < 0xae89f ? 2 : 3;
  const bucket = exponent * 4 + quarter;
  return (bucket < BUCKETS ? bucket : BUCKETS - 1) as usize;
}

@inline
function isUuid(pos: usize, end: usize): bool {
  return pos + UUID <= end && load<u8>(pos, 8) == DASH && load<u8>(pos, 13) == DASH && hasUuid(pos);
}

function hasUuid(pos: usize): bool {
  for (let i: usize = 0; i < UUID; i++) {
    const byte = load<u8>(pos + i);
    const isDash = i == 8 || i == 13 || i == 18 || i == 23;
    if (isDash ? byte != DASH : (load<u8>(classes + (byte as usize)) & (DIGIT | HEX)) == 0) return false;
  }
  return true;
}

@inline
function idStart(start: usize, end: usize): usize {
  const length = end - start;
  let digits = end;
  while (digits > start && (load<u8>(classes + (load<u8>(digits - 1) as usize)) & DIGIT) != 0) digits--;
  if (digits == start) return length == 0 ? end : start;
  if (length >= SHORTEST_HASH && (isHex(start, end) || (length == ULID && isUlid(start, end)))) return start;
  return end - digits >= 2 ? digits : end;
}

function isHex(start: usize, end: usize): bool {
  let digits: u8 = 0;
  for (let p = start; p < end; p++) {
    const found = load<u8>(classes + (load<u8>(p) as usize)) & (DIGIT | HEX);
    if (found == 0) return false;
    digits |= found & DIGIT;
  }
  return digits != 0;
}

function isUlid(start: usize, end: usize): bool {
  for (let p = start; p < end; p++) if ((load<u8>(classes + (load<u8>(p) as usize)) & CROCKFORD) == 0) return false;
  return true;
}
