import type { Io } from './io.js';
import type { CommandName } from './options/option.js';
import type { ReadOptions } from './options/read.js';

/** A command as it was called. */
export interface Invocation<C extends CommandName = CommandName> extends ReadOptions<C> {
  /** What is no option. */
  readonly words: readonly string[];
  readonly io: Io;
  /** All of it as typed, which explains some mistakes. */
  readonly argv: readonly string[];
}

/** A command of the program. Its options are in options/table.ts. */
export interface Command<C extends CommandName = CommandName> {
  readonly name: C;
  /** For the list of commands. */
  readonly summary: string;
  readonly description: string;
  /** What follows its name. */
  readonly usage: string;
  readonly argument: readonly [words: string, what: string];
  /** The end of its help, as it is printed: lines of at most 80 characters. */
  readonly after: string;
  /** Returns the exit code; throws UsageError. */
  run(invocation: Invocation<C>): Promise<number>;
}
