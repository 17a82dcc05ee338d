import type { ServerError } from '../commands/restore-terms.js';
import { printable } from './printable.js';
import { inSourceWords } from './server-access.js';
import { rightHint } from './rights.js';

/** What to do next, by the first word of a server's error. */
const HINTS: Readonly<Record<string, string>> = {
  OOM: 'Give it more memory (maxmemory), or restore fewer keys.',
  LOADING: 'Wait until it has loaded its data; --retry-for waits longer.',
  NOAUTH: 'A password is needed: set REDISCLI_AUTH, or use --password-file.',
  WRONGPASS: 'Check user name and password (--user, REDISCLI_AUTH, --password-file).',
  MISCONF: 'The server cannot save its data and refuses writes: check its log and its free disk space.',
  MOVED: 'It is a node of a cluster: restore to it without --standalone.',
  ASK: 'It is a node of a cluster: restore to it without --standalone.',
  DENIED: 'The server is in protected mode: set a password, or connect by its loopback interface.',
};

/** What helps if a server does not take a command. */
const BY_COMMAND: readonly (readonly [RegExp, string])[] = [
  [/\brestore\b/i, '--write-as commands writes keys with SET, RPUSH, HMSET, … instead.'],
  [/\binfo\b/i, 'INFO is not needed with --target-version and --standalone (or --cluster).'],
  [/\bcluster\b/i, 'If it is a proxy that knows which node has a key, use --standalone.'],
  [
    /\bselect\b/i,
    'Without SELECT only database 0 can be written to: --db 0 chooses its keys, --db-map 1:0 moves those of database 1 there.',
  ],
  [/\b(?:renamenx|rename)\b/i, 'Plain commands build a value under another name first, except with --on-conflict replace.'],
  [/\b(?:flushall|flushdb)\b/i, 'Delete the keys in another way, or leave --flush out and use --on-conflict replace.'],
  [/\bfunction\b/i, '--no-functions leaves function libraries out.'],
  [/\bdump\b/i, 'It is needed to tell whether existing keys are our own; --on-conflict replace does without.'],
];

/** The same where a server is read. */
const OF_READ: Readonly<Record<string, string>> = {
  ...HINTS,
  MOVED: 'It is a node of a cluster: read it without --standalone.',
  ASK: 'It is a node of a cluster: read it without --standalone.',
};

/** A command that is refused, and not one that was never answered (`Command timed out`, of ioredis). */
const REFUSES = /^NOPERM|\bcommand\b(?! timed out)/i;

const BY_CODE: Readonly<Record<ServerError['code'], string>> = {
  UNREACHABLE: 'Check host and port, and whether a firewall or security group is in the way; TLS needs rediss://.',
  REFUSED: 'Everything sent before is restored.',
  LOST: 'Everything that the server confirmed is restored. Use --retry-for to wait longer.',
  RESTARTED: 'Run the command again with --on-conflict skip to keep existing keys, or --on-conflict replace to replace them.',
  TARGET: 'Choose what happens to them: --on-conflict skip or replace, or --flush.',
};

/** The same where no key was restored. */
const OF_NONE: Readonly<Partial<Record<ServerError['code'], string>>> = {
  REFUSED: 'No key was restored.',
  LOST: 'No key was restored. Use --retry-for to wait longer.',
};

/** The same where a server is read. */
function readHint({ advice, code, reason, server }: ServerError): string {
  if (advice !== undefined) return advice;
  const word = /^[A-Z]+/.exec(reason)?.[0] ?? '';
  if (/cluster support disabled/i.test(reason)) return 'It is not a cluster: read it without --cluster.';
  if (word === 'NOPERM' || REFUSES.test(reason)) return rightHint(reason, 'source');
  if (Object.hasOwn(OF_READ, word)) return OF_READ[word];
  if (/max number of clients/i.test(reason)) return 'It has reached maxclients: close some clients, or raise the limit.';
  if (code === 'UNREACHABLE' && server.startsWith('/')) return 'Check the path of the socket, and the rights to it.';
  return code === 'UNREACHABLE' ? BY_CODE.UNREACHABLE : 'Nothing was read from it.';
}

function hintOf(error: ServerError, restored: boolean): string {
  if (error.readAs === undefined) return targetHint(error, restored);
  return error.readAs === 'source' ? inSourceWords(readHint(error)) : readHint(error);
}

function targetHint({ advice, code, reason, server }: ServerError, restored: boolean): string {
  if (advice !== undefined) return advice;
  const word = /^[A-Z]+/.exec(reason)?.[0] ?? '';
  const refuses = REFUSES.test(reason) && !/cluster support/i.test(reason);
  const help = refuses ? BY_COMMAND.find(([name]) => name.test(commandIn(reason)))?.[1] : undefined;
  if (word === 'NOPERM') return help === undefined ? rightHint(reason, 'target') : `${rightHint(reason, 'target')} ${help}`;
  const done = (restored ? undefined : OF_NONE[code]) ?? BY_CODE[code];
  if (help !== undefined) return code === 'REFUSED' ? `${done} ${help}` : help;
  if (Object.hasOwn(HINTS, word)) return HINTS[word];
  if (/max number of clients/i.test(reason)) return 'It has reached maxclients: close some clients, or raise the limit.';
  if (/cluster support disabled/i.test(reason)) return 'It is not a cluster: restore to it without --cluster.';
  if (/certificate|altnames|SSL|TLS/i.test(reason)) {
    return 'Use --cacert for certificates to trust, --sni for the name in the certificate, or --insecure to skip verification.';
  }
  if (code === 'UNREACHABLE' && server.startsWith('/')) return 'Check the path of the socket, and the rights to it.';
  return done;
}

/** The command that an error names, in quotes or by itself; the whole text if it does not. */
const commandIn = (reason: string): string =>
  /[`'"]([\w|]+)[`'"]/.exec(reason)?.[1] ?? /\bcommand:? +([A-Z]{3,})\b|\b([A-Z]{3,}) command\b/.exec(reason)?.slice(1).join('') ?? reason;

/** The reason without the address of the server, which stands before it. */
function withoutAddress({ code, reason, server }: ServerError): string {
  return code === 'LOST' && server !== '' ? reason.replaceAll(`${server}: `, '').replaceAll(` ${server}`, '') : reason;
}

/** The error on one line: code, server, what was wrong, what to do next. `restored`: whether keys were restored before. */
export function serverErrorLine(error: ServerError, restored: boolean): string {
  const said = withoutAddress(error);
  const reason = printable(error.at === undefined ? said : `${said.replace(/\.$/, '')}, at ${error.at}`);
  return `${error.code}: ${printable(error.server)}: ${/[.!?]$/.test(reason) ? reason : `${reason}.`} ${hintOf(error, restored)}`;
}

/** For `--json`. */
export function serverErrorObject(error: ServerError, restored: boolean): Record<string, unknown> {
  return { code: error.code, message: error.message, server: error.server, at: error.at, got: error.reason, hint: hintOf(error, restored) };
}
