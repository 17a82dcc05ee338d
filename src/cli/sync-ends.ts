import type { RestoreSummary } from '../commands/restore.js';
import { formatText } from '../commands/diff-terms.js';
import type { Finding } from '../commands/preflight.js';
import type { SyncOptions, SyncSummary } from '../commands/sync.js';
import type { RunSummary } from '../pipeline/run.js';
import { outputErrorLine } from './errors.js';
import { EXIT } from './exit.js';
import type { KeyProblems } from './key-problems.js';
import type { OptionsOf } from './options/table.js';
import { closingLines, restoredAny, restoreFields } from './restore-text.js';
import { serverLine } from './sync-errors.js';
import { appliedText, cutoverLines, cutoverObject, laneObject, positionLines, releasedLines } from './sync-text.js';
import { broughtText, convergedLines } from './sync-told-text.js';

/** Of a run that copies nothing. */
export const NO_COPY: RunSummary = {
  ...{ sources: 1, errors: [], torn: false, partial: undefined, written: 0, seconds: 0, warnings: 0, limited: false, interrupted: false },
  ...{ read: 0, keys: 0, filtered: 0, damaged: 0, expired: 0, memberExpiries: 0, bytes: 0 },
};

/** The closing lines of a sync of one source. `copied`: it was beyond its full copy. `isOnly`: there are no others. */
export function closingOfSync(
  summary: SyncSummary,
  { sources }: Pick<SyncOptions, 'sources'>,
  options: Pick<OptionsOf<'sync'>, 'dryRun' | 'functions' | 'phase' | 'verbose'>,
  copied: boolean,
  isOnly = true,
): string[] {
  const { released, restored, told } = summary;
  const copy = restored === undefined ? [] : [`full copy: ${closingLines(restored, options, { sources })}`];
  if (!copied) return copy;
  if (told !== undefined && options.phase !== 'full') {
    const ended = convergedLines(summary, told, sources[0]);
    return [...copy, `changes: ${broughtText(told)}`, ...ended, ...cutoverLines(summary.cutover, isOnly)];
  }
  const changes = options.phase === 'full' ? [] : [`changes: ${appliedText(summary)}`];
  return [...copy, ...changes, ...positionLines(summary), ...releasedLines(released), ...cutoverLines(summary.cutover, isOnly)];
}

/** For `--json`. */
export function syncFields(
  { caughtUp, cutover, declined, lanes, released, restored, stopped, told }: SyncSummary,
  problems: KeyProblems,
  problemCount: number,
  findings: readonly Finding[],
): object {
  const copy = restored === undefined ? { rejected: problems.all, reasons: problems.reasons } : restoreFields(restored, problems);
  if (told !== undefined) {
    const { left, ...rest } = told;
    const keys = left.map(({ db, key }) => ({ db: db < 0 ? undefined : db, key: formatText(key, 0, key.length) }));
    const ends = { caughtUp, stopped, declined, problems: problemCount };
    return { ...copy, checks: findings, ...ends, ...rest, left: keys, cutover: cutover && cutoverObject(cutover) };
  }
  const ends = { caughtUp, stopped, declined, problems: problemCount, expiriesReleased: released };
  return { ...copy, checks: findings, ...ends, lanes: lanes.map(laneObject), cutover: cutover && cutoverObject(cutover) };
}

export function exitOfSync(
  { caughtUp, cutover, declined, problems, restored, told }: SyncSummary,
  { untilCaughtUp }: Pick<SyncOptions, 'untilCaughtUp'>,
): number {
  if (restored?.failure !== undefined) return EXIT.output;
  if ((restored?.total.damaged ?? 0) > 0) return EXIT.input;
  const lost = restored === undefined ? 0 : restored.total.rejected + restored.told + restored.evicted.length;
  const isLate = told !== undefined && (told.doubts.length > 0 || (untilCaughtUp === true && !caughtUp));
  const isApart = cutover?.kind === 'different' || cutover?.kind === 'withdrawn';
  return declined || isLate || problems + lost > 0 || isApart ? EXIT.keys : EXIT.done;
}

export const isWhole = ({ declined, errors, failure, interrupted }: RestoreSummary): boolean =>
  !declined && !interrupted && failure === undefined && errors.length === 0;

/** Why the full copy ended early, and how to go on. */
export function failureText(restored: RestoreSummary, kept: boolean): string {
  const { failure } = restored;
  const advice = `Run the same command again: it ${kept ? 'goes on from the RDB that was kept' : 'makes the full copy anew'}.`;
  if (failure === undefined) return '';
  if ('server' in failure) {
    const line = serverLine(failure, restoredAny(restored));
    return restoredAny(restored) ? `${line} ${advice}` : line;
  }
  return `${outputErrorLine(failure)} ${advice}`;
}
