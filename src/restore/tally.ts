import { isOverLimit } from '../redis/refusals.js';
import type { KeyProblem } from '../dump/dump-sink.js';
import type { Library } from '../pipeline/libraries.js';
import { type RejectsFile, rejectedType } from './rejects-file.js';
import { KeyCounts } from './outcomes.js';
import { CLOSES, type Rejected, type Segment, THERE } from './progress.js';
import type { SourceProgress } from './source-progress.js';
import type { RestoreOptions } from './options.js';

/** What became of keys, for good: counts, keys that are not on the target, and what is told of them. */
export class Tally {
  readonly ledger = new KeyCounts();
  /** Things that are no keys and were not restored. */
  told = 0;
  /** What became of function libraries. */
  readonly libraries: Library[] = [];
  /** How often the sources were begun. */
  passes = 1;
  /** Where keys are written that are not on the target. */
  rejects: RejectsFile | undefined;

  constructor(private readonly options: RestoreOptions) {}

  /** What comes of keys is counted already. */
  get counted(): boolean {
    return this.passes > 1 && this.options.conflict === 'replace';
  }

  /**
   * All sources are read again. Keys that are there are our own now: whether they were replaced is known from the first
   * time only, so those counts stay; all others are made again.
   */
  beginAgain(): void {
    this.passes++;
    if (this.counted) return;
    this.ledger.clear();
    this.rejects?.clear();
    this.options.onAgain?.();
  }

  /** Something that is no key, or a key that cannot be told to the target: those are in the segment, too. */
  problem(problem: KeyProblem): void {
    if (problem.key !== undefined || this.passes > 1) return;
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
