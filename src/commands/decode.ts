import type { Readable, Writable } from 'node:stream';
import { RdbError } from '../bytes/errors.js';
import { Kernels } from '../kernels/kernels.js';
import type { ByteSink } from '../sinks/byte-sink.js';
import { FileSink } from '../sinks/file-sink.js';
import type { Counts } from '../sinks/sink.js';
import { StreamSink } from '../sinks/stream-sink.js';
import { type Input, openInput } from '../sources/input.js';
import { compileFilter, type FilterOptions } from '../values/filters.js';
import { THREAD_BYTES } from '../workers/sizes.js';
import { ParallelLines, type ParallelOptions } from '../workers/parallel-lines.js';
import { ChunkBuffers } from './chunk-buffers.js';
import { Records, type RecordsOptions } from './records.js';

export interface DecodeOptions {
  /** Paths, or `-` for stdin; one after another, as one stream. */
  readonly sources: readonly string[];
  /** A path; standard output unless given. */
  readonly output?: string | undefined;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly filter?: FilterOptions | undefined;
  /** Stop after this many keys. */
  readonly limit?: number | undefined;
  /** Also write the records that are no keys. */
  readonly meta?: boolean | undefined;
  readonly checksum?: boolean | undefined;
  readonly strict?: boolean | undefined;
  /** Go on with the next source after a damaged one. */
  readonly keepGoing?: boolean | undefined;
  /** Greatest number of threads that decode (default 1: no thread but the one at hand). */
  readonly threads?: number | undefined;
  /** What the threads run, in which batches, and when they are started: for tests. */
  readonly pool?: Omit<ParallelOptions, 'threads' | 'meta' | 'hot' | 'counts'> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DecodeProgress) => void) | undefined;
  readonly onWarning?: ((file: string, text: string) => void) | undefined;
  /** Called when a source turns out wrong: whoever loses the output afterwards gets no summary. */
  readonly onError?: ((error: RdbError) => void) | undefined;
}

export interface DecodeProgress {
  /** Bytes of the inputs as they are on disk; `totalBytes` is undefined where a size is not known. */
  readonly bytesRead: number;
  readonly totalBytes: number | undefined;
  readonly keys: number;
}

export interface DecodeSummary extends Readonly<Counts> {
  readonly sources: number;
  /** What was wrong with the sources, in their order. */
  readonly errors: readonly RdbError[];
  /** The line of a damaged key could not be taken back: the output has its beginning. */
  readonly torn: boolean;
  /** Where an incomplete output was left. */
  readonly partial: string | undefined;
  /** Bytes of JSON lines. */
  readonly written: number;
  readonly seconds: number;
  readonly warnings: number;
  /** Whether `limit` ended it before the sources did. */
  readonly limited: boolean;
  readonly interrupted: boolean;
}

/** Holds a chunk of a file and the record that was cut before it. */
const INPUT_SIZE = 4 << 20;

/** The memory of kernels is 4 GiB at most, and some of it is needed here: threads beyond these do without. */
const KERNEL_THREADS = Math.floor((2 ** 32 - (64 << 20)) / THREAD_BYTES);

/** Decodes RDB files to JSON lines. Throws OutputError or ClosedPipe; all else is in the summary. */
export async function decode(options: DecodeOptions): Promise<DecodeSummary> {
  const started = performance.now();
  const sink = options.output === undefined ? new StreamSink(options.stdout) : await openOutput(options.output, options.signal);
  const run = new DecodeRun(options, sink);
  try {
    const end = await run.all();
    return { ...end, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    await sink.abandon();
    throw error;
  } finally {
    await run.end();
  }
}

/** A FIFO opens when somebody reads it: a signal must not wait for that. */
async function openOutput(path: string, signal: AbortSignal | undefined): Promise<ByteSink> {
  if (signal === undefined) return FileSink.create(path);
  const opening = FileSink.create(path);
  const over = new AbortController();
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true, signal: over.signal });
  });
  const sink = signal.aborted ? undefined : await Promise.race([opening, aborted]);
  over.abort();
  if (sink !== undefined) return sink;
  opening.then((late) => late.abandon()).catch(() => undefined);
  return new NoSink();
}

/** For a run that was over before its output was open. */
class NoSink implements ByteSink {
  write(): Promise<void> {
    return Promise.resolve();
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

class DecodeRun {
  private readonly lines: ParallelLines;
  private readonly inputs: readonly Input[];
  private readonly counts: Counts = { read: 0, keys: 0, expired: 0, bytes: 0 };
  private readonly errors: RdbError[] = [];
  private readonly records: RecordsOptions;
  private torn = false;
  private interrupted = false;
  private warnings = 0;

  constructor(
    private readonly options: DecodeOptions,
    private readonly sink: ByteSink,
  ) {
    const { checksum = true, filter = {}, limit = Infinity, meta = false, pool, signal, stdin, strict = false, threads = 1 } = options;
    const now = filter.now ?? Date.now();
    const hot = Kernels.create(Math.min(threads, KERNEL_THREADS) * THREAD_BYTES);
    this.lines = new ParallelLines(sink, { ...pool, threads, meta, hot, counts: this.counts });
    const chunks = hot === undefined ? undefined : new ChunkBuffers(hot);
    const allocate = chunks?.allocate;
    this.inputs = options.sources.map((source) => openInput(source, { stdin, signal, allocate }));
    this.records = {
      filter: compileFilter({ ...filter, now }),
      framer: { checksum, strict, hot, buffer: hot?.allocate(INPUT_SIZE), roomBefore: chunks?.roomBefore },
      meta,
      limit,
      strict,
      now,
      onChunk: () => this.progress(),
      onWarning: (file, text) => {
        this.warnings++;
        options.onWarning?.(file, text);
      },
    };
  }

  async all(): Promise<Omit<DecodeSummary, 'seconds'>> {
    this.lines.expect(this.totalBytes);
    for (const input of this.inputs) {
      if (this.limited) break;
      await this.one(input);
      if (this.interrupted || (this.errors.length > 0 && this.options.keepGoing !== true)) break;
    }
    await this.lines.end();
    const partial = await this.close();
    const { counts, errors, interrupted, limited, torn, warnings } = this;
    return { ...counts, sources: this.inputs.length, errors, torn, partial, written: this.lines.written, warnings, limited, interrupted };
  }

  /** Nothing runs on behind it. */
  end(): Promise<void> {
    return this.lines.close();
  }

  private get limited(): boolean {
    return this.counts.keys >= this.records.limit;
  }

  private async one(input: Input): Promise<void> {
    try {
      await new Records(input, this.lines, this.counts, this.records).run();
    } catch (error) {
      this.interrupted = this.options.signal?.aborted === true;
      if (!this.interrupted && !(error instanceof RdbError)) throw error;
      if (error instanceof RdbError) {
        this.errors.push(error);
        this.options.onError?.(error);
      }
      if (!this.lines.rollback()) this.torn = true;
    }
  }

  private async close(): Promise<string | undefined> {
    if (this.errors.length > 0 || this.interrupted) return this.sink.abandon();
    await this.sink.commit();
    return undefined;
  }

  private get totalBytes(): number | undefined {
    return this.inputs.reduce<number | undefined>((sum, { size }) => (sum === undefined || size === undefined ? undefined : sum + size), 0);
  }

  private progress(): void {
    const { inputs } = this;
    this.options.onProgress?.({
      bytesRead: inputs.reduce((sum, input) => sum + input.bytesRead, 0),
      totalBytes: this.totalBytes,
      keys: this.counts.keys,
    });
  }
}
