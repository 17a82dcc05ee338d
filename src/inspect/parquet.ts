import { gzipSync } from 'node:zlib';
import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
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

/** Rows, and bytes of keys, from which a row group is written. */
const GROUP_ROWS = 100_000;
const GROUP_KEY_BYTES = 16 << 20;
/** A batch can follow before it is. */
const ROWS = GROUP_ROWS + BATCH_ROWS;
/** Of keys, in one array. */
const PAGE_BYTES = 1 << 20;

const INT32 = { type: 'INT32', repetition_type: 'REQUIRED' } as const;
const INT64 = { type: 'INT64', repetition_type: 'REQUIRED' } as const;
const TEXT = { type: 'BYTE_ARRAY', repetition_type: 'REQUIRED', converted_type: 'UTF8', logical_type: { type: 'STRING' } } as const;
const TIME = {
  type: 'INT64',
  repetition_type: 'OPTIONAL',
  converted_type: 'TIMESTAMP_MILLIS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
} as const;

/** In the order of the file. */
const COLUMNS = {
  db: INT32,
  key: TEXT,
  type: TEXT,
  encoding: TEXT,
  slot: INT32,
  bytes: INT64,
  memory: INT64,
  elements: INT64,
  largest: INT64,
  expire_at: TIME,
  idle: { ...INT64, repetition_type: 'OPTIONAL' },
  freq: { ...INT32, repetition_type: 'OPTIONAL' },
  shard: TEXT,
} as const satisfies Readonly<Record<string, Omit<SchemaElement, 'name'>>>;
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];
const SCHEMA: SchemaElement[] = [{ name: 'schema', num_children: NAMES.length }, ...NAMES.map((name) => ({ name, ...COLUMNS[name] }))];

const TYPES = Array.from({ length: TYPE_NUMBERS }, (_, number) => typeOfNumber(number)?.redisType ?? '');

/** The rows of a group, in the arrays that the library takes: bigints where the column has 64 bits. */
class Columns implements Readonly<Record<keyof typeof COLUMNS, ColumnSource['data']>> {
  readonly db = new Int32Array(ROWS);
  readonly key = new Array<Uint8Array>(ROWS);
  readonly type = new Array<string>(ROWS);
  readonly encoding = new Array<string>(ROWS);
  readonly slot = new Int32Array(ROWS);
  readonly bytes = new BigInt64Array(ROWS);
  readonly memory = new BigInt64Array(ROWS);
  readonly elements = new BigInt64Array(ROWS);
  readonly largest = new BigInt64Array(ROWS);
  readonly expire_at = new Array<bigint | null>(ROWS);
  readonly idle = new Array<bigint | null>(ROWS);
  readonly freq = new Array<number | null>(ROWS);
  readonly shard = new Array<string>(ROWS);
}

/** Hands a sink what the library has encoded, after each row group and at the end. */
class SinkWriter extends ByteWriter {
  constructor(private readonly sink: ByteSink) {
    super();
  }

  async flush(): Promise<void> {
    await this.sink.write(this.getBytes());
    this.index = 0;
  }
}

/** A Parquet file with a row for each key, in row groups of 100,000: in memory are the rows of one, and the metadata of those before. */
export class ParquetRows implements KeyRows {
  private readonly writer: SinkWriter;
  private readonly file: ParquetWriter;
  private rows = 0;
  private columns = new Columns();
  /** Bytes of the keys in `columns`. */
  private keyBytes = 0;
  private page = new Uint8Array(PAGE_BYTES);
  private pageLength = 0;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  private readonly source = { name: '', text: '' };

  constructor(sink: ByteSink) {
    this.writer = new SinkWriter(sink);
    this.file = new ParquetWriter({
      ...{ writer: this.writer, schema: SCHEMA, createdBy: 'rdbkit' },
      codec: 'GZIP',
      compressors: { GZIP: (bytes) => gzipSync(bytes, { level: 1 }) },
    });
  }

  add(batch: Batch, row: number, measures: Measures, bytes: number, source: string): void {
    const { columns, key } = this;
    const { table } = batch;
    const { words } = table;
    const at = row * ROW_WORDS;
    const i = this.rows++;
    batch.readKey(row, key);
    columns.db[i] = words[at + DB];
    columns.key[i] = this.keyText(key.keyBytes, key.keyStart, key.keyEnd);
    columns.type[i] = TYPES[words[at + TYPE]];
    columns.encoding[i] = ENCODINGS[measures.encoding[row]];
    columns.slot[i] = keySlot(key.keyBytes, key.keyStart, key.keyEnd);
    columns.bytes[i] = BigInt(bytes);
    columns.memory[i] = BigInt(Math.floor(measures.memory[row]));
    columns.elements[i] = BigInt(measures.elements[row]);
    columns.largest[i] = BigInt(measures.largest[row]);
    columns.expire_at[i] = (words[at + FLAGS] & HAS_EXPIRE) === 0 ? null : BigInt(clampTime(table.expireAt(row)));
    const idle = table.double(row, IDLE);
    columns.idle[i] = idle < 0 ? null : BigInt(idle);
    const freq = words[at + FREQ];
    columns.freq[i] = freq < 0 ? null : freq;
    columns.shard[i] = this.sourceText(source);
  }

  /** A key in text form; its bytes are valid until they are written. */
  private keyText(src: Uint8Array, start: number, end: number): Uint8Array {
    const most = keyTextSize(end - start);
    if (this.pageLength + most > this.page.length) {
      this.page = new Uint8Array(Math.max(PAGE_BYTES, most));
      this.pageLength = 0;
    }
    const from = this.pageLength;
    this.pageLength = writeKeyText(src, start, end, this.page, from);
    this.keyBytes += this.pageLength - from;
    return this.page.subarray(from, this.pageLength);
  }

  private sourceText(name: string): string {
    if (this.source.name !== name) Object.assign(this.source, { name, text: formatText(Buffer.from(name)) });
    return this.source.text;
  }

  get full(): boolean {
    return this.rows >= GROUP_ROWS || this.keyBytes >= GROUP_KEY_BYTES;
  }

  async flush(): Promise<void> {
    if (this.full) await this.group();
  }

  async end(): Promise<void> {
    if (this.rows > 0) await this.group();
    await this.file.finish();
    await this.writer.flush();
  }

  private async group(): Promise<void> {
    const { columns, rows } = this;
    const columnData = NAMES.map((name): ColumnSource => ({
      ...{ name, data: columns[name].slice(0, rows), offsetIndex: false },
      // keys are in no order, so that their bounds help nobody; as parts of a page they would keep it in memory
      statistics: name !== 'key',
    }));
    await this.file.write({ columnData, rowGroupSize: rows });
    this.rows = 0;
    this.keyBytes = 0;
    this.columns = new Columns();
  }

  get written(): number {
    return this.writer.offset;
  }
}
