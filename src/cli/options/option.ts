/** What an option is, and how the table of them is written. */

export type CommandName = 'decode' | 'dump' | 'restore' | 'encode' | 'check' | 'payload check' | 'payload decode' | 'completion';

/** Commands that read files, one after another. */
export const SOURCES = ['decode', 'dump', 'restore', 'encode', 'check'] as const;

/** As the words of a command line or an environment variable give it; undefined where neither does. */
export type Given = boolean | readonly string[] | undefined;

interface Spec<C extends CommandName> {
  /** Which commands have it. */
  readonly commands: readonly C[];
  /** One sentence, for `--help`, the man page and completion. */
  readonly help: string;
  /** The same, where it is another one for a command. */
  readonly helpIn?: Readonly<Partial<Record<NoInfer<C>, string>>>;
  /** One letter. */
  readonly short?: string;
  /** Options that it cannot be given with. */
  readonly against?: readonly string[];
  /** Why no environment variable sets it. */
  readonly noVariable?: string;
}

interface ValueSpec<C extends CommandName> extends Spec<C> {
  /** What stands for the value in `--help`; a `file` is completed by names of files. */
  readonly value: string;
  /** Values to choose from, for completion. */
  readonly choices?: readonly string[];
}

/** An option as the table has it. `C` are the commands that have it, `T` is the type of its value. */
export interface Option<C extends CommandName = CommandName, T = unknown> {
  readonly kind: 'flag' | 'toggle' | 'value' | 'list';
  readonly commands: readonly C[];
  readonly help: string;
  readonly helpIn?: Readonly<Partial<Record<CommandName, string>>>;
  readonly short?: string;
  readonly against?: readonly string[];
  readonly noVariable?: string;
  readonly value?: string;
  readonly choices?: readonly string[];
  /** Of a toggle: the help of its `--no-` form. */
  readonly noHelp?: string;
  /** As it would be typed. */
  readonly default?: string;
  /** Its value; `label` is how the person named it. Throws UsageError, TypeError or RangeError. */
  read(given: Given, label: string): T;
}

type Parse<T> = (label: string, word: string) => T;

/** True where it is given. */
export function flag<const C extends CommandName>(spec: Spec<C>): Option<C, boolean> {
  return { ...spec, kind: 'flag', read: (given) => given === true };
}

/** `--name` and `--no-name`: true, false, or undefined where neither is given. */
export function toggle<const C extends CommandName>(spec: Spec<C> & { readonly noHelp: string }): Option<C, boolean | undefined> {
  return { ...spec, kind: 'toggle', read: (given) => (typeof given === 'boolean' ? given : undefined) };
}

/** An option with one value: the last one that is given, else the default. */
export function value<const C extends CommandName, T>(
  spec: ValueSpec<C> & { readonly parse: Parse<T>; readonly default: string },
): Option<C, T>;
export function value<const C extends CommandName, T>(spec: ValueSpec<C> & { readonly parse: Parse<T> }): Option<C, T | undefined>;
export function value<const C extends CommandName, T>({
  parse,
  ...spec
}: ValueSpec<C> & { readonly parse: Parse<T>; readonly default?: string }): Option<C, T | undefined> {
  return {
    ...spec,
    kind: 'value',
    read: (given, label) => {
      const word = wordsOf(given)?.at(-1) ?? spec.default;
      return word === undefined ? undefined : parse(label, word);
    },
  };
}

/** An option that may be given again: values gather. */
export function list<const C extends CommandName, T>({
  parse,
  ...spec
}: ValueSpec<C> & { readonly parse: (label: string, words: readonly string[]) => T }): Option<C, T | undefined> {
  return {
    ...spec,
    kind: 'list',
    read: (given, label) => {
      const words = wordsOf(given);
      return words === undefined ? undefined : parse(label, words);
    },
  };
}

const wordsOf = (given: Given): readonly string[] | undefined => (typeof given === 'object' ? given : undefined);

/** `maxPayload` is `--max-payload`. */
export const longName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** `maxPayload` is RDBKIT_MAX_PAYLOAD. */
export const variableName = (name: string): string => `RDBKIT_${longName(name).slice(2).replaceAll('-', '_').toUpperCase()}`;

export const helpOf = ({ help, helpIn }: Option, command: CommandName): string => helpIn?.[command] ?? help;

/** Values of the options of a family, for a command. */
export type ValuesOf<F, C extends CommandName = CommandName> = {
  readonly [K in keyof F as F[K] extends Option<infer D> ? ([C & D] extends [never] ? never : K) : never]: F[K] extends Option<
    CommandName,
    infer T
  >
    ? T
    : never;
};
