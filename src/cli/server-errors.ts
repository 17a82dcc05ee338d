import type { ServerError } from '../commands/restore-terms.js';
import { printable } from './printable.js';

/** What to do next, by the first word of a server's error. */
const HINTS: Readonly<Record<string, string>> = {
  OOM: 'Give it more memory (maxmemory), or restore fewer keys.',
  NOPERM: [
    'The user may not do that: it needs INFO, SELECT and RESTORE for all keys that are written',
    'for a cluster CLUSTER SLOTS and ASKING',
    'for replicas WAIT',
    'where INFO does not tell the time TIME',
    'for --on-conflict replace EXISTS',
    'for --flush FLUSHALL, or FLUSHDB where a database is given',
    'for functions FUNCTION LOAD and FUNCTION LIST',
    'to compare keys after an interruption DUMP',
    'and then, for values over a mebibyte, DEL, RENAMENX, STRLEN, LLEN, SCARD, ZCARD, HLEN, XLEN, and the keys rdbkit:*',
    'over --max-payload these, RENAME, PEXPIREAT and the commands that write each type (SET, APPEND, RPUSH, …).',
  ].join('; '),
  NOAUTH: 'A password is needed: put it into REDISCLI_AUTH or --password-file.',
  WRONGPASS: 'Look at the user name and the password (--user, REDISCLI_AUTH, --password-file).',
  MISCONF: 'The server cannot save its data and refuses writes: look at its log, and at the room on its disk.',
  MOVED: 'It is a node of a cluster: restore to it without --standalone.',
  ASK: 'It is a node of a cluster: restore to it without --standalone.',
  DENIED: 'The server is in protected mode: set a password, or connect by its loopback interface.',
};

const BY_CODE: Readonly<Record<ServerError['code'], string>> = {
  UNREACHABLE: 'Look at host and port, and whether a firewall or security group is between; rediss:// is for TLS.',
  REFUSED: 'What was sent before is restored.',
  LOST: 'What the server confirmed is restored. --retry-for waits longer.',
  RESTARTED: 'Run the command again: keys that are there can stay (--on-conflict skip) or be replaced (--on-conflict replace).',
  TARGET: 'Choose what becomes of them: --on-conflict skip or replace, or --flush.',
};

function hintOf({ advice, code, reason }: ServerError): string {
  if (advice !== undefined) return advice;
  const word = /^[A-Z]+/.exec(reason)?.[0] ?? '';
  if (Object.hasOwn(HINTS, word)) return HINTS[word];
  if (/max number of clients/i.test(reason)) return 'It has as many clients as it takes (maxclients): close some of them, or raise that.';
  if (/cluster support disabled/i.test(reason)) return 'It is no cluster: restore to it without --cluster.';
  if (/certificate|altnames|SSL|TLS/i.test(reason)) {
    return '--cacert names certificates to trust, --sni the name in the certificate; --insecure does not verify it.';
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
