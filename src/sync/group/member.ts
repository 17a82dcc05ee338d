import type { KeyName } from '../fences.js';
import type { RecordKeys } from '../record.js';
import type { LeftKeys } from './left-keys.js';
import type { Notices } from './notices.js';
import type { Origins } from './origins.js';
import type { UsedDatabases } from './used-databases.js';

/** What syncs of several sources do together: none does before all are so far. */
export type Step = 'drained' | 'ended' | 'verified';

/** One of the syncs of several sources into one target, as it sees the others. */
export interface GroupMember {
  readonly number: number;
  readonly name: string;
  /** The records of all of them. */
  readonly keys: readonly RecordKeys[];
  readonly origins: Origins;
  readonly left: LeftKeys;
  readonly used: UsedDatabases;
  /** Bytes of memory that those before it bring to the target. */
  readonly needed: number;
  /** Undefined where nothing is written. */
  readonly notices: Notices | undefined;
  /** Whether the target had no keys but those of these syncs. */
  readonly ours: boolean;
  /** Whether the target may have keys of the others. */
  readonly mayMeet: boolean;
  /** What becomes of a function library that other sources have, too. */
  readonly replacesLibraries: boolean;
  /** Until it may copy: one after another does. Rejects if it is to end. */
  turn(): Promise<void>;
  /** It has made its copy, or needs none. */
  follows(): void;
  /** Tells whether its target is, and has been, late enough; returns whether those of all are. */
  areNear(isNear: boolean): boolean;
  /** Resolves when all have come to this step, to false if one cannot. */
  agree(step: Step): Promise<boolean>;
  /** It cannot come to any step any more. `isDifferent`: since source and target differ, which ends all of them. */
  withdraw(isDifferent?: boolean): void;
  /** Whether one has found source and target different. */
  readonly isDifferent: boolean;
  /** Does work that is done once for all of them: the first does it, for the others it returns 0. */
  once(work: () => Promise<number>): Promise<number>;
  /**
   * Takes keys of its source, by their names there, that are to be as the source has them; resolves when they are, to false if that is
   * only when a later run begins.
   */
  serves(bring: (names: readonly KeyName[]) => Promise<boolean>): void;
  /**
   * Has keys of the target brought to what other sources have that are followed by replication. Returns those that none of these may have
   * had.
   */
  bring<K extends Uint8Array>(db: number, keys: readonly K[]): Promise<K[]>;
  /** Nothing of the others is applied while `work` is done. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** To be awaited before anything is applied: another one works alone. */
  resting(): Promise<void> | undefined;
  /** Names of function libraries that other sources have. */
  libraries(): Promise<ReadonlySet<string>>;
}
