import type { DumpSummary, KeyProblem } from '../commands/dump.js';
import { lostMemberExpiries } from '../commands/terms.js';
import { EXIT } from './exit.js';
import { countText, keysText } from './numbers.js';
import { keyText, printable, sourceName } from './printable.js';
import { summaryLine } from './summary.js';

/** The counts of commands that write keys. */
type KeysSummary = Omit<DumpSummary, 'rewritten' | 'libraries' | 'files'>;

/** Keys that `--json` lists, and characters of their names, at most; all are counted. */
const MOST_LISTED = 10_000;
/** Keys named per reason, and reasons told apart, at most. */
const MOST_NAMED = 10;
const MOST_REASONS = 100;
const MOST_TEXT = 4 << 20;

/** Keys that are not written for the same reason. */
interface Reason {
  readonly db: number;
  reason: string;
  count: number;
  /** The first of them. */
  readonly keys: string[];
}

/** Collects and reports the keys that a command could not write. */
export class KeyProblems {
  private readonly listed: KeyProblem[] = [];
  private text = 0;
  private readonly byReason = new Map<string, Reason>();
  /** Lost expiries of members, by file. */
  private readonly members = new Map<string, number>();

  /** @param list whether to keep them for `--json` */
  constructor(
    private readonly list: boolean,
    private readonly code: 'NOT_WRITTEN' | 'NOT_RESTORED' | 'NOT_SYNCED' = 'NOT_WRITTEN',
  ) {}

  /** Forgets everything: all of them are reported again. */
  clear(): void {
    this.listed.length = this.text = 0;
    this.byReason.clear();
    this.members.clear();
  }

  /** Why keys are not written, by database: their number, and the first of them. */
  get reasons(): readonly Reason[] {
    return [...this.byReason.values()];
  }

  /** Reports at the end what was only counted: keys beyond those named, expiries of members. */
  sum(say: (text: string) => void): void {
    for (const { count, db, reason } of this.reasons) {
      if (count > MOST_NAMED) {
        say(`${this.code}: ${keysText(count)} of db ${db}, the first ${MOST_NAMED} named above: ${printable(reason)}.`);
      }
    }
    for (const problem of this.ofMembers) say(problemLine(this.code, problem));
  }

  get all(): readonly KeyProblem[] {
    return [...this.listed, ...this.ofMembers];
  }

  /** Reports one of the first keys for a reason; member expiries are only counted. */
  take(problem: KeyProblem, say: (text: string) => void): void {
    if (problem.isMemberExpiry === true) {
      this.members.set(problem.file, (this.members.get(problem.file) ?? 0) + 1);
      return;
    }
    this.text += problem.key?.length ?? 0;
    if (this.list && this.listed.length < MOST_LISTED && this.text <= MOST_TEXT) this.listed.push(problem);
    if (this.isNamed(problem)) say(problemLine(this.code, problem));
  }

  private isNamed({ db, key, reason }: KeyProblem): boolean {
    if (key === undefined || db === undefined) return true;
    const full = this.byReason.size >= MOST_REASONS;
    const sort = `${db} ${reason.replace(/\d+/g, '0')}`;
    const name = this.byReason.has(sort) || !full ? sort : `${db} other`;
    const group = this.byReason.get(name) ?? { db, reason: name === sort ? reason : 'other reasons', count: 0, keys: [] };
    this.byReason.set(name, group);
    group.count++;
    if (name === sort) group.reason = common(group.reason, reason);
    if (group.count > MOST_NAMED) return false;
    group.keys.push(key);
    return true;
  }

  private get ofMembers(): KeyProblem[] {
    const keeps = this.code === 'NOT_WRITTEN' ? '; --format rdb without --target-version keeps them' : '';
    return [...this.members].map(([file, count]) => ({
      file,
      reason: `${lostMemberExpiries(count)}${keeps}`,
    }));
  }

  get memberExpiries(): number {
    return [...this.members.values()].reduce((sum, count) => sum + count, 0);
  }

  /** For `--json`. */
  fields(summary: KeysSummary): object {
    const { adapted, duplicates, lost, others, refused } = summary;
    return {
      keysRefused: refused,
      othersRefused: others,
      keysDuplicate: duplicates,
      keysAdapted: adapted,
      keysLossy: lost,
      memberExpiriesLost: this.memberExpiries,
      refused: this.all,
      reasons: this.reasons,
    };
  }
}

/** What two reasons have in common, with an ellipsis for numbers that differ. */
function common(a: string, b: string): string {
  if (a === b) return a;
  const numbers = b.split(/(\d+)/);
  return a
    .split(/(\d+|…)/)
    .map((part, i) => (part === numbers[i] ? part : '…'))
    .join('');
}
export const filteredOut = ({ duplicates, keys, read, refused }: KeysSummary): number => read - keys - refused - duplicates;

/** The exit code of a run without errors. */
export const keysExit = ({ others, refused }: KeysSummary): number => (refused + others > 0 ? EXIT.keys : EXIT.done);

/** The closing line. */
export const dumpLine = (summary: KeysSummary): string => [summaryLine(summary), ...dropped(summary)].join('; ');

function problemLine(code: string, { db, file, key, reason }: KeyProblem): string {
  const place = [sourceName(file), ...(db === undefined ? [] : [`db ${db}`]), ...(key === undefined ? [] : [`key ${keyText(key)}`])];
  return `${code}: ${place.join(', ')}: ${printable(reason)}.`;
}

function dropped({ adapted, duplicates, lost, others, refused }: KeysSummary): string[] {
  return [
    ...(duplicates > 0 ? [`${countText(duplicates)} left out, as the key was there before`] : []),
    ...(adapted > 0 ? [`${keysText(adapted)} without bookkeeping that the target has no place for`] : []),
    ...(lost > 0 ? [`${keysText(lost)} written with loss (--allow-loss)`] : []),
    ...(refused > 0 ? [`${keysText(refused)} not written`] : []),
    ...(others > 0 ? [`${countText(others)} other records not written (functions, module data, expiries of members)`] : []),
  ];
}
