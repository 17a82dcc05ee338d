import type { CompanionRefusal } from './delivery.js';
import type { ServerError } from '../redis/errors.js';
import type { Library } from '../pipeline/libraries.js';
import type { KeyCounts } from './outcomes.js';
import type { Eviction } from './evictions.js';
import type { SourceProgress } from './source-progress.js';
import type { Plan } from './plan.js';
import type { Tally } from './tally.js';
import type { RunSummary } from '../pipeline/run.js';

export interface RestoreSummary extends RunSummary {
  readonly plan: Plan;
  /** Counts by database and server; those of a run that was resumed are in them. */
  readonly rows: ReturnType<KeyCounts['entries']>;
  readonly total: KeyCounts['total'];
  /** Unix milliseconds, as the sources have it: the first of the expiries that are over; Infinity where none is. */
  readonly firstExpiry: number;
  /** What is no key and was not restored. */
  readonly told: number;
  /** What became of function libraries. */
  readonly libraries: readonly Library[];
  /** Why it ended early. */
  readonly failure: ServerError | undefined;
  /** Whether it went on from a checkpoint. */
  readonly resumed: boolean;
  /** Nothing was written, since `onPlan` said so. */
  readonly declined: boolean;
  /** Keys that were sent and may have been written, which no server has confirmed. */
  readonly unanswered: number;
  /** Commands that servers refused, and that keys were written without. */
  readonly companionsRefused: readonly CompanionRefusal[];
  /** Servers whose replicas did not confirm what was written. */
  readonly unconfirmed: readonly string[];
  /** Servers that dropped keys meanwhile. */
  readonly evicted: readonly Eviction[];
}

/** What a summary says of the whole, beside what its sources and keys came to. */
export type RestoreEnd = Pick<RestoreSummary, 'plan' | 'failure' | 'resumed' | 'declined' | 'unconfirmed' | 'unanswered' | 'companionsRefused' | 'evicted' | 'seconds' | 'interrupted'>;

/** `ends` are those of the sources that were read in the last pass. */
export function restoreSummary(sources: readonly SourceProgress[], tally: Tally, ends: readonly RunSummary[], end: RestoreEnd): RestoreSummary {
  const sum = (pick: (source: SourceProgress) => number): number => sources.reduce((total, source) => total + pick(source), 0);
  return {
    read: sum(({ counts }) => counts.read),
    keys: sum(({ counts }) => counts.keys),
    filtered: sum(({ counts }) => counts.filtered),
    damaged: sum(({ counts }) => counts.damaged),
    expired: sum(({ counts }) => counts.expired),
    memberExpiries: sum(({ counts }) => counts.memberExpiries),
    bytes: sum(({ counts }) => counts.bytes),
    sources: sources.length,
    errors: ends.flatMap(({ errors }) => errors),
    torn: false,
    partial: undefined,
    written: ends.reduce((total, { written }) => total + written, 0),
    warnings: ends.reduce((total, { warnings }) => total + warnings, 0),
    limited: ends.some(({ limited }) => limited),
    rows: tally.ledger.entries(),
    total: tally.ledger.total,
    firstExpiry: Math.min(...sources.map((source) => source.firstExpiry)),
    told: tally.told,
    libraries: tally.libraries,
    ...end,
    interrupted: end.interrupted || ends.some(({ interrupted }) => interrupted),
  };
}
