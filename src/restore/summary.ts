import type { CompanionRefusal, Unconfirmed } from './delivery.js';
import type { OutputError } from '../io/output-error.js';
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

/** The final outcomes of keys: counts, the keys that are not on the target, and their reports. */
export class Tally {
  readonly ledger = new KeyCounts();
  /** Problems that concern no key. */
  told = 0;
  readonly libraries: Library[] = [];
  /** Number of passes over the sources that were begun. */
  rounds = 1;
  /** The file for keys that are not on the target. */
  rejects: RejectsFile | undefined;

  /** Keys on each server by earlier runs. */
  private earlier: ReadonlyMap<string, number> = new Map();

  constructor(private readonly options: RestoreOptions) {}

  /** What was counted so far was the work of earlier runs. */
  goOn(): void {
    this.earlier = new Map(this.ledger.servers.map(({ keys, name }) => [name, keys]));
  }

  /** Keys on the target by earlier runs. */
  get before(): number {
    return [...this.earlier.values()].reduce((sum, keys) => sum + keys, 0);
  }

  /** Keys that are written, or stay as the target has them. */
  get settled(): number {
    const { replaced, restored, skipped } = this.ledger.total;
    return restored + replaced + skipped;
  }

  /** Keys that this run has written to each server. */
  get servers(): { name: string; keys: number }[] {
    return this.ledger.servers.map(({ keys, name }) => ({ name, keys: Math.max(0, keys - (this.earlier.get(name) ?? 0)) }));
  }

  /** Whether an earlier round counted the outcomes. */
  get counted(): boolean {
    return this.rounds > 1 && this.options.conflict === 'replace';
  }

  /**
   * All sources are read again. With `--on-conflict replace`, all existing keys are our own now, and only the first round knew which keys
   * were replaced: its counts stay. Otherwise everything is counted again.
   */
  beginAgain(): void {
    this.rounds++;
    if (this.counted) return;
    this.ledger.clear();
    this.goOn();
    this.rejects?.startOver();
    this.options.onAgain?.();
  }

  /** Reports a problem that concerns no key. Those of keys are also in their segment. */
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
    this.rejects?.append(rejects);
    this.ledger.add(ledger);
    this.tell(source, rejects);
  }

  /**
   * Counts and reports segments that are not done: the next run sends their keys again. `append`: whether the rejects file can be written.
   * Throws OutputError when all is counted.
   */
  addUnfinished(sources: readonly SourceProgress[], append: boolean): void {
    if (this.counted) return;
    const segments = sources.flatMap((source) => (source.sink?.unfinished ?? []).map((segment) => ({ source, segment })));
    for (const { segment, source } of segments) {
      this.ledger.add(segment.ledger);
      this.tell(source, segment.rejects);
    }
    if (this.options.checkpoint !== undefined || !append) return;
    for (const { segment } of segments) this.rejects?.append(segment.rejects);
  }

  private tell({ path }: SourceProgress, rejects: readonly Rejected[]): void {
    for (const rejected of rejects) this.options.onProblem?.(problemOf(path, rejected));
  }
}

function problemOf(file: string, { db, error, key, payload, server }: Rejected): KeyProblem {
  if (server === undefined) return { file, db, key, reason: error };
  const module = payload !== undefined && rejectedType(payload) === 'module';
  if (error.startsWith(CLOSES)) return { file, db, key, reason: `${server}: ${error}` };
  const hint = /DUMP payload version/.test(error)
    ? '; if the target is older than it says, give its version with --target-version'
    : module && !isOverLimit(error)
      ? '; it is a module value, and the target needs the module'
      : '';
  return { file, db, key, reason: `${server}${error === THERE ? '' : ' answered'}: ${error}${hint}` };
}

export interface RestoreSummary extends RunSummary {
  readonly plan: Plan;
  /** Counts by database and server, of earlier runs, too, if this one was resumed. */
  readonly rows: ReturnType<KeyCounts['entries']>;
  readonly total: KeyCounts['total'];
  /** Unix milliseconds, as in the source: the earliest expiry among expired keys; Infinity if there is none. */
  readonly firstExpiry: number;
  /** Problems that concern no key. */
  readonly told: number;
  readonly libraries: readonly Library[];
  /** Why it ended early. */
  readonly failure: ServerError | OutputError | undefined;
  /** Whether it went on from a checkpoint. */
  readonly resumed: boolean;
  /** `onPlan` returned false, so nothing was written. */
  readonly declined: boolean;
  /** Keys that were sent and may have been written, which no server confirmed. */
  readonly unanswered: number;
  /** Accompanying commands that servers refused, so that keys were written without them. */
  readonly companionsRefused: readonly CompanionRefusal[];
  /** Servers whose replicas did not confirm everything. */
  readonly unconfirmed: readonly Unconfirmed[];
  /** Keys on the target by earlier runs. */
  readonly before: number;
  /** The checkpoint said that everything was done already. */
  readonly finished: boolean;
  /** Servers that evicted keys during the restore. */
  readonly evicted: readonly Eviction[];
}

/** Whether all that could be written was. */
export const endedWell = ({ declined, errors, failure, interrupted }: RestoreSummary): boolean =>
  !declined && !interrupted && failure === undefined && errors.length === 0;

/** Whether only the connections to sources were lost: another attempt may read all of them. */
export function sourceLost({ declined, errors, failure, interrupted, plan }: RestoreSummary): boolean {
  if (declined || interrupted || failure !== undefined || errors.length === 0) return false;
  return [...errors, ...plan.errors].every(({ code }) => code === 'SOURCE_LOST');
}

/** The parts of a summary that do not come from sources and keys. */
export type RestoreEnd = Pick<
  RestoreSummary,
  | 'plan'
  | 'before'
  | 'finished'
  | 'failure'
  | 'resumed'
  | 'declined'
  | 'unconfirmed'
  | 'unanswered'
  | 'companionsRefused'
  | 'evicted'
  | 'seconds'
  | 'interrupted'
>;

/** `ends`: those of the sources read in the last round. */
export function restoreSummary(
  sources: readonly SourceProgress[],
  tally: Tally,
  ends: readonly RunSummary[],
  end: RestoreEnd,
): RestoreSummary {
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
