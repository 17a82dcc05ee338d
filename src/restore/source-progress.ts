import type { RestoreSink } from './sink.js';
import { type Counts, noCounts } from '../pipeline/sink.js';
import type { RunProgress } from '../pipeline/run.js';

/** A source on its way. */
export interface SourceProgress {
  readonly path: string;
  counts: Readonly<Counts>;
  progress: RunProgress;
  /** Keys with a value at an offset below this are on the target for certain. */
  done: number;
  /** Unix milliseconds, as the source has it: the first of the expiries that are over. */
  firstExpiry: number;
  sink: RestoreSink | undefined;
}

/** What a source has before anything of its source is read. */
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

/** What was put aside of keys that are not told of yet is not needed any more. */
export const discard = ({ sink }: SourceProgress): void => sink?.unfinished.forEach((segment) => segment.discard());

/** Takes a source back to the beginning of its source. */
export function rewind(source: SourceProgress): void {
  discard(source);
  Object.assign(source, atBeginning());
}

/** Keys that were sent, of all sources. */
export const keysOf = (sources: readonly SourceProgress[]): number => sources.reduce((sum, { counts }) => sum + counts.keys, 0);

/** The progress of all sources as one. */
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
