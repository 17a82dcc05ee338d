/** Completion scripts for shells, made from the table of options. */
import type { Command } from './command.js';
import { GROUPS } from './groups.js';
import { helpOf, longName, type Option } from './options/option.js';
import { optionsOf } from './options/table.js';

type Commands = readonly Command[];

/** The forms of an option: `-o` and `--output`, or `--functions` and `--no-functions`. */
interface Form {
  readonly names: readonly string[];
  readonly help: string;
  readonly option: Option;
}

const HELP: Form = { names: ['-h', '--help'], help: 'show this help', option: { kind: 'flag', commands: [], help: '', read: () => true } };

function formsOf({ name }: Command): Form[] {
  const forms = optionsOf(name).flatMap(({ name: option, option: one }) => {
    const long = longName(option);
    // the first clause is enough for a list
    const form = {
      names: [...(one.short === undefined ? [] : [`-${one.short}`]), long],
      help: helpOf(one, name).split('; ')[0],
      option: one,
    };
    return one.noHelp === undefined ? [form] : [form, { names: [`--no-${long.slice(2)}`], help: one.noHelp, option: one }];
  });
  const taken = forms.flatMap(({ names }) => names);
  return [...forms, { ...HELP, names: HELP.names.filter((name) => !taken.includes(name)) }];
}

/** `payload check` is completed after the word `payload`. */
function firstWords(commands: Commands): string[] {
  return [...new Set([...commands.map(({ name }) => name.split(' ')[0]), 'help'])];
}

/** The summary of a first word. */
const summaryOf = (commands: Commands, word: string): string =>
  [...commands, ...GROUPS].find(({ name }) => name === word)?.summary ?? 'show the help of a command';

const secondWords = (commands: Commands, first: string): string[] =>
  commands.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []));

const groupsOf = (commands: Commands): string[] => firstWords(commands).filter((first) => secondWords(commands, first).length > 0);

/** Quoted for a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Quoted for fish. */
const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

export function bashCompletion(commands: Commands): string {
  const groups = groupsOf(commands);
  const known = [
    ...firstWords(commands).map((word) => ` ${word}`),
    ...groups.map((word) => `help ${word}`),
    ...commands.flatMap(({ name }) => (name.includes(' ') ? [name] : [])),
  ];
  const words = (pattern: string, found: readonly string[]): string => `    ${pattern}) _rdbkit_words ${quoted(found.join(' '))} ;;`;
  const optionWords = (command: Command): string =>
    words(quoted(command.name), [...formsOf(command).flatMap(({ names }) => names), ...(command.completes ?? [])]);
  return `# Completion of rdbkit for bash: source <(rdbkit completion bash)

_rdbkit() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' i
  if [[ $current == '=' ]]; then current=''
  elif [[ $before == '=' ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
      ${known.map(quoted).join('|')})
        command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$command $before" in
${bashValues(commands).join('\n')}
  esac
  case "$command $current" in
${commands
  .filter(takesFiles)
  .map(({ name }) => `    ${quoted(`${name} -`)}*) ;;\n    ${quoted(`${name} `)}*) _rdbkit_files; return ;;`)
  .join('\n')}
  esac
  case $command in
${words("''", [...firstWords(commands), '--help', '--version'])}
${words('help', firstWords(commands))}
${groups.map((group) => words(`${group}|${quoted(`help ${group}`)}`, [...secondWords(commands, group), '--help'])).join('\n')}
${commands.map(optionWords).join('\n')}
  esac
}

_rdbkit_words() {
  COMPREPLY=($(compgen -W "$1" -- "$current"))
}

# The last one of a list with commas.
_rdbkit_list() {
  local head=''
  if [[ $current == *,* ]]; then head=\${current%,*},; fi
  COMPREPLY=($(compgen -P "$head" -W "$1" -- "\${current##*,}"))
}

_rdbkit_files() {
  local IFS=$'\\n'
  compopt -o filenames 2> /dev/null
  COMPREPLY=($(compgen -f -- "$current"))
}

complete -F _rdbkit rdbkit
`;
}

const takesFiles = ({ argument }: Command): boolean => argument[0].includes('source');

/** Values of options, by kind. */
function bashValues(commands: Commands): string[] {
  const patterns = new Map<string, string[]>();
  for (const command of commands) {
    for (const { names, option } of formsOf(command)) {
      if (option.value === undefined) continue;
      const choices = quoted((option.choices ?? []).join(' '));
      const action =
        option.choices !== undefined
          ? `${option.kind === 'list' ? '_rdbkit_list' : '_rdbkit_words'} ${choices}; `
          : option.value === 'file'
            ? '_rdbkit_files; '
            : '';
      patterns.set(action, [...(patterns.get(action) ?? []), ...names.map((name) => quoted(`${command.name} ${name}`))]);
    }
  }
  return [...patterns].map(([action, found]) => `    ${found.join('|')})\n      ${action}return ;;`);
}

export function zshCompletion(commands: Commands): string {
  const described = (words: readonly (readonly [string, string])[]): string =>
    words.map(([word, what]) => quoted(`${word}:${what.replaceAll(':', '\\:')}`)).join(' ');
  const firsts = firstWords(commands).map((word) => [word, summaryOf(commands, word)] as const);
  const groups = groupsOf(commands).map(
    (group) =>
      [
        group,
        commands
          .filter(({ name }) => name.startsWith(`${group} `))
          .map(({ name, summary }) => [name.slice(group.length + 1), summary] as const),
      ] as const,
  );
  return `#compdef rdbkit
# Completion of rdbkit for zsh: source <(rdbkit completion zsh)

_rdbkit() {
  local -a found
  local command=$words[2]
  if (( CURRENT == 2 )); then
    found=(${described(firsts)})
    _describe command found
    return
  fi
  shift words
  (( CURRENT-- ))
  case $command in
    help) compadd -- ${firstWords(commands).join(' ')}; return ;;
${groups.map(([group, inner]) => `    ${group})
      if (( CURRENT == 2 )); then
        found=(${described(inner)})
        _describe command found
        return
      fi
      command="$command $words[2]"
      shift words
      (( CURRENT-- )) ;;`).join('\n')}
  esac
  case $command in
${commands.map((command) => `    ${quoted(command.name)})
      _arguments -s -S \\
${[...formsOf(command).map(zshSpec), ...zshArgument(command)].map((spec) => `        ${spec}`).join(' \\\n')} ;;`).join('\n')}
  esac
}

if [[ $funcstack[1] == _rdbkit ]]; then
  _rdbkit "$@"
else
  compdef _rdbkit rdbkit
fi
`;
}

function zshArgument(command: Command): string[] {
  if (command.completes !== undefined) return [quoted(`1:what:(${command.completes.join(' ')})`)];
  return takesFiles(command) ? [quoted('*:file:_files')] : [];
}

function zshSpec({ help, names, option }: Form): string {
  const text = `[${help.replace(/[[\]\\:]/g, '\\$&')}]`;
  const { choices, kind, value } = option;
  const words = choices?.join(' ');
  const action =
    words === undefined ? (value === 'file' ? '_files' : ' ') : kind === 'list' ? `_sequence compadd - ${words}` : `(${words})`;
  const values = value === undefined ? '' : `:${value.replaceAll(':', '\\:')}:${action}`;
  const again = kind === 'list' ? '*' : '';
  const equals = value === undefined ? '' : '=';
  if (names.length === 1) return quoted(`${again}${names[0]}${equals}${text}${values}`);
  const [short, long] = names;
  const plus = value === undefined ? '' : '+';
  return `${quoted(`${again}(${names.join(' ')})`)}{${short}${plus},${long}${equals}}${quoted(text + values)}`;
}

export function fishCompletion(commands: Commands): string {
  const lines = ['# Completion of rdbkit for fish: rdbkit completion fish > ~/.config/fish/completions/rdbkit.fish', ''];
  const firsts = firstWords(commands);
  lines.push(
    `complete -c rdbkit -n __fish_use_subcommand -f -l help -s h -d 'show this help'`,
    `complete -c rdbkit -n __fish_use_subcommand -f -l version -s V -d 'show the version'`,
  );
  for (const word of firsts) {
    const what = summaryOf(commands, word);
    lines.push(`complete -c rdbkit -n __fish_use_subcommand -f -a ${word} -d ${fishQuoted(what)}`);
  }
  lines.push(`complete -c rdbkit -n '__fish_seen_subcommand_from help' -f -a ${fishQuoted(firsts.join(' '))}`);
  for (const group of groupsOf(commands)) {
    const inner = secondWords(commands, group);
    for (const { name, summary } of commands) {
      if (!name.startsWith(`${group} `)) continue;
      const where = `__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${inner.join(' ')}`;
      lines.push(`complete -c rdbkit -n ${fishQuoted(where)} -f -a ${name.slice(group.length + 1)} -d ${fishQuoted(summary)}`);
    }
  }
  for (const command of commands) {
    const where = fishQuoted(fishWhere(command, groupsOf(commands)));
    lines.push('');
    if (command.completes !== undefined) lines.push(`complete -c rdbkit -n ${where} -f -a ${fishQuoted(command.completes.join(' '))}`);
    else if (!takesFiles(command)) lines.push(`complete -c rdbkit -n ${where} -f`);
    for (const { help, names, option } of formsOf(command)) {
      const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
      const { choices, value } = option;
      const values =
        value === undefined ? '' : choices !== undefined ? ` -x -a ${fishQuoted(choices.join(' '))}` : value === 'file' ? ' -r -F' : ' -x';
      lines.push(`complete -c rdbkit -n ${where} ${flags}${values} -d ${fishQuoted(help)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The condition that the words so far are of this command: `payload decode` is not `decode`. */
function fishWhere({ name }: Command, groups: readonly string[]): string {
  const [first, second] = name.split(' ') as [string, string?];
  const others = [...groups.filter((group) => group !== first), 'help'];
  return [
    `__fish_seen_subcommand_from ${first}`,
    ...(second === undefined ? [] : [`and __fish_seen_subcommand_from ${second}`]),
    `and not __fish_seen_subcommand_from ${others.join(' ')}`,
  ].join('; ');
}

/** By name of the shell. */
export const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
