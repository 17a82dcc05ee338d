import type { Codec } from '../kernels/codec.js';
import * as layout from '../kernels/layout.js';
import type { LargeValue } from '../io/large-value.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { typeNumber } from '../rdb/frame-table.js';
import { PartsReader } from '../values/parts.js';
import type { Target } from '../values/targets.js';
import { Digest } from '../bytes/digest.js';
import { measureBlock } from './memory/kernel-model.js';
import { Model, type ModelOptions } from './memory/model.js';
import { ValueMemory } from './memory/value-memory.js';
import { SharedMemory } from './shared-memory.js';

export { type Encoding, ENCODINGS } from './encodings.js';
export type { ModelOptions } from './memory/model.js';

/** Columns beside the rows of a batch: what each key has and takes. */
export interface Measures {
  /**
   * Estimated bytes in the memory of the server: what MEMORY USAGE key SAMPLES 0 answers after the file was loaded. An entry in the table
   * of expiries is not in it, but in `Measurer.tables`.
   */
  readonly memory: Float64Array;
  /** Items of a list or set, fields, members, entries of a stream; bytes of a string; parts of a module value. */
  readonly elements: Float64Array;
  /** Bytes of the largest element: item, field or value, member. */
  readonly largest: Float64Array;
  readonly encoding: Uint8Array;
  /** Of hashes: a hash of the set of field names whatever their order, 0 for other types; and the bytes of the names. */
  readonly fields: Uint32Array;
  readonly fieldBytes: Float64Array;
  /** A hash of the value's bytes in the file; 0 for values that are not worth comparing (below 64 bytes). */
  readonly digest: Float64Array;
  /** 1 where the memory is a guess: how a module's value is held is known to the module alone. */
  readonly guessed: Uint8Array;
}

/** Measures keys by a model of a server's memory. */
export class Measurer {
  readonly measures: Measures;
  private readonly model: Model;
  private readonly value: ValueMemory;
  private readonly reader: PartsReader;
  private readonly digest = new Digest();
  private readonly frame = new Frame();
  /** For the kernel, where there is one. */
  private readonly block: Int32Array | undefined;
  private readonly besideBlock: Float64Array;
  private besideRows = 0;

  constructor(
    private readonly codec: Codec,
    /** Whose memory. */
    readonly server: Target,
    rows: number,
    options?: ModelOptions,
  ) {
    const memory = new SharedMemory(codec);
    const doubles = (): Float64Array => memory.doubles(rows);
    const fields = memory.words(rows);
    this.measures = {
      memory: doubles(),
      elements: doubles(),
      largest: doubles(),
      encoding: memory.bytes(rows),
      fields: new Uint32Array(fields.buffer, fields.byteOffset, rows),
      fieldBytes: doubles(),
      digest: doubles(),
      guessed: memory.bytes(rows),
    };
    this.model = new Model(server, options);
    const { measures } = this;
    this.block = measureBlock(codec, this.model, [
      [layout.MEASURE_MEMORY, measures.memory],
      [layout.MEASURE_ELEMENTS, measures.elements],
      [layout.MEASURE_LARGEST, measures.largest],
      [layout.MEASURE_ENCODING, measures.encoding],
      [layout.MEASURE_FIELDS, measures.fields],
      [layout.MEASURE_FIELD_BYTES, measures.fieldBytes],
      [layout.MEASURE_DIGEST, measures.digest],
      [layout.MEASURE_GUESSED, measures.guessed],
    ]);
    const { block } = this;
    this.besideBlock =
      block === undefined ? new Float64Array(1) : new Float64Array(block.buffer, block.byteOffset + 4 * layout.MEASURE_BESIDE, 1);
    this.value = new ValueMemory(this.model, codec);
    this.reader = new PartsReader(this.value, codec);
  }

  /**
   * What all keys measured so far take beyond what MEMORY USAGE counts of them: small structures are rounded up, and below 0, since its
   * formula for streams is too high. The sum of `memory`, `tables` and this are the memory of the data.
   */
  get beside(): number {
    return this.besideRows + this.besideBlock[0];
  }

  /** Measures rows [from, to) that are records and not dropped. Throws RdbError if the value of row `batch.row` is damaged. */
  rows(batch: Batch): void {
    const { block, codec, frame, reader } = this;
    const { bytes, table, to } = batch;
    for (let row = batch.from; row < to; row++) {
      if (block !== undefined) row = codec.measureRows(block, table.words, row, to, bytes);
      if (row === to) return;
      if (table.word(row, layout.KIND) !== RECORD || table.has(row, layout.DROPPED)) continue;
      batch.row = row;
      batch.read(row, frame);
      reader.record(frame);
      this.put(row, codec.digest(typeNumber(frame.type), frame.bytes, frame.start, frame.end));
    }
  }

  /** Measures a large value into row 0. */
  async large(value: LargeValue): Promise<void> {
    const { digest, reader } = this;
    digest.begin(typeNumber(value.head.type));
    for await (const { frame, kind } of value.parts()) {
      reader.frame(kind, frame);
      digest.add(frame.bytes, frame.start, frame.end);
    }
    this.put(0, digest.end());
  }

  private put(row: number, digest: number): void {
    const { measures, value } = this;
    this.besideRows += value.beside;
    measures.memory[row] = value.memory;
    measures.elements[row] = value.elements;
    measures.largest[row] = value.largest;
    measures.encoding[row] = value.encoding;
    measures.fields[row] = value.fields;
    measures.fieldBytes[row] = value.fieldBytes;
    measures.guessed[row] = value.guessed ? 1 : 0;
    measures.digest[row] = digest;
  }

  /** Memory of tables that belong to no key: one database with these many keys and expiries. */
  tables(keys: number, expires: number): number {
    return this.model.tables(keys, expires);
  }
}
