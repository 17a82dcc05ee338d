/** A server as `host:port`. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The parts of the URL of a target or a live source. */
export interface ServerUrl {
  /** The server, or any node of a cluster; with `sentinelMaster`, the sentinels. */
  readonly addresses: readonly Address[];
  /** The name that the sentinels use for the server. */
  readonly sentinelMaster: string | undefined;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number | undefined;
}

const FORM = /^(redis|rediss|valkey|valkeys)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^/@]+)(?:\/(.*))?$/i;
const HOST = /^(\[[\da-f:.%a-z]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i;

const PORT = 6379;
const SENTINEL_PORT = 26379;
/** Servers number databases with a C int. */
const MAX_DB = 2 ** 31 - 1;

/** Whether an argument is the URL of a server. */
export function isServerUrl(text: string): boolean {
  return /^(redis|rediss|valkey|valkeys)(\+sentinel)?:\/\//i.test(text);
}

/**
 * Parses `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS, and
 * `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/db]`. Throws TypeError, whose message never contains the
 * text: it may hold a password.
 */
export function parseServerUrl(text: string): ServerUrl {
  const match = FORM.exec(text);
  if (match === null) throw new TypeError('expected redis://host:port, rediss://host:port or redis+sentinel://host:port,host:port/master');
  const [, scheme, sentinel, login, hosts, path = ''] = match as (string | undefined)[] as [
    string,
    string,
    string | undefined,
    string | undefined,
    string,
    string | undefined,
  ];
  const isSentinel = sentinel !== undefined;
  const names = path.split('/').filter((name) => name !== '');
  const sentinelMaster = isSentinel ? decoded(names.shift()) : undefined;
  if (isSentinel && sentinelMaster === undefined) {
    throw new TypeError('the name of the master is missing: expected redis+sentinel://host:port/master');
  }
  if (names.length > 1) throw new TypeError('unexpected text after the database number');
  const addresses = hosts.split(',').map((host) => parseAddress(host, isSentinel ? SENTINEL_PORT : PORT));
  if (!isSentinel && addresses.length > 1) {
    throw new TypeError('more than one host: name one node of the cluster, the others are found from it');
  }
  const colon = login?.indexOf(':') ?? -1;
  return {
    addresses,
    sentinelMaster,
    tls: /^(?:rediss|valkeys)$/i.test(scheme),
    username: login === undefined ? undefined : decoded(colon < 0 ? login : login.slice(0, colon)),
    password: login === undefined || colon < 0 ? undefined : decoded(login.slice(colon + 1)),
    db: names.length === 0 ? undefined : parseDb(names[0]),
  };
}

/** Parses `host:port`, `[::1]:port`, or a host alone if `port` is given. Throws TypeError. */
export function parseAddress(text: string, port?: number): Address {
  const match = HOST.exec(text);
  const number = match?.[2] === undefined ? port : Number(match[2]);
  if (match === null || number === undefined || number < 1 || number > 65535) {
    throw new TypeError('expected a host and a port, like db.example.com:6379');
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port: number };
}

/** For messages, and as the name of a server. */
export function addressText({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function parseDb(text: string): number {
  const db = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (db > MAX_DB) throw new TypeError('what follows the host is not a database number');
  return db;
}

function decoded(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError('there is a % that does not begin an escape: write it as %25');
  }
}
