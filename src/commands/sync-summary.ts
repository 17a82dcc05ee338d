import type { KeyName } from '../sync/fences.js';
import type { SyncOptions as ChangeOptions } from '../sync/options.js';
import type { LaneStatus, ToldStatus } from '../sync/status.js';
import type { LiveRunOptions } from './live-sources.js';
import type { Difference } from './diff.js';
import type { Finding, Words } from './preflight.js';
import type { RestoreSummary } from './restore.js';
import type { CutoverEnd } from './sync-cutover.js';

export interface SyncOptions extends ChangeOptions, LiveRunOptions {
  /** Holds rules against both sides before a full copy, and before `onPlan`. */
  readonly checks?: { readonly words: Words; take(findings: readonly Finding[]): void } | undefined;
  /** Called with what differs once the source is paused. */
  readonly onDifference?: ((difference: Difference) => void) | undefined;
}

export interface SyncSummary {
  readonly restored: RestoreSummary | undefined;
  readonly lanes: readonly LaneStatus[];
  /** Where the source is read by scan. */
  readonly told?: ToldSummary | undefined;
  readonly caughtUp: boolean;
  readonly released: number;
  readonly problems: number;
  readonly stopped: boolean;
  readonly declined: boolean;
  /** The full copy is not complete, but the RDBs that the source has sent are kept, and the same command goes on from them. */
  readonly kept?: boolean;
  readonly seconds: number;
  /** How the source was replaced, with `pauseSource`. */
  readonly cutover?: CutoverEnd | undefined;
}

/** How a sync has ended whose source was read by scan. */
export interface ToldSummary extends ToldStatus {
  /** Keys that were told and are not on the target: some of them; `pending` is how many there are. */
  readonly left: readonly KeyName[];
  /** Why else the target may not be what the source is. */
  readonly doubts: readonly string[];
}
