import { RdbError } from '../bytes/errors.js';
import { DROPPED, FILTERED, KIND, META, RECORD } from '../kernels/layout.js';
import type { Damage, DamageCheck } from './damage.js';
import { filterRows, type Pass } from './passes.js';
import { EMPTY } from '../encodings/element.js';
import type { Batch } from '../rdb/batch.js';
import { END, Frame, type FramerOptions, FULL } from '../rdb/frame.js';
import { isMemberExpiry, lostMemberExpiries } from '../rdb/opcodes.js';
import { type Counts, FrameFailure, type RecordSink, type SourceFile, sourceFile } from './sink.js';
import type { Input } from '../io/input.js';
import type { LargeValue } from '../io/large-value.js';
import { Reading } from '../io/reading.js';
import type { Filter } from '../values/filters.js';
import { baseWarning } from './aof.js';

const MEMBER_ADVICE = '--meta writes them as aux records after their key, and dump --format rdb copies them';

export interface RecordsOptions {
  readonly filter: Filter;
  readonly framer: FramerOptions;
  readonly meta: boolean;
  /** Reused for all rows. */
  readonly batch: Batch;
  /** Run on every batch after the filters. */
  readonly passes: readonly Pass[];
  /** Most keys to write, over all files. */
  readonly limit: number;
  readonly strict: boolean;
  /** Unix milliseconds that decide which keys have expired. */
  readonly now: number;
  readonly onChunk: () => void;
  readonly onWarning: (file: string, text: string) => void;
  /** Takes damaged values that the run goes past. */
  readonly damage: Damage | undefined;
  /** Looks into values that the sink does not read. */
  readonly check: DamageCheck | undefined;
  /** Called when AOF commands follow the RDB, with the number of bytes that are not read. */
  readonly onAofTail: (file: string, bytes: number) => void;
}

/** One input through filters to a sink: what every command runs. */
export class Records {
  private readonly reading: Reading;
  private readonly keysBefore: number;
  private readonly bytesBefore: number;
  private readonly file: SourceFile;
  /** The current large value. */
  private large: LargeValue | undefined;
  /** A key is counted as read, but its outcome is not yet. */
  private midKey = false;
  /** Whether the last key was written. */
  private written = false;
  /** Whether the sink found a row damaged; everything up to it is counted. */
  private rowDamaged = false;
  private memberExpiries = 0;

  constructor(
    private readonly input: Input,
    private readonly sink: RecordSink,
    /** Over all files. */
    private readonly counts: Counts,
    private readonly options: RecordsOptions,
  ) {
    const { batch, framer, meta, now } = options;
    batch.now = now;
    this.keysBefore = counts.keys;
    this.bytesBefore = counts.bytes;
    const onWarning = (text: string): void => options.onWarning(input.name, text);
    const onChunk = (): void => {
      this.countBytes();
      options.onChunk();
    };
    this.reading = new Reading(input, batch, { ...framer, meta, onWarning, onChunk });
    this.file = sourceFile(input, this.reading.framer);
  }

  /** Runs until the end of the input or the limit. Throws RdbError with the place. */
  async run(): Promise<void> {
    const { counts, input, options, reading, sink } = this;
    const { framer } = reading;
    if (options.damage !== undefined) options.damage.file = input.name;
    sink.fileBegin(this.file);
    try {
      await this.read();
      await sink.finish();
      if (counts.keys >= options.limit) return;
      const tail = reading.trailing.check(options.strict, framer.offset, framer.endMark);
      if (tail.aof > 0) options.onAofTail(input.name, tail.aof);
      const warning = tail.aof > 0 ? undefined : (tail.warning ?? (await baseWarning(input.name, framer.aofMark)));
      if (warning !== undefined) options.onWarning(input.name, warning);
    } catch (error) {
      const failure = await this.failure(error);
      if (failure !== undefined) {
        Object.assign(counts, failure.counts, {
          bytes: this.bytesBefore + failure.counts.bytes,
          filtered: failure.counts.read - failure.counts.keys - counts.damaged - 1,
        });
        this.midKey = true;
      } else if (this.midKey && this.large !== undefined) {
        options.damage?.uncount(this.large.head.offset);
      }
      if (failure === undefined && error instanceof RdbError && error.line === undefined && !this.rowDamaged) {
        framer.failed(error);
      }
      const cause = failure?.cause ?? error;
      if (failure?.cause instanceof RdbError) failure.cause.skippable = true;
      if (failure !== undefined || !this.rowDamaged) this.countDamage(cause);
      throw cause instanceof RdbError ? cause.at({ file: input.name }) : cause;
    } finally {
      this.large?.close();
      options.damage?.settle();
      const remark = sink.remark?.();
      if (remark !== undefined) options.onWarning(input.name, remark);
      counts.memberExpiries += this.memberExpiries;
      if (this.memberExpiries > 0) options.onWarning(input.name, `${lostMemberExpiries(this.memberExpiries)}; ${MEMBER_ADVICE}`);
    }
  }

  /** Counts a damaged key after an error: it may be counted as read already, or not. */
  private countDamage(cause: unknown): void {
    const { counts, midKey } = this;
    if (!(cause instanceof RdbError)) {
      if (midKey) counts.read--;
    } else if (midKey) {
      if (this.large?.dropped !== true) counts.damaged++;
    } else if (cause.key !== undefined) {
      counts.read++;
      counts.damaged++;
    }
  }

  private async read(): Promise<void> {
    const { reading } = this;
    try {
      await this.all();
    } catch (error) {
      await reading.close().catch(() => undefined); // report the first error
      throw error;
    } finally {
      this.countBytes();
    }
    await reading.close();
  }

  private countBytes(): void {
    this.counts.bytes = this.bytesBefore + this.offset;
  }

  private async all(): Promise<void> {
    const { reading, sink } = this;
    const { batch, damage } = this.options;
    for (;;) {
      const kind = await reading.next();
      if (batch.rows > 0) await this.take();
      if (await this.limited()) return;
      if (kind === END) {
        if (damage !== undefined) await this.settle(damage);
        const { checksum, version } = reading.framer;
        sink.fileEnd({ version, checksum, keys: this.counts.keys - this.keysBefore });
        await reading.rest();
        return;
      }
      if (kind !== FULL) await this.takeLarge(reading.large(kind));
      if (await this.limited()) return;
    }
  }

  /** Waits until it is known which of the keys taken are damaged. */
  private async settle(damage: Damage): Promise<void> {
    await this.sink.finish();
    damage.settle();
  }

  /** The damage in an earlier frame that the sink took, if any. */
  private async failure(error: unknown): Promise<FrameFailure | undefined> {
    if (error instanceof FrameFailure) return error;
    try {
      await this.sink.finish();
      return undefined;
    } catch (earlier) {
      if (earlier instanceof FrameFailure) return earlier;
      throw earlier;
    }
  }

  /** Whether the sink has reached the limit. A sink that learns later which keys were accepted is asked. */
  private async limited(): Promise<boolean> {
    const { counts, sink } = this;
    const { damage, limit } = this.options;
    if (counts.keys < limit) return false;
    if (damage !== undefined) await this.settle(damage);
    if (sink.accepted !== undefined) counts.keys = Math.min(counts.keys, await sink.accepted());
    return counts.keys >= limit;
  }

  /** Offset up to which everything was read; if the limit or damage cuts a batch, up to there. */
  private get offset(): number {
    const { batch } = this.options;
    if (this.rowDamaged) return batch.endOffset(batch.row);
    return batch.to < batch.rows && batch.to > 0 ? batch.endOffset(batch.to - 1) : this.reading.framer.offset;
  }

  /** Hands the batch to the sink, as far as the limit allows. */
  private async take(): Promise<void> {
    const { counts, sink } = this;
    const { batch, check, filter, limit, meta, passes } = this.options;
    const { pass: ofInput } = this.input;
    if (filter.active || passes.length > 0 || check !== undefined || ofInput !== undefined) batch.touch();
    ofInput?.(batch);
    if (filter.active) filterRows(batch, filter);
    if (!meta) this.dropMeta();
    for (const pass of passes) pass(batch);
    for (let from = 0; from < batch.rows && !(await this.limited()); from = batch.to) {
      batch.from = batch.row = from;
      batch.to = limit === Infinity ? batch.rows : batch.after(limit - counts.keys, from, batch.rows);
      check?.rows(batch);
      try {
        sink.batch(batch);
      } catch (error) {
        throw error instanceof RdbError ? this.damagedAt(batch.row, error) : error;
      }
      this.count(batch.to);
      if (sink.full) await sink.flush();
    }
  }

  /** Counts the outcomes of rows [from, to). */
  private count(to: number): void {
    const { counts } = this;
    const { batch } = this.options;
    const { from } = batch;
    const { expired, filtered, keys } = batch.count(from, to);
    counts.read += batch.readBefore(to) - batch.readBefore(from);
    counts.keys += keys;
    counts.filtered += filtered;
    counts.expired += expired;
    if (this.options.meta) return;
    if (batch.rows === batch.keysRead) this.written = to === from ? this.written : !batch.table.has(to - 1, DROPPED);
    else this.countMemberExpiries(from, to);
  }

  /** KeyDB stores member expiries in aux fields after the key: a sink without meta records loses them. */
  private countMemberExpiries(from: number, to: number): void {
    const { batch } = this.options;
    const frame = new Frame();
    for (let row = from; row < to; row++) {
      if (batch.table.word(row, KIND) !== META) {
        this.written = !batch.table.has(row, DROPPED);
      } else if (this.written) {
        batch.read(row, frame);
        if (isMemberExpiry(frame)) this.memberExpiries++;
      }
    }
  }

  /** Drops the rows that are not records, for a sink that does not take them. */
  private dropMeta(): void {
    const { batch } = this.options;
    if (batch.rows === batch.keysRead) return;
    for (let row = 0; row < batch.rows; row++) if (batch.table.word(row, KIND) === META) batch.mark(row, DROPPED);
  }

  /** Counts everything before a row that the sink found damaged, and that row. */
  private damagedAt(row: number, error: RdbError): RdbError {
    const { batch } = this.options;
    this.count(row);
    this.rowDamaged = true;
    error.skippable = batch.table.word(row, KIND) === RECORD;
    if (error.skippable) {
      this.counts.read++;
      this.counts.damaged++;
    }
    return batch.failed(error);
  }

  /** Takes a large value: its head passes through as a row, and the sink pulls the rest. */
  private async takeLarge(value: LargeValue): Promise<void> {
    const { counts } = this;
    const { batch, filter, now, passes } = this.options;
    const { head } = value;
    this.large = value;
    counts.read++;
    this.midKey = true;
    const isWanted = filter.head(head) && (await value.fits(filter.minSize, filter.maxSize));
    batch.clear(head.bytes, head.templates);
    batch.add(RECORD, head);
    this.input.pass?.(batch);
    if (isWanted) for (const pass of passes) pass(batch);
    else batch.mark(0, DROPPED | FILTERED);
    if (batch.table.has(0, DROPPED)) {
      this.dropHead();
    } else {
      value.edit(batch, 0);
      batch.clear(EMPTY, head.templates);
      await this.handOver(value);
      this.written = !value.dropped;
    }
    await value.end();
    this.midKey = false;
    this.large = undefined;
    if (!this.written) return;
    counts.keys++;
    if (head.hasExpire && head.expireAt <= now) counts.expired++;
  }

  /** Hands a large value to the sink. */
  private async handOver(value: LargeValue): Promise<void> {
    const { check, damage } = this.options;
    const { sink } = this;
    try {
      const error = await check?.large(value);
      if (error !== undefined) throw error;
      await sink.large(value);
    } catch (error) {
      if (!(error instanceof RdbError) || value.broken) throw error;
      error.skippable = true;
      if (damage === undefined) throw error;
      const whole = sink.rollback();
      if (sink.stopped === true) throw error;
      value.dropped = true;
      damage.take(this.reading.framer.failed(error), !whole);
    }
  }

  /** Reports the head of a dropped large value to the sink like other dropped rows. */
  private dropHead(): void {
    const { batch } = this.options;
    batch.from = batch.row = 0;
    batch.to = 1;
    this.sink.batch(batch);
    if (batch.table.has(0, FILTERED)) this.counts.filtered++;
    this.midKey = this.written = false;
  }
}
