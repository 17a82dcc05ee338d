import { availableParallelism } from 'node:os';
import { decode } from '../commands/decode.js';
import type { RunSummary } from '../pipeline/run.js';
import { command, type Invocation } from './command.js';
import { emptyNotes } from './empty-runs.js';
import { EXIT } from './exit.js';
import { exitCodes, FILTERS_HELP, SOURCES_WORDS } from './help-texts.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { checkSources, filterOf, serversOf, sourcesOf } from './sources.js';
import { summaryLine } from './summary.js';

export const DECODE = command<'decode'>({
  name: 'decode',
  summary: 'decode RDB files to JSON lines',
  description: `Decodes RDB files to JSON lines: one JSON object for each key, on standard output.

A source is an RDB file or a running server, redis://host:port. \
Sources are read one after another; those compressed with gzip, LZ4 or zstd (with Node 22.15 or later) are recognised and decompressed.`,
  usage: '[source...] [options]',
  argument: SOURCES_WORDS,
  after: `
${FILTERS_HELP}
Examples:
  rdbkit decode dump.rdb
  rdbkit decode dump.rdb -o dump.jsonl
  rdbkit decode redis://host:6379 --prefix user:
  rdbkit decode shard-1.rdb shard-2.rdb shard-3.rdb --keep-going -o all.jsonl
  rdbkit decode dump.rdb --db 0 --prefix user: --not-match '*:tmp' --type hash
  rdbkit decode dump.rdb --min-size 1mb --limit 10 | jq -r .key
  ssh host cat /var/lib/redis/dump.rdb | rdbkit decode - --ttl expired
${exitCodes('newer commands of an AOF were not read')}`,
  run: runDecode,
});

async function runDecode(invocation: Invocation<'decode'>): Promise<number> {
  const { io, options, words } = invocation;
  const { noChecksum, output, threads = availableParallelism() } = options;
  const { filter, live, sources } = await serversOf(invocation, sourcesOf(words, io), filterOf(invocation));
  await checkSources('decode', sources, output, io, live);
  const { signal, stdin, stdout } = io;
  const task: Task<RunSummary> = {
    command: 'decode',
    run: (listeners: Listeners) =>
      decode({ ...options, sources, live, filter, threads, checksum: !noChecksum, stdin, stdout, signal, ...listeners }),
    line: summaryLine,
    notes: (summary) => emptyNotes(summary, summary.filtered, { ...invocation, live }),
    fields: () => ({}),
    exit: () => EXIT.done,
    done: 'decoded',
    tornText: 'A line of the output is torn: it has only the beginning of its key.',
  };
  return new RunCommand(task, invocation, output).run();
}
