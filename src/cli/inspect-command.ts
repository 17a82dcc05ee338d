import { availableParallelism } from 'node:os';
import type { InspectSummary } from '../commands/inspect.js';
import type { Report, REPORT_FORMATS } from '../commands/inspect-terms.js';
import { command, type Invocation } from './command.js';
import { emptyNotes } from './empty-runs.js';
import { EXIT } from './exit.js';
import { exitCodes, FILTERS_HELP, SOURCES_WORDS } from './help-texts.js';
import { columns, isTerminal } from './io.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
import { reportText } from './report-text.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { checkApart, checkOutput, checkSources, filterOf, serversOf, sourcesOf } from './sources.js';

export const INSPECT = command<'inspect'>({
  name: 'inspect',
  summary: 'report what is in RDB files, and what takes the memory',
  description: `Reads RDB files, or running servers, once and reports what is in them: keys, types, encodings,
prefixes, the largest keys, expiries, slots, and the memory that all of it
takes in a server, as estimated. The report is on standard output.

Several sources, like the shards of a cluster, give one report with a row for
each. Those compressed with gzip, LZ4 or zstd (with Node 22.15 or later) are
recognised and decompressed.`,
  usage: '[source...] [options]',
  argument: SOURCES_WORDS,
  after: `
${FILTERS_HELP}
Examples:
  rdbkit inspect dump.rdb
  rdbkit inspect dump.rdb --html report.html
  rdbkit inspect redis://host:6379 --prefer-replica
  rdbkit inspect shard-*.rdb --prefix session: --depth 3 --top 50
  rdbkit inspect dump.rdb --shards 6 --target-version valkey-8.1
  rdbkit inspect huge.rdb --sample 1%
  rdbkit inspect --baseline monday.rdb friday.rdb
  rdbkit inspect dump.rdb --format json | jq .totals
  rdbkit inspect dump.rdb --csv keys.csv
${exitCodes('newer commands of an AOF were not read', 'a source is damaged: the report is of what was read')}`,
  run: runInspect,
});

async function runInspect(invocation: Invocation<'inspect'>): Promise<number> {
  const { given, io, options, words } = invocation;
  const { csv, format, history, html, noChecksum, output, parquet, threads = availableParallelism() } = options;
  const named = sourcesOf(words, io);
  const { filter, live, sources: read } = await serversOf(invocation, [...named, ...(options.baseline ?? [])], filterOf(invocation));
  const [sources, baseline] = [read.slice(0, named.length), options.baseline && read.slice(named.length)];
  await checkSources('inspect', read, output, io, live);
  const outputs = new Map(
    Object.entries({ output, html, csv, parquet, history }).flatMap(([name, path]) => (path === undefined ? [] : [[`--${name}`, path]])),
  );
  for (const [option, path] of outputs) await checkOutput(read, path, io.stdin, option);
  await checkApart(outputs);
  const { inspect } = await import('../commands/inspect.js');
  const { env, signal, stdin, stdout } = io;
  const toTerminal = output === undefined && isTerminal(stdout);
  const text = { columns: toTerminal ? Math.max(60, columns(stdout)) : 80, colour: toTerminal && (env.NO_COLOR ?? '') === '' };
  const writers: Record<(typeof REPORT_FORMATS)[number], ((report: Report) => string) | undefined> = {
    text: (report) => reportText(report, text),
    json: (report) => `${JSON.stringify(report)}\n`,
    folded: undefined,
  };
  const delimiters = given.has('delimiter') ? (options.delimiter ?? 'auto') : undefined;
  const task: Task<InspectSummary> = {
    command: 'inspect',
    run: (listeners: Listeners) =>
      inspect({
        ...options,
        ...{ sources, baseline, live, filter, delimiters, threads, write: writers[format] },
        ...{ checksum: !noChecksum, stdin, stdout, signal, ...listeners },
      }),
    line: (summary) => inspectLine(summary, options.sample !== undefined),
    notes: (summary) =>
      summary.read === 0 || summary.report.totals.keys > 0
        ? []
        : emptyNotes(summary, summary.filtered, { ...invocation, live }, 'inspected'),
    fields: ({ report }) => ({ memory: report.memory.dataset, complete: report.complete }),
    exit: () => EXIT.done,
    done: 'reported',
    tornText: '',
  };
  return new RunCommand(task, invocation, output).run();
}

function inspectLine({ bytes, damaged, filtered, keys, limited, seconds }: InspectSummary, isSample: boolean): string {
  return [
    `${keysText(keys)} inspected, ${bytesText(bytes)}, ${secondsText(seconds)}, ${rateText(bytes, seconds)}`,
    ...(filtered > 0 ? [`${countText(filtered)} ${isSample ? 'not in the sample, or filtered out' : 'filtered out'}`] : []),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    ...(limited ? ['stopped at --limit'] : []),
  ].join('; ');
}
