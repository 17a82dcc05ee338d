import type { PlanCounts } from './planner.js';

export interface LaneStatus {
  readonly name: string;
  readonly connected: boolean;
  readonly attached: boolean;
  /** Offset that is certain on the target, that was received, and that of the source if it is known. */
  readonly applied: number;
  readonly received: number;
  readonly source: number | undefined;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  readonly spool: { readonly memory: number; readonly disk: number };
  readonly counts: PlanCounts;
  readonly fetched: number;
}

/** Where a sync stands whose source is read by scan. */
export interface ToldStatus {
  /** Masters, and whether they tell what is written. */
  readonly masters: readonly { readonly name: string; readonly connected: boolean }[];
  /** Keys that were told, and are not on the target yet; and for how long the oldest has been. */
  readonly pending: number;
  readonly lagSeconds: number;
  readonly rounds: number;
  readonly fetched: number;
  readonly written: number;
  readonly gone: number;
  /** Keys that are read again every round. */
  readonly watched: number;
  /** How often all keys were read again. */
  readonly scans: number;
}

export interface SyncStatus {
  readonly phase: 'full' | 'changes' | 'paused' | 'settling';
  readonly lanes: readonly LaneStatus[];
  /** Where the source is read by scan: then there are no lanes. */
  readonly told?: ToldStatus | undefined;
  readonly seconds: number;
  /** Seconds until the source takes writes again, while it is paused. */
  readonly pauseLeft?: number | undefined;
}
