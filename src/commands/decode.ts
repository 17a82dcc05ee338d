import { ParallelLines, type ParallelOptions } from '../workers/parallel-lines.js';
import { THREAD_BYTES } from '../workers/sizes.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import { editsOf } from '../pipeline/passes.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import type { JointOutputs } from '../io/joint-outputs.js';
import { isPerShard } from './dump-terms.js';
import { type LiveRunOptions, type LiveSources, withServers } from './live-sources.js';
import { eachShard, joined, shardOutputs } from './shards.js';

export interface DecodeOptions extends LiveRunOptions {
  /** A path, in which `{shard}` stands for each server or master; default: standard output. */
  readonly output?: string | undefined;
  /** Also write meta records. */
  readonly meta?: boolean | undefined;
  /** Other names of keys. */
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  /** Maximum number of threads (default 1: only the calling thread). */
  readonly threads?: number | undefined;
  /** Settings of the threads, for tests. */
  readonly pool?: Omit<ParallelOptions, 'threads' | 'meta' | 'codec' | 'counts' | 'damage'> | undefined;
}

/** Kernel memory is 4 GiB at most, and some of it is needed here: threads beyond this number do without kernels. */
const KERNEL_THREADS = Math.floor((2 ** 32 - (64 << 20)) / THREAD_BYTES);

/** Bytes of batches: larger ones, as other commands take them, make slots of threads less even, and take 15 MB more. */
const BATCH_BYTES = 1 << 18;

/** Decodes RDB files to JSON lines. Throws OutputError or ClosedPipe; everything else is in the summary. */
export function decode(options: DecodeOptions): Promise<RunSummary> {
  return withServers({ ...options, functions: options.meta === true }, options.output !== undefined, decodeAll);
}

async function decodeAll(options: DecodeOptions, servers: LiveSources | undefined): Promise<RunSummary> {
  const { output, signal } = options;
  if (servers === undefined || !isPerShard(output)) return decodeSources(options);
  const started = performance.now();
  const shards = shardOutputs(output, servers.facts.flatMap((facts) => facts.shards));
  const threads = Math.max(1, Math.floor((options.threads ?? 1) / shards.length));
  const ends = await eachShard(options, shards, (own, { output }, outputs) => decodeSources({ ...own, output, threads }, outputs));
  return joined(ends, (performance.now() - started) / 1000, signal);
}

async function decodeSources(options: DecodeOptions, joint?: JointOutputs): Promise<RunSummary> {
  const { meta = false, pool, threads = 1 } = options;
  const opened = await openOutput(options, options.output);
  const output = joint === undefined ? opened : joint.hold(opened);
  return run(
    { ...options, batchBytes: pool?.batchBytes ?? BATCH_BYTES },
    (codec, counts, damage) => ({
      sink: new ParallelLines(output, { ...pool, threads, meta, codec, counts, damage }),
      outputs: [output],
      meta,
      passes: editsOf({ keyPrefixMap: options.keyPrefixMap }),
    }),
    Math.min(threads, KERNEL_THREADS) * THREAD_BYTES,
  );
}
