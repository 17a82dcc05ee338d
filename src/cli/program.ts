import { Command as Commander, Option as CommanderOption } from 'commander';
import type { Command } from './command.js';
import { COMMANDS } from './commands.js';
import { GROUPS } from './groups.js';
import { ENVIRONMENT_HELP } from './help-texts.js';
import { columns, type Io } from './io.js';
import { type CommandName, type Given, helpOf, longName } from './options/option.js';
import { type NamedOption, optionsOf } from './options/table.js';
import { version } from './version.js';

const EXAMPLES = `
Examples:
  rdbkit decode dump.rdb                        each key as a line of JSON
  rdbkit decode dump.rdb.gz -o dump.jsonl       compressed file to file
  rdbkit decode dump.rdb --prefix user: | jq .  only some keys

rdbkit decode --help shows all options and more examples.`;

/** The commander tree. `onExit` takes the exit code of the command that ran. */
export function createProgram(io: Io, argv: readonly string[], onExit: (code: number) => void): Commander {
  const program = new Commander('rdbkit')
    .description('Reads the RDB files of Redis and Valkey.')
    .usage('<command> [options]')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => undefined, // main writes it, on one line
      getOutHelpWidth: () => columns(io.stdout),
      getErrHelpWidth: () => columns(io.stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ minWidthToWrap: 30 }) // beside the longest option, on 80 columns
    .exitOverride()
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', EXAMPLES);
  // where a command is called, nobody looks at the options of the others
  const called = COMMANDS.map(firstWord).find((word) => word === argv.at(0));
  for (const command of COMMANDS) {
    const added = addCommand(parentOf(command, program), command, async (words, options) =>
      onExit(await command.call({ words, io, argv }, options)),
    );
    if (called === undefined || called === firstWord(command)) addOptions(added, command);
  }
  return program;
}

const firstWord = ({ name }: Command): string => name.split(' ')[0];

/** `payload check` belongs to a command `payload`. */
function parentOf({ name }: Command, program: Commander): Commander {
  const group = GROUPS.find((one) => name.startsWith(`${one.name} `));
  if (group === undefined) return program;
  return (
    program.commands.find((one) => one.name() === group.name) ??
    program.command(group.name).summary(group.summary).description(group.description)
  );
}

type Action = (words: readonly string[], options: Readonly<Record<string, Given>>) => Promise<void>;

function addCommand(parent: Commander, { argument, description, name, summary, usage }: Command, action: Action): Commander {
  const [words, what] = argument;
  const added = parent
    .command(name.split(' ').at(-1) as string)
    .summary(summary)
    .description(description)
    .argument(words, what)
    .usage(usage);
  added.action((given: string | readonly string[] | undefined, typed: Readonly<Record<string, Given>>) =>
    action(typeof given === 'string' ? [given] : (given ?? []), typed),
  );
  return added;
}

function addOptions(added: Commander, { after, name }: Command): void {
  const options = optionsOf(name);
  for (const one of options) {
    for (const option of commanderOptions(one, name)) added.optionsGroup(`${one.heading}:`).addOption(option);
    if (one.option.orHelp === true) added.on(`option:${one.name}`, (given: string | null) => given ?? added.help());
  }
  added.helpOption(helpFlags(options), 'show this help').addHelpText('after', options.length === 0 ? after : after + ENVIRONMENT_HELP);
}

/** `-h` may be an option of the command. */
const helpFlags = (options: readonly NamedOption[]): string =>
  options.some(({ option }) => option.short === 'h') ? '--help' : '-h, --help';

/** The commander options of one option: two for a toggle. Their values are the words as typed. */
function commanderOptions({ name, option }: NamedOption, command: CommandName): CommanderOption[] {
  const long = longName(name);
  const short = option.short === undefined ? '' : `-${option.short}, `;
  const help = helpOf(option, command) + (option.default === undefined ? '' : ` (default: ${option.default})`);
  const value = option.value === undefined ? '' : option.orHelp === true ? ` [${option.value}]` : ` <${option.value}>`;
  const made = new CommanderOption(`${short}${long}${value}`, help);
  if (option.value !== undefined) made.argParser((word: string, before: readonly string[] | undefined) => [...(before ?? []), word]);
  if (option.kind !== 'toggle') made.negate = false; // --no-ttl is a separate option, not the opposite of --ttl
  return option.kind === 'toggle' ? [made, new CommanderOption(`--no-${long.slice(2)}`, option.noHelp)] : [made];
}
