/** What an option is, and functions to define one. */

/** Commands that read sources. */
export const SOURCES = ['decode', 'dump', 'restore', 'encode', 'check', 'inspect', 'diff', 'sync'] as const;

/** Those that read them once: the size of a value in its file, and a number of keys, mean something. */
export const ONCE = ['decode', 'dump', 'restore', 'encode', 'check', 'inspect'] as const;

/** Those whose sources may be servers. */
export const LIVE = ['decode', 'dump', 'restore', 'check', 'inspect', 'diff', 'sync'] as const;

/** Those that may read them with SCAN. */
export const SCANNING = ['decode', 'dump', 'restore', 'check', 'inspect', 'diff'] as const;

export type CommandName = (typeof SOURCES)[number] | 'payload check' | 'payload decode' | 'completion';

/** The words from the command line or an environment variable; undefined if neither gives it. */
export type Given = boolean | readonly string[] | undefined;

interface Spec<C extends CommandName> {
  /** The commands that have it. */
  readonly commands: readonly C[];
  /** One sentence, for `--help`, the man page and completion. */
  readonly help: string;
  /** Help for commands where it differs. */
  readonly helpIn?: Readonly<Partial<Record<NoInfer<C>, string>>>;
  /** One letter. */
  readonly short?: string;
  /** Options that exclude it. */
  readonly against?: readonly string[];
  /** Why no environment variable sets it. */
  readonly noVariable?: string;
}

interface ValueSpec<C extends CommandName> extends Spec<C> {
  /** The placeholder of the value in `--help`; a `file` is completed with file names. */
  readonly value: string;
  /** Possible values, for completion. */
  readonly choices?: readonly string[];
  /** Without a value, it asks for help. */
  readonly orHelp?: boolean;
}

/** An option of the table. `C` are the commands that have it, `T` is the type of its value. */
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
  readonly orHelp?: boolean;
  /** Of a toggle: the help of its `--no-` form. */
  readonly noHelp?: string;
  /** As it would be typed. */
  readonly default?: string;
  /** Its value; `label` is how the user gave it. Throws UsageError, TypeError or RangeError. */
  read(given: Given, label: string): T;
}

type Parse<T> = (label: string, word: string) => T;

/** True if it is given. */
export function flag<const C extends CommandName>(spec: Spec<C>): Option<C, boolean> {
  return { ...spec, kind: 'flag', read: (given) => given === true };
}

/** `--name` and `--no-name`: true, false, or undefined if neither is given. */
export function toggle<const C extends CommandName>(spec: Spec<C> & { readonly noHelp: string }): Option<C, boolean | undefined> {
  return { ...spec, kind: 'toggle', read: (given) => (typeof given === 'boolean' ? given : undefined) };
}

/** An option with one value: the last one given, else the default. */
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

/** An option that may be repeated: its values accumulate. */
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

/** `--max-payload` for `maxPayload`. */
export const longName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** RDBKIT_MAX_PAYLOAD for `maxPayload`. */
export const variableName = (name: string): string => `RDBKIT_${longName(name).slice(2).replaceAll('-', '_').toUpperCase()}`;

export const helpOf = ({ help, helpIn }: Option, command: CommandName): string => helpIn?.[command] ?? help;

/** The values of a family of options, for a command. */
export type ValuesOf<F, C extends CommandName = CommandName> = {
  readonly [K in keyof F as F[K] extends Option<infer D> ? ([C & D] extends [never] ? never : K) : never]: F[K] extends Option<
    CommandName,
    infer T
  >
    ? T
    : never;
};
