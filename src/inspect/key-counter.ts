import { type Codec } from '../kernels/codec.js';
import { DROPPED, KIND, RECORD, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { type Length, readLength } from '../rdb/length.js';
import { moduleType } from '../values/module.js';
import type { Target } from '../values/targets.js';
import { Measurer } from './measures.js';
import { recordBytes, type Tally } from './tally.js';

const MODULE = 7; // MODULE_2
/** Rows that are measured and counted before the next ones, while all that belongs to them is in the cache. */
const GROUP = 1024;

/** Measures keys by the model of their server, and hands them to a tally. Each thread has one. */
export class KeyCounter {
  /** Keys whose memory is a guess. */
  guessed = 0;
  /** Memory that other threads have found beside that of keys. */
  private othersBeside = 0;
  readonly measurers = new Map<Target, Measurer>();
  private readonly frame = new Frame();

  constructor(
    private readonly codec: Codec,
    readonly tally: Tally,
    /** Most rows of a batch. */
    private readonly rows: number,
  ) {}

  measurerOf(server: Target): Measurer {
    let measurer = this.measurers.get(server);
    if (measurer === undefined) this.measurers.set(server, (measurer = new Measurer(this.codec, server, this.rows)));
    return measurer;
  }

  /** Takes rows [batch.from, batch.to). If the value of row `batch.row` is damaged, it takes those before it and throws RdbError. */
  batch(batch: Batch, measurer: Measurer): void {
    const { from, to } = batch;
    try {
      for (let row = from; row < to; row = batch.to) {
        batch.from = batch.row = row;
        batch.to = Math.min(to, row + GROUP);
        this.group(batch, measurer);
      }
    } finally {
      batch.from = from;
      batch.to = to;
    }
  }

  private group(batch: Batch, measurer: Measurer): void {
    try {
      measurer.rows(batch);
    } catch (error) {
      batch.to = batch.row;
      this.count(batch, measurer);
      throw error;
    }
    this.count(batch, measurer);
  }

  private count(batch: Batch, measurer: Measurer): void {
    const { measures } = measurer;
    const { frame } = this;
    const { table, to } = batch;
    this.tally.rows(batch, to, measures);
    for (let row = batch.from; row < to; row++) {
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      if (measures.guessed[row] !== 0) this.guessed++;
      if (table.word(row, TYPE) !== MODULE) continue;
      batch.read(row, frame);
      this.module(moduleName(frame), row, measurer, recordBytes(table.words, row));
    }
  }

  /** Takes row 0 of a batch, the head of a value that was measured in parts. `bytes` are those of its record. */
  large(single: Batch, module: string | undefined, measurer: Measurer, bytes: number): void {
    this.tally.row(single, 0, measurer.measures, bytes);
    if (measurer.measures.guessed[0] !== 0) this.guessed++;
    if (module !== undefined) this.module(module, 0, measurer, bytes);
  }

  private module(name: string, row: number, { measures }: Measurer, bytes: number): void {
    this.tally.module(name, measures.memory[row], bytes, measures.elements[row]);
  }

  /** What all keys take beyond what MEMORY USAGE counts of them. */
  get beside(): number {
    return [...this.measurers.values()].reduce((sum, { beside }) => sum + beside, this.othersBeside);
  }

  /** Adds what another thread has counted beside its tally. */
  add({ beside, guessed }: Counted): void {
    this.othersBeside += beside;
    this.guessed += guessed;
  }
}

/** What a thread counts beside its tally. */
export interface Counted {
  readonly guessed: number;
  readonly beside: number;
}

const length: Length = { value: 0, hi: 0, lo: 0 };

/** The name of the data type of a module value, or of its first part. */
export function moduleName({ bytes, end, start }: Frame): string {
  readLength(bytes, start, end, length);
  return moduleType(length).name;
}
