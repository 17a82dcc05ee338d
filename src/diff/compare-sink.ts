import { EMPTY } from '../encodings/element.js';
import type { LargeValue } from '../io/large-value.js';
import { type Codec, TS_CODEC } from '../kernels/codec.js';
import {
  DB, DOUBTFUL, DROPPED, EXPIRE, FLAGS, HAS_EXPIRE, KEY_RENAMED, KIND, RECORD, RENAMED_BY, ROW_WORDS, SOURCE_DB, TYPE,
} from '../kernels/layout.js';
import { Batch, BATCH_ROWS } from '../rdb/batch.js';
import type { Seed } from './domains.js';
import { TYPE_INDEX } from './fold.js';
import type { KeyRecord, KeyTable } from './key-table.js';
import { largeRow } from './large-row.js';
import { RowDigests } from './row-digests.js';
import { SilentSink } from './silent-sink.js';
import type { ValueDigestOptions } from './value-digest.js';

export interface CompareSinkOptions extends ValueDigestOptions {
  /** The one of pass 1. */
  readonly seed: Seed;
  /** Whether values are read. */
  readonly values: boolean;
  /** Unix milliseconds: keys that expire up to then are left out. The same for both sides. */
  readonly now: number;
}

/** Pass 2 of a comparison: takes the records of side A, then those of side B, to a table. */
export class CompareSink extends SilentSink {
  private readonly digests: RowDigests;
  private readonly single = new Batch(TS_CODEC, 1);
  private readonly record: KeyRecord;

  constructor(
    codec: Codec | undefined,
    private readonly side: 'a' | 'b',
    private readonly table: KeyTable,
    private readonly options: CompareSinkOptions,
  ) {
    super();
    const { seed, streams, values } = options;
    this.digests = new RowDigests(codec ?? TS_CODEC, { seed, streams, values, wanted: table.wanted }, BATCH_ROWS);
    this.record = {
      ...{ db: 0, sourceDb: 0, renamedBy: -1, doubtful: false },
      ...{ keyBytes: EMPTY, keyStart: 0, keyEnd: 0, keys: this.digests.keys, values: this.digests.values, at: 0 },
      ...{ offsets: undefined, type: 0, hasExpire: false, expireHi: 0, expireLo: 0, elements: -1 },
    };
  }

  batch(batch: Batch): void {
    const { to } = batch;
    try {
      this.digests.rows(batch);
    } catch (error) {
      this.rows(batch, batch.row); // those before the damaged one
      throw error;
    }
    this.rows(batch, to);
  }

  async large(value: LargeValue): Promise<void> {
    const { expireAt, hasExpire } = value.head;
    if (hasExpire && expireAt <= this.options.now) return;
    await this.digests.large(value);
    this.rows(largeRow(this.single, value), 1);
  }

  private rows(batch: Batch, to: number): void {
    const { digests, options, record, side, table } = this;
    const { words } = batch.table;
    for (let row = batch.from; row < to; row++) {
      const at = row * ROW_WORDS;
      if (words[at + KIND] !== RECORD || (words[at + FLAGS] & DROPPED) !== 0 || !table.wants(digests.keys, 4 * row)) continue;
      const hasExpire = (words[at + FLAGS] & HAS_EXPIRE) !== 0;
      if (hasExpire && batch.table.expireAt(row) <= options.now) continue;
      batch.readKey(row, record);
      record.db = words[at + DB];
      record.sourceDb = words[at + SOURCE_DB];
      record.renamedBy = (words[at + FLAGS] & KEY_RENAMED) === 0 ? -1 : words[at + RENAMED_BY];
      record.doubtful = (words[at + FLAGS] & DOUBTFUL) !== 0;
      record.at = 4 * row;
      record.offsets = digests.offsets.get(row);
      record.type = TYPE_INDEX[words[at + TYPE]];
      record.hasExpire = hasExpire;
      record.expireLo = words[at + EXPIRE];
      record.expireHi = words[at + EXPIRE + 1];
      record.elements = options.values ? digests.elements[row] : -1;
      if (side === 'a') table.addA(record);
      else table.addB(record);
    }
  }
}
