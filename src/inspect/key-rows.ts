import type { Batch } from '../rdb/batch.js';
import type { Measures } from './measures.js';

/** A table with a row for each key. */
export interface KeyRows {
  /** Adds the key in a row of a batch, with its measures; `bytes` are those of its record, `source` the name of its file. */
  add(batch: Batch, row: number, measures: Measures, bytes: number, source: string): void;
  /** Whether it is time for `flush`. */
  readonly full: boolean;
  flush(): Promise<void>;
  /** Writes everything that is left. */
  end(): Promise<void>;
  /** Bytes written so far. */
  readonly written: number;
}
