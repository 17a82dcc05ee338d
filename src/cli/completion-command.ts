import { command, type Command } from './command.js';
import { EXIT } from './exit.js';
import { oneOf } from './options/words.js';
import { UsageError } from './usage.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** `commands` are those that are completed. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return command<'completion'>({
    name: 'completion',
    summary: 'print a script that completes commands and options in a shell',
    description: 'Prints a script that has the shell complete commands, options, their values and names of files.',
    usage: `<${SHELLS.join('|')}>`,
    argument: ['[shell]', SHELLS.join(', ')],
    completes: SHELLS,
    after: `
Examples:
  echo 'source <(rdbkit completion bash)' >> ~/.bashrc
  echo 'source <(rdbkit completion zsh)' >> ~/.zshrc
  rdbkit completion fish > ~/.config/fish/completions/rdbkit.fish`,
    run: async ({ io, words }) => {
      const word = words.at(0);
      if (word === undefined) throw new UsageError(`no shell given: expected one of ${SHELLS.join(', ')}`);
      const shell = oneOf(SHELLS)('completion', word);
      const { SCRIPTS } = await import('./completion.js');
      io.stdout.write(SCRIPTS[shell](commands()));
      return EXIT.done;
    },
  });
}
