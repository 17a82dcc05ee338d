import { statSync } from 'node:fs';
import type { DiffSummary } from '../commands/diff.js';
import { isServerUrl, redacted, type ServerUrl } from '../commands/live-terms.js';
import { command, type Invocation } from './command.js';
import { countsJson, countsText } from './counts-text.js';
import { diffPage } from './diff-page.js';
import { pageOf, Told } from './diff-report.js';
import { differenceJson, differenceText, diffLine } from './diff-text.js';
import { emptyNotes } from './empty-runs.js';
import { EXIT } from './exit.js';
import { exitCodes, FILTERS_HELP } from './help-texts.js';
import { columns, isTerminal } from './io.js';
import { longName } from './options/option.js';
import type { OptionsOf } from './options/table.js';
import { printable, word } from './printable.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { checkUrl, TARGET_SIDE } from './server-access.js';
import { checkApart, checkOutput, checkSources, filterOf, isAddress, type LiveSources, serversOf, targetToRead } from './sources.js';
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
  argument: ['<source...>', 'RDB files, JSON lines, or URLs of servers; the last one is the target'],
  after: `
${FILTERS_HELP}
Examples:
  rdbkit diff dump.rdb redis://host:6379 --level values
  rdbkit diff redis://old:6379 redis://new:7000 --rounds 3 --settle 10s
  rdbkit diff monday.rdb friday.rdb -o differences.jsonl
  rdbkit diff shard-*.rdb redis://cluster:7000 --prefix user:
  rdbkit diff dump.rdb redis://host:6379/1 --db 0 --ttl-tolerance 100ms
${exitCodes('the sides differ')}`,
  run: runDiff,
});

type Values = OptionsOf<'diff'>;

/** Of lines that do not go to a terminal. */
const FILE_WIDTH = 80;
/** Options that only mean something at level counts. */
const OF_COUNTS = ['delimiter', 'slots'] as const;

async function runDiff(invocation: Invocation<'diff'>): Promise<number> {
  const { io, options } = invocation;
  const { dbMap, html, level, noChecksum, output } = options;
  const format = options.format ?? (output === undefined ? 'text' : 'json');
  const useless = level === 'counts' ? undefined : OF_COUNTS.find((name) => invocation.given.has(name) && !invocation.byVariable.has(name));
  if (useless !== undefined) throw new UsageError(`${longName(useless)} is for --level counts: other levels do not count by it`);
  const named = sidesOf(invocation.words, options);
  const all = await serversOf(invocation, named.sources, filterOf(invocation), typeof named.target !== 'string');
  const filter = all.filter;
  const live = new Map(all.live);
  const target = typeof named.target === 'string' ? named.target : redacted(named.target);
  if (typeof named.target !== 'string') {
    if (live.has(target)) throw new UsageError(`${word(target)} is both source and target: they are the same`);
    live.set(target, await targetToRead(named.target, options, {}, io));
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
  const { diff } = await import('../commands/diff.js');
  const { env, signal, stdin, stdout } = io;
  const toTerminal = output === undefined && isTerminal(stdout);
  const width = toTerminal ? columns(stdout) : FILE_WIDTH;
  const table = ({ rows }: DiffSummary): string =>
    format === 'json' ? countsJson(rows) : countsText(rows, width, toTerminal && (env.NO_COLOR ?? '') === '');
  const told = new Told();
  const begun = new Date();
  const page = (summary: DiffSummary): string => diffPage(pageOf(summary, { invocation, told, begun, target }));
  const task: Task<DiffSummary> = {
    command: 'diff',
    target,
    run: (given: Listeners) => {
      const listeners = html === undefined ? given : told.listening(given);
      return diff({
        ...{ ...options, tolerance: options.ttlTolerance, dbMap, intoDb, sources: all.sources, targets: [target], live, filter },
        ...{ line: format === 'json' ? differenceJson : differenceText, checksum: !noChecksum, stdin, stdout, signal, ...listeners },
        ...{ delimiters: options.delimiter, table: level === 'counts' ? table : undefined, html, page },
      });
    },
    line: (summary) => diffLine(summary, options.sample),
    notes: (summary) => emptyNotes(summary, summary.filtered, { ...invocation, live }, 'compared'),
    fields: ({ complete, different, excused, gaps = [], kinds, rounds, source, target: other }) => ({
      ...{ level, sample: options.sample, same: complete && different === 0 && gaps.length === 0, complete },
      ...{ different, kinds, excused, rounds },
      ...{ source: sideObject(source), target: sideObject(other) },
    }),
    exit: ({ different }) => (different > 0 ? EXIT.keys : EXIT.done),
    done: 'found',
    tornText: '',
  };
  return new RunCommand(task, invocation, output).run();
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

/** Both sides are read more than once. */
function checkReadable(sources: readonly string[], live: LiveSources): void {
  for (const source of sources) {
    const found = live.has(source) ? undefined : statSync(source, { throwIfNoEntry: false });
    if (source === '-' || (found !== undefined && !found.isFile() && !found.isDirectory())) {
      const name = source === '-' ? 'standard input' : word(source);
      throw new UsageError(`${name} can be read only once, and what differs is read again: name a file`);
    }
  }
}

const sideObject = ({ counts, expired, keys, names }: DiffSummary['source']): object => ({
  ...{ names, keys, expired },
  counts: [...counts].map(([db, types]) => ({ db, ...types })),
});
