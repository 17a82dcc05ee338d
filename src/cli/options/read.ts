import { word } from '../printable.js';
import { checked, UsageError } from '../usage.js';
import { type CommandName, type Given, longName, type Option, variableName } from './option.js';
import { type NamedOption, type OptionsOf, optionsOf } from './table.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ReadOptions<C extends CommandName> {
  readonly options: OptionsOf<C>;
  /** Options that are given, typed or by a variable. */
  readonly given: ReadonlyMap<string, Given>;
  /** Those given by a variable. */
  readonly byVariable: ReadonlySet<string>;
}

/** The values of a command's options: as typed, else from the environment, else the default. Throws UsageError. */
export function readOptions<C extends CommandName>(command: C, typed: Readonly<Record<string, Given>>, env: Environment): ReadOptions<C> {
  const all = optionsOf(command);
  const fromEnv = variablesOf(all, typed, env);
  return withVariables(fromEnv.keys(), () => {
    const found = new Map([...Object.entries(typed).filter(([, given]) => given !== undefined), ...fromEnv]);
    for (const { name, option } of all) {
      const other = found.has(name) ? option.against?.find((rival) => found.has(rival)) : undefined;
      if (other !== undefined) throw new UsageError(`${longName(name)} and ${longName(other)}: expected one of them at most`);
    }
    const values = all.map(({ name, option }) => [name, checked(() => option.read(found.get(name), longName(name)))]);
    return { options: Object.fromEntries(values) as OptionsOf<C>, given: found, byVariable: new Set(fromEnv.keys()) };
  });
}

/** A variable counts unless its option, or one that excludes it, is typed. An empty variable counts as unset. */
function variablesOf(all: readonly NamedOption[], typed: Readonly<Record<string, Given>>, env: Environment): Map<string, Given> {
  const found = new Map<string, Given>();
  for (const { name, option } of all) {
    const text = option.noVariable === undefined ? (env[variableName(name)] ?? '') : '';
    if (text === '' || [name, ...(option.against ?? [])].some((rival) => typed[rival] !== undefined)) continue;
    const given = ofVariable(option, variableName(name), text);
    if (given !== false || option.kind === 'toggle') found.set(name, given);
  }
  return found;
}

const YES = /^(?:1|true|yes)$/i;
const NO = /^(?:0|false|no)$/i;

function ofVariable({ kind }: Option, variable: string, text: string): Given {
  if (kind === 'value') return [text];
  if (kind === 'list') return text.replace(/\n$/, '').split('\n');
  if (!YES.test(text) && !NO.test(text)) throw new UsageError(`${variable} ${word(text)}: expected 1, true or yes, or 0, false or no`);
  return YES.test(text);
}

/** Makes UsageErrors name the variables that give the options they mention. */
export function withVariables<T>(names: Iterable<string>, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw naming(names, error);
  }
}

export function naming(names: Iterable<string>, error: unknown): unknown {
  if (!(error instanceof UsageError)) return error;
  let { message } = error;
  for (const name of names) message = message.replace(new RegExp(`${longName(name)}(?![\\w-])`), variableName(name));
  return new UsageError(message, { cause: error });
}

/** The variables that give options, for messages. */
export const variablesLine = (names: Iterable<string>, env: Environment): string =>
  `from the environment: ${[...names].map((name) => `${variableName(name)}=${word(env[variableName(name)] ?? '')}`).join(', ')}`;
