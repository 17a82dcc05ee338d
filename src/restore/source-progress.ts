import type { RestoreSink } from './sink.js';
import { type Counts, noCounts } from '../pipeline/sink.js';
import type { RunProgress } from '../pipeline/run.js';

/** The progress of one source. */
export interface SourceProgress {
  readonly path: string;
  counts: Readonly<Counts>;
  progress: RunProgress;
  /** Keys whose value is at a lower offset are certainly on the target. */
  done: number;
  /** Unix milliseconds, as in the source: the earliest expiry among expired keys. */
  firstExpiry: number;
  sink: RestoreSink | undefined;
}

/** The state of a source before anything is read. */
const atBeginning = (): Omit<SourceProgress, 'path' | 'progress'> => ({
  counts: noCounts(),
  done: 0,
  firstExpiry: Infinity,
  sink: undefined,
});

export const unreadSource = (path: string): SourceProgress => ({
  path,
  progress: { bytesRead: 0, totalBytes: undefined, keys: 0 },
  ...atBeginning(),
});

/** Closes the held payloads of keys that were not reported yet. */
export const discard = ({ sink }: SourceProgress): void => sink?.unfinished.forEach((segment) => segment.discard());

/** Resets a source to its beginning. */
export function rewind(source: SourceProgress): void {
  discard(source);
  Object.assign(source, atBeginning());
}

/** Keys sent, of all sources. */
export const keysOf = (sources: readonly SourceProgress[]): number => sources.reduce((sum, { counts }) => sum + counts.keys, 0);

/** The progress of all sources together. */
export function progressOf(sources: readonly SourceProgress[]): RunProgress {
  return {
    bytesRead: sources.reduce((sum, { progress }) => sum + progress.bytesRead, 0),
    totalBytes: sources.reduce<number | undefined>(
      (sum, { progress }) => (sum === undefined || progress.totalBytes === undefined ? undefined : sum + progress.totalBytes),
      0,
    ),
    keys: keysOf(sources),
  };
}
