import type { Command } from 'commander';
import { encode, type EncodeSummary } from '../commands/encode.js';
import { ENCODE_HELP } from './encode-help.js';
import { checkEncode, type EncodeFlags } from './encode-options.js';
import { emptyNotes } from './empty-runs.js';
import type { Io } from './io.js';
import { dumpLine, keysExit, KeyProblems } from './key-problems.js';
import { countText } from './numbers.js';
import { type Listeners, RunCommand, type Task } from './run-command.js';
import { addFilters, addMessages, sourceCommand } from './source-options.js';

/** `argv` is the command line as typed, which explains some mistakes; `onExit` takes the exit code. */
export function addEncode(program: Command, io: Io, argv: readonly string[], onExit: (code: number) => void): void {
  const command = sourceCommand(program, 'encode', 'make an RDB file of JSON lines', ENCODE_HELP.description, { what: 'files of JSON lines' });
  command
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write to this file instead of standard output; it gets its name when it is complete; after an error, what is there of it is in <file>.partial')
    .option('--target-version <server>', 'write what this server loads: 6.2, redis-7.4, valkey-9.1 (default: see below)')
    .option('--allow-loss', 'what the server has no place for is left out of keys; without this, such keys are named and not written')
    .option('--on-conflict <how>', 'of a key that comes twice, error: name it and keep the first, first: keep that, last: keep that of the last file (default: error)');
  addFilters(command);
  command
    .optionsGroup('Wrong lines:')
    .option('--lenient', 'leave out fields that nobody knows, instead of refusing their lines')
    .option('--keep-going', 'go on with the next line after a wrong one');
  addMessages(command, ENCODE_HELP.after);
  command.action(async (sources: string[], flags: EncodeFlags) => {
    onExit(await runEncode(sources, flags, io, argv));
  });
}

/** Returns the exit code; throws UsageError. */
async function runEncode(sources: readonly string[], flags: EncodeFlags, io: Io, argv: readonly string[]): Promise<number> {
  const { progress, ...options } = await checkEncode(sources, flags, io);
  const { signal, stdin, stdout } = io;
  const problems = new KeyProblems(flags.json === true);
  const task: Task<EncodeSummary> = {
    command: 'encode',
    run: async (listeners: Listeners, say) => {
      const summary = await encode({ ...options, keepGoing: flags.keepGoing, stdin, stdout, signal, ...listeners, onProblem: (problem) => problems.take(problem, say) });
      problems.sum(say);
      return summary;
    },
    line: dumpLine,
    notes: (summary) => emptyNotes(summary, summary.filtered, flags),
    fields: (summary) => ({ ...problems.fields(summary), linesWrong: summary.badLines, fieldsLeftOut: summary.unknownFields }),
    exit: keysExit,
    done: 'written',
    tornText: 'Its end is torn: it has only the beginning of the last key.',
    errorsLine: ({ badLines, errors }) => (badLines > 0 ? `${countText(badLines)} ${badLines === 1 ? 'line was' : 'lines were'} wrong` : `${errors.length} errors`),
  };
  return new RunCommand(task, { progress, ...options }, flags, io, argv).run();
}
