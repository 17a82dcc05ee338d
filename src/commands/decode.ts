import { ParallelLines, type ParallelOptions } from '../workers/parallel-lines.js';
import { THREAD_BYTES } from '../workers/sizes.js';
import { openOutput, run, type RunSummary } from '../pipeline/run.js';
import { type LiveRunOptions, withServers } from './live-sources.js';

export interface DecodeOptions extends LiveRunOptions {
  /** A path; default: standard output. */
  readonly output?: string | undefined;
  /** Also write meta records. */
  readonly meta?: boolean | undefined;
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
  return withServers({ ...options, functions: options.meta === true }, options.output !== undefined, decodeSources);
}

async function decodeSources(options: DecodeOptions): Promise<RunSummary> {
  const { meta = false, pool, threads = 1 } = options;
  const output = await openOutput(options, options.output);
  return run(
    { ...options, batchBytes: pool?.batchBytes ?? BATCH_BYTES },
    (codec, counts, damage) => ({
      sink: new ParallelLines(output, { ...pool, threads, meta, codec, counts, damage }),
      outputs: [output],
      meta,
    }),
    Math.min(threads, KERNEL_THREADS) * THREAD_BYTES,
  );
}
