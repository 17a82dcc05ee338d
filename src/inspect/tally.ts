import { keySlot, SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import {
  BUCKETS, CELL, CELL_BYTES, CELL_ELEMENTS, CELL_EXPIRED, CELL_KEYS, CELL_MEMORY, CELL_KEY_BYTES, CELL_WITH_EXPIRY, DB, DROPPED, END, FLAGS,
  FREQ, HAS_EXPIRE, HEAD_START, HISTOGRAM, IDLE, KIND, OFFSET, RECORD, ROW_WORDS, SLOT_CELL, TALLY_CELLS, TALLY_DATABASES, TALLY_EXPIRED,
  TALLY_EXPIRING, TALLY_FORMS, TALLY_FREQUENCY, TALLY_IDLE, TALLY_LEFT, TALLY_NOW, TALLY_SIZES, TALLY_SLOTS, TALLY_TYPE_COUNT, TALLY_TYPES,
  TALLY_WORDS, TYPE, TYPE_HISTOGRAMS,
} from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { typeNumber, TYPE_NUMBERS, typeOfNumber } from '../rdb/frame-table.js';
import { REDIS_TYPES, type TypeRow } from '../rdb/types.js';
import { addToBuckets, FREQUENCIES, IDLE_TIMES, mergeBuckets, startBuckets, TIMES_LEFT } from './buckets.js';
import { delimitersOf } from './delimiters.js';
import { addToHistogram, mergeHistograms } from './histogram.js';
import { ELEMENTS_ARE_BYTES, ENCODINGS } from './encodings.js';
import type { Measures } from './measures.js';
import { type KeyAmounts, PrefixTree, type PrefixTreeOptions, type PrefixTreeParts } from './prefix-tree.js';
import { Duplicates, type DuplicatesParts, FieldSets, type FieldSetsParts } from './repeats.js';
import type { Amount, Key } from './report.js';
import { SharedMemory } from './shared-memory.js';
import { type TopKey, TopKeys } from './top-keys.js';

/** Bytes of a name in the lists of largest keys. */
const LONGEST_KEY = 1024;

/**
 * The types of RDBs by `typeNumber`, those that both vendors have twice. The cells of a database are in this order, one for each encoding
 * of each type.
 */
export const FORMS: readonly TypeRow[] = Array.from({ length: TYPE_NUMBERS }, (_, number) => typeOfNumber(number)).filter(
  (type, number): type is TypeRow => type !== undefined && typeNumber(type) === number,
);
const CELLS = FORMS.length * ENCODINGS.length;
/** Databases with cells of their own; what is in others counts as one. */
const MOST_DATABASES = 1024;
/** Their number. */
export const OTHER_DATABASES = -1;

const TYPE_INDEX = Uint8Array.from({ length: TYPE_NUMBERS }, (_, number) =>
  REDIS_TYPES.indexOf(typeOfNumber(number)?.redisType ?? 'string'),
);
/** How many cells stand before those of a type, by `typeNumber`. */
const CELLS_BEFORE = new Int32Array(TYPE_NUMBERS);
FORMS.forEach((type, i) => (CELLS_BEFORE[typeNumber(type)] = i * ENCODINGS.length));

const MODULE = REDIS_TYPES.indexOf('module');

export interface TallyOptions extends Omit<PrefixTreeOptions, 'types' | 'delimiters'> {
  /** What ends a segment of a prefix; found out from the first keys unless given. */
  readonly delimiters: Uint8Array | undefined;
  /** Keys in each list of largest ones. */
  readonly top: number;
  /** Unix milliseconds, which expiries are compared with. */
  readonly now: number;
  /** Keys with more memory, and with more elements, are counted as big. */
  readonly bigMemory: number;
  readonly bigElements: number;
}

/** All that a tally has counted, for another one: in the memory of the kernels, where there is one. */
export interface TallyParts
  extends Pick<
    Tally,
    | 'sizes' | 'slots' | 'expired' | 'expiring' | 'left' | 'idle' | 'frequency' | 'bigKeys' | 'manyElements' | 'bigCollections' | 'modules'
  > {
  readonly prefixes: PrefixTreeParts;
  readonly top: readonly (readonly TopKey<Key>[])[];
  readonly fieldSets: FieldSetsParts;
  readonly duplicates: DuplicatesParts;
}

/**
 * Adds up what keys have and take, in bounded memory. Counts are in the memory of the kernels: one of them (assembly/tally.ts) takes
 * most rows, and `count` is its reference and takes the others. Lists are kept here.
 */
export class Tally {
  /** By database: CELLS cells. */
  readonly databases = new Map<number, Float64Array>();
  /** By type: TYPE_HISTOGRAMS histograms. */
  readonly sizes: Float64Array;
  /** By slot: SLOT_CELL doubles. */
  readonly slots: Float64Array;
  readonly expired: Float64Array;
  readonly expiring: Float64Array;
  readonly left: Float64Array;
  readonly idle: Float64Array;
  readonly frequency: Float64Array;
  readonly prefixes: PrefixTree;
  readonly topMemory: TopKeys<Key>;
  readonly topElements: TopKeys<Key>;
  readonly topLargest: TopKeys<Key>;
  readonly fieldSets = new FieldSets();
  readonly duplicates = new Duplicates();
  readonly modules = new Map<string, Float64Array>();
  /** Keys over `bigMemory`, and those over `bigElements`. */
  bigKeys = 0;
  manyElements = 0;
  /** The collections among both. */
  readonly bigCollections = { keys: 0, memory: 0 };

  private readonly memory: SharedMemory;
  /** TALLY_… */
  private readonly state: Int32Array;
  private readonly stateDoubles: Float64Array;
  private readonly cellAddresses: Int32Array;
  /** What ends a segment, once it is known. */
  delimiters: Uint8Array | undefined;
  private source = 0;
  private place = 0;
  private readonly key: KeyAmounts = { type: 0, memory: 0, bytes: 0, elements: 0, keyBytes: 0, withExpiry: false, expired: false };
  private readonly at = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(
    private readonly options: TallyOptions,
    private readonly codec: Codec = TS_CODEC,
  ) {
    const { now, top } = options;
    const memory = (this.memory = new SharedMemory(codec));
    this.stateDoubles = memory.doubles(TALLY_WORDS / 2);
    const state = (this.state = memory.wordsOf(this.stateDoubles));
    this.stateDoubles[TALLY_NOW / 2] = now;
    this.cellAddresses = memory.words(TALLY_DATABASES);
    const types = memory.bytes(TYPE_NUMBERS);
    types.set(TYPE_INDEX);
    this.sizes = memory.doubles(REDIS_TYPES.length * TYPE_HISTOGRAMS * HISTOGRAM);
    this.slots = memory.doubles(SLOTS * SLOT_CELL);
    this.expired = memory.doubles(CELL);
    this.expiring = memory.doubles(CELL);
    const forms = memory.words(TYPE_NUMBERS);
    forms.set(CELLS_BEFORE);
    this.left = memory.doubles(BUCKETS);
    this.idle = memory.doubles(BUCKETS);
    this.frequency = memory.doubles(BUCKETS);
    startBuckets(this.left, TIMES_LEFT);
    startBuckets(this.idle, IDLE_TIMES);
    startBuckets(this.frequency, FREQUENCIES);
    state[TALLY_CELLS] = this.cellAddresses.byteOffset;
    state[TALLY_TYPES] = types.byteOffset;
    state[TALLY_TYPE_COUNT] = REDIS_TYPES.length;
    state[TALLY_SIZES] = this.sizes.byteOffset;
    state[TALLY_SLOTS] = this.slots.byteOffset;
    state[TALLY_EXPIRED] = this.expired.byteOffset;
    state[TALLY_EXPIRING] = this.expiring.byteOffset;
    state[TALLY_FORMS] = forms.byteOffset;
    state[TALLY_LEFT] = this.left.byteOffset;
    state[TALLY_IDLE] = this.idle.byteOffset;
    state[TALLY_FREQUENCY] = this.frequency.byteOffset;
    this.topMemory = new TopKeys(top);
    this.topElements = new TopKeys(top);
    this.topLargest = new TopKeys(top);
    this.delimiters = options.delimiters;
    const tree = { ...options, delimiters: options.delimiters ?? Buffer.from(':'), types: REDIS_TYPES.length };
    this.prefixes = new PrefixTree(memory, state, this.stateDoubles, tree);
  }

  /** Bytes of kernel memory that a tally takes at most, most of it never touched. */
  static get room(): number {
    return PrefixTree.room(REDIS_TYPES.length) + (16 << 20);
  }

  /** The keys of another source follow; `place`: how many bytes there were before it. */
  sourceBegin(index: number, place: number): void {
    this.source = index;
    this.place = place;
  }

  /** Before the first key. */
  delimit(delimiters: Uint8Array): void {
    this.delimiters = delimiters;
    this.prefixes.delimit(delimiters);
  }

  /** Takes rows [batch.from, to) with their measures. */
  rows(batch: Batch, to: number, measures: Measures): void {
    const { codec, state } = this;
    const { bytes, table } = batch;
    const { words } = table;
    if (this.delimiters === undefined) {
      this.delimiters = delimitersOf(batch);
      if (this.delimiters !== undefined) this.prefixes.delimit(this.delimiters);
    }
    for (let row = batch.from; row < to; row++) {
      row = codec.tallyRows(state, words, row, to, bytes, measures);
      if (row < to && isCounted(words, row)) this.count(batch, row, measures, recordBytes(words, row));
    }
    for (let row = batch.from; row < to; row++) if (isCounted(words, row)) this.list(batch, row, measures, recordBytes(words, row));
  }

  /** Takes one row; `bytes` are those of its record. It tells nothing of delimiters. */
  row(batch: Batch, row: number, measures: Measures, bytes: number): void {
    this.count(batch, row, measures, bytes);
    this.list(batch, row, measures, bytes);
  }

  private count(batch: Batch, row: number, measures: Measures, bytes: number): void {
    const { at: place, key, sizes } = this;
    const { now } = this.options;
    const { table } = batch;
    const { words } = table;
    const at = row * ROW_WORDS;
    const number = words[at + TYPE];
    const type = TYPE_INDEX[number];
    const memory = measures.memory[row];
    const elements = measures.elements[row];
    key.type = type;
    key.memory = memory;
    key.bytes = bytes;
    key.elements = elements;
    key.withExpiry = (words[at + FLAGS] & HAS_EXPIRE) !== 0;
    const expireAt = key.withExpiry ? table.expireAt(row) : 0;
    key.expired = key.withExpiry && expireAt <= now;

    batch.readKey(row, place);
    const { keyBytes, keyEnd, keyStart } = place;
    key.keyBytes = keyEnd - keyStart;
    addTo(this.cellsOf(words[at + DB]), (CELLS_BEFORE[number] + measures.encoding[row]) * CELL, key);
    if (key.expired) addTo(this.expired, 0, key);
    else if (key.withExpiry) {
      addTo(this.expiring, 0, key);
      addToBuckets(this.left, expireAt - now, memory);
    }
    const idle = table.double(row, IDLE);
    if (idle >= 0) addToBuckets(this.idle, idle, memory);
    const freq = words[at + FREQ];
    if (freq >= 0) addToBuckets(this.frequency, freq, memory);

    addToSlot(this.slots, keySlot(keyBytes, keyStart, keyEnd) * SLOT_CELL, key);
    const histograms = type * TYPE_HISTOGRAMS * HISTOGRAM;
    addToHistogram(sizes, histograms, memory);
    addToHistogram(sizes, histograms + HISTOGRAM, bytes);
    addToHistogram(sizes, histograms + 2 * HISTOGRAM, elements);
    addToHistogram(sizes, histograms + 3 * HISTOGRAM, key.keyBytes);
    this.prefixes.add(keyBytes, keyStart, keyEnd, key);
  }

  private cellsOf(db: number): Float64Array {
    let cells = this.databases.get(db);
    if (cells === undefined) {
      if (this.databases.size >= MOST_DATABASES && db !== OTHER_DATABASES) return this.cellsOf(OTHER_DATABASES);
      const isShared = db >= 0 && db < TALLY_DATABASES;
      this.databases.set(db, (cells = isShared ? this.memory.doubles(CELLS * CELL) : new Float64Array(CELLS * CELL)));
      if (isShared) this.cellAddresses[db] = cells.byteOffset;
    }
    return cells;
  }

  private list(batch: Batch, row: number, measures: Measures, bytes: number): void {
    const { bigElements, bigMemory } = this.options;
    const memory = measures.memory[row];
    const elements = measures.elements[row];
    if (measures.fields[row] !== 0) this.fieldSets.add(measures.fields[row], measures.fieldBytes[row]);
    if (measures.digest[row] !== 0) this.duplicates.add(measures.digest[row], memory);
    if (memory > bigMemory || elements > bigElements) this.big(memory, elements, measures.encoding[row]);
    const isTop =
      memory > this.topMemory.least ||
      measures.largest[row] > this.topLargest.least ||
      (elements > this.topElements.least && !ELEMENTS_ARE_BYTES[measures.encoding[row]]);
    if (isTop) this.offer(batch, row, measures, bytes);
  }

  private big(memory: number, elements: number, encoding: number): void {
    const { bigElements, bigMemory } = this.options;
    const isCollection = !ELEMENTS_ARE_BYTES[encoding];
    if (memory > bigMemory) this.bigKeys++;
    if (elements > bigElements && isCollection) this.manyElements++;
    if (!isCollection) return;
    this.bigCollections.keys++;
    this.bigCollections.memory += memory;
  }

  /** A module value, beside its row. */
  module(name: string, memory: number, bytes: number, elements: number): void {
    addTo(this.moduleOf(name), 0, { type: MODULE, memory, bytes, elements, keyBytes: 0, withExpiry: false, expired: false });
  }

  private moduleOf(name: string): Float64Array {
    let cell = this.modules.get(name);
    if (cell === undefined) this.modules.set(name, (cell = new Float64Array(CELL)));
    return cell;
  }

  private offer(batch: Batch, row: number, measures: Measures, bytes: number): void {
    const { at: place, source } = this;
    const { table } = batch;
    const type = TYPE_INDEX[table.word(row, TYPE)];
    const memory = measures.memory[row];
    const elements = ELEMENTS_ARE_BYTES[measures.encoding[row]] ? -1 : measures.elements[row];
    const largest = measures.largest[row];
    batch.readKey(row, place);
    const { keyBytes, keyEnd, keyStart } = place;
    const idle = table.double(row, IDLE);
    const freq = table.word(row, FREQ);
    const key: Key = {
      source,
      db: table.word(row, DB),
      ...nameOf(keyBytes, keyStart, keyEnd),
      type: REDIS_TYPES[type],
      encoding: ENCODINGS[measures.encoding[row]],
      bytes,
      memory,
      elements: measures.elements[row],
      largest,
      slot: keySlot(keyBytes, keyStart, keyEnd),
      ...(table.has(row, HAS_EXPIRE) ? { expireAt: table.expireAt(row) } : {}),
      ...(idle >= 0 ? { idle } : {}),
      ...(freq >= 0 ? { freq } : {}),
    };
    const keyPlace = this.place + table.double(row, OFFSET);
    this.topMemory.add(memory, key, keyPlace);
    this.topElements.add(elements, key, keyPlace);
    this.topLargest.add(largest, key, keyPlace);
  }

  /** The cells of databases, which begin at 0 again. */
  takeDatabases(): ReadonlyMap<number, Float64Array> {
    const taken = new Map([...this.databases].map(([db, cells]) => [db, cells.slice()]));
    for (const cells of this.databases.values()) cells.fill(0);
    return taken;
  }

  addDatabases(others: ReadonlyMap<number, Float64Array>): void {
    for (const [db, cells] of others) addAll(this.cellsOf(db), cells);
  }

  /** All but the databases. */
  get parts(): TallyParts {
    const { bigCollections, bigKeys, expired, expiring, frequency, idle, left, manyElements, modules, sizes, slots } = this;
    return {
      ...{ bigCollections, bigKeys, expired, expiring, frequency, idle, left, manyElements, modules, sizes, slots },
      prefixes: this.prefixes.parts,
      top: [this.topMemory, this.topElements, this.topLargest].map(({ entries }) => entries),
      fieldSets: this.fieldSets.parts,
      duplicates: this.duplicates.parts,
    };
  }

  merge(others: TallyParts): void {
    for (let at = 0; at < this.sizes.length; at += HISTOGRAM) mergeHistograms(this.sizes, others.sizes, at);
    addAll(this.slots, others.slots);
    addAll(this.expired, others.expired);
    addAll(this.expiring, others.expiring);
    mergeBuckets(this.left, others.left);
    mergeBuckets(this.idle, others.idle);
    mergeBuckets(this.frequency, others.frequency);
    this.prefixes.merge(others.prefixes);
    [this.topMemory, this.topElements, this.topLargest].forEach((keys, i) => keys.merge(others.top[i]));
    this.fieldSets.merge(others.fieldSets);
    this.duplicates.merge(others.duplicates);
    for (const [name, cell] of others.modules) addAll(this.moduleOf(name), cell);
    this.bigKeys += others.bigKeys;
    this.manyElements += others.manyElements;
    this.bigCollections.keys += others.bigCollections.keys;
    this.bigCollections.memory += others.bigCollections.memory;
  }
}

function addAll(to: Float64Array, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] += from[i];
}

/** The name of a key, cut between characters if it is long. */
function nameOf(bytes: Uint8Array, start: number, end: number): Pick<Key, 'key' | 'keyLength'> {
  if (end - start <= LONGEST_KEY) return { key: formatText(bytes, start, end) };
  let cut = start + LONGEST_KEY;
  while (cut > start + LONGEST_KEY - 4 && (bytes[cut] & 0xc0) === 0x80) cut--;
  return { key: formatText(bytes, start, cut), keyLength: end - start };
}

const isCounted = (words: Int32Array, row: number): boolean =>
  words[row * ROW_WORDS + KIND] === RECORD && (words[row * ROW_WORDS + FLAGS] & DROPPED) === 0;

/** Bytes of a whole record, from its modifiers on. */
export const recordBytes = (words: Int32Array, row: number): number => words[row * ROW_WORDS + END] - words[row * ROW_WORDS + HEAD_START];

function addTo(cells: Float64Array, at: number, { bytes, elements, expired, keyBytes, memory, withExpiry }: KeyAmounts): void {
  cells[at + CELL_KEYS]++;
  cells[at + CELL_BYTES] += bytes;
  cells[at + CELL_MEMORY] += memory;
  cells[at + CELL_ELEMENTS] += elements;
  if (withExpiry) cells[at + CELL_WITH_EXPIRY]++;
  if (expired) cells[at + CELL_EXPIRED]++;
  cells[at + CELL_KEY_BYTES] += keyBytes;
}

function addToSlot(slots: Float64Array, at: number, { bytes, elements, memory }: KeyAmounts): void {
  slots[at + CELL_KEYS]++;
  slots[at + CELL_BYTES] += bytes;
  slots[at + CELL_MEMORY] += memory;
  slots[at + CELL_ELEMENTS] += elements;
}

export function amountOf(cells: Float64Array, at = 0): Amount {
  return {
    keys: cells[at + CELL_KEYS],
    bytes: cells[at + CELL_BYTES],
    memory: Math.round(cells[at + CELL_MEMORY]),
    elements: cells[at + CELL_ELEMENTS],
  };
}
