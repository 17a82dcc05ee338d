import type { LiveOptions } from '../live/options.js';
import type { SourceManifest } from '../pipeline/manifest.js';
import type { RestoreOptions } from '../restore/options.js';
import type { KeyName } from './fences.js';
import type { SyncStatus } from './status.js';
import type { GroupMember } from './group/member.js';
import type { Events } from './told/told-link.js';

/** Which part of a sync is done. */
export type SyncPhase = 'full' | 'changes' | 'both';

/** Those of the full copy are the options of a restore. */
export interface SyncOptions extends RestoreOptions {
  /** How to read the one source. */
  readonly source: LiveOptions;
  /** Where other sources of the same command go into the target, too. */
  readonly group?: GroupMember | undefined;
  /** Name of the sync, by which another run goes on (default: made from the names of source and target). */
  readonly id?: string | undefined;
  readonly positionPrefix?: string | undefined;
  /** Forget what an earlier run has done. */
  readonly fresh?: boolean | undefined;
  /** Default: both. */
  readonly phase?: SyncPhase | undefined;
  /** Files of the source masters that the full copy is taken from, instead of them; and the manifest that names these. */
  readonly seed?: readonly string[] | undefined;
  readonly seedManifest?: SourceManifest | undefined;
  /** Keep the RDBs of the full copy with the spool until it is done. */
  readonly keepRdb?: boolean | undefined;
  /** Folder for the spool; undefined: in memory only. */
  readonly spool: string | undefined;
  /** Bytes. */
  readonly spoolMax: number;
  /** End when the target has been within `maxLag` ms of the source for `settle` ms. */
  readonly untilCaughtUp?: boolean | undefined;
  readonly maxLag: number;
  readonly settle: number;
  /** How a source that is read by scan tells which keys were written (default: tracking). */
  readonly events?: Events | undefined;
  /** Milliseconds from one fetching of the keys that such a source told to the next one (default 1000). */
  readonly roundEvery?: number | undefined;
  /** Milliseconds that such a sync tries to catch up with its source at the end (default 30,000). */
  readonly drainFor?: number | undefined;
  /** Options that were given and mean nothing where the source is read in this way. */
  readonly meaningless?: { readonly scan: readonly string[]; readonly replication: readonly string[] } | undefined;
  /** Milliseconds that the writers of the source may wait at most, for the target to become what the source is (default: they go on). */
  readonly pauseSource?: number | undefined;
  /** What is compared while they wait (default: keys). */
  readonly verify?: 'keys' | 'values' | undefined;
  /** Whether expiries are held until the end. */
  readonly holdExpiries: boolean;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  readonly publish?: boolean | undefined;
  readonly maxOpsPerSecond?: number | undefined;
  readonly onlyCommand?: readonly string[] | undefined;
  readonly notCommand?: readonly string[] | undefined;
  /** What to do where the source no longer has the writes since: undefined asks. */
  readonly onGap?: 'stop' | 'full' | undefined;
  /** Whether to delete keys of the target that the source does not have, after another full copy (default: they are kept). */
  readonly confirmSweep?: ((keys: number) => Promise<boolean>) | undefined;
  readonly confirmFull?: ((reason: string) => Promise<boolean>) | undefined;
  readonly onStatus?: ((status: SyncStatus) => void) | undefined;
  readonly onGoesOn?: ((lanes: readonly { readonly name: string; readonly offset: number }[]) => void) | undefined;
  /** Ends the sync at a clean position, once what was received is applied. */
  readonly stop?: AbortSignal | undefined;
  readonly onKeyProblem?: ((problem: KeyName & { readonly reason: string }) => void) | undefined;
}
