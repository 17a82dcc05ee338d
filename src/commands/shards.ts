import { JointOutputs } from '../io/joint-outputs.js';
import { OutputError } from '../io/output-error.js';
import type { RunOptions, RunProgress, RunSummary } from '../pipeline/run.js';
import { SHARD } from './dump-terms.js';
import { type LiveRunOptions, readAgain, wasLost } from './live-sources.js';

/** A shard as it is named by its server. */
export interface NamedShard {
  /** The name of the source. */
  readonly name: string;
  /** `host:port`, the path of a socket, or the name that sentinels use. */
  readonly master: string;
}

/** A shard, and the file that it goes to. */
export interface ShardOutput extends NamedShard {
  readonly output: string;
}

/** `10.0.0.5-6379` for `10.0.0.5:6379`: what can stand in the name of a file everywhere. */
export const safeName = (server: string): string => server.replaceAll(/[^\w.]+/g, '-').replace(/^[-.]+/, '') || 'server';

/** The file of each shard. Throws OutputError if two would have the same one. */
export function shardOutputs(output: string, shards: readonly NamedShard[]): ShardOutput[] {
  const owners = new Map<string, string>();
  return shards.map(({ master, name }) => {
    const path = output.replaceAll(SHARD, safeName(master));
    const other = owners.get(path);
    if (other !== undefined) {
      const twice = `the server ${master} is given twice: name it once`;
      throw new OutputError(path, other === master ? twice : `the servers ${other} and ${master} would share it`);
    }
    owners.set(path, master);
    return { master, name, output: path };
  });
}

/** A file of a dump of servers. */
export interface DumpedFile {
  readonly output: string;
  /** Where it was left, if the dump is not complete. */
  readonly partial: string | undefined;
  /** Whether it has all of its shards: it may be complete where others are not. */
  readonly complete: boolean;
  /** The names of the sources whose keys it has. */
  readonly shards: readonly string[];
  readonly keys: number;
  readonly bytes: number;
  readonly refused: number;
  readonly damaged: number;
}

/** What became of a shard. */
export interface ShardEnd<S> {
  readonly shard: ShardOutput;
  readonly summary: S;
  /** Where its output was left, complete or not, if not all shards are complete. */
  readonly partial: string | undefined;
}

/** How often a shard is read that is lost on the way. */
const MOST_TIMES = 3;

/** Whether the server was lost when a part of it was read: before, the reader has waited for it in vain. */
const brokeOff = (summary: RunSummary): boolean => wasLost(summary) && summary.bytes > 0;

/** Runs one shard; `options` name it as the only source. Its outputs are made by `outputs.hold`. */
export type RunShard<O, S> = (options: O, shard: ShardOutput, outputs: JointOutputs) => Promise<S>;

/**
 * Runs all shards at the same time, or one after another where a limit counts their keys together. The outputs get their names together,
 * if all are complete; else they are left as partial ones. A shard whose server is lost on the way is read again. Unless the run is to keep
 * going, a shard that fails ends the others. Throws what `work` throws.
 */
export async function eachShard<O extends LiveRunOptions, S extends RunSummary>(
  options: O,
  shards: readonly ShardOutput[],
  work: RunShard<O, S>,
): Promise<ShardEnd<S>[]> {
  const { keepGoing = false, limit, signal } = options;
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal?.reason);
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const outputs = shards.map(() => new JointOutputs());
  const progress = new JoinedProgress(shards.length, options.onProgress);
  const ends: { index: number; summary: S }[] = [];
  let failure: { error: unknown } | undefined;
  let keys = 0;
  const one = async (index: number): Promise<void> => {
    const shard = shards[index];
    const own = {
      sources: [shard.name],
      signal: stop.signal,
      limit: limit === undefined ? undefined : limit - keys,
      onProgress: (now: RunProgress) => progress.take(index, now),
      onError: undefined,
    };
    try {
      let summary = await work({ ...options, ...own }, shard, outputs[index]);
      for (let time = 1; time < MOST_TIMES && brokeOff(summary) && !stop.signal.aborted; time++) {
        options.onEvent?.(`${readAgain(summary)}, the other shards go on`, true);
        await outputs[index].discard();
        summary = await work({ ...options, ...own }, shard, outputs[index]);
      }
      for (const error of summary.errors) options.onError?.(error);
      keys += summary.keys;
      ends.push({ index, summary });
      if (summary.errors.length > 0 && !keepGoing) stop.abort();
    } catch (error) {
      failure ??= { error };
      stop.abort();
    }
  };
  try {
    if (limit === undefined) await Promise.all(shards.map((_, index) => one(index)));
    else for (let index = 0; index < shards.length && keys < limit && !stop.signal.aborted; index++) await one(index);
    const complete = failure === undefined && ends.every(({ summary }) => summary.errors.length === 0 && !summary.interrupted);
    if (complete) for (const output of outputs) await output.commit();
  } catch (error) {
    failure ??= { error };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  // what has its name by now stays
  const left = await Promise.all(outputs.map(async (output) => (await output.abandon()).find((path) => path !== undefined)));
  if (failure !== undefined) {
    if (failure.error instanceof OutputError) failure.error.kept = left.find((path) => path !== undefined);
    throw failure.error;
  }
  return ends.sort((a, b) => a.index - b.index).map(({ index, summary }) => ({ shard: shards[index], summary, partial: left[index] }));
}

/** The progress of all shards together. */
class JoinedProgress {
  private readonly all: RunProgress[];

  constructor(
    count: number,
    private readonly onProgress: RunOptions['onProgress'],
  ) {
    this.all = Array.from({ length: count }, () => ({ bytesRead: 0, totalBytes: undefined, keys: 0 }));
  }

  take(index: number, progress: RunProgress): void {
    const { all } = this;
    all[index] = progress;
    this.onProgress?.({
      bytesRead: all.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      totalBytes: all.reduce<number | undefined>(
        (sum, { totalBytes }) => (sum === undefined || totalBytes === undefined ? undefined : sum + totalBytes),
        0,
      ),
      keys: all.reduce((sum, { keys }) => sum + keys, 0),
    });
  }
}

const COUNTS = ['read', 'keys', 'filtered', 'damaged', 'expired', 'memberExpiries', 'bytes', 'written', 'warnings'] as const;

/** One summary for all shards. `seconds`: of the whole run. */
export function joined(ends: readonly ShardEnd<RunSummary>[], seconds: number, signal: AbortSignal | undefined): RunSummary {
  const all = ends.map(({ summary }) => summary);
  const partials = ends.flatMap(({ partial }) => partial ?? []);
  return {
    ...sums(all, COUNTS),
    sources: all.length,
    errors: all.flatMap(({ errors }) => errors),
    torn: all.some(({ torn }) => torn),
    partial: partials.at(0),
    partials,
    seconds,
    limited: all.some(({ limited }) => limited),
    interrupted: signal?.aborted === true,
  };
}

/** The sums of counts. */
export function sums<K extends string>(all: readonly Readonly<Record<K, number>>[], names: readonly K[]): Record<K, number> {
  const entries = names.map((name) => [name, all.reduce((sum, counts) => sum + counts[name], 0)]);
  return Object.fromEntries(entries) as Record<K, number>;
}
