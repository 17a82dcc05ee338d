import type { ConnectionOptions } from 'node:tls';
import type { Login } from '../redis/sentinels.js';
import type { Address, ServerUrl } from '../redis/url.js';
import type { DumpSinkOptions } from '../dump/dump-sink.js';
import type { KeyProblem } from '../pipeline/key-problem.js';
import type { RestoreConflict } from './outcomes.js';
import type { Target } from '../values/targets.js';
import type { Plan } from './plan.js';
import type { RunOptions } from '../pipeline/run.js';

export interface RestoreOptions extends RunOptions, Pick<DumpSinkOptions, 'allowLoss' | 'dbMap' | 'stripTtl'> {
  readonly url: ServerUrl;
  readonly tls?: ConnectionOptions | undefined;
  /** Of the sentinels, where the URL names some. */
  readonly sentinelLogin?: Login | undefined;
  readonly natMap?: ReadonlyMap<string, Address> | undefined;
  /** Whether the target is a cluster (default: as it says). */
  readonly cluster?: boolean | undefined;
  /** The version of the target (default: as it says). */
  readonly target?: Target | undefined;
  /** Default: error. */
  readonly conflict?: RestoreConflict | undefined;
  /** Empty the target first: the databases that are written to. */
  readonly flush?: boolean | undefined;
  /** Restore the RDB of an AOF without the commands that follow it (default: where a file has some, nothing is written). */
  readonly ignoreAofTail?: boolean | undefined;
  /** Only look at it all. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds that expiries are later. */
  readonly ttlShift?: number | undefined;
  /** Payloads over this many bytes become plain commands (default 512 MiB, as proto-max-bulk-len). */
  readonly maxPayload?: number | undefined;
  /** Sources that are read at the same time (default 4). */
  readonly parallel?: number | undefined;
  readonly maxKeysPerSecond?: number | undefined;
  readonly maxBytesPerSecond?: number | undefined;
  /** Bytes on their way to one server at a time (default 4 MiB). */
  readonly maxInFlight?: number | undefined;
  /** Milliseconds for which a command is tried again (default 60,000). */
  readonly retryFor?: number | undefined;
  /** Where it is kept how far this is: started again with the same file, it goes on from there. */
  readonly checkpoint?: string | undefined;
  /** Where keys are written that are not on the target. */
  readonly rejects?: string | undefined;
  /** Whether function libraries are loaded (default: unless keys are chosen). */
  readonly functions?: boolean | undefined;
  /** Called before anything is written; `false` ends it. */
  readonly onPlan?: ((plan: Plan) => Promise<boolean>) | undefined;
  /** Called for what one should know, but need not act on. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** Called for what happens on the way, of no consequence for the result: retries, failovers, changes of topology. */
  readonly onEvent?: ((text: string) => void) | undefined;
  /** Called when the sources are read once more: all problems with keys come again. */
  readonly onAgain?: (() => void) | undefined;
  /** Called for every key that is not on the target, and for everything else that is not. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

/** Default of `maxInFlight`. */
export const WINDOW = 4 << 20;
