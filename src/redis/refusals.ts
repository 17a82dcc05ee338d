/**
 * What a server's error means for the command that it answers: `there` the key is there already; `moved`, `ask` another node
 * has the slot; `stale` this node is no master any more; `later` it will take it in a while; `stop` it will take nothing;
 * `refused` it takes anything but this.
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
  NOREPLICAS: 'later',
  UNBLOCKED: 'later',
  OOM: 'stop',
  NOPERM: 'stop',
  NOAUTH: 'stop',
  WRONGPASS: 'stop',
  MISCONF: 'stop',
  DENIED: 'stop',
};

export function refusalOf(error: string): Refusal {
  const word = error.slice(0, error.indexOf(' ') < 0 ? error.length : error.indexOf(' '));
  if (Object.hasOwn(REFUSALS, word)) return REFUSALS[word];
  if (/^ERR max number of clients/i.test(error)) return 'later';
  return /^ERR (unknown command|invalid password|operation not permitted|this instance has cluster support disabled)/i.test(error)
    ? 'stop'
    : 'refused';
}

/** Whether a server has said that a command is over its limits: it closes the connection then. */
export const isOverLimit = (error: string): boolean => error.startsWith('ERR Protocol error');

/** Whether an error at the beginning of a connection would be the same at the next one; those of TLS among them. */
export function isFinal(error: string): boolean {
  return refusalOf(error) === 'stop' || /^ERR AUTH|certificate|altnames|SSL|TLS/i.test(error);
}

/** The node that an error of the kinds `moved` and `ask` names: `MOVED 3999 127.0.0.1:6381`; the host may be missing. */
export function redirection(error: string): { slot: number; host: string; port: number } | undefined {
  const match = /^(?:MOVED|ASK) (\d+) (.*):(\d+)/.exec(error);
  return match === null ? undefined : { slot: Number(match[1]), host: match[2].replace(/^\[|\]$/g, ''), port: Number(match[3]) };
}
