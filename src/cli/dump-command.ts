import type { Command } from 'commander';
import { dump, DUMP_FORMATS, type DumpSummary } from '../commands/dump.js';
import { DUMP_HELP } from './dump-help.js';
import { checkDump, type DumpFlags } from './dump-options.js';
import { emptyNotes } from './empty-runs.js';
import type { Io } from './io.js';
import { dumpLine, keysExit, KeyProblems } from './key-problems.js';
import { librariesLines, librariesObject } from './libraries-text.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { addDamage, addFilters, addMessages, list, sourceCommand } from './source-options.js';

/** `argv` is the command line as typed, which explains some mistakes; `onExit` takes the exit code. */
export function addDump(program: Command, io: Io, argv: readonly string[], onExit: (code: number) => void): void {
  const command = sourceCommand(program, 'dump', 'copy keys out of RDB files as they are stored', DUMP_HELP.description);
  command
    .optionsGroup('Output:')
    .option('--format <name>', `what to write: ${DUMP_FORMATS.join(', ')}`)
    .option('-o, --output <file>', 'write to this file instead of standard output; it gets its name when it is complete; after an error, what is there of it is in <file>.partial')
    .addOption(list('--db-map <from:to>', 'write the keys of one database into another: 3:0, or a list of such pairs'))
    .option('--split-slots <n>', 'with --format rdb: this many files, one for each of as many ranges of cluster slots; their names are that of --output with the range')
    .option('--max-payload <bytes>', 'with --format resp: larger values become plain commands, in batches (default: 512mb)')
    .option('--target-version <server>', 'write what this server reads: 6.2, redis-7.4, valkey-9.1; values it would not read are written in another encoding')
    .option('--allow-loss', 'with --target-version: what the server has no place for is left out of keys; without this, such keys are named and not written')
    .option('--functions', 'with --format rdb and resp: write function libraries, also where only some keys are chosen')
    .option('--no-functions', 'leave function libraries out')
    .option('--strip-ttl', 'leave expiries out: keys stay for good')
    .option('--on-conflict <how>', 'of a key that two sources have, error: name it and keep the first, first: keep that, last: keep that (default: error)');
  addFilters(command);
  addDamage(command);
  addMessages(command, DUMP_HELP.after);
  command.action(async (sources: string[], flags: DumpFlags) => {
    onExit(await runDump(sources, flags, io, argv));
  });
}

/** Returns the exit code; throws UsageError. */
async function runDump(sources: readonly string[], flags: DumpFlags, io: Io, argv: readonly string[]): Promise<number> {
  const { progress, ...options } = await checkDump(sources, flags, io);
  const { checksum, keepGoing, strict } = flags;
  const { signal, stdin, stdout } = io;
  const problems = new KeyProblems(flags.json === true);
  const task: Task<DumpSummary> = {
    command: 'dump',
    run: async (listeners: Listeners, say) => {
      const summary = await dump({
        ...{ ...options, checksum, keepGoing, strict, stdin, stdout, signal },
        ...listeners,
        onProblem: (problem) => problems.take(problem, say),
      });
      problems.sum(say);
      return summary;
    },
    line: (summary) => [...librariesLines(summary.libraries, { planned: false, sources, unwanted: flags.functions === false }), dumpLine(summary)].join('\nrdbkit: '),
    notes: (summary) => emptyNotes(summary, summary.filtered, flags),
    fields: (summary) => ({ ...problems.fields(summary), functions: librariesObject(summary.libraries) }),
    exit: keysExit,
    done: 'written',
    tornText: 'Its end is torn: it has only the beginning of the damaged key.',
  };
  return new RunCommand(task, { progress, ...options }, flags, io, argv).run();
}
