import type { DumpSummary, KeyProblem } from '../commands/dump.js';
import { EXIT } from './exit.js';
import { countText, keysText } from './numbers.js';
import { keyText, printable, sourceName } from './printable.js';
import { summaryLine } from './summary.js';

/** What commands that write keys say of them. */
type KeysSummary = Omit<DumpSummary, 'rewritten'>;

/** Keys that `--json` lists, and characters of their names; all are counted. */
const MOST_LISTED = 10_000;
const MOST_TEXT = 4 << 20;

/** Keys that a command which writes keys could not write. */
export class KeyProblems {
  private readonly listed: KeyProblem[] = [];
  private text = 0;
  /** Expiries of members that are not kept, by file. */
  private readonly members = new Map<string, number>();

  /** @param list whether they are kept for `--json` */
  constructor(
    private readonly list: boolean,
    private readonly code: 'NOT_WRITTEN' | 'NOT_RESTORED' = 'NOT_WRITTEN',
  ) {}

  /** All of them come again. */
  clear(): void {
    this.listed.length = this.text = 0;
    this.members.clear();
  }

  get all(): readonly KeyProblem[] {
    return [...this.listed, ...this.ofMembers];
  }

  /** Tells what the problem is, at once; expiries of members are told in the end, by their number. */
  take(problem: KeyProblem, say: (line: string) => void): void {
    if (problem.isMemberExpiry === true) {
      this.members.set(problem.file, (this.members.get(problem.file) ?? 0) + 1);
      return;
    }
    this.text += problem.key?.length ?? 0;
    if (this.list && this.listed.length < MOST_LISTED && this.text <= MOST_TEXT) this.listed.push(problem);
    say(problemLine(this.code, problem));
  }

  /** Tells what was only counted. */
  tellRest(say: (line: string) => void): void {
    for (const problem of this.ofMembers) say(problemLine(this.code, problem));
  }

  private get ofMembers(): KeyProblem[] {
    const keeps = this.code === 'NOT_WRITTEN' ? '; --format rdb without --target-version keeps them' : '';
    return [...this.members].map(([file, count]) => ({
      file,
      reason: `${count === 1 ? '1 member expiry of KeyDB is' : `${countText(count)} member expiries of KeyDB are`} not kept: there is no place for ${count === 1 ? 'it' : 'them'}${keeps}`,
    }));
  }

  get memberExpiries(): number {
    return [...this.members.values()].reduce((sum, count) => sum + count, 0);
  }

  /** For `--json`. */
  fields({ adapted, duplicates, lost, others, refused }: KeysSummary): object {
    return {
      keysRefused: refused,
      othersRefused: others,
      keysDuplicate: duplicates,
      keysAdapted: adapted,
      keysLossy: lost,
      memberExpiriesLost: this.memberExpiries,
      refused: this.all,
    };
  }
}

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
    ...(duplicates > 0 ? [`${countText(duplicates)} of a key that another source has`] : []),
    ...(adapted > 0 ? [`${keysText(adapted)} without bookkeeping that the target has no place for`] : []),
    ...(lost > 0 ? [`${keysText(lost)} with a loss that was allowed`] : []),
    ...(refused > 0 ? [`${keysText(refused)} not written`] : []),
    ...(others > 0 ? [`${countText(others)} not written beside keys: functions, module data or expiries of members`] : []),
  ];
}
