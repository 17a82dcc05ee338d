import { CommanderError } from 'commander';
import { COMMANDS } from './commands.js';
import { stackOf } from './errors.js';
import { EXIT } from './exit.js';
import type { Io } from './io.js';
import { printable } from './printable.js';
import { createProgram } from './program.js';
import { UsageError } from './usage.js';
import { exitOfCommander, isHelp, usageLine } from './usage-line.js';

/**
 * Runs the command line without a process: `argv` are the arguments after the program's name. Returns the exit code; never throws.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.done;
  const program = createProgram(io, argv, (exit) => (code = exit));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && isHelp(error)) return exitOfCommander(error);
    if (error instanceof CommanderError || error instanceof UsageError) {
      io.stderr.write(`rdbkit: ${usageLine(error, argv, COMMANDS.map(({ name }) => name))}\n${stackOf(error, io.env)}`);
      return EXIT.usage;
    }
    io.stderr.write(`rdbkit: ${bugLine(error)}\n${stackOf(error, io.env)}`);
    return EXIT.bug;
  }
}

/** The message for unexpected errors. */
export function bugLine(error: unknown): string {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `INTERNAL: ${printable(what)}. This is a bug of rdbkit: please report it with what DEBUG=rdbkit shows.`;
}
