import { readdirSync, readFileSync } from 'node:fs';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { editsOf } from '../../src/pipeline/passes.js';
import { sourceFile } from '../../src/pipeline/sink.js';
import { Batch } from '../../src/rdb/batch.js';
import type { ByteSink } from '../../src/io/byte-sink.js';
import type { DumpSink, DumpSinkOptions } from '../../src/dump/dump-sink.js';
import type { KeyProblem } from '../../src/pipeline/key-problem.js';
import type { Target } from '../../src/values/targets.js';
import { Output } from '../../src/io/output.js';
import { cut, feed, readingOf } from './support.js';

const folder = new URL('../../fixtures/servers/', import.meta.url);
export const SERVERS = readdirSync(folder).filter((file) => file.endsWith('.rdb')).map((file) => file.slice(0, -4));
export const serverFile = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.rdb`, folder)));

/** Files without fields that expire, as far as a server loads them: of its own RDB version and those before it. */
export function loadable({ rdbVersion }: Target): string[] {
  const versionOf = (name: string): number => Number(Buffer.from(serverFile(name).subarray(5, 9)).toString());
  return ['redis-2.8.24', 'redis-5.0.14', 'redis-7.0.15'].filter((name) => versionOf(name) <= rdbVersion);
}

/** An output in memory that can be patched, as a file can. */
export class MemorySink implements ByteSink {
  private all: Uint8Array = new Uint8Array(0);
  /** What was written since `all` was joined. */
  private parts: Uint8Array[] = [];

  readonly patch: ByteSink['patch'];

  constructor(canPatch = true) {
    if (canPatch) this.patch = async (at, bytes) => this.bytes.set(bytes, at);
  }

  get bytes(): Uint8Array {
    if (this.parts.length > 0) this.all = new Uint8Array(Buffer.concat([this.all, ...this.parts.splice(0)]));
    return this.all;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.parts.push(bytes.slice());
    return Promise.resolve();
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

export interface Feeding {
  /** Bytes a chunk; several are used in turn. Default: all at once. */
  chunks?: number | readonly number[];
  limit?: number;
  /** Use the WebAssembly make of the hot loops. */
  codec?: boolean;
  /** Whether the output can be patched (default true). */
  patch?: boolean;
}

export interface Dumped {
  bytes: Uint8Array;
  readonly text: string;
  problems: KeyProblem[];
  sink: DumpSink;
}

/** Batches that nobody uses: their memory costs more than a small input. */
const idle: Batch[] = [];

/** A buffer of an output is handed on after this many bytes, when the sources are small. */
const SMALL = 1 << 14;

/** Feeds whole RDBs to a sink of a dump. */
export async function dumped(
  rdbs: readonly Uint8Array[],
  make: (output: Output, options: DumpSinkOptions, to: MemorySink) => DumpSink,
  { chunks, codec = false, limit, patch = true }: Feeding = {},
): Promise<Dumped> {
  const kernels = codec ? Kernels.create() : undefined;
  if (codec && kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
  const to = new MemorySink(patch);
  const problems: KeyProblem[] = [];
  const fullAt = rdbs.every(({ length }) => length < SMALL) ? SMALL : undefined;
  const sink = make(
    new Output(to, { codec: kernels, fullAt }),
    { codec: kernels, onProblem: (problem) => void problems.push(problem) },
    to,
  );
  const batch = kernels === undefined ? (idle.pop() ?? new Batch(TS_CODEC)) : new Batch(kernels);
  for (const [i, rdb] of rdbs.entries()) {
    const options = { limit, codec: kernels, buffer: kernels?.allocate(1 << 22), meta: true };
    const reading = readingOf(cut(rdb, typeof chunks === 'object' ? chunks : [chunks ?? rdb.length]), batch, options);
    sink.fileBegin(sourceFile({ name: `file-${i}`, ofPayloads: false }, reading.framer));
    await feed(reading, sink, batch, editsOf(sink['options']));
  }
  await sink.end();
  if (kernels === undefined) idle.push(batch);
  return {
    bytes: to.bytes,
    get text() {
      return Buffer.from(to.bytes).toString();
    },
    problems,
    sink,
  };
}
