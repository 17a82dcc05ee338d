import { ParallelLines, type ParallelOptions } from '../workers/parallel-lines.js';
import { THREAD_BYTES } from '../workers/sizes.js';
import { openOutput, run, type RunOptions, type RunSummary } from '../pipeline/run.js';

export interface DecodeOptions extends RunOptions {
  /** A path; standard output unless given. */
  readonly output?: string | undefined;
  /** Also write the records that are no keys. */
  readonly meta?: boolean | undefined;
  /** Greatest number of threads that decode (default 1: the calling thread only). */
  readonly threads?: number | undefined;
  /** What the threads run, in which batches, and when they are started: for tests. */
  readonly pool?: Omit<ParallelOptions, 'threads' | 'meta' | 'codec' | 'counts'> | undefined;
}

/** The memory of kernels is 4 GiB at most, and some of it is needed here: threads beyond these do without. */
const KERNEL_THREADS = Math.floor((2 ** 32 - (64 << 20)) / THREAD_BYTES);

/** Decodes RDB files to JSON lines. Throws OutputError or ClosedPipe; all else is in the summary. */
export async function decode(options: DecodeOptions): Promise<RunSummary> {
  const { meta = false, pool, threads = 1 } = options;
  const output = await openOutput(options, options.output);
  return run(
    { ...options, batchBytes: pool?.batchBytes },
    (codec, counts) => ({ sink: new ParallelLines(output, { ...pool, threads, meta, codec, counts }), outputs: [output], meta }),
    Math.min(threads, KERNEL_THREADS) * THREAD_BYTES,
  );
}
