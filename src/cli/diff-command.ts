import type { ComparisonOptions, DiffSummary } from '../commands/diff.js';
import type { ListedKeys } from '../commands/diff-lines.js';
import type { DiffLevel } from '../commands/diff-terms.js';
import type { Repair } from '../commands/repair.js';
import { isServerUrl, redacted, type ServerUrl } from '../commands/live-terms.js';
import { command, type Invocation } from './command.js';
import { countsJson, countsText } from './counts-text.js';
import { diffPage } from './diff-page.js';
import { checkRepair, repairedText, repairLine, RepairTalk } from './diff-repair.js';
import { pageOf, Told } from './diff-report.js';
import { differenceJson, differenceText, diffLine, metText } from './diff-text.js';
import { emptyNotes } from './empty-runs.js';
import { EXIT } from './exit.js';
import { exitCodes, FILTERS_HELP } from './help-texts.js';
import { columns, isTerminal } from './io.js';
import { countText, keysText } from './numbers.js';
import { longName } from './options/option.js';
import type { OptionsOf } from './options/table.js';
import { TARGET } from './options/target.js';
import { printable, word } from './printable.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { checkUrl, TARGET_SIDE } from './server-access.js';
import { checkApart, checkOutput, checkReadable, checkSources, filterOf, isAddress, serversOf, targetToRead } from './sources.js';
import { UsageError } from './usage.js';

export const DIFF = command<'diff'>({
  name: 'diff',
  summary: 'compare RDB files, servers and clusters, both ways',
  description: `Compares a source with a target, both ways: keys that one of them lacks, other
types, other expiries, and with --level values other values, whatever their
encoding and the version of the server. Each difference is a line on standard
output.

Both may be RDB files, JSON lines of rdbkit decode, servers or clusters; the
target comes last. Each side is read once, and what differs once more.`,
  usage: '<source...> <target> [options]',
  argument: ['[source...]', 'RDB files, JSON lines, or URLs of servers; the last one is the target'],
  after: `
${FILTERS_HELP}
Examples:
  rdbkit diff dump.rdb redis://host:6379 --level values
  rdbkit diff redis://old:6379 redis://new:7000 --rounds 3 --settle 10s
  rdbkit diff monday.rdb friday.rdb -o differences.jsonl
  rdbkit diff monday.rdb friday.rdb --show-values
  rdbkit diff monday.rdb friday.rdb --rerun differences.jsonl
  rdbkit diff dump.rdb redis://host:6379 --level values --repair --apply
  rdbkit diff shard-*.rdb redis://cluster:7000 --prefix user:
  rdbkit diff dump.rdb redis://host:6379/1 --db 0 --ttl-tolerance 100ms
${exitCodes('the sides differ')}`,
  run: runDiff,
});

type Values = OptionsOf<'diff'>;

/** Columns of what is no terminal. */
const COLUMNS = 80;

async function runDiff(invocation: Invocation<'diff'>): Promise<number> {
  const { io, options } = invocation;
  const { dbMap, html, noChecksum, output } = options;
  const again = options.rerun === undefined ? undefined : await keysOf(options.rerun);
  const level = levelOf(invocation, again);
  const format = options.format ?? (output === undefined ? 'text' : 'json');
  checkLevel(invocation, level);
  const named = sidesOf(invocation.words, options);
  const all = await serversOf(invocation, named.sources, filterOf(invocation), typeof named.target !== 'string');
  const filter = all.filter;
  const live = new Map(all.live);
  const target = typeof named.target === 'string' ? named.target : redacted(named.target);
  if (typeof named.target === 'string') {
    checkNoServer(invocation, target);
  } else {
    if (live.has(target)) throw new UsageError(`${word(target)} is both source and target: they are the same`);
    const how = await targetToRead(named.target, options, {}, io);
    live.set(target, options.apply ? { ...how, preferReplica: false } : how); // a replica may lack what was just written
  }
  const intoDb = typeof named.target === 'string' ? undefined : named.target.db;
  if (dbMap !== undefined && intoDb !== undefined) {
    throw new UsageError('the target names a database for all keys: --db-map cannot be used with it');
  }
  const files = [...all.sources, target];
  await checkSources('diff', files, output, io, live);
  if (html !== undefined) {
    await checkOutput(files, html, io.stdin, '--html');
    await checkApart(new Map([...(output === undefined ? [] : [['--output', output] as const]), ['--html', html]]));
  }
  checkReadable(files, live);
  const repairs = await checkRepair(invocation, all.sources, target, live);
  const [{ diff }, { repair }] = await Promise.all([import('../commands/diff.js'), import('../commands/repair.js')]);
  const { env, signal, stdin, stdout } = io;
  const toTerminal = output === undefined && isTerminal(stdout);
  const width = toTerminal ? columns(stdout) : COLUMNS;
  const table = ({ rows }: DiffSummary): string =>
    format === 'json' ? countsJson(rows) : countsText(rows, width, toTerminal && (env.NO_COLOR ?? '') === '');
  /** Whether newer commands of an AOF were not read, and that was not asked for. */
  let hasTail = false;
  const isWhole = ({ complete, gaps = [], met }: DiffSummary): boolean => complete && gaps.length === 0 && met === 0 && !hasTail;
  let talk: RepairTalk | undefined;
  const told = new Told();
  const begun = new Date();
  const page = (summary: DiffSummary): string => diffPage(pageOf(summary, { invocation, told, begun, target, isWhole: isWhole(summary) }));
  const task: Task<DiffSummary & { readonly repair?: Repair }> = {
    command: 'diff',
    target,
    run: async (given: Listeners, say, terminal) => {
      const listeners = html === undefined ? given : told.listening(given);
      const compared: ComparisonOptions = {
        ...{ ...options, level, tolerance: options.ttlTolerance, dbMap, intoDb, sources: all.sources, targets: [target], live, filter },
        ...{ only: again?.keys, delimiters: options.delimiter, checksum: !noChecksum, stdin, stdout, signal, ...listeners },
        onAofTail: (file: string, bytes: number) => {
          hasTail ||= !options.ignoreAofTail;
          listeners.onAofTail?.(file, bytes);
        },
      };
      if (repairs) {
        talk = new RepairTalk(invocation, target, differenceText, say, terminal);
        const { maxInFlight, parallel } = options;
        const reached = options.apply ? live.get(target) : undefined;
        const summary = await repair({
          ...{ ...compared, output, line: repairLine(format, differenceJson) },
          apply: reached && { ...reached, ...{ maxInFlight, parallel, retryFor: options.retryFor }, ...talk.listeners },
        });
        talk.sum();
        sayMet(summary, say);
        return summary;
      }
      const summary = await diff({
        ...{ ...compared, output, line: format === 'json' ? differenceJson : differenceText },
        ...{ table: level === 'counts' ? table : undefined, html, page },
      });
      sayMet(summary, say);
      return summary;
    },
    line: (summary) => {
      const line = diffLine(summary, { isWhole: isWhole(summary), again: again?.keys.size, sample: options.sample });
      return summary.repair === undefined || summary.different === 0 ? line : `${line}\nrdbkit: ${repairedText(summary.repair)}`;
    },
    notes: (summary) => [...emptyNotes(summary, summary.filtered, { ...invocation, live }, 'compared'), ...shownNotes(summary)],
    fields: (summary) => {
      const { different, excused, kinds, met, notShown, repair: repaired, rounds, shown } = summary;
      const complete = isWhole(summary);
      return {
        ...{ level, same: complete && different === 0, complete, different, kinds, excused, met, rounds, shown, notShown },
        ...{ sample: options.sample, checkedAgain: again?.keys.size, repair: repaired, rejected: talk?.rejected },
        ...{ source: sideObject(summary.source), target: sideObject(summary.target) },
      };
    },
    exit: ({ different, met, repair: repaired }) => {
      const { left = 0, applied } = repaired ?? {};
      const open = applied === undefined ? different : applied.still + applied.rejected + left;
      return open + met > 0 ? EXIT.keys : EXIT.done;
    },
    done: 'found',
    tornText: '',
  };
  return new RunCommand(task, invocation, output).run();
}

/** The keys that an earlier diff wrote. Throws UsageError. */
async function keysOf(path: string): Promise<ListedKeys> {
  const { ListError, readDifferences } = await import('../commands/diff-lines.js');
  try {
    return await readDifferences(path);
  } catch (error) {
    if (error instanceof ListError) throw new UsageError(`--rerun ${word(path)}: ${printable(error.message)}`, { cause: error });
    throw error;
  }
}

/** What is looked into, or was another value, has to be compared by value. Throws UsageError. */
function levelOf({ given, options: { level, rerun, showValues } }: Invocation<'diff'>, again: ListedKeys | undefined): DiffLevel {
  if (showValues || again?.hasValues === true) {
    const option = showValues ? '--show-values' : `--rerun ${word(rerun ?? '')}, which has keys with other values`;
    if (given.has('level') && level !== 'values') throw new UsageError(`${option}: --level ${level} does not compare values`);
    return 'values';
  }
  if (rerun !== undefined && level === 'counts') throw new UsageError('--rerun compares keys one by one, and --level counts does not');
  return level;
}

/** Warns of keys that were not all compared. */
function sayMet(summary: DiffSummary, say: (text: string) => void): void {
  const text = metText(summary);
  if (text !== undefined) say(`warning: ${text}.`);
}

function shownNotes({ notShown, shown }: DiffSummary): string[] {
  if (notShown === 0) return [];
  return [`--show-values: the first ${keysText(shown)} with another value were looked into, ${countText(notShown)} more were not.`];
}

/** The target is the last word, or what options of redis-cli name. */
function sidesOf(
  words: readonly string[],
  { host, intoDb, port, tls }: Values,
): { sources: readonly string[]; target: string | ServerUrl } {
  if (host !== undefined || port !== undefined) {
    const name = host ?? '127.0.0.1';
    const url = checkUrl(`redis://${name.includes(':') ? `[${name}]` : name}${port === undefined ? '' : `:${port}`}`, TARGET_SIDE);
    if (words.length === 0) throw new UsageError('no source given: name an RDB file or the URL of a server');
    return { sources: words, target: { ...url, tls, db: intoDb } };
  }
  const [sources, target] = [words.slice(0, -1), words.at(-1)];
  if (target === undefined || sources.length === 0) {
    throw new UsageError('expected a source and a target: rdbkit diff dump.rdb redis://host:6379');
  }
  if (isAddress(target)) throw new UsageError(`the target ${word(target)} has no scheme: write redis://${printable(target)}`);
  if (!isServerUrl(target)) return { sources, target };
  const url = checkUrl(target, TARGET_SIDE);
  return { sources, target: { ...url, tls: tls || url.tls, db: intoDb ?? url.db } };
}

/** Options of what is not compared. Throws UsageError. */
function checkLevel({ byVariable, given, options: { apply, rounds } }: Invocation<'diff'>, level: DiffLevel): void {
  const typed = (...names: (keyof Values)[]): string | undefined => {
    const name = names.find((one) => given.has(one) && !byVariable.has(one));
    return name === undefined ? undefined : longName(name);
  };
  const ofCounts = level === 'counts' ? undefined : typed('delimiter', 'slots');
  if (ofCounts !== undefined) throw new UsageError(`${ofCounts} is for --level counts: other levels do not count by it`);
  const ofKeys = level === 'counts' ? typed('ttlTolerance', 'rounds', 'settle') : undefined;
  if (ofKeys !== undefined) throw new UsageError(`${ofKeys} is for keys: use --level keys or values with it`);
  const ofValues = level === 'values' ? undefined : typed('streams');
  if (ofValues !== undefined) throw new UsageError(`${ofValues} is for values: use --level values with it`);
  const ofApply = apply ? undefined : typed('parallel', 'maxInFlight');
  if (ofApply !== undefined) throw new UsageError(`${ofApply} is for --repair --apply: nothing else is written`);
  if (rounds === 1 && typed('settle') !== undefined) throw new UsageError('--settle is the time between rounds: use --rounds with it');
}

/** Options that say how to reach a target are for servers. Throws UsageError. */
function checkNoServer({ byVariable, given }: Invocation<'diff'>, target: string): void {
  const typed = Object.keys(TARGET).find((option) => given.has(option) && !byVariable.has(option));
  if (typed !== undefined) throw new UsageError(`${longName(typed)} is for a target that is a server, and ${word(target)} is a file`);
}

const sideObject = ({ counts, expired, keys, names }: DiffSummary['source']): object => ({
  ...{ names, keys, expired },
  counts: [...counts].map(([db, types]) => ({ db, ...types })),
});
