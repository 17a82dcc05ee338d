/** Words that people know from redis-cli, redis-rdb-tools, RedisShake, RIOT and the like, and what they are here. */
import { type CommandName, longName } from './options/option.js';
import { optionsOf } from './options/table.js';
import { formatAdvice } from './options/formats.js';

/** Options of others, and options of ours that may be meant: those that the command has are named. */
const OPTIONS: readonly (readonly [theirs: readonly string[], ours: readonly string[]])[] = [
  [['-k', '--key', '--keys', '--pattern', '--key-pattern', '--scan-match', '-regex'], ['--match', '--prefix', '--regex']],
  [['-K', '--not-key', '--not-keys', '--exclude'], ['--not-match', '--not-prefix', '--not-regex']],
  [['-t', '--types', '--key-type', '--key-types'], ['--type']],
  [['-T', '--not-types'], ['--not-type']],
  [['-n', '-d', '--dbnum', '--database', '--databases'], ['--db']],
  [['-f', '--file', '--out'], ['--output']],
  [['-b', '--bytes', '-l', '--largest', '--bigkeys', '--memkeys', '--keystats'], ['--top', '--min-size']],
  [['-e', '--expired', '--no-expired', '-no-expired'], ['--ttl']],
  [['-x', '--no-expire'], ['--strip-ttl']],
  [['-r', '--replace', '--rewrite', '--mode'], ['--on-conflict']],
  [['-y', '--force'], ['--yes']],
  [['--askpass', '--auth', '--password', '--requirepass'], ['--password-file']],
  [['--no-auth-warning'], ['--quiet']],
];

const SERVER = 'a server is named by its URL, redis://host:port, and RDBKIT_SOURCE_AUTH has its password';

/** The same where no option of ours is meant. */
const OTHER_OPTIONS: Readonly<Record<string, string>> = {
  '-c': 'did you mean a command: rdbkit decode for JSON lines, or rdbkit dump --format resp?',
  '--command': 'did you mean a command: rdbkit decode for JSON lines, or rdbkit dump --format resp?',
  '-h': SERVER,
  '--host': SERVER,
  '-p': SERVER,
  '--port': SERVER,
  '-a': SERVER,
  '--pass': SERVER,
  '--tls': SERVER,
  '-u': 'the URL of a server is a word of its own: rdbkit decode redis://host:port',
  '--uri': 'the URL of a server is a word of its own: rdbkit decode redis://host:port',
  '--target': 'the target of rdbkit restore comes last, without an option',
  '--source': 'sources are named without an option',
  '--rdb': 'RDB files are named without an option; rdbkit dump redis://host:port -o FILE takes one from a server',
  '--pipe': 'did you mean rdbkit dump FILE --format resp | redis-cli --pipe, or rdbkit restore?',
};

const LARGE = 'did you mean inspect? It has the keys with the most memory';

/** Commands of others. */
const COMMANDS: Readonly<Record<string, string>> = {
  memory: LARGE,
  bigkey: LARGE,
  bigkeys: LARGE,
  info: 'did you mean rdbkit decode FILE --meta? It has what the file says of itself',
  stats: 'did you mean inspect?',
  profile: 'did you mean inspect?',
  analyze: 'did you mean inspect?',
  report: 'did you mean inspect?',
  prefix: 'did you mean inspect?',
  flamegraph: 'did you mean rdbkit inspect FILE --format folded?',
  validate: 'did you mean check?',
  verify: 'did you mean check?',
  version: 'did you mean rdbkit --version?',
  json: 'did you mean decode?',
  print: 'did you mean decode?',
  parse: 'did you mean decode?',
  read: 'did you mean decode?',
  keys: 'did you mean rdbkit decode FILE | jq -r .key?',
  justkeys: 'did you mean rdbkit decode FILE | jq -r .key?',
  aof: 'did you mean rdbkit dump FILE --format resp?',
  protocol: 'did you mean rdbkit dump FILE --format resp?',
  resp: 'did you mean rdbkit dump FILE --format resp?',
  convert: 'did you mean dump?',
  copy: 'did you mean dump?',
  export: 'did you mean decode or dump?',
  'file-export': 'did you mean decode or dump?',
  import: 'did you mean restore?',
  'file-import': 'did you mean restore?',
  load: 'did you mean restore?',
  migrate: 'did you mean sync, or restore, which copies once?',
  replicate: 'did you mean sync?',
  replicaof: 'did you mean sync?',
  psync: 'did you mean sync?',
  follow: 'did you mean sync?',
  mirror: 'did you mean sync?',
};

/** What an unknown option may be here: the words for parentheses. `value` is the word after it. */
export function optionAdvice(option: string, value: string | undefined, command: CommandName | undefined): string | undefined {
  if (option === '--format') return formatAdvice(value) ?? 'rdbkit decode writes JSON lines, rdbkit dump --format has others';
  const has = command === undefined ? [] : optionsOf(command).map(({ name }) => longName(name));
  const ours = OPTIONS.find(([theirs]) => theirs.includes(option))?.[1].filter((name) => has.includes(name)) ?? [];
  if (ours.length > 0) return `did you mean ${listed(ours)}?`;
  return Object.hasOwn(OTHER_OPTIONS, option) ? OTHER_OPTIONS[option] : undefined;
}

/** What an unknown command may be here. */
export const commandAdvice = (name: string): string | undefined => (Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined);

const listed = (names: readonly string[]): string =>
  names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} or ${names[names.length - 1]}`;
