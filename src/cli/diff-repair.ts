import type { DiffOptions } from '../commands/diff.js';
import { formatText, type Difference } from '../commands/diff-terms.js';
import type { Repair, RepairAction, RepairTarget } from '../commands/repair.js';
import { answerTo } from './answer.js';
import type { Invocation } from './command.js';
import { isTerminal } from './io.js';
import { KeyProblems } from './key-problems.js';
import { countText, keysText } from './numbers.js';
import { longName } from './options/option.js';
import { keyText, printable, word } from './printable.js';
import type { Terminal } from './run-command.js';
import type { LiveSources } from './sources.js';
import { UsageError } from './usage.js';

/** Filters that one side of a key may pass, and the other not: the key would seem to be extra. */
const ONE_SIDED = ['type', 'notType', 'ttl'] as const;

/** Whether a repair is asked for. Throws UsageError for what does not go with it. */
export async function checkRepair(
  { given, io, options: { apply, level, repair, yes } }: Invocation<'diff'>,
  sources: readonly string[],
  target: string,
  live: LiveSources,
): Promise<boolean> {
  if (!repair) {
    if (apply) throw new UsageError('--apply does what --repair says: add --repair');
    return false;
  }
  if (level === 'counts') throw new UsageError('--repair needs the keys that differ, and --level counts compares only numbers');
  const filter = ONE_SIDED.find((name) => given.has(name));
  if (filter !== undefined) {
    throw new UsageError(
      `--repair and ${longName(filter)}: a key that passes on the target only would be deleted; choose keys by their names`,
    );
  }
  if (!apply) return true;
  if (!live.has(target)) throw new UsageError(`--apply changes a server, and the target ${word(target)} is a file: name a server`);
  const { linesOfKeys } = await import('../commands/key-lines.js');
  for (const lines of await linesOfKeys(sources.filter((source) => !live.has(source)))) {
    throw new UsageError(`--apply restores from RDB files and servers, and ${word(lines)} is JSON lines: rdbkit encode makes an RDB of it`);
  }
  if (!yes && !(isTerminal(io.stdin) && isTerminal(io.stderr))) {
    throw new UsageError('--apply changes the target, and there is no terminal to confirm on: add --yes');
  }
  return true;
}

type Line = DiffOptions['line'];

/** `restore db 0 "key"`, or the difference as JSON with `repair`. */
export const repairLine =
  (format: 'text' | 'json', json: Line) =>
  (difference: Difference, action: RepairAction): string => {
    if (format === 'json') return json(difference, undefined).replace(/\}$/, `,"repair":"${action}"}`);
    const { db, key } = difference;
    return `${action} db ${db} ${keyText(formatText(key, 0, key.length))}`;
  };

/** Keys that still differ and are named. */
const MOST_NAMED = 20;

/** What a repair asks, and says while it runs. */
export class RepairTalk {
  private readonly problems: KeyProblems;
  private still = 0;

  constructor(
    private readonly invocation: Invocation<'diff'>,
    private readonly target: string,
    private readonly text: Line,
    private readonly say: (text: string) => void,
    private readonly terminal: Terminal,
  ) {
    this.problems = new KeyProblems(invocation.options.json, 'NOT_RESTORED');
  }

  get listeners(): Pick<RepairTarget, 'onPlan' | 'onNote' | 'onProblem' | 'onStill'> {
    const { say } = this;
    return {
      onPlan: (toRestore, toDelete) => this.agreed(toRestore, toDelete),
      onNote: (text) => say(`warning: ${printable(text)}.`),
      onProblem: (problem) => this.problems.take(problem, say),
      onStill: (difference) => {
        if (++this.still <= MOST_NAMED) say(`still differs: ${this.text(difference, undefined)}`);
      },
    };
  }

  /** At the end. */
  sum(): void {
    this.problems.sum(this.say);
    if (this.still > MOST_NAMED) this.say(`${keysText(this.still)} still differ, the first ${MOST_NAMED} named above.`);
  }

  get rejected(): KeyProblems['all'] {
    return this.problems.all;
  }

  private async agreed(toRestore: number, toDelete: number): Promise<boolean> {
    const { io, options } = this.invocation;
    const plan = `restore ${keysText(toRestore)} on ${word(this.target)} and delete ${countText(toDelete)}`;
    if (options.yes) {
      if (!options.quiet) this.say(`going to ${plan}.`);
      return true;
    }
    const answer = await this.terminal.pause(() => answerTo(`rdbkit: ${plan}? Type yes: `, io));
    if (answer !== 'yes') this.say('nothing was changed.');
    return answer === 'yes';
  }
}

/** What was repaired, before the line of the comparison. */
export function repairedText({ applied, left, toDelete, toRestore }: Repair): string {
  const more = left === 0 ? '' : `, ${countText(left)} more differ, too many for one repair`;
  if (applied === undefined) return `${keysText(toRestore)} to restore, ${countText(toDelete)} to delete${more}; nothing was changed`;
  const { deleted, rejected, restored, settled, still } = applied;
  const counts = [
    `${keysText(restored)} restored, ${countText(deleted)} deleted`,
    ...(settled === 0 ? [] : [`${countText(settled)} did not differ any more`]),
    ...(rejected === 0 ? [] : [`${countText(rejected)} rejected`]),
    still === 0 ? 'none differs any more' : `${countText(still)} still differ`,
  ];
  return `${counts.join(', ')}${more}`;
}
