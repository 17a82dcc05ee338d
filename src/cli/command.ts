import type { Io } from './io.js';
import type { CommandName, Given } from './options/option.js';
import { naming, type ReadOptions, readOptions } from './options/read.js';

/** The words of a command line. */
interface Typed {
  /** The arguments that are not options. */
  readonly words: readonly string[];
  readonly io: Io;
  /** Everything as typed, which explains some mistakes. */
  readonly argv: readonly string[];
}

/** A command as it was called. */
export type Invocation<C extends CommandName = CommandName> = Typed & ReadOptions<C>;

/** A command. Its options are in options/table.ts. */
interface Described<C extends CommandName> {
  readonly name: C;
  /** For the list of commands. */
  readonly summary: string;
  readonly description: string;
  /** Arguments after its name. */
  readonly usage: string;
  readonly argument: readonly [words: string, what: string];
  /** Possible values of its argument, for completion. */
  readonly completes?: readonly string[];
  /** The end of its help, as printed: lines of at most 80 characters. */
  readonly after: string;
}

export interface Command extends Described<CommandName> {
  /** Returns the exit code; throws UsageError. */
  readonly call: (typed: Typed, options: Readonly<Record<string, Given>>) => Promise<number>;
}

/** `run` gets the typed options and returns the exit code; throws UsageError. */
export function command<C extends CommandName>({
  run,
  ...described
}: Described<C> & { readonly run: (invocation: Invocation<C>) => Promise<number> }): Command {
  return {
    ...described,
    call: async (typed, options) => {
      const read = readOptions(described.name, options, typed.io.env);
      try {
        return await run({ ...read, ...typed });
      } catch (error) {
        throw naming(read.byVariable, error);
      }
    },
  };
}
