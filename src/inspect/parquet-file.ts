import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ByteSink } from '../io/byte-sink.js';
import { ThriftStruct } from './thrift.js';

/*
 * A Parquet file (parquet-format, README.md and parquet.thrift): PAR1, row groups of one chunk for each column, the metadata, its length in
 * four bytes, PAR1. A chunk is a page with a dictionary, if it has one, and one page with the values. Numbers are little-endian.
 */
const MAGIC = Buffer.from('PAR1');
const VERSION = 1;

/** Physical types. */
export const INT32 = 1;
export const INT64 = 2;
export const BYTE_ARRAY = 6;

export interface ParquetColumn {
  readonly name: string;
  readonly type: typeof INT32 | typeof INT64 | typeof BYTE_ARRAY;
  /** Whether values can be missing. */
  readonly optional?: boolean;
  /** `time`: Unix milliseconds in an INT64. */
  readonly meaning?: 'text' | 'time';
}

/** The values of a column in a row group. */
export interface ParquetChunk {
  /** Distinct values in PLAIN encoding, if `data` refers to them. */
  readonly dictionary?: { readonly values: number; readonly bytes: Uint8Array } | undefined;
  /** The page: definition levels if values can be missing, then values in PLAIN encoding, or indexes into the dictionary. */
  readonly data: Uint8Array;
  readonly missing: number;
  /** The least and the greatest value in PLAIN encoding (a text without its length), if known. */
  readonly bounds?: readonly [min: Uint8Array, max: Uint8Array] | undefined;
}

const CONVERTED = { text: 0, time: 9 };
const REQUIRED = 0;
const OPTIONAL = 1;

const PLAIN = 0;
const RLE = 3;
const RLE_DICTIONARY = 8;

const GZIP = 2;
const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;

const compress = promisify(gzip);

/** Writes a file group by group: in memory are one of them and, for each of the earlier ones, about a kilobyte of metadata. */
export class ParquetFile {
  /** Bytes written so far. */
  written = 0;
  private rows = 0;
  private readonly groups: ThriftStruct[] = [];

  constructor(
    private readonly sink: ByteSink,
    private readonly columns: readonly ParquetColumn[],
  ) {}

  /** Writes a row group: a chunk for each column. */
  async group(rows: number, chunks: readonly ParquetChunk[]): Promise<void> {
    if (this.written === 0) await this.write(MAGIC);
    const packed = await Promise.all(
      chunks.map(async ({ data, dictionary }) => ({
        dictionary: dictionary === undefined ? undefined : await compress(dictionary.bytes, { level: 1 }),
        data: await compress(data, { level: 1 }),
      })),
    );
    const start = this.written;
    let size = 0;
    const described: ThriftStruct[] = [];
    for (const [i, column] of this.columns.entries()) {
      const at = this.written;
      const { bounds, data, dictionary, missing } = chunks[i];
      const encoding = dictionary === undefined ? PLAIN : RLE_DICTIONARY;
      let whole = 0; // bytes as they were before compression
      if (dictionary !== undefined) {
        const header = new ThriftStruct().i32(1, dictionary.values).i32(2, PLAIN);
        whole += await this.page(DICTIONARY_PAGE, dictionary.bytes.length, packed[i].dictionary ?? MAGIC, (page) => page.struct(7, header));
      }
      const dataAt = this.written;
      const header = new ThriftStruct().i32(1, rows).i32(2, encoding).i32(3, RLE).i32(4, RLE);
      whole += await this.page(DATA_PAGE, data.length, packed[i].data, (page) => page.struct(5, header));
      size += whole;
      const chunk = new ThriftStruct()
        .i32(1, column.type)
        .i32s(2, dictionary === undefined ? [PLAIN, RLE] : [PLAIN, RLE, RLE_DICTIONARY])
        .texts(3, [column.name])
        .i32(4, GZIP)
        .i64(5, rows)
        .i64(6, whole)
        .i64(7, this.written - at)
        .i64(9, dataAt);
      if (dictionary !== undefined) chunk.i64(11, at);
      const statistics = new ThriftStruct().i64(3, missing);
      if (bounds !== undefined) statistics.binary(5, bounds[1]).binary(6, bounds[0]);
      described.push(new ThriftStruct().i64(2, at).struct(3, chunk.struct(12, statistics)));
    }
    this.rows += rows;
    this.groups.push(new ThriftStruct().structs(1, described).i64(2, size).i64(3, rows).i64(5, start).i64(6, this.written - start));
  }

  /** Writes a page. Returns its bytes, with those of its header, as they were before compression. */
  private async page(type: number, size: number, packed: Uint8Array, add: (header: ThriftStruct) => ThriftStruct): Promise<number> {
    const header = add(new ThriftStruct().i32(1, type).i32(2, size).i32(3, packed.length)).whole;
    await this.write(header);
    await this.write(packed);
    return header.length + size;
  }

  /** Writes the metadata, without which nobody can read the file. */
  async end(): Promise<void> {
    if (this.written === 0) await this.write(MAGIC);
    const root = new ThriftStruct().binary(4, 'schema').i32(5, this.columns.length);
    const ordered = new ThriftStruct().struct(1, new ThriftStruct()); // as the type is ordered, which makes the bounds valid
    const metadata = new ThriftStruct()
      .i32(1, VERSION)
      .structs(2, [root, ...this.columns.map(schemaElement)])
      .i64(3, this.rows)
      .structs(4, this.groups)
      .binary(6, 'rdbkit')
      .structs(7, this.columns.map(() => ordered)).whole;
    const size = Buffer.alloc(4);
    size.writeUInt32LE(metadata.length);
    await this.write(Buffer.concat([metadata, size, MAGIC]));
  }

  private async write(bytes: Uint8Array): Promise<void> {
    this.written += bytes.length;
    await this.sink.write(bytes);
  }
}

function schemaElement({ meaning, name, optional = false, type }: ParquetColumn): ThriftStruct {
  const element = new ThriftStruct().i32(1, type).i32(3, optional ? OPTIONAL : REQUIRED).binary(4, name);
  if (meaning === undefined) return element;
  const none = new ThriftStruct();
  const logical =
    meaning === 'text'
      ? new ThriftStruct().struct(1, none)
      : new ThriftStruct().struct(8, new ThriftStruct().yes(1).struct(2, new ThriftStruct().struct(1, none))); // UTC, milliseconds
  return element.i32(6, CONVERTED[meaning]).struct(10, logical);
}
