import type { CheckSummary, KeyFinding } from '../commands/check.js';
import { findingError } from '../commands/check-terms.js';
import { command, type Invocation } from './command.js';
import { emptyNotes } from './empty-runs.js';
import { faultLine } from './errors.js';
import { EXIT } from './exit.js';
import { exitCodes, FILTERS_HELP, SOURCES_WORDS } from './help-texts.js';
import { bytesText, countText, keysText, rateText, secondsText } from './numbers.js';
import { printable } from './printable.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { checkSources, filterOf, serversOf, sourcesOf } from './sources.js';

export const CHECK = command<'check'>({
  name: 'check',
  summary: 'find values that a server would refuse or crash on',
  description: `Checks the values of RDB files as deeply as a server with sanitize-dump-payload yes
does, and somewhat deeper: every entry of every packed value, duplicates, scores, expiries,
streams and their groups. Each finding is a line on standard output.

A source is an RDB file or a running server, redis://host:port. \
Sources are read one after another; those compressed with gzip, LZ4 or zstd (with Node 22.15 or later) are recognised and decompressed.`,
  usage: '[source...] [options]',
  argument: SOURCES_WORDS,
  after: `
${FILTERS_HELP}
Examples:
  rdbkit check dump.rdb
  rdbkit check redis://host:6379 --via scan
  rdbkit check dump.rdb --level structure --type stream
  rdbkit check shard-*.rdb --keep-going --format json | jq -r .key
${exitCodes('with findings, or newer commands of an AOF were not read')}`,
  run: runCheck,
});

async function runCheck(invocation: Invocation<'check'>): Promise<number> {
  const { io, options, words } = invocation;
  const { format, noChecksum, output } = options;
  const { filter, live, sources } = await serversOf(invocation, sourcesOf(words, io), filterOf(invocation));
  await checkSources('check', sources, output, io, live);
  const { check } = await import('../commands/check.js');
  const { signal, stdin, stdout } = io;
  const line = format === 'json' ? findingJson : findingText;
  const task: Task<CheckSummary> = {
    command: 'check',
    run: (listeners: Listeners) =>
      check({ ...options, sources, live, filter, line, checksum: !noChecksum, stdin, stdout, signal, ...listeners }),
    line: checkLine,
    notes: (summary) => emptyNotes(summary, summary.filtered, { ...invocation, live }, 'checked'),
    fields: ({ findings, found }) => ({ findings, keysFound: found }),
    exit: ({ findings }) => (findings > 0 ? EXIT.keys : EXIT.done),
    done: 'found',
    tornText: '',
  };
  return new RunCommand(task, invocation, output).run();
}

/** `DUPLICATE: dump.rdb, offset 61, db 0, key "h": expected every field once, got a again, at field 1.` */
function findingText(finding: KeyFinding, more: number): string {
  const { code, db, file, key } = finding;
  const error = findingError(finding).at({ file, db, key });
  const rest = more === 0 ? '' : ` And ${countText(more)} more in this key.`;
  return `${code}: ${faultLine(error)}${rest}`;
}

function findingJson({ code, db, expected, file, got, key, offset, part, type, within }: KeyFinding, more: number): string {
  const finding = { file, db, key, type, code, offset, within, part, expected, got, more: more === 0 ? undefined : more };
  return printable(JSON.stringify(finding));
}

function checkLine({ bytes, damaged, filtered, findings, found, keys, limited, seconds }: CheckSummary): string {
  const one = findings === 1 ? 'finding' : 'findings';
  return [
    `${keysText(keys)} checked, ${bytesText(bytes)}, ${secondsText(seconds)}, ${rateText(bytes, seconds)}`,
    findings === 0 ? 'no findings' : `${countText(findings)} ${one} in ${keysText(found)}`,
    ...(filtered > 0 ? [`${countText(filtered)} filtered out`] : []),
    ...(damaged > 0 ? [`${countText(damaged)} damaged`] : []),
    ...(limited ? ['stopped at --limit'] : []),
  ].join('; ');
}
