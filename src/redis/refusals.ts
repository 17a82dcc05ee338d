/**
 * The meaning of an error reply: `there`, the key exists; `moved` and `ask`, another node has the slot; `stale`, this node is no
 * longer a master; `later`, worth a retry; `stop`, nothing will be accepted; `refused`, only this command is not accepted.
 */
export type Refusal = 'there' | 'moved' | 'ask' | 'stale' | 'later' | 'stop' | 'refused';

/** By the first word of an error (redis server.c, createSharedObjects; cluster.c, clusterRedirectClient; acl.c). */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  BUSYKEY: 'there',
  MOVED: 'moved',
  ASK: 'ask',
  READONLY: 'stale',
  TRYAGAIN: 'later',
  CLUSTERDOWN: 'later',
  LOADING: 'later',
  MASTERDOWN: 'later',
  BUSY: 'later',
  NOMASTERLINK: 'later',
  NOREPLICAS: 'later',
  UNBLOCKED: 'later',
  OOM: 'stop',
  NOPERM: 'stop',
  NOAUTH: 'stop',
  WRONGPASS: 'stop',
  MISCONF: 'stop',
  DENIED: 'stop',
};

/** The other errors that pass by themselves; those about saving and SYNC are for replicas (redis replication.c, syncCommand). */
const LATER = /^ERR (?:max number of clients|can't sync while|unable to perform background save|bgsave failed)/i;

export function refusalOf(error: string): Refusal {
  const word = error.slice(0, error.indexOf(' ') < 0 ? error.length : error.indexOf(' '));
  if (Object.hasOwn(REFUSALS, word)) return REFUSALS[word];
  if (LATER.test(error)) return 'later';
  return /^ERR (unknown command|invalid password|operation not permitted|this instance has cluster support disabled)/i.test(error) ||
    isUnsupported(error)
    ? 'stop'
    : 'refused';
}

/** Proxies and managed services have words of their own for commands that they do not take. */
const isUnsupported = (error: string): boolean =>
  /^-?(?:ERR|ERROR)?:? ?(?:unknown|unsupported|invalid|unimplemented|disabled|forbidden) command/i.test(error) ||
  /\bcommand\b.{0,40}\b(?:not (?:supported|allowed|available|implemented|permitted)|unsupported|disabled|forbidden)\b/i.test(error);

/** Why a transaction was discarded, if EXEC says it (Redis 7.0; acl.c): it is refused itself then. */
export const abortedBy = (error: string): string => /^EXECABORT [^:]*: (.*)/.exec(error)?.[1] ?? error;

/** Whether the server does not know a command: it is older, or was told to hide it. */
export const isUnknownCommand = (error: string): boolean => /^ERR unknown command/i.test(error);

/** Whether a command was over a protocol limit: the server closes the connection then. */
export const isOverLimit = (error: string): boolean => error.startsWith('ERR Protocol error');

/** Whether an error is about the login itself. */
export const isLogin = (error: string): boolean => /^(?:WRONGPASS|ERR invalid password|ERR AUTH)/.test(error);

/** Whether an error during connecting would be the same next time; errors of TLS are. */
export function isFinal(error: string): boolean {
  return refusalOf(error) === 'stop' || /^ERR AUTH|certificate|altnames|SSL|TLS/i.test(error);
}

/** The node in an error `moved` or `ask`: `MOVED 3999 127.0.0.1:6381`; the host may be empty. */
export function redirection(error: string): { slot: number; host: string; port: number } | undefined {
  const match = /^(?:MOVED|ASK) (\d+) (.*):(\d+)/.exec(error);
  return match === null ? undefined : { slot: Number(match[1]), host: match[2].replace(/^\[|\]$/g, ''), port: Number(match[3]) };
}
