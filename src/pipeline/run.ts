import type { Readable, Writable } from 'node:stream';
import { RdbError } from '../bytes/errors.js';
import { TS_CODEC } from '../kernels/codec.js';
import { Kernels } from '../kernels/kernels.js';
import { Damage, type DamageCheck } from './damage.js';
import type { Pass } from './passes.js';
import { Batch, BATCH_BYTES, BATCH_ROWS } from '../rdb/batch.js';
import type { ByteSink } from '../io/byte-sink.js';
import { FileSink } from '../io/file-sink.js';
import { OutputError } from '../io/output-error.js';
import { type Counts, type LastSink, noCounts } from './sink.js';
import { StreamSink } from '../io/stream-sink.js';
import { type Input, type InputOptions, openInput } from '../io/input.js';
import { compileFilter, type FilterOptions } from '../values/filters.js';
import { ChunkBuffers } from '../io/chunk-buffers.js';
import { Records, type RecordsOptions } from './records.js';
import { type SourceHead, TellingInput } from './source-heads.js';

/** Options of all commands that read RDB files. */
export interface RunOptions {
  /** Paths, or `-` for stdin, read one after another. */
  readonly sources: readonly string[];
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly filter?: FilterOptions | undefined;
  /** Stop after this many keys. */
  readonly limit?: number | undefined;
  readonly checksum?: boolean | undefined;
  readonly strict?: boolean | undefined;
  /** Go past damaged values whose end is known: they are counted and reported, and are no errors. */
  readonly skipDamaged?: boolean | undefined;
  /** Called for each of them. `torn`: the beginning of its value is in the output. */
  readonly onDamaged?: ((error: RdbError, torn: boolean) => void) | undefined;
  /** Continue with the next source after a damaged one. */
  readonly keepGoing?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
  readonly onWarning?: ((file: string, text: string) => void) | undefined;
  /** Called when AOF commands follow the RDB of a source, with the number of bytes that are not read. */
  readonly onAofTail?: ((file: string, bytes: number) => void) | undefined;
  /** Called as soon as a source turns out to be bad: if the output is lost later, there is no summary. */
  readonly onError?: ((error: RdbError) => void) | undefined;
  /** Records, and bytes of records, per batch at most. */
  readonly batchRows?: number | undefined;
  readonly batchBytes?: number | undefined;
  /** Called with the description of a source once its beginning is read. */
  readonly onHead?: ((head: SourceHead) => void) | undefined;
  /** Opens a source (default: an RDB file, or standard input). */
  readonly open?: ((source: string, how: OpenOptions) => Input) | undefined;
  /** The sources that are servers, by their names in `sources`. */
  readonly servers?: ReadonlyMap<string, ServerSource> | undefined;
}

/** A server that is read like a file. */
export interface ServerSource {
  /** What it tells before it is read. */
  readonly head: SourceHead;
  /** Different after every start of the server; empty if it does not tell. */
  readonly runId: string;
  /** Of its data set: a master and its replicas have the same one. Empty if it does not tell. */
  readonly replicationId: string;
  /** The only database that is read; undefined for all. */
  readonly db: number | undefined;
  /** How it is read: as a replica, or key by key. */
  readonly way: 'replication' | 'scan';
  /** Reads it from the beginning, or from where `goOnFrom` said. */
  open(how: OpenOptions): Input;
  /** Where a later run could go on that has all keys of the first `offset` bytes; undefined if it cannot. Offsets must ascend. */
  positionAt(offset: number): string | undefined;
  /** The next reading begins at this position: see `positionAt`. */
  goOnFrom(position: string): void;
}

/** Options for opening a source. */
export interface OpenOptions extends InputOptions {
  /** Called with damage that the source skips. */
  readonly onError: (error: RdbError) => void;
}

export interface RunProgress {
  /** Bytes of the inputs as stored; `totalBytes` is undefined if a size is unknown. */
  readonly bytesRead: number;
  readonly totalBytes: number | undefined;
  readonly keys: number;
  /** The same for each target server. */
  readonly servers?: readonly { readonly name: string; readonly keys: number }[] | undefined;
}

export interface RunSummary extends Readonly<Counts> {
  readonly sources: number;
  /** The errors of the sources, in order. */
  readonly errors: readonly RdbError[];
  /** The output ends within a damaged key that could not be taken back. */
  readonly torn: boolean;
  /** Where an incomplete output was left. */
  readonly partial: string | undefined;
  /** All of them, if there are several outputs. */
  readonly partials?: readonly string[] | undefined;
  /** Bytes of output. */
  readonly written: number;
  readonly seconds: number;
  readonly warnings: number;
  /** Whether `limit` ended the run before the sources did. */
  readonly limited: boolean;
  readonly interrupted: boolean;
  /** What may be missing of servers that were read, or come twice. */
  readonly gaps?: readonly string[] | undefined;
  /** What else became of keys of servers. */
  readonly serverNotes?: readonly string[] | undefined;
}

/** Room for a chunk of a file and the cut record before it. */
const INPUT_SIZE = 4 << 20;

/** Opens a path, or standard output. */
export function openOutput({ signal, stdout }: RunOptions, output: string | undefined): Promise<ByteSink> {
  return output === undefined ? Promise.resolve(new StreamSink(stdout)) : openFile(output, signal);
}

/** Opening a FIFO blocks until somebody reads it; an abort must not wait for that. */
async function openFile(path: string, signal: AbortSignal | undefined): Promise<ByteSink> {
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

/** For a run that ended before its output was open. */
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

/** The destination of a run. */
export interface RunOutput {
  readonly sink: LastSink;
  /** The outputs of the sink. */
  readonly outputs: readonly ByteSink[];
  /** Whether the sink takes meta records. */
  readonly meta: boolean;
  /** Run on every batch before the sink gets it. */
  readonly passes?: readonly Pass[];
  /** Looks for damage in values that the sink does not read; set where damage is gone past. */
  readonly check?: DamageCheck | undefined;
}

/** Makes the sink of a run, with what it shares with the sources. */
export type MakeOutput = (codec: Kernels | undefined, counts: Readonly<Counts>, damage: Damage | undefined) => RunOutput;

/**
 * Runs sources through filters to a sink, which gets `hotBytes` of kernel memory. Throws OutputError, ClosedPipe and what the sink
 * throws; everything else is in the summary.
 */
export async function run(options: RunOptions, make: MakeOutput, hotBytes = 0): Promise<RunSummary> {
  const started = performance.now();
  const whole = new Run(options, make, hotBytes);
  try {
    const end = await whole.all();
    return { ...end, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    const kept = await whole.abandon();
    if (error instanceof OutputError) error.kept = kept;
    throw error;
  } finally {
    await whole.end();
  }
}

class Run {
  private readonly sink: LastSink;
  private readonly outputs: readonly ByteSink[];
  private readonly inputs: readonly Input[];
  private readonly counts: Counts = noCounts();
  private readonly errors: RdbError[] = [];
  private readonly records: RecordsOptions;
  private torn = false;
  private interrupted = false;
  private warnings = 0;

  constructor(
    private readonly options: RunOptions,
    make: MakeOutput,
    hotBytes: number,
  ) {
    const { checksum = true, filter = {}, limit = Infinity, signal, stdin, strict = false } = options;
    const now = filter.now ?? Date.now();
    const codec = Kernels.create(hotBytes);
    const damage =
      options.skipDamaged === true ? new Damage(this.counts, now, (error, torn) => options.onDamaged?.(error, torn)) : undefined;
    const { check, meta, outputs, passes = [], sink } = make(codec, this.counts, damage);
    this.sink = sink;
    this.outputs = outputs;
    const chunks = codec === undefined ? undefined : new ChunkBuffers(codec);
    const allocate = chunks?.allocate;
    const { onHead, open = openInput, servers } = options;
    this.inputs = options.sources.map((source) => {
      const how: OpenOptions = { stdin, signal, allocate, onError: (error) => this.failed(error) };
      const input = servers?.get(source)?.open(how) ?? open(source, how);
      return onHead === undefined ? input : new TellingInput(input, onHead);
    });
    this.records = {
      filter: compileFilter({ ...filter, now }),
      framer: { checksum, strict, codec, buffer: codec?.allocate(INPUT_SIZE), roomBefore: chunks?.roomBefore },
      meta,
      batch: new Batch(
        codec ?? TS_CODEC,
        Math.min(BATCH_ROWS, options.batchRows ?? BATCH_ROWS),
        Math.min(BATCH_BYTES, options.batchBytes ?? BATCH_BYTES),
      ),
      passes,
      damage,
      check,
      limit,
      strict,
      now,
      onChunk: () => this.progress(),
      onWarning: (file, text) => {
        this.warnings++;
        options.onWarning?.(file, text);
      },
      onAofTail: (file, bytes) => options.onAofTail?.(file, bytes),
    };
  }

  async all(): Promise<Omit<RunSummary, 'seconds'>> {
    this.sink.expect(this.totalBytes);
    for (const input of this.inputs) {
      if (this.limited) break;
      await this.one(input);
      if (this.interrupted || this.sink.stopped === true || (this.errors.length > 0 && this.options.keepGoing !== true)) break;
    }
    await this.sink.end();
    const partial = await this.close();
    const { counts, errors, interrupted, limited, torn, warnings } = this;
    return { ...counts, sources: this.inputs.length, errors, torn, partial, written: this.sink.written, warnings, limited, interrupted };
  }

  /** Nothing runs on after it. */
  end(): Promise<void> {
    return this.sink.close();
  }

  /** Returns the path where the incomplete output was left. */
  async abandon(): Promise<string | undefined> {
    const left = await Promise.all(this.outputs.map((output) => output.abandon()));
    return left.find((path) => path !== undefined);
  }

  private get limited(): boolean {
    return this.counts.keys >= this.records.limit;
  }

  private async one(input: Input): Promise<void> {
    try {
      await new Records(input, this.sink, this.counts, this.records).run();
    } catch (error) {
      this.interrupted = this.options.signal?.aborted === true;
      if (!this.interrupted && !(error instanceof RdbError)) throw error;
      if (error instanceof RdbError) this.failed(error);
      if (!this.sink.rollback()) this.torn = true;
    }
  }

  private failed(error: RdbError): void {
    this.errors.push(error);
    this.options.onError?.(error);
  }

  private async close(): Promise<string | undefined> {
    if (this.errors.length > 0 || this.interrupted) return this.abandon();
    for (const output of this.outputs) await output.settle?.();
    for (const output of this.outputs) await output.commit();
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
