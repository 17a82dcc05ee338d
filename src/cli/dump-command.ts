import { stat } from 'node:fs/promises';
import type { DumpSummary } from '../commands/dump.js';
import { isPerShard, joinsDatabases, outputPaths, SHARD } from '../commands/dump-terms.js';
import { command, type Invocation } from './command.js';
import { emptyNotes } from './empty-runs.js';
import { exitCodes, FILTERS_HELP, SOURCES_WORDS } from './help-texts.js';
import { isTerminal } from './io.js';
import { dumpLine, keysExit, KeyProblems } from './key-problems.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import type { OptionsOf } from './options/table.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { bytesText, keysText } from './numbers.js';
import { word } from './printable.js';
import { checkApart, checkOutput, checkSources, filterOf, type LiveSources, serversOf, sourcesOf } from './sources.js';
import { UsageError } from './usage.js';

export const DUMP = command<'dump'>({
  name: 'dump',
  summary: 'copy keys out of RDB files as they are stored',
  description: `Writes the keys of RDB files as they are stored, without decoding them.

A source is an RDB file or a running server, redis://host:port. \
Sources are read one after another; those compressed with gzip, LZ4 or zstd (with Node 22.15 or later) are recognised and decompressed.`,
  usage: '[source...] [options]',
  argument: SOURCES_WORDS,
  after: `
Formats:
  rdb      an RDB file, which a server loads (the default)
  resp     commands (RESTORE, SELECT, FUNCTION LOAD), for redis-cli --pipe
  payload  JSON lines, each with what the command DUMP gives for the key, base64
${FILTERS_HELP}
Examples:
  rdbkit dump dump.rdb --format rdb --prefix user: -o users.rdb
  rdbkit dump redis://host:6379 -o backup.rdb
  rdbkit dump shard-*.rdb --format rdb --on-conflict first -o all.rdb
  rdbkit dump dump.rdb --format resp | redis-cli -h target --pipe
  rdbkit dump all.rdb --format rdb --split-slots 3 -o shard.rdb
  rdbkit dump dump.rdb --format rdb --target-version 6.2 -o old.rdb
  rdbkit dump dump.rdb --format payload --prefix user:
  rdbkit dump shard-1.rdb shard-2.rdb --format payload -o all.jsonl
  rdbkit dump redis://cluster:7000 -o 'backup-{shard}.rdb' \\
    --manifest backup.json
${exitCodes('some keys were not written, and each was named; or newer\n       commands of an AOF were not read')}`,
  run: runDump,
});

async function runDump(invocation: Invocation<'dump'>): Promise<number> {
  const { given, io, options, words } = invocation;
  const { format, json, noChecksum, output, targetVersion: target } = options;
  checkFormat(options, given);
  const { filter, live, sources } = await serversOf(invocation, sourcesOf(words, io), filterOf(invocation));
  await checkSources('dump', sources, output, io, live);
  await checkManifest(options, sources, live);
  if (format !== 'payload' && output === undefined && isTerminal(io.stdout)) {
    throw new UsageError(`--format ${format} is binary and standard output is a terminal: name a file with --output, or pipe it`);
  }
  if (options.splitSlots !== undefined) {
    if (output === undefined) throw new UsageError('--split-slots writes files: name them with --output, like --output shard.rdb');
    for (const path of outputPaths({ output, splitSlots: options.splitSlots })) await checkOutput(sources, path as string, io.stdin);
  }
  const { dump } = await import('../commands/dump.js');
  const { signal, stdin, stdout } = io;
  const problems = new KeyProblems(json);
  const task: Task<DumpSummary> = {
    command: 'dump',
    run: async (listeners: Listeners, say) => {
      const summary = await dump({
        ...{ ...options, sources, live, format, filter, target, checksum: !noChecksum, stdin, stdout, signal },
        ...listeners,
        onProblem: (problem) => problems.take(problem, say),
      });
      problems.sum(say);
      return summary;
    },
    line: (summary) =>
      [
        ...librariesLines(summary.libraries, { planned: false, sources, unwanted: options.functions === false }),
        ...(isPerShard(output) ? summary.files.map(fileLine) : []),
        dumpLine(summary),
      ].join('\nrdbkit: '),
    notes: (summary) => emptyNotes(summary, summary.filtered, { ...invocation, live }),
    fields: (summary) => ({
      ...problems.fields(summary),
      functions: librariesObject(summary.libraries),
      ...(live === undefined || output === undefined ? {} : { files: summary.files, manifest: options.manifest }),
    }),
    exit: keysExit,
    done: 'written',
    tornText: 'Its end is torn: it has only the beginning of the damaged key.',
  };
  return new RunCommand(task, invocation, output).run();
}

/** `backup-10.0.0.5-6379.rdb: 1,234 keys, 540 MB`. */
function fileLine({ bytes, complete, keys, output, partial }: DumpSummary['files'][number]): string {
  const state = partial === undefined ? '' : complete ? ', complete' : ', incomplete';
  return `${word(partial ?? output)}: ${keysText(keys)}, ${bytesText(bytes)}${state}`;
}

type DumpValues = OptionsOf<'dump'>;

/** Checks what a manifest needs. Throws UsageError. */
async function checkManifest(
  { format, manifest, output, splitSlots }: DumpValues,
  sources: readonly string[],
  live: LiveSources | undefined,
): Promise<void> {
  if (manifest === undefined) return;
  if (format !== 'rdb') throw new UsageError(`--manifest is for --format rdb, not for ${format}`);
  if (output === undefined) throw new UsageError('--manifest describes files: name them with --output');
  if (splitSlots !== undefined) throw new UsageError('--manifest and --split-slots exclude each other');
  const plain = sources.find((source) => live?.has(source) !== true);
  if (plain !== undefined) throw new UsageError(`--manifest is for servers that are read, and the source ${word(plain)} is none`);
  if (sources.length > 1) throw new UsageError('--manifest describes one server or cluster: dump the others on their own');
  const there = await stat(output).catch(() => undefined);
  if (there?.isFile() === false) throw new UsageError(`--manifest describes files, and --output ${word(output)} is none`);
  await checkApart(new Map([['--output', output], ['--manifest', manifest]]));
}

/** Checks which options go together. */
function checkFormat(
  {
    allowLoss,
    dbMap,
    format,
    functions,
    keyPrefixMap,
    onConflict,
    output,
    prefix,
    splitSlots,
    targetVersion,
  }: DumpValues,
  given: Invocation<'dump'>['given'],
): void {
  if (onConflict === 'last' && joinsDatabases(dbMap)) {
    throw new UsageError('--on-conflict last decides between files, not between databases that --db-map joins: expected first or error');
  }
  if (onConflict === 'last' && keyPrefixMap !== undefined && keyPrefixMap.meetings(prefix).length > 0) {
    throw new UsageError('--on-conflict last decides between files, not between keys that --key-prefix-map joins: expected first or error');
  }
  if (format === 'payload' && functions === true) {
    throw new UsageError('--functions is for --format rdb and resp: payload lines are for keys only');
  }
  if (allowLoss && targetVersion === undefined) throw new UsageError('--allow-loss is for --target-version: without it nothing is lost');
  if (splitSlots !== undefined && isPerShard(output)) throw new UsageError(`${SHARD} in --output and --split-slots exclude each other`);
  if (splitSlots !== undefined && format !== 'rdb') throw new UsageError(`--split-slots is for --format rdb, not for ${format}`);
  if (given.has('maxPayload') && format !== 'resp') throw new UsageError(`--max-payload is for --format resp, not for ${format}`);
}
