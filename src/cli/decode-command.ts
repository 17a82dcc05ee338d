import type { Command } from 'commander';
import { decode } from '../commands/decode.js';
import type { RunSummary } from '../commands/run.js';
import { DECODE_HELP } from './decode-help.js';
import { checkDecode, type DecodeFlags } from './decode-options.js';
import { emptyNotes } from './empty-runs.js';
import { EXIT } from './exit.js';
import type { Io } from './io.js';
import { RunCommand, type Task } from './run-command.js';
import { addDamage, addFilters, addMessages, sourceCommand } from './source-options.js';
import { summaryLine } from './summary.js';

/** `argv` is the command line as typed, which explains some mistakes; `onExit` takes the exit code. */
export function addDecode(program: Command, io: Io, argv: readonly string[], onExit: (code: number) => void): void {
  const command = sourceCommand(program, 'decode', 'decode RDB files to JSON lines', DECODE_HELP.description);
  command
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write to this file instead of standard output; it gets its name when it is complete; after an error, what is there of it is in <file>.partial')
    .option('--meta', 'also write what is no key: file information, functions, module data, and a last line with the checksum');
  addFilters(command);
  addDamage(command);
  command
    .optionsGroup('Speed:')
    .option('--threads <n>', 'decode large inputs with at most this many threads (default: as many as there are cores); 1: without any');
  addMessages(command, DECODE_HELP.after);
  command.action(async (sources: string[], flags: DecodeFlags) => {
    onExit(await runDecode(sources, flags, io, argv));
  });
}

/** Returns the exit code; throws UsageError. */
async function runDecode(sources: readonly string[], flags: DecodeFlags, io: Io, argv: readonly string[]): Promise<number> {
  const options = await checkDecode(sources, flags, io);
  const { filter, limit, output, threads } = options;
  const { checksum, keepGoing, meta, strict } = flags;
  const { signal, stdin, stdout } = io;
  const task: Task<RunSummary> = {
    command: 'decode',
    run: (listeners: object) => decode({ ...{ sources, output, filter, limit, threads, checksum, keepGoing, meta, strict, stdin, stdout, signal }, ...listeners }),
    line: summaryLine,
    notes: (summary) => emptyNotes(summary, summary.read - summary.keys, flags),
    fields: () => ({}),
    exit: () => EXIT.done,
    done: 'decoded',
    tornText: 'A line of the output is torn: it has only the beginning of its key.',
  };
  return new RunCommand(task, options, flags, io, argv).run();
}
