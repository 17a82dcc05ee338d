import type { ConnectionOptions } from 'node:tls';
import type { Login } from '../redis/sentinels.js';
import type { Address, ServerUrl } from '../redis/url.js';
import type { DumpSinkOptions } from '../dump/dump-sink.js';
import type { KeyProblem } from '../pipeline/key-problem.js';
import type { RestoreConflict } from './outcomes.js';
import type { SanitizeLevel } from './sanitizer.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import type { Target } from '../values/targets.js';
import type { Plan } from './plan.js';
import type { SourceManifest } from '../pipeline/manifest.js';
import type { RunOptions } from '../pipeline/run.js';

export interface RestoreOptions extends RunOptions, Pick<DumpSinkOptions, 'allowLoss' | 'dbMap' | 'stripTtl'> {
  readonly url: ServerUrl;
  readonly tls?: ConnectionOptions | undefined;
  /** For the sentinels that the URL names. */
  readonly sentinelLogin?: Login | undefined;
  readonly natMap?: ReadonlyMap<string, Address> | undefined;
  /** What CLIENT LIST of the target shows (default: rdbkit). */
  readonly connectionName?: string | undefined;
  /** Whether the target is a cluster (default: what it says itself). */
  readonly cluster?: boolean | undefined;
  /** The version of the target (default: what it says itself). */
  readonly target?: Target | undefined;
  /** Default: error. */
  readonly conflict?: RestoreConflict | undefined;
  /** Keys that are not written; by their names in the source. */
  readonly except?: ((db: number, key: Uint8Array, start: number, end: number) => boolean) | undefined;
  /** The target may have keys, those of other sources: it need not be empty, whatever `conflict` is. */
  readonly besides?: boolean | undefined;
  /** Delete the keys of the databases that are written to first. */
  readonly flush?: boolean | undefined;
  /** Restore the RDB of an AOF without the commands that follow it (default: write nothing if a file has some). */
  readonly ignoreAofTail?: boolean | undefined;
  /** Write nothing. */
  readonly dryRun?: boolean | undefined;
  /** Other names of keys. */
  readonly keyPrefixMap?: KeyPrefixes | undefined;
  /** Milliseconds added to expiries. */
  readonly ttlShift?: number | undefined;
  /** The same for expiries of hash fields. */
  readonly fieldShift?: number | undefined;
  /** Larger payloads, in bytes, are written with plain commands (default 512 MiB, that of proto-max-bulk-len). */
  readonly maxPayload?: number | undefined;
  /** Which values are looked into before they are sent (default: auto). */
  readonly sanitize?: SanitizeLevel | undefined;
  /** Sources read at the same time (default 4). */
  readonly parallel?: number | undefined;
  readonly maxKeysPerSecond?: number | undefined;
  readonly maxBytesPerSecond?: number | undefined;
  /** Bytes in flight to one server (default 4 MiB). */
  readonly maxInFlight?: number | undefined;
  /** Milliseconds to retry a command (default 60,000). */
  readonly retryFor?: number | undefined;
  /** Also retry to reach the server of the URL for the first time. */
  readonly retryFirst?: boolean | undefined;
  /** File that records the progress: a restore started again with the same file resumes there. */
  readonly checkpoint?: string | undefined;
  /** The manifest that names the sources: they are checked against it. */
  readonly manifest?: SourceManifest | undefined;
  /** File for the keys that are not on the target. */
  readonly rejects?: string | undefined;
  /** Whether to load function libraries (default: unless only some keys are chosen). */
  readonly functions?: boolean | undefined;
  /** Called before anything is written; `false` ends the restore. */
  readonly onPlan?: ((plan: Plan) => Promise<boolean>) | undefined;
  /** Called with what the user should know and need not act on. */
  readonly onNote?: ((text: string) => void) | undefined;
  /**
   * Called with what does not affect the result: retries, failovers, topology changes. `notable`: it explains why the restore stands still,
   * or goes on.
   */
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
  /**
   * Called when it goes on from a checkpoint: how many keys earlier runs have written. `overlaps`: a scan begins somewhat before where it
   * had stopped, and some of them are counted again.
   */
  readonly onResumed?: ((file: string, keys: number, overlaps: boolean) => void) | undefined;
  /** Called when the sources are read once more: problems with keys are reported again. */
  readonly onAgain?: (() => void) | undefined;
  /** Called for every key, and everything else, that is not on the target. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

/** Default of `maxInFlight`. */
export const WINDOW = 4 << 20;
