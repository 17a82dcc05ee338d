import { RdbError } from '../bytes/errors.js';
import type { Batch } from '../rdb/batch.js';
import { END, Frame, type FramerOptions, FULL, NEED, shownKey } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { Trailing } from '../rdb/trailing.js';
import { type Counts, FrameFailure, type RecordSink, type SourceFile } from '../sinks/sink.js';
import type { Input } from '../sources/input.js';
import type { Filter } from '../values/filters.js';
import { filterRows, type Pass } from '../pipeline/passes.js';
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
}

/** One input through filters to a sink: the pipe that every command is. */
export class Records {
  private readonly framer: Framer;
  private readonly gate: SizeGate | undefined;
  private readonly keysBefore: number;
  private readonly trailing = new Trailing();
  private readonly file: SourceFile;
  private readonly batch: Batch;

  constructor(
    private readonly input: Input,
    private readonly sink: RecordSink,
    /** Over all files. */
    private readonly counts: Counts,
    private readonly options: RecordsOptions,
  ) {
    const { batch, filter, framer, meta } = options;
    this.batch = batch;
    batch.now = options.now;
    this.keysBefore = counts.keys;
    const onWarning = (text: string): void => options.onWarning(input.name, text);
    this.framer = new Framer({ ...framer, meta, onWarning });
    const { framer: read } = this;
    this.file = {
      name: input.name,
      get version() {
        return read.version;
      },
      get vendor() {
        return read.vendor;
      },
      get running() {
        return read.running;
      },
    };
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
      const warning = this.trailing.check(options.strict, framer.offset);
      if (warning !== undefined) options.onWarning(input.name, warning);
    } catch (error) {
      const failure = await this.failure(error);
      if (failure === undefined) throw error instanceof RdbError ? (error.line === undefined ? framer.failed(error) : error).at({ file: input.name }) : error;
      Object.assign(counts, failure.counts, { bytes: before + failure.counts.bytes });
      throw failure.cause instanceof RdbError ? failure.cause.at({ file: input.name }) : failure.cause;
    } finally {
      this.gate?.close();
    }
  }

  private async read(before: number): Promise<void> {
    const { counts, framer, input, options } = this;
    try {
      for await (const chunk of input.chunks()) {
        framer.size = input.plainSize;
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
    const { batch, counts, framer, sink } = this;
    const { limit } = this.options;
    if (framer.ended) {
      this.trailing.add(chunk);
      return;
    }
    framer.push(chunk);
    for (;;) {
      const kind = framer.fill(batch);
      if (batch.rows > 0) await this.take();
      if (counts.keys >= limit) return;
      if (kind === NEED) {
        sink.release();
        framer.release();
        return;
      }
      if (kind === END) {
        const { checksum, version } = framer;
        sink.fileEnd({ version, checksum, keys: counts.keys - this.keysBefore });
        this.trailing.add(framer.rest());
        return;
      }
      if (kind !== FULL) await this.part(kind, framer.frame);
      if (counts.keys >= limit) return;
    }
  }

  /** Offset up to which everything was understood; where the limit cuts a batch, up to where it does. */
  private get offset(): number {
    const { batch, framer } = this;
    return batch.to < batch.rows ? batch.endOffset(batch.to - 1) : framer.offset;
  }

  /** Hands the batch to the sink, or as much of it as the limit allows. */
  private async take(): Promise<void> {
    const { batch, counts, sink } = this;
    const { filter, limit } = this.options;
    const leftOut = filter.active ? filterRows(batch, filter) : 0;
    if (leftOut > 0) sink.leftOut?.(leftOut);
    for (const pass of this.options.passes) pass(batch);
    for (let from = 0; from < batch.rows && counts.keys < limit; from = batch.to) {
      batch.from = batch.row = from;
      batch.to = limit === Infinity ? batch.rows : batch.after(limit - counts.keys, from, batch.rows);
      try {
        sink.batch(batch);
      } catch (error) {
        throw error instanceof RdbError ? this.rowFailure(error) : error;
      }
      this.count(batch.to);
      if (sink.full) await sink.flush();
    }
  }

  /** Counts what the sink took of rows before `to`. */
  private count(to: number): void {
    const { batch, counts } = this;
    const { from } = batch;
    const { expired, keys } = batch.count(from, to);
    counts.read += batch.readBefore(to) - batch.readBefore(from);
    counts.keys += keys;
    counts.expired += expired;
  }

  /** The row that the sink works on is damaged: everything is counted up to there. */
  private rowFailure(error: RdbError): FrameFailure {
    const { batch, counts } = this;
    const { row } = batch;
    const frame = new Frame();
    batch.read(row, frame);
    if (frame.opcode === undefined) error.at({ db: frame.db, key: shownKey(frame) });
    const { expired, keys } = batch.count(batch.from, row);
    const read = counts.read + batch.readBefore(row + 1) - batch.readBefore(batch.from);
    return new FrameFailure(error, { read, keys: counts.keys + keys, expired: counts.expired + expired, bytes: batch.endOffset(row) });
  }

  private countPart(frame: Frame): void {
    if (this.sink.dropped) return;
    this.counts.keys++;
    if (frame.hasExpire && frame.expireAt <= this.options.now) this.counts.expired++;
  }

  /** A part of a value too large to come whole. */
  private async part(kind: number, frame: Frame): Promise<void> {
    const { counts, framer, gate, sink } = this;
    if (frame.first) {
      counts.read++;
      if (!this.options.filter.head(frame)) {
        sink.leftOut?.(1);
        sink.passOver?.();
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
        sink.leftOut?.(1);
        sink.passOver?.();
        framer.skip();
        return;
      }
    }
    if (frame.last) this.countPart(frame);
  }
}
