import type { KeyName } from '../sync/fences.js';
import type { SyncOptions as ChangeOptions } from '../sync/options.js';
import type { LaneStatus, ToldStatus } from '../sync/status.js';
import type { LiveRunOptions } from './live-sources.js';
import type { RestoreSummary } from './restore.js';

export type SyncOptions = ChangeOptions & LiveRunOptions;

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
  readonly seconds: number;
}

/** How a sync has ended whose source was read by scan. */
export interface ToldSummary extends ToldStatus {
  /** Keys that were told and are not on the target: some of them; `pending` is how many there are. */
  readonly left: readonly KeyName[];
  /** Why else the target may not be what the source is. */
  readonly doubts: readonly string[];
}
