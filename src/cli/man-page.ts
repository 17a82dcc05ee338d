import type { Command } from './command.js';
import { COMMANDS } from './commands.js';
import { type CommandName, helpOf, longName, variableName } from './options/option.js';
import { ALL_OPTIONS, type NamedOption } from './options/table.js';
import { version } from './version.js';

/** The manual page rdbkit(1), in man(7) macros. `npm run build` writes it. */
export function manPage(): string {
  const headings = [...new Set(ALL_OPTIONS.map(({ heading }) => heading))];
  return [
    `.TH RDBKIT 1 "" "rdbkit ${version()}" "User Commands"`,
    '.nh',
    '.ad l',
    '.SH NAME',
    'rdbkit \\- read, filter, decode and restore Redis and Valkey RDB files',
    '.SH SYNOPSIS',
    ...COMMANDS.flatMap(({ name, usage }, i) => [...(i === 0 ? [] : ['.br']), `.B rdbkit ${name}`, roff(usage)]),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(commandLines),
    '.SH OPTIONS',
    'The commands that have an option follow it in brackets.',
    ...headings.flatMap((heading) => [
      `.SS ${roff(heading)}`,
      ...ALL_OPTIONS.filter((one) => one.heading === heading).flatMap(optionLines),
    ]),
    '.TP',
    '.BR \\-h ", " \\-\\-help',
    'show the help of a command',
    '.SH ENVIRONMENT',
    ...ENVIRONMENT,
    ...ALL_OPTIONS.filter(
      ({ option }, i) => option.noVariable === undefined && ALL_OPTIONS.findIndex(({ name }) => name === ALL_OPTIONS[i].name) === i,
    ).flatMap(({ name }) => ['.TP', `.B ${variableName(name)}`, roff(longName(name))]),
    ...OTHER_VARIABLES.flatMap(([name, what]) => ['.TP', `.B ${name}`, roff(what)]),
    '.SH SEE ALSO',
    '.BR redis\\-cli (1),',
    '.BR redis\\-server (1)',
    '',
  ].join('\n');
}

const ENVIRONMENT = [
  'Each variable sets the option that it is named for; what is typed comes first.',
  'An option without a value is set by 1, true or yes, and not by 0, false or no.',
  'Where an option may be given again, each line of the variable is one value.',
  'An empty variable counts as none.',
];

const OTHER_VARIABLES = [
  ['REDISCLI_AUTH', 'the password of the target'],
  ['RDBKIT_SENTINEL_AUTH', 'the password of the sentinels'],
  ['TMPDIR', 'where large values are put aside'],
  ['DEBUG', 'with rdbkit in it: stack traces of errors'],
] as const;

/** Text escaped for roff. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&');
  return escaped.replace(/[^\x00-\x7f]/gu, (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`);
}

function commandLines({ after, description, name, usage }: Command): string[] {
  return [
    `.SS rdbkit ${name} ${roff(usage)}`,
    ...description.split('\n\n').flatMap((paragraph) => ['.PP', roff(paragraph)]),
    '.PP',
    '.nf',
    ...after.trim().split('\n').map(roff),
    '.fi',
  ];
}

/** One entry for all commands with the same help. */
function optionLines({ name, option }: NamedOption): string[] {
  const texts = new Map<string, CommandName[]>();
  for (const command of option.commands) texts.set(helpOf(option, command), [...(texts.get(helpOf(option, command)) ?? []), command]);
  const value = option.value === undefined ? '' : ` \\fI${roff(option.value)}\\fR`;
  const long = longName(name);
  const names = [...(option.short === undefined ? [] : [`-${option.short}`]), long].map((one) => `\\fB${roff(one)}\\fR`).join(', ');
  const fallback = option.default === undefined ? '' : ` (default: ${option.default})`;
  const lines = [...texts].flatMap(([help, commands], i) => [
    ...(i === 0 ? [] : ['.br']),
    roff(`${help}${fallback} [${commands.join(', ')}]`),
  ]);
  return [
    '.TP',
    `${names}${value}`,
    ...lines,
    ...(option.noHelp === undefined
      ? []
      : ['.TP', `\\fB${roff(`--no-${long.slice(2)}`)}\\fR`, roff(`${option.noHelp} [${option.commands.join(', ')}]`)]),
  ];
}
