import type { RestoreSink } from './sink.js';
import { type Counts, noCounts } from '../pipeline/sink.js';
import type { RunProgress } from '../pipeline/run.js';

/** A source on its way. */
export interface Lane {
  readonly source: string;
  counts: Readonly<Counts>;
  progress: RunProgress;
  /** Keys with a value at an offset below this are on the target for certain. */
  done: number;
  /** Unix milliseconds, as the source has it: the first of the expiries that are over. */
  firstExpiry: number;
  sink: RestoreSink | undefined;
}

/** What a lane has before anything of its source is read. */
const atBeginning = (): Omit<Lane, 'source' | 'progress'> => ({ counts: noCounts(), done: 0, firstExpiry: Infinity, sink: undefined });

export const laneOf = (source: string): Lane => ({ source, progress: { bytesRead: 0, totalBytes: undefined, keys: 0 }, ...atBeginning() });

/** What was put aside of keys that are not told of yet is not needed any more. */
export const discard = ({ sink }: Lane): void => sink?.unfinished.forEach((stretch) => stretch.discard());

/** Takes a lane back to the beginning of its source. */
export function rewind(lane: Lane): void {
  discard(lane);
  Object.assign(lane, atBeginning());
}

/** Keys that were sent, of all lanes. */
export const keysOf = (lanes: readonly Lane[]): number => lanes.reduce((sum, { counts }) => sum + counts.keys, 0);

/** The progress of all lanes as one. */
export function progressOf(lanes: readonly Lane[]): RunProgress {
  return {
    bytesRead: lanes.reduce((sum, { progress }) => sum + progress.bytesRead, 0),
    totalBytes: lanes.reduce<number | undefined>((sum, { progress }) => (sum === undefined || progress.totalBytes === undefined ? undefined : sum + progress.totalBytes), 0),
    keys: keysOf(lanes),
  };
}
