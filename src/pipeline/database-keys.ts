import { openInput } from '../io/input.js';
import { Reading } from '../io/reading.js';
import { TS_CODEC } from '../kernels/codec.js';
import { Kernels } from '../kernels/kernels.js';
import { DB, HAS_EXPIRE, KIND, RECORD } from '../kernels/layout.js';
import { Batch } from '../rdb/batch.js';
import { END, FULL } from '../rdb/frame.js';

/** Keys of a database, and those of them that have an expiry. */
export interface DatabaseKeys {
  readonly db: number;
  readonly keys: number;
  readonly expires: number;
}

/** Keys by database, in the order of the file. */
export class DatabaseCounts {
  private readonly counts = new Map<number, { keys: number; expires: number }>();

  add(db: number, expires: boolean): void {
    let count = this.counts.get(db);
    if (count === undefined) this.counts.set(db, (count = { keys: 0, expires: 0 }));
    count.keys++;
    if (expires) count.expires++;
  }

  get none(): boolean {
    return this.counts.size === 0;
  }

  get list(): DatabaseKeys[] {
    return [...this.counts].map(([db, count]) => ({ db, ...count }));
  }
}

const BUFFER = 4 << 20;

/** Counts the keys of RDB files, which are framed and not decoded, up to a number of bytes for all files together. */
export class DatabaseCounter {
  private readonly codec = Kernels.create();
  private readonly batch = new Batch(this.codec ?? TS_CODEC);
  private readonly buffer = this.codec?.allocate(BUFFER);

  /** `bytes`: of RDB, that may be read. */
  constructor(private bytes: number) {}

  /**
   * `size`: bytes of the file, compressed or not. Undefined if the file is too large, or damaged, which is reported when it is restored.
   * Throws the signal's reason.
   */
  async of(source: string, size: number | undefined, signal: AbortSignal | undefined): Promise<DatabaseKeys[] | undefined> {
    const { batch, buffer, codec } = this;
    if (this.bytes <= 0 || (size ?? 0) > this.bytes) return undefined;
    const counts = new DatabaseCounts();
    const reading = new Reading(openInput(source, { signal }), batch, { checksum: false, meta: false, codec, buffer });
    try {
      for (let kind = FULL; kind !== END; ) {
        kind = await reading.next();
        this.count(counts);
        if (kind !== FULL && kind !== END) {
          const large = reading.large(kind);
          counts.add(large.head.db, large.head.hasExpire);
          await large.end();
        }
        if (reading.framer.offset > this.bytes) return undefined;
      }
      return counts.list;
    } catch {
      signal?.throwIfAborted();
      return undefined;
    } finally {
      this.bytes -= reading.framer.offset;
      await reading.close().catch(() => undefined);
    }
  }

  private count(counts: DatabaseCounts): void {
    const { rows, table } = this.batch;
    for (let row = 0; row < rows; row++) {
      if (table.word(row, KIND) === RECORD) counts.add(table.word(row, DB), table.has(row, HAS_EXPIRE));
    }
  }
}
