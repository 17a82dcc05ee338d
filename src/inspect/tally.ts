import { keySlot, SLOTS } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, END, FLAGS, FREQ, HAS_EXPIRE, HEAD_START, IDLE, KIND, RECORD, ROW_WORDS, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { TYPE_NUMBERS, typeOfNumber } from '../rdb/frame-table.js';
import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import { delimitersOf } from './delimiters.js';
import { Histogram } from './histogram.js';
import { ENCODINGS, type Measures } from './measures.js';
import { type KeyAmounts, PrefixTree, type PrefixTreeOptions } from './prefix-tree.js';
import { Duplicates, FieldSets } from './repeats.js';
import type { Amount, Key } from './report.js';
import { TopKeys } from './top-keys.js';

/** Doubles of a cell: an amount, and keys with an expiry, and expired ones. */
export const KEYS = 0;
export const BYTES = 1;
export const MEMORY = 2;
export const ELEMENTS = 3;
export const WITH_EXPIRY = 4;
export const EXPIRED = 5;
export const CELL = 6;

/** Cells of a database: by type and encoding. */
const CELLS = REDIS_TYPES.length * ENCODINGS.length;

/** Upper ends of the buckets of `left`, in milliseconds. */
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
export const TIMES_LEFT: readonly number[] = [
  ...[1, 5, 15, 30].map((n) => n * MINUTE),
  ...[1, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 3, 7, 14, 30, 90, 180, 365].map((n) => n * DAY),
];

/** Upper ends of the buckets of idle times, in seconds. */
export const IDLE_TIMES: readonly number[] = [60, 300, 900, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400];
/** Upper ends of the buckets of the LFU counter. */
export const FREQUENCIES: readonly number[] = [0, 1, 5, 10, 20, 50, 100, 200, 255];

const TYPE_INDEX = Uint8Array.from({ length: TYPE_NUMBERS }, (_, number) =>
  REDIS_TYPES.indexOf(typeOfNumber(number)?.redisType ?? 'string'),
);
const MODULE = REDIS_TYPES.indexOf('module');
const STRING = REDIS_TYPES.indexOf('string');
const BITMAP = REDIS_TYPES.indexOf('bitmap');

/** Whether the elements of this type are things of their own: those of a string are its bytes. */
const hasElements = (type: number): boolean => type !== STRING && type !== BITMAP;

/** Keys and memory by bucket. */
export class Buckets {
  readonly keys: Float64Array;
  readonly memory: Float64Array;

  constructor(private readonly ends: readonly number[]) {
    this.keys = new Float64Array(ends.length + 1);
    this.memory = new Float64Array(ends.length + 1);
  }

  add(value: number, memory: number): void {
    const { ends } = this;
    let i = 0;
    while (i < ends.length && value > ends[i]) i++;
    this.keys[i]++;
    this.memory[i] += memory;
  }
}

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

/** Percentiles of one type. */
export class TypeSizes {
  readonly memory = new Histogram();
  readonly bytes = new Histogram();
  readonly elements = new Histogram();
  readonly keyLength = new Histogram();
}

/** Adds up what keys have and take, in bounded memory. */
export class Tally {
  /** By database: CELLS cells. */
  readonly databases = new Map<number, Float64Array>();
  readonly sizes = REDIS_TYPES.map(() => new TypeSizes());
  /** By `typeNumber`: keys, bytes, memory, elements. */
  readonly rdbTypes = new Float64Array(TYPE_NUMBERS * CELL);
  readonly slots = new Float64Array(SLOTS * CELL);
  readonly topMemory: TopKeys<Key>;
  readonly topElements: TopKeys<Key>;
  readonly topLargest: TopKeys<Key>;
  prefixes: PrefixTree;
  readonly left = new Buckets(TIMES_LEFT);
  readonly expired = new Float64Array(CELL);
  readonly noExpiry = new Float64Array(CELL);
  readonly idle = new Buckets(IDLE_TIMES);
  readonly frequency = new Buckets(FREQUENCIES);
  readonly fieldSets = new FieldSets();
  readonly duplicates = new Duplicates();
  readonly modules = new Map<string, Float64Array>();
  /** Keys over `bigMemory` and those over `bigElements`: how many of each. */
  bigKeys = 0;
  manyElements = 0;
  /** Elements and memory of the collections among both. */
  readonly bigCollections = { keys: 0, memory: 0 };

  private delimiters: Uint8Array | undefined;
  private source = 0;
  private readonly key: KeyAmounts = { type: 0, memory: 0, bytes: 0, elements: 0, withExpiry: false, expired: false };
  private readonly place = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  private lastDb = -1;
  private lastCells: Float64Array = new Float64Array(0);

  constructor(private readonly options: TallyOptions) {
    const { top } = options;
    this.topMemory = new TopKeys(top);
    this.topElements = new TopKeys(top);
    this.topLargest = new TopKeys(top);
    this.delimiters = options.delimiters;
    this.prefixes = this.treeOf(this.delimiters ?? Buffer.from(':'));
  }

  private treeOf(delimiters: Uint8Array): PrefixTree {
    return new PrefixTree({ ...this.options, delimiters, types: REDIS_TYPES.length });
  }

  /** The keys of another source follow. */
  sourceBegin(index: number): void {
    this.source = index;
  }

  /** Takes rows [from, to) of a batch with their measures. */
  rows(batch: Batch, measures: Measures): void {
    if (this.delimiters === undefined) this.prefixes = this.treeOf((this.delimiters = delimitersOf(batch)));
    const { table, to } = batch;
    const { words } = table;
    for (let row = batch.from, at = row * ROW_WORDS; row < to; row++, at += ROW_WORDS) {
      if (words[at + KIND] === RECORD && (words[at + FLAGS] & DROPPED) === 0) {
        this.row(batch, row, measures, words[at + END] - words[at + HEAD_START]);
      }
    }
  }

  /** Takes one row; `bytes` are those of its record. */
  row(batch: Batch, row: number, measures: Measures, bytes: number): void {
    const { key, options, place } = this;
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
    key.expired = key.withExpiry && expireAt <= options.now;

    const db = words[at + DB];
    addTo(db === this.lastDb ? this.lastCells : this.cellsOf(db), (type * ENCODINGS.length + measures.encoding[row]) * CELL, key);
    addTo(this.rdbTypes, number * CELL, key);
    if (!key.withExpiry) addTo(this.noExpiry, 0, key);
    else if (key.expired) addTo(this.expired, 0, key);
    else this.left.add(expireAt - options.now, memory);
    const idle = table.double(row, IDLE);
    if (idle >= 0) this.idle.add(idle, memory);
    const freq = words[at + FREQ];
    if (freq >= 0) this.frequency.add(freq, memory);

    batch.readKey(row, place);
    const { keyBytes, keyEnd, keyStart } = place;
    const slot = keySlot(keyBytes, keyStart, keyEnd);
    addTo(this.slots, slot * CELL, key);
    const sizes = this.sizes[type];
    sizes.memory.add(memory);
    sizes.bytes.add(bytes);
    sizes.elements.add(elements);
    sizes.keyLength.add(keyEnd - keyStart);
    this.prefixes.add(keyBytes, keyStart, keyEnd, key);

    if (measures.fields[row] !== 0) this.fieldSets.add(measures.fields[row], measures.fieldBytes[row]);
    if (measures.digest[row] !== 0) this.duplicates.add(measures.digest[row], memory);
    if (memory > options.bigMemory || elements > options.bigElements) this.big(key, type);
    const largest = measures.largest[row];
    if (memory > this.topMemory.least || largest > this.topLargest.least || (elements > this.topElements.least && hasElements(type))) {
      this.offer(batch, row, measures, bytes, slot);
    }
  }

  private cellsOf(db: number): Float64Array {
    let cells = this.databases.get(db);
    if (cells === undefined) this.databases.set(db, (cells = new Float64Array(CELLS * CELL)));
    this.lastDb = db;
    this.lastCells = cells;
    return cells;
  }

  private big({ elements, memory }: KeyAmounts, type: number): void {
    const { bigElements, bigMemory } = this.options;
    const isCollection = hasElements(type);
    if (memory > bigMemory) this.bigKeys++;
    if (elements > bigElements && isCollection) this.manyElements++;
    if (!isCollection) return;
    this.bigCollections.keys++;
    this.bigCollections.memory += memory;
  }

  /** A module value, beside its row. */
  module(name: string, memory: number, bytes: number, elements: number): void {
    let cell = this.modules.get(name);
    if (cell === undefined) this.modules.set(name, (cell = new Float64Array(CELL)));
    addTo(cell, 0, { type: MODULE, memory, bytes, elements, withExpiry: false, expired: false });
  }

  private offer(batch: Batch, row: number, measures: Measures, bytes: number, slot: number): void {
    const { place, source } = this;
    const { table } = batch;
    const type: RedisType = REDIS_TYPES[TYPE_INDEX[table.word(row, TYPE)]];
    const memory = measures.memory[row];
    const elements = measures.elements[row];
    const largest = measures.largest[row];
    const idle = table.double(row, IDLE);
    const freq = table.word(row, FREQ);
    const key: Key = {
      source,
      db: table.word(row, DB),
      key: formatText(place.keyBytes, place.keyStart, place.keyEnd),
      type,
      encoding: ENCODINGS[measures.encoding[row]],
      bytes,
      memory,
      elements,
      largest,
      slot,
      ...(table.has(row, HAS_EXPIRE) ? { expireAt: table.expireAt(row) } : {}),
      ...(idle >= 0 ? { idle } : {}),
      ...(freq >= 0 ? { freq } : {}),
    };
    this.topMemory.add(memory, key);
    if (hasElements(TYPE_INDEX[table.word(row, TYPE)])) this.topElements.add(elements, key);
    this.topLargest.add(largest, key);
  }
}

function addTo(cells: Float64Array, at: number, { bytes, elements, expired, memory, withExpiry }: KeyAmounts): void {
  cells[at + KEYS]++;
  cells[at + BYTES] += bytes;
  cells[at + MEMORY] += memory;
  cells[at + ELEMENTS] += elements;
  if (withExpiry) cells[at + WITH_EXPIRY]++;
  if (expired) cells[at + EXPIRED]++;
}

export function amountOf(cells: Float64Array, at = 0): Amount {
  return { keys: cells[at + KEYS], bytes: cells[at + BYTES], memory: Math.round(cells[at + MEMORY]), elements: cells[at + ELEMENTS] };
}
