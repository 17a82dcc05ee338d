import { ServerError } from './errors.js';
import { tlsDiagnosis } from './diagnosis.js';
import { isFinal, isLogin } from './refusals.js';
import { type Address, addressText } from './url.js';

/** Credentials. */
export interface Login {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const SAYS = /^(?:failed to connect to|connected to) sentinel (\S+) (?:because |successfully, but got an )(.*)$/s;
const LOGIN = /^(?:NOAUTH|WRONGPASS|ERR invalid password|ERR AUTH)/;

/** What to do, by the first words of an answer. */
const ADVICE = [
  [
    'refuses the login',
    'Sentinels have a user and a password of their own: look at --sentinel-user, RDBKIT_SENTINEL_AUTH, --sentinel-password-file.',
  ],
  ['is not one', 'If it is the server itself, write redis://host:port without a name.'],
  ['does not know a master', 'Check the name after the /: SENTINEL MASTERS lists those that it knows.'],
] as const;

/** The outcome of asking one sentinel, from the message of ioredis. */
function answerOf(message: string, master: string, login: Login | undefined): { where: string; why: string; final: boolean } {
  const [, where = '', why = message] = SAYS.exec(message) ?? [];
  if (why.startsWith('invalid reply')) return { where, why: `does not know a master ${master}`, final: false };
  if (!isFinal(why)) return { where, why: `was not reached: ${why.replace(/\.$/, '')}`, final: false };
  const as = isLogin(why) ? ` (as ${login?.username ?? 'the default user'})` : '';
  if (/unknown command/i.test(why)) return { where, why: 'is not one: it does not know SENTINEL', final: true };
  const tls = tlsDiagnosis(why);
  if (tls !== undefined) return { where, why: `was not reached: ${tls.reason}`, final: true };
  return { where, why: `refuses ${LOGIN.test(why) ? 'the login' : 'to tell the master'}: ${why}${as}`, final: true };
}

/**
 * Why no sentinel named the master, from the messages of ioredis. REFUSED only if all refuse for good: one that is not reached now
 * may be later.
 */
export function sentinelFailure(
  addresses: readonly Address[],
  master: string,
  login: Login | undefined,
  messages: readonly string[],
  cause: unknown,
): ServerError {
  const answers = messages.map((message) => answerOf(message, master, login));
  const reason =
    addresses.length === 1 ? `the sentinel ${answers[0].why}` : answers.map(({ where, why }) => `the sentinel ${where} ${why}`).join('; ');
  const advice = ADVICE.find(([words]) => answers.some(({ why }) => why.startsWith(words)))?.[1];
  return new ServerError(answers.every(({ final }) => final) ? 'REFUSED' : 'UNREACHABLE', addressText(addresses[0]), reason, cause, advice);
}
