import { CommanderError } from 'commander';
import { EXIT } from './exit.js';
import { printable } from './printable.js';

/** The command line asks for something impossible. The text is one sentence without a full stop. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Turns errors of `parse` about a command-line word into UsageErrors. */
export function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message, { cause: error }) : error;
  }
}

/** Exit code for what commander throws: requested help and version are no errors. */
export function exitOfCommander(error: CommanderError): number {
  return error.exitCode === 0 ? EXIT.done : EXIT.usage;
}

/** Commander throws after help, too; it has already been written. */
export const isHelp = (error: CommanderError): boolean => /^commander\.(help|helpDisplayed|version)$/.test(error.code);

/** One line, and where to read on. */
export function usageLine(error: Error, argv: readonly string[], commands: readonly string[]): string {
  const command = commands.find((name) => name === argv[0]);
  const help = `rdbkit ${command === undefined ? '' : `${command} `}--help`;
  const text = error instanceof CommanderError ? commanderText(error, argv) : error.message;
  return `${printable(withoutPasswords(text))}. See ${help}`;
}

/** For URLs that are shown because they are in the wrong place. */
/** The text with credentials in URLs replaced. */
export const withoutPasswords = (text: string): string => text.replace(/(\w:\/\/)[^\s@]*@/g, '$1***@');

function commanderText(error: CommanderError, argv: readonly string[]): string {
  if (error.code === 'commander.missingArgument') return 'no source given: name an RDB file, or - for standard input';
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\n?\(Did you mean (.*)\?\)$/s, ' (did you mean $1?)')
    .replace(/ argument missing$/, ' needs a value')
    .replace(/\.$/, '');
  const name = argv.find((arg) => !arg.startsWith('-')) ?? '';
  if (error.code === 'commander.unknownCommand' && /[./]/.test(name) && !name.includes('://')) {
    return `${text} (did you mean rdbkit decode ${name}?)`;
  }
  // the value of an unknown option may be a password
  return error.code === 'commander.unknownOption' ? text.replace(/='?.*'/s, "'") : text;
}
