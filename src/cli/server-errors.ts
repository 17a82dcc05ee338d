import type { ServerError } from '../commands/restore-terms.js';
import { printable } from './printable.js';

/** What to do next, by the first word of a server's error. */
const HINTS: Readonly<Record<string, string>> = {
  OOM: 'Give it more memory (maxmemory), or restore fewer keys.',
  NOPERM: [
    'The user lacks a permission. It needs INFO, SELECT and RESTORE for all keys that are written',
    'for a cluster, CLUSTER SLOTS and ASKING',
    'for replicas, WAIT',
    'where INFO has no time, TIME',
    'for --on-conflict replace, EXISTS',
    'for --flush, FLUSHALL, or FLUSHDB with a database',
    'for functions, FUNCTION LOAD and FUNCTION LIST',
    'to compare keys after an interruption, DUMP',
    'and then, for values over a mebibyte, DEL, RENAMENX, STRLEN, LLEN, SCARD, ZCARD, HLEN, XLEN, and the keys rdbkit:*',
    'for values over --max-payload, also RENAME, PEXPIREAT and the commands that write each type (SET, APPEND, RPUSH, …).',
  ].join('; '),
  NOAUTH: 'A password is needed: set REDISCLI_AUTH, or use --password-file.',
  WRONGPASS: 'Check user name and password (--user, REDISCLI_AUTH, --password-file).',
  MISCONF: 'The server cannot save its data and refuses writes: check its log and its free disk space.',
  MOVED: 'It is a node of a cluster: restore to it without --standalone.',
  ASK: 'It is a node of a cluster: restore to it without --standalone.',
  DENIED: 'The server is in protected mode: set a password, or connect by its loopback interface.',
};

const BY_CODE: Readonly<Record<ServerError['code'], string>> = {
  UNREACHABLE: 'Check host and port, and whether a firewall or security group is in the way; TLS needs rediss://.',
  REFUSED: 'Everything sent before is restored.',
  LOST: 'Everything that the server confirmed is restored. Use --retry-for to wait longer.',
  RESTARTED: 'Run the command again with --on-conflict skip to keep existing keys, or --on-conflict replace to replace them.',
  TARGET: 'Choose what happens to them: --on-conflict skip or replace, or --flush.',
};

function hintOf({ advice, code, reason }: ServerError): string {
  if (advice !== undefined) return advice;
  const word = /^[A-Z]+/.exec(reason)?.[0] ?? '';
  if (Object.hasOwn(HINTS, word)) return HINTS[word];
  if (/max number of clients/i.test(reason)) return 'It has reached maxclients: close some clients, or raise the limit.';
  if (/cluster support disabled/i.test(reason)) return 'It is not a cluster: restore to it without --cluster.';
  if (/certificate|altnames|SSL|TLS/i.test(reason)) {
    return 'Use --cacert for certificates to trust, --sni for the name in the certificate, or --insecure to skip verification.';
  }
  return BY_CODE[code];
}

/** The error on one line: code, server, what was wrong, what to do next. */
export function serverErrorLine(error: ServerError): string {
  const reason = printable(error.reason);
  return `${error.code}: ${printable(error.server)}: ${/[.!?]$/.test(reason) ? reason : `${reason}.`} ${hintOf(error)}`;
}

/** For `--json`. */
export function serverErrorObject(error: ServerError): Record<string, unknown> {
  return { code: error.code, message: error.message, server: error.server, got: error.reason, hint: hintOf(error) };
}
