import type { CompanionRefusal } from './delivery.js';
import type { ServerError } from '../redis/errors.js';
import type { Library } from '../pipeline/libraries.js';
import { CLOSES, KeyCounts, type Rejected, THERE } from './outcomes.js';
import type { Eviction } from './target-facts.js';
import type { SourceProgress } from './source-progress.js';
import type { Plan } from './plan.js';
import type { RunSummary } from '../pipeline/run.js';
import { isOverLimit } from '../redis/refusals.js';
import type { KeyProblem } from '../pipeline/key-problem.js';
import { rejectedType, type RejectsFile } from './rejects-file.js';
import type { Segment } from './segments.js';
import type { RestoreOptions } from './options.js';

/** What became of keys, for good: counts, keys that are not on the target, and what is told of them. */
export class Tally {
  readonly ledger = new KeyCounts();
  /** Things that are no keys and were not restored. */
  told = 0;
  /** What became of function libraries. */
  readonly libraries: Library[] = [];
  /** How often the sources were begun. */
  rounds = 1;
  /** Where keys are written that are not on the target. */
  rejects: RejectsFile | undefined;

  constructor(private readonly options: RestoreOptions) {}

  /** What comes of keys is counted already. */
  get counted(): boolean {
    return this.rounds > 1 && this.options.conflict === 'replace';
  }

  /**
   * All sources are read again. Keys that are there are our own now: whether they were replaced is known from the first
   * time only, so those counts stay; all others are made again.
   */
  beginAgain(): void {
    this.rounds++;
    if (this.counted) return;
    this.ledger.clear();
    this.rejects?.clear();
    this.options.onAgain?.();
  }

  /** Something that is no key, or a key that cannot be told to the target: those are in the segment, too. */
  problem(problem: KeyProblem): void {
    if (problem.key !== undefined || this.rounds > 1) return;
    this.told++;
    this.options.onProblem?.(problem);
  }

  done(source: SourceProgress, segment: Segment): void {
    try {
      if (!this.counted) this.count(source, segment);
      source.done = Math.max(source.done, segment.end);
    } finally {
      segment.discard();
    }
  }

  private count(source: SourceProgress, { ledger, rejects }: Segment): void {
    this.rejects?.add(rejects);
    this.ledger.add(ledger);
    this.tell(source, rejects);
  }

  /** What there is to tell of keys that a checkpoint does not count: the next run sends them again. */
  addUnfinished(sources: readonly SourceProgress[]): void {
    if (this.counted) return;
    for (const source of sources) {
      for (const { ledger, rejects } of source.sink?.unfinished ?? []) {
        this.ledger.add(ledger);
        if (this.options.checkpoint === undefined) this.rejects?.add(rejects);
        this.tell(source, rejects);
      }
    }
  }

  private tell({ path }: SourceProgress, rejects: readonly Rejected[]): void {
    for (const rejected of rejects) this.options.onProblem?.(problemOf(path, rejected));
  }
}

function problemOf(file: string, { db, error, key, payload, server }: Rejected): KeyProblem {
  if (server === undefined) return { file, db, key, reason: error };
  const module = payload !== undefined && rejectedType(payload) === 'module';
  if (error.startsWith(CLOSES)) return { file, db, key, reason: `${server}: ${error}` };
  const hint = /DUMP payload version/.test(error) ? '; if the target is older than it says, give its version with --target-version' : module && !isOverLimit(error) ? '; it is a value of a module, which the target must have' : '';
  return { file, db, key, reason: `${server}${error === THERE ? '' : ' answered'}: ${error}${hint}` };
}

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
