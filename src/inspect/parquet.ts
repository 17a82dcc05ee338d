import { keySlot } from '../bytes/crc16.js';
import { formatText } from '../bytes/text.js';
import { EMPTY } from '../encodings/element.js';
import type { ByteSink } from '../io/byte-sink.js';
import { DB, FLAGS, FREQ, HAS_EXPIRE, IDLE, ROW_WORDS, TYPE } from '../kernels/layout.js';
import { type Batch, BATCH_ROWS } from '../rdb/batch.js';
import { TYPE_NUMBERS, typeOfNumber } from '../rdb/frame-table.js';
import { clampTime } from './date-time.js';
import type { KeyRows } from './key-rows.js';
import { keyTextSize, writeKeyText } from './key-text.js';
import { ENCODINGS, type Measures } from './measures.js';
import { numberChunk, textChunk, TextPage } from './parquet-columns.js';
import { BYTE_ARRAY, INT32, INT64, type ParquetChunk, type ParquetColumn, ParquetFile } from './parquet-file.js';

/** Rows, and bytes of keys, from which a row group is written. */
const GROUP_ROWS = 100_000;
const GROUP_KEY_BYTES = 16 << 20;
/** A batch can follow before it is. */
const ROWS = GROUP_ROWS + BATCH_ROWS;
/** Of keys, to begin with. */
const KEY_BYTES = 4 << 20;

const KEY: ParquetColumn = { name: 'key', type: BYTE_ARRAY, meaning: 'text' };
const NUMBERS = {
  db: { name: 'db', type: INT32 },
  slot: { name: 'slot', type: INT32 },
  bytes: { name: 'bytes', type: INT64 },
  memory: { name: 'memory', type: INT64 },
  elements: { name: 'elements', type: INT64 },
  largest: { name: 'largest', type: INT64 },
  expireAt: { name: 'expire_at', type: INT64, optional: true, meaning: 'time' },
  idle: { name: 'idle', type: INT64, optional: true },
  freq: { name: 'freq', type: INT32, optional: true },
} as const satisfies Readonly<Record<string, ParquetColumn>>;
const TEXTS = {
  type: { name: 'type', type: BYTE_ARRAY, meaning: 'text' },
  encoding: { name: 'encoding', type: BYTE_ARRAY, meaning: 'text' },
  shard: { name: 'shard', type: BYTE_ARRAY, meaning: 'text' },
} as const satisfies Readonly<Record<string, ParquetColumn>>;

const TYPES = Array.from({ length: TYPE_NUMBERS }, (_, number) => Buffer.from(typeOfNumber(number)?.redisType ?? ''));
const ENCODING_TEXTS = ENCODINGS.map((encoding) => Buffer.from(encoding));

type Columns<T> = Readonly<Record<keyof T, Float64Array>>;

const columnsFor = <T extends object>(columns: T): Columns<T> =>
  Object.fromEntries(Object.keys(columns).map((name) => [name, new Float64Array(ROWS)])) as Columns<T>;

/**
 * A Parquet file with a row for each key. Rows are kept as columns, and each 100,000 of them are written as a row group, while the
 * next ones are collected.
 */
export class ParquetRows implements KeyRows {
  private readonly file: ParquetFile;
  private rows = 0;
  private readonly numbers = columnsFor(NUMBERS);
  /** Numbers of texts. */
  private readonly texts = columnsFor(TEXTS);
  private keys = new TextPage(KEY_BYTES);
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  private sources: string[] = [];
  /** The row group that is being written. */
  private writing = Promise.resolve();

  constructor(sink: ByteSink) {
    this.file = new ParquetFile(sink, [NUMBERS.db, KEY, TEXTS.type, TEXTS.encoding, NUMBERS.slot, NUMBERS.bytes, NUMBERS.memory,
      NUMBERS.elements, NUMBERS.largest, NUMBERS.expireAt, NUMBERS.idle, NUMBERS.freq, TEXTS.shard]);
  }

  add(batch: Batch, row: number, measures: Measures, bytes: number, source: string): void {
    const { key, keys, numbers, sources, texts } = this;
    const { table } = batch;
    const { words } = table;
    const at = row * ROW_WORDS;
    const i = this.rows++;
    batch.readKey(row, key);
    const { keyBytes, keyEnd, keyStart } = key;
    keys.room(4 + keyTextSize(keyEnd - keyStart));
    const from = keys.length + 4;
    keys.length = writeKeyText(keyBytes, keyStart, keyEnd, keys.bytes, from);
    writeLength(keys.length - from, keys.bytes, from - 4);
    numbers.db[i] = words[at + DB];
    numbers.slot[i] = keySlot(keyBytes, keyStart, keyEnd);
    numbers.bytes[i] = bytes;
    numbers.memory[i] = Math.floor(measures.memory[row]);
    numbers.elements[i] = measures.elements[row];
    numbers.largest[i] = measures.largest[row];
    numbers.expireAt[i] = (words[at + FLAGS] & HAS_EXPIRE) === 0 ? NaN : clampTime(table.expireAt(row));
    const idle = table.double(row, IDLE);
    numbers.idle[i] = idle < 0 ? NaN : idle;
    const freq = words[at + FREQ];
    numbers.freq[i] = freq < 0 ? NaN : freq;
    texts.type[i] = words[at + TYPE];
    texts.encoding[i] = measures.encoding[row];
    if (sources.at(-1) !== source) sources.push(source);
    texts.shard[i] = sources.length - 1;
  }

  get full(): boolean {
    return this.rows >= GROUP_ROWS || this.keys.length >= GROUP_KEY_BYTES;
  }

  async flush(): Promise<void> {
    if (this.full) await this.group();
  }

  async end(): Promise<void> {
    if (this.rows > 0) await this.group();
    await this.writing;
    await this.file.end();
  }

  /** Begins to write the rows, once those before them are written. */
  private async group(): Promise<void> {
    const { rows } = this;
    const chunks = this.chunks();
    this.rows = 0;
    this.keys = new TextPage(KEY_BYTES);
    this.sources = [];
    await this.writing;
    this.writing = this.file.group(rows, chunks);
    this.writing.catch(() => undefined); // it is thrown where it is awaited
  }

  private chunks(): ParquetChunk[] {
    const { keys, numbers, rows, sources, texts } = this;
    const number = (name: keyof typeof NUMBERS): ParquetChunk => numberChunk(NUMBERS[name], numbers[name].subarray(0, rows));
    const text = (name: keyof typeof TEXTS, words: readonly Uint8Array[]): ParquetChunk => textChunk(texts[name].subarray(0, rows), words);
    return [
      number('db'),
      keys.chunk,
      text('type', TYPES),
      text('encoding', ENCODING_TEXTS),
      ...(['slot', 'bytes', 'memory', 'elements', 'largest', 'expireAt', 'idle', 'freq'] as const).map(number),
      text('shard', sources.map((source) => Buffer.from(formatText(Buffer.from(source))))),
    ];
  }

  get written(): number {
    return this.file.written;
  }
}

function writeLength(length: number, out: Uint8Array, at: number): void {
  out[at] = length;
  out[at + 1] = length >>> 8;
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 24;
}
