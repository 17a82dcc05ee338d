import type { EncodeSummary } from '../commands/encode.js';
import { command, type Invocation } from './command.js';
import { emptyNotes } from './empty-runs.js';
import { exitCodes } from './help-texts.js';
import { isTerminal } from './io.js';
import { dumpLine, keysExit, KeyProblems } from './key-problems.js';
import { countText } from './numbers.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { encodedText } from './source-text.js';
import { checkSources, filterOf, sourcesOf } from './sources.js';
import { UsageError } from './usage.js';

export const ENCODE = command<'encode'>({
  name: 'encode',
  summary: 'make an RDB file of JSON lines',
  description: `Makes an RDB file, which a server loads, of JSON lines: those of rdbkit decode, or others of that form.

Sources are read one after another; those compressed with gzip, LZ4 or zstd (with Node 22.15 or later) are recognised and decompressed.`,
  usage: '[source...] [options]',
  argument: ['[source...]', 'files of JSON lines, or - for standard input; a pipe is read without it, too'],
  after: `
A line:
  {"db":0,"key":"user:1","type":"hash","value":{"name":"Ada"}}
  key, type and value must be there, in any order; all fields and the values
  of all types are in docs/json-lines.md. Each key may come once.

Which server it is for:
  --target-version; else the server that the lines name before the first key
  ("redis-ver" or "valkey-ver", which decode --meta writes); else Redis 7.2,
  whose files Redis and Valkey load from 7.2 on. A hash with expiries of single
  fields needs redis-7.4 or valkey-9.0.

Examples:
  rdbkit encode users.jsonl -o dump.rdb
  rdbkit decode dump.rdb | jq -c 'select(.type == "hash")' |
    rdbkit encode - -o hashes.rdb
  rdbkit encode dump.jsonl.gz --target-version 6.2 -o old.rdb
${exitCodes('some keys were not written, and each was named', 'a line is wrong; with --keep-going the other lines are in the output')}`,
  run: runEncode,
});

async function runEncode(invocation: Invocation<'encode'>): Promise<number> {
  const { io, options, words } = invocation;
  const sources = sourcesOf(words, io);
  const { json, output, targetVersion: target } = options;
  const filter = filterOf(invocation);
  await checkSources('encode', sources, output, io);
  if (output === undefined && isTerminal(io.stdout)) {
    throw new UsageError('an RDB file is binary and standard output is a terminal: name a file with --output, or pipe it');
  }
  const { encode } = await import('../commands/encode.js');
  const { signal, stdin, stdout } = io;
  const problems = new KeyProblems(json);
  const task: Task<EncodeSummary> = {
    command: 'encode',
    run: async (listeners: Listeners, say) => {
      const summary = await encode({
        ...options,
        sources,
        filter,
        target,
        stdin,
        stdout,
        signal,
        ...listeners,
        onProblem: (problem) => problems.take(problem, say),
      });
      problems.sum(say);
      return summary;
    },
    line: dumpLine,
    notes: (summary) => emptyNotes(summary, summary.filtered, invocation),
    fields: (summary) => ({ ...problems.fields(summary), linesWrong: summary.badLines, fieldsLeftOut: summary.unknownFields }),
    exit: keysExit,
    done: 'written',
    tornText: 'Its end is torn: it has only the beginning of the last key.',
    errorsLine: ({ badLines, errors }) =>
      badLines > 0 ? `${countText(badLines)} ${badLines === 1 ? 'line was' : 'lines were'} wrong` : `${errors.length} errors`,
    headText: encodedText,
  };
  return new RunCommand(task, invocation, output).run();
}
