import { RdbError } from '../bytes/errors.js';
import { DROPPED, KIND, META, RECORD } from '../kernels/layout.js';
import { filterRows, type Pass } from './passes.js';
import type { Batch } from '../rdb/batch.js';
import { END, Frame, type FramerOptions, FULL, NEED } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { isMemberExpiry } from '../rdb/opcodes.js';
import { Trailing } from '../rdb/trailing.js';
import { type Counts, FrameFailure, type RecordSink, type SourceFile, sourceFile } from './sink.js';
import type { Input } from '../io/input.js';
import type { Filter } from '../values/filters.js';
import { baseWarning } from './aof.js';
import { SizeGate } from './size-gate.js';

export interface RecordsOptions {
  readonly filter: Filter;
  readonly framer: FramerOptions;
  readonly meta: boolean;
  /** What is filled and handed over again and again. */
  readonly batch: Batch;
  /** What is done to every batch after the filters. */
  readonly passes: readonly Pass[];
  /** Keys to write at the most, over all files. */
  readonly limit: number;
  readonly strict: boolean;
  /** Unix milliseconds that tells expired keys from live ones. */
  readonly now: number;
  readonly onChunk: () => void;
  readonly onWarning: (file: string, text: string) => void;
  /** Called where commands of an AOF follow the RDB: with the number of bytes that are not read. */
  readonly onAofTail: (file: string, bytes: number) => void;
}

/** One input through filters to a sink: the pipe that every command is. */
export class Records {
  private readonly framer: Framer;
  private readonly gate: SizeGate | undefined;
  private readonly keysBefore: number;
  private readonly trailing = new Trailing();
  private readonly file: SourceFile;
  /** A key is counted as found, and what becomes of it is not. */
  private midKey = false;
  /** The last key was written. */
  private written = false;
  /** The sink found a row damaged: everything before it is counted, and it is. */
  private rowDamaged = false;
  private memberExpiries = 0;

  constructor(
    private readonly input: Input,
    private readonly sink: RecordSink,
    /** Over all files. */
    private readonly counts: Counts,
    private readonly options: RecordsOptions,
  ) {
    const { batch, filter, framer, meta, now } = options;
    batch.now = now;
    this.keysBefore = counts.keys;
    const onWarning = (text: string): void => options.onWarning(input.name, text);
    this.framer = new Framer({ ...framer, meta, onWarning });
    this.file = sourceFile(input, this.framer);
    const sized = filter.minSize > 0 || filter.maxSize !== Infinity;
    if (sized) this.gate = new SizeGate(sink, framer, filter.minSize, filter.maxSize);
  }

  /** Runs until the input or the limit ends. Throws RdbError with the place. */
  async run(): Promise<void> {
    const { counts, framer, input, options, sink } = this;
    const before = counts.bytes;
    sink.fileBegin(this.file);
    try {
      await this.read(before);
      await sink.finish();
      if (counts.keys >= options.limit) return;
      framer.finish();
      const tail = this.trailing.check(options.strict, framer.offset, framer.endMark);
      if (tail.aof > 0) options.onAofTail(input.name, tail.aof);
      const warning = tail.aof > 0 ? undefined : (tail.warning ?? (await baseWarning(input.name, framer.aofMark)));
      if (warning !== undefined) options.onWarning(input.name, warning);
    } catch (error) {
      const failure = await this.failure(error);
      if (failure !== undefined) {
        Object.assign(counts, failure.counts, { bytes: before + failure.counts.bytes, filtered: failure.counts.read - failure.counts.keys - counts.damaged - 1 });
        this.midKey = true;
      } else if (error instanceof RdbError && error.line === undefined && !this.rowDamaged) {
        framer.failed(error);
      }
      const cause = failure?.cause ?? error;
      if (failure !== undefined || !this.rowDamaged) this.countDamage(cause);
      throw cause instanceof RdbError ? cause.at({ file: input.name }) : cause;
    } finally {
      this.gate?.close();
      counts.memberExpiries += this.memberExpiries;
      if (this.memberExpiries > 0) options.onWarning(input.name, memberText(this.memberExpiries));
    }
  }

  /** What ended the reading: damage in a key, which is found whether it was counted already or not, or something else. */
  private countDamage(cause: unknown): void {
    const { counts, midKey, sink } = this;
    if (!(cause instanceof RdbError)) {
      if (midKey) counts.read--;
    } else if (midKey) {
      if (!sink.dropped) counts.damaged++;
    } else if (cause.key !== undefined) {
      counts.read++;
      counts.damaged++;
    }
  }

  private async read(before: number): Promise<void> {
    const { counts, framer, input, options } = this;
    try {
      for await (const chunk of input.chunks()) {
        framer.size = input.plainSize;
        framer.ofPayloads = input.ofPayloads;
        await this.chunk(chunk);
        counts.bytes = before + this.offset;
        options.onChunk();
        if (counts.keys >= options.limit) return;
      }
    } finally {
      counts.bytes = before + this.offset;
    }
  }

  /** What was wrong with a frame that the sink took before the error came up, if anything. */
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

  private async chunk(chunk: Uint8Array): Promise<void> {
    const { framer, sink } = this;
    const { batch } = this.options;
    if (framer.ended) {
      this.trailing.add(chunk);
      return;
    }
    framer.push(chunk);
    for (;;) {
      const kind = framer.fill(batch);
      if (batch.rows > 0) await this.take();
      if (await this.limited()) return;
      if (kind === NEED) {
        sink.release();
        framer.release();
        return;
      }
      if (kind === END) {
        const { checksum, version } = framer;
        sink.fileEnd({ version, checksum, keys: this.counts.keys - this.keysBefore });
        this.trailing.add(framer.rest());
        return;
      }
      if (kind !== FULL) await this.part(kind, framer.frame);
      if (await this.limited()) return;
    }
  }

  /** Whether the sink has as many keys as it is to take; one that knows only later which of them it took is asked. */
  private async limited(): Promise<boolean> {
    const { counts, sink } = this;
    const { limit } = this.options;
    if (counts.keys < limit) return false;
    if (sink.accepted !== undefined) counts.keys = Math.min(counts.keys, await sink.accepted());
    return counts.keys >= limit;
  }

  /** Offset up to which everything was understood; where the limit or damage cuts a batch, up to where it does. */
  private get offset(): number {
    const { batch } = this.options;
    if (this.rowDamaged) return batch.endOffset(batch.row);
    return batch.to < batch.rows && batch.to > 0 ? batch.endOffset(batch.to - 1) : this.framer.offset;
  }

  /** Hands the batch to the sink, or as much of it as the limit allows. */
  private async take(): Promise<void> {
    const { counts, sink } = this;
    const { batch, filter, limit, meta, passes } = this.options;
    if (filter.active || passes.length > 0) batch.touch();
    if (filter.active) filterRows(batch, filter);
    if (!meta) this.dropMeta();
    for (const pass of passes) pass(batch);
    for (let from = 0; from < batch.rows && !(await this.limited()); from = batch.to) {
      batch.from = batch.row = from;
      batch.to = limit === Infinity ? batch.rows : batch.after(limit - counts.keys, from, batch.rows);
      try {
        sink.batch(batch);
      } catch (error) {
        throw error instanceof RdbError ? this.damagedAt(batch.row, error) : error;
      }
      this.count(batch.to);
      if (sink.full) await sink.flush();
    }
  }

  /** Counts what became of rows [from, to) of the batch. */
  private count(to: number): void {
    const { counts } = this;
    const { batch } = this.options;
    const { from } = batch;
    const { expired, filtered, keys } = batch.count(from, to);
    counts.read += batch.readBefore(to) - batch.readBefore(from);
    counts.keys += keys;
    counts.filtered += filtered;
    counts.expired += expired;
    if (batch.rows === batch.keysRead) this.written = to === from ? this.written : !batch.table.has(to - 1, DROPPED);
    else this.countMemberExpiries(from, to);
  }

  /** KeyDB notes expiries of members in aux fields after their key: a sink without place for them loses them. */
  private countMemberExpiries(from: number, to: number): void {
    const { batch, meta } = this.options;
    const frame = new Frame();
    for (let row = from; row < to; row++) {
      if (batch.table.word(row, KIND) !== META) {
        this.written = !batch.table.has(row, DROPPED);
      } else if (!meta && this.written) {
        batch.read(row, frame);
        if (isMemberExpiry(frame)) this.memberExpiries++;
      }
    }
  }

  /** The sink has no use for records that are no keys. */
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
    if (batch.table.word(row, KIND) === RECORD) {
      this.counts.read++;
      this.counts.damaged++;
    }
    return batch.failed(error);
  }

  private found(): void {
    this.counts.read++;
    this.midKey = true;
  }

  private leaveOut(): void {
    this.counts.filtered++;
    this.midKey = this.written = false;
    this.sink.passOver?.();
  }

  private countPart(frame: Frame): void {
    this.midKey = false;
    this.written = !this.sink.dropped;
    if (!this.written) return;
    this.counts.keys++;
    if (frame.hasExpire && frame.expireAt <= this.options.now) this.counts.expired++;
  }

  /** A part of a value too large to come whole. */
  private async part(kind: number, frame: Frame): Promise<void> {
    const { framer, gate, sink } = this;
    if (frame.first) {
      this.found();
      if (!this.options.filter.head(frame)) {
        this.leaveOut();
        framer.skip();
        return;
      }
    }
    if (gate === undefined) {
      sink.frame(kind, frame);
      await sink.settle();
    } else {
      const passes = await gate.part(frame);
      if (passes === false) {
        this.leaveOut();
        framer.skip();
        return;
      }
    }
    if (frame.last) this.countPart(frame);
  }
}

function memberText(count: number): string {
  return `${count} member ${count === 1 ? 'expiry' : 'expiries'} of KeyDB ${count === 1 ? 'is' : 'are'} not kept; --meta writes them as aux records after their key, and dump --format rdb copies them`;
}
