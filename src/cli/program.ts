import { readFileSync } from 'node:fs';
import { Command as Commander, Option as CommanderOption } from 'commander';
import type { Command } from './command.js';
import { DECODE } from './decode-command.js';
import { DUMP } from './dump-command.js';
import { ENCODE } from './encode-command.js';
import { columns, type Io } from './io.js';
import { type CommandName, type Given, helpOf, longName } from './options/option.js';
import { naming, readOptions } from './options/read.js';
import { type NamedOption, optionsOf } from './options/table.js';
import { PAYLOAD_CHECK, PAYLOAD_DECODE, PAYLOAD_DESCRIPTION } from './payload-command.js';
import { RESTORE } from './restore-command.js';

/** Package and repository have the same layout above `src/cli` and `dist/cli`. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

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
      outputError: () => undefined, // main writes it, as one line
      getOutHelpWidth: () => columns(io.stdout),
      getErrHelpWidth: () => columns(io.stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', EXAMPLES);
  const add = <C extends CommandName>(parent: Commander, command: Command<C>): void => addCommand(parent, command, async (words, typed) => {
    const read = readOptions(command.name, typed, io.env);
    try {
      onExit(await command.run({ ...read, words, io, argv }));
    } catch (error) {
      throw naming(read.byVariable, error);
    }
  });
  add(program, DECODE);
  add(program, DUMP);
  add(program, RESTORE);
  add(program, ENCODE);
  const payload = program.command('payload').summary('look at what the command DUMP returns').description(PAYLOAD_DESCRIPTION);
  add(payload, PAYLOAD_CHECK);
  add(payload, PAYLOAD_DECODE);
  return program;
}

type Action = (words: readonly string[], typed: Readonly<Record<string, Given>>) => Promise<void>;

function addCommand<C extends CommandName>(parent: Commander, { after, argument, description, name, summary, usage }: Command<C>, action: Action): void {
  const [words, what] = argument;
  const added = parent.command(name.split(' ').at(-1) as string).summary(summary).description(description).argument(words, what).usage(usage);
  for (const one of optionsOf(name)) {
    for (const option of commanderOptions(one, name)) added.optionsGroup(`${one.heading}:`).addOption(option);
  }
  added.helpOption('-h, --help', 'show this help').addHelpText('after', after);
  added.action((given: string | readonly string[] | undefined, typed: Readonly<Record<string, Given>>) => action(typeof given === 'string' ? [given] : (given ?? []), typed));
}

/** What commander takes: one option, or two of a toggle. Values come as the words that were typed. */
function commanderOptions({ name, option }: NamedOption, command: CommandName): CommanderOption[] {
  const long = longName(name);
  const short = option.short === undefined ? '' : `-${option.short}, `;
  const help = helpOf(option, command) + (option.default === undefined ? '' : ` (default: ${option.default})`);
  const made = new CommanderOption(`${short}${long}${option.value === undefined ? '' : ` <${option.value}>`}`, help);
  if (option.value !== undefined) made.argParser((word: string, before: readonly string[] | undefined) => [...(before ?? []), word]);
  if (option.kind !== 'toggle') made.negate = false; // --no-ttl is an option of its own, not the opposite of --ttl
  return option.kind === 'toggle' ? [made, new CommanderOption(`--no-${long.slice(2)}`, option.noHelp)] : [made];
}
