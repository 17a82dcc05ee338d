import { RdbError } from '../bytes/errors.js';
import { END, type Frame, type FramerOptions, META, NEED, RECORD } from '../rdb/frame.js';
import { Framer } from '../rdb/framer.js';
import { Trailing } from '../rdb/trailing.js';
import { type Counts, FrameFailure, type RecordSink, type SourceFile } from '../sinks/sink.js';
import type { Input } from '../sources/input.js';
import type { Filter } from '../values/filters.js';
import { baseWarning } from './aof.js';
import { SizeGate } from './size-gate.js';

export interface RecordsOptions {
  readonly filter: Filter;
  readonly framer: FramerOptions;
  readonly meta: boolean;
  /** Keys to write at the most, over all files. */
  readonly limit: number;
  readonly strict: boolean;
  /** Unix milliseconds that tells expired keys from live ones. */
  readonly now: number;
  readonly onChunk: () => void;
  readonly onWarning: (file: string, text: string) => void;
  /** Called where commands of an AOF follow the RDB: so many bytes that are not read. */
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
  private memberExpiries = 0;

  constructor(
    private readonly input: Input,
    private readonly sink: RecordSink,
    /** Over all files. */
    private readonly counts: Counts,
    private readonly options: RecordsOptions,
  ) {
    const { filter, framer, meta } = options;
    this.keysBefore = counts.keys;
    const onWarning = (text: string): void => options.onWarning(input.name, text);
    this.framer = new Framer({ ...framer, meta, onWarning, onMemberExpiry: () => this.memberExpiry() });
    const { framer: read } = this;
    this.file = {
      name: input.name,
      get version() {
        return read.version;
      },
      get vendor() {
        return read.vendor;
      },
      get repeats() {
        return input.ofPayloads;
      },
      get typesUpTo() {
        return read.typesUpTo;
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
      const tail = this.trailing.check(options.strict, framer.offset, framer.endMark);
      if (tail.aof > 0) options.onAofTail(input.name, tail.aof);
      const warning = tail.aof > 0 ? undefined : (tail.warning ?? (await baseWarning(input.name, framer.aofMark)));
      if (warning !== undefined) options.onWarning(input.name, warning);
    } catch (error) {
      const failure = await this.failure(error);
      if (failure !== undefined) {
        Object.assign(counts, failure.counts, { bytes: before + failure.counts.bytes, filtered: failure.counts.read - failure.counts.keys - counts.damaged - 1 });
        this.midKey = true;
      } else if (error instanceof RdbError && error.line === undefined) {
        framer.failed(error);
      }
      const cause = failure?.cause ?? error;
      this.countDamage(cause);
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
        counts.bytes = before + framer.offset;
        options.onChunk();
        if (counts.keys >= options.limit) return;
      }
    } finally {
      counts.bytes = before + framer.offset;
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
    const { counts, framer, sink } = this;
    const { filter, limit } = this.options;
    const { frame } = framer;
    if (framer.ended) {
      this.trailing.add(chunk);
      return;
    }
    framer.push(chunk);
    for (;;) {
      if (this.takeRun()) {
        if (counts.keys >= limit) return;
        if (sink.full) await sink.flush();
        continue;
      }
      const kind = framer.next();
      if (kind === RECORD) {
        this.found();
        if (filter.active && !(filter.head(frame) && this.fits(frame))) {
          this.leaveOut();
          continue;
        }
        sink.frame(kind, frame);
        this.count(frame);
        if (counts.keys >= limit) return;
        if (sink.full) await sink.flush();
      } else if (kind === NEED) {
        sink.release();
        return;
      } else if (kind === META) {
        sink.meta(frame);
        if (sink.full) await sink.flush();
      } else if (kind === END) {
        const { checksum, version } = framer;
        sink.fileEnd({ version, checksum, keys: counts.keys - this.keysBefore });
        this.trailing.add(framer.rest());
        return;
      } else {
        await this.part(kind, frame);
        if (counts.keys >= limit) return;
      }
    }
  }

  /** A run of keys, where all pass the filters. */
  private takeRun(): boolean {
    const { counts, framer, options, sink } = this;
    if (!framer.between || options.filter.active || sink.takeRun === undefined) return false;
    let keys = 0;
    try {
      keys = sink.takeRun(framer, options.limit - counts.keys, options.now);
      counts.expired += framer.runExpired;
    } catch (error) {
      if (error instanceof RdbError) keys = sink.takenBefore ?? 0;
      throw error;
    } finally {
      counts.read += keys;
      counts.keys += keys;
    }
    if (keys > 0) this.written = true;
    return keys > 0;
  }

  private fits(frame: Frame): boolean {
    const size = frame.end - frame.start;
    const { maxSize, minSize } = this.options.filter;
    return size >= minSize && size <= maxSize;
  }

  private memberExpiry(): void {
    if (this.written) this.memberExpiries++;
  }

  private found(): void {
    this.counts.read++;
    this.midKey = true;
  }

  private leaveOut(): void {
    this.counts.filtered++;
    this.midKey = this.written = false;
    this.sink.leftOut?.();
  }

  private count(frame: Frame): void {
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
    if (frame.last) this.count(frame);
  }
}

function memberText(count: number): string {
  return `${count} member ${count === 1 ? 'expiry' : 'expiries'} of KeyDB ${count === 1 ? 'is' : 'are'} not kept; --meta writes them as aux records after their key, and dump --format rdb copies them`;
}
