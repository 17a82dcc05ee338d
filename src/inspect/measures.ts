import { type Codec } from '../kernels/codec.js';
import type { LargeValue } from '../io/large-value.js';
import type { Batch } from '../rdb/batch.js';
import type { Target } from '../values/targets.js';

/** What OBJECT ENCODING answers; `Measures.encoding` is an index into it. */
export const ENCODINGS = [
  'int', 'embstr', 'raw', 'quicklist', 'listpack', 'ziplist', 'linkedlist', 'hashtable', 'intset', 'skiplist', 'zipmap', 'stream',
  'module', 'listpackex', 'array', 'bitmap-roaring', 'template',
] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Columns beside the rows of a batch: what each key has and takes. */
export interface Measures {
  /** Estimated bytes in the memory of the server: what MEMORY USAGE key SAMPLES 0 answers, and its entry in the table of expiries. */
  readonly memory: Float64Array;
  /** Items of a list or set, fields, members, entries of a stream; bytes of a string or bitmap; parts of a module value. */
  readonly elements: Float64Array;
  /** Bytes of the largest element: item, field or value, member. */
  readonly largest: Float64Array;
  readonly encoding: Uint8Array;
  /** Of hashes: a hash of the set of field names whatever their order, 0 for other types; and the bytes of the names. */
  readonly fields: Uint32Array;
  readonly fieldBytes: Float64Array;
  /** A hash of the value's bytes in the file; 0 for values that are not worth comparing (below 64 bytes). */
  readonly digest: Float64Array;
}

/** Measures keys by a model of a server's memory. */
export class Measurer {
  readonly measures: Measures;

  constructor(
    codec: Codec,
    /** Whose memory. */
    readonly server: Target,
    rows: number,
  ) {
    void codec;
    const doubles = (): Float64Array => new Float64Array(rows);
    this.measures = {
      memory: doubles(),
      elements: doubles(),
      largest: doubles(),
      encoding: new Uint8Array(rows),
      fields: new Uint32Array(rows),
      fieldBytes: doubles(),
      digest: doubles(),
    };
  }

  /** Measures rows [from, to) that are records and not dropped. Throws RdbError if the value of row `batch.row` is damaged. */
  rows(batch: Batch): void {
    void batch;
  }

  /** Measures a large value into row 0. */
  async large(value: LargeValue): Promise<void> {
    for await (const part of value.parts()) void part;
  }

  /** Memory of tables that belong to no key: one database with these many keys and expiries. */
  tables(keys: number, expires: number): number {
    return keys * 8 + expires * 8;
  }
}
