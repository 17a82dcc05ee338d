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

export interface SyncStatus {
  readonly phase: 'full' | 'changes' | 'paused' | 'settling';
  readonly lanes: readonly LaneStatus[];
  readonly seconds: number;
  /** Seconds until the source takes writes again, while it is paused. */
  readonly pauseLeft?: number | undefined;
}
