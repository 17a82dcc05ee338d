import { FILTERS, LIMITS, SHARES } from './filters.js';
import { INSPECTED } from './inspected.js';
import { COMPARED } from './compared.js';
import { DAMAGE, LINES, MESSAGES, PAYLOAD } from './messages.js';
import type { CommandName, Option, ValuesOf } from './option.js';
import { CHECKED, OUTPUT, RESTORED, WRITTEN } from './output.js';
import { SOURCE } from './source.js';
import { SYNCED } from './sync.js';
import { SPEED, TARGET } from './target.js';

/** Every option of every command, by heading and in the order of `--help`. Parser, types, help, completion and man page come from here. */
const TABLE = [
  ['Output', OUTPUT],
  ['Findings', CHECKED],
  ['The comparison', COMPARED],
  ['The report', INSPECTED],
  ['The payload', PAYLOAD],
  ['The sync', SYNCED],
  ['What is written', RESTORED],
  ['What is written', WRITTEN],
  ['The target', TARGET],
  ['Sources that are servers', SOURCE],
  ['Which keys', FILTERS],
  ['Which keys', SHARES],
  ['Which keys', LIMITS],
  ['Damaged and unusual files', DAMAGE],
  ['Wrong lines', LINES],
  ['Speed', SPEED],
  ['Messages (on standard error)', MESSAGES],
] as const;

/** Values of the options of a command, by name. */
export type OptionsOf<C extends CommandName> = Joined<typeof TABLE, C>;

type Joined<T extends readonly unknown[], C extends CommandName> = T extends readonly [readonly [string, infer F], ...infer Rest]
  ? ValuesOf<F, C> & Joined<Rest, C>
  : unknown;

export interface NamedOption {
  readonly name: string;
  readonly heading: string;
  readonly option: Option;
}

export const ALL_OPTIONS: readonly NamedOption[] = TABLE.flatMap(([heading, family]) =>
  Object.entries(family).map(([name, option]: [string, Option]) => ({ name, heading, option })),
);

export const optionsOf = (command: CommandName): readonly NamedOption[] =>
  ALL_OPTIONS.filter(({ option }) => option.commands.includes(command));
