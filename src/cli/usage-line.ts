import { CommanderError } from 'commander';
import { EXIT } from './exit.js';
import { commandAdvice, optionAdvice } from './known-elsewhere.js';
import type { CommandName } from './options/option.js';
import { printable } from './printable.js';
import { NO_SOURCE, withoutPasswords } from './usage.js';

/** Exit code for what commander throws: requested help and version are no errors. */
export function exitOfCommander(error: CommanderError): number {
  return error.exitCode === 0 ? EXIT.done : EXIT.usage;
}

/** Commander throws after help, too; it has already been written. */
export const isHelp = (error: CommanderError): boolean => /^commander\.(help|helpDisplayed|version)$/.test(error.code);

/** One line, and where to read on. */
export function usageLine(error: Error, argv: readonly string[], commands: readonly CommandName[]): string {
  const called = commands.find((name) => name === argv[0] || name === argv.slice(0, 2).join(' '));
  const first = commands.map((name) => name.split(' ')[0]).find((name) => name === argv[0]);
  const help = `rdbkit ${first === undefined ? '' : `${first} `}--help`;
  const text = error instanceof CommanderError ? commanderText(error, argv, called) : error.message;
  return `${printable(withoutPasswords(text))}. See ${help}`;
}

function commanderText(error: CommanderError, argv: readonly string[], called: CommandName | undefined): string {
  if (error.code === 'commander.missingArgument') return NO_SOURCE;
  if (error.code === 'commander.unknownOption') return unknownOption(error, argv, called);
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\n?\(Did you mean (.*)\?\)$/s, ' (did you mean $1?)')
    .replace(/ argument missing$/, ' needs a value')
    .replace(/\.$/, '');
  if (error.code !== 'commander.unknownCommand') return text;
  const name = argv.find((arg) => !arg.startsWith('-')) ?? '';
  const advice = commandAdvice(name);
  if (advice !== undefined) return `unknown command '${name}' (${advice})`;
  return /[./]/.test(name) && !name.includes('://') ? `${text} (did you mean rdbkit decode ${name}?)` : text;
}

/** Its value may be a password: only the name is shown. */
function unknownOption({ message }: CommanderError, argv: readonly string[], called: CommandName | undefined): string {
  const [, typed = ''] = /unknown option '(.*?)'(?:\n\(Did|$)/s.exec(message) ?? [];
  const name = typed.startsWith('--') ? typed.replace(/=.*/s, '') : typed.replace(/^(-[a-zA-Z])(?!egex$|o-expired$).*/s, '$1');
  const at = argv.indexOf(typed);
  const value = typed.includes('=') ? typed.slice(typed.indexOf('=') + 1) : argv.at(at + 1);
  const close = /\(Did you mean (.*)\?\)/.exec(message)?.at(1);
  const advice = optionAdvice(name, at < 0 ? undefined : value, called) ?? (close === undefined ? '' : `did you mean ${close}?`);
  return `unknown option '${name}'${advice === '' ? '' : ` (${advice})`}`;
}
