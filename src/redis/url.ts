/** A server as `host:port`, or as a Unix socket. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** The path of its Unix socket; the host is empty then. */
  readonly path?: string;
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

const FORM = /^(redis|rediss|valkey|valkeys)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^/@?#]+)(?:\/([^?#]*))?$/i;
const SOCKET = /^(?:(?:redis|valkey)\+(?:unix|socket)|unix|redis-socket):(?:\/\/(?:([^@/]*)@)?)?(\/(?!\/)[^?#]*)(?:\?(.*))?$/i;
const SCHEME = /^(?:redis|rediss|valkey|valkeys)(?:\+[a-z]+)?:\/\/|^(?:unix|redis-socket):\/|^https?:\/\/.*:(?:6379|6380|7\d\d\d)(?:\/|$)/i;
const HOST = /^(\[[\da-f:.%a-z]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i;

const PORT = 6379;
const SENTINEL_PORT = 26379;
/** Servers number databases with a C int. */
const MAX_DB = 2 ** 31 - 1;

/** Whether an argument is meant as the URL of a server, even if it is not one. */
export function isServerUrl(text: string): boolean {
  return SCHEME.test(text);
}

/**
 * Parses `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS, and
 * `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/db]`, and
 * `redis+unix://[user[:password]@]/path[?db=…&user=…&password=…]`. Throws TypeError, whose message never contains the text: it may hold
 * a password.
 */
export function parseServerUrl(text: string): ServerUrl {
  const socket = SOCKET.exec(text);
  if (socket !== null) return parseSocketUrl(socket[1], socket[2], socket[3]);
  const match = FORM.exec(text);
  if (match === null) throw new TypeError(misspelt(text));
  const [, scheme, sentinel, login, hosts, path = ''] = match as (string | undefined)[] as [
    string,
    string,
    string | undefined,
    string | undefined,
    string,
    string | undefined,
  ];
  if (path.includes('@')) throw new TypeError(misspelt(text));
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
  return {
    addresses,
    sentinelMaster,
    tls: /^(?:rediss|valkeys)$/i.test(scheme),
    ...loginOf(login),
    db: names.length === 0 ? undefined : parseDb(names[0]),
  };
}

/** Why a text is no URL of a server, and what to write instead; without its parts, which may be a password. */
function misspelt(text: string): string {
  const [, scheme = '', rest = ''] = /^([a-z+-]+):\/*(.*)$/is.exec(text) ?? [];
  const name = scheme.toLowerCase();
  const plain = name.replace('+cluster', '');
  if (plain !== name) return `write it as ${plain}://host:port: a cluster is detected, and --cluster insists on it`;
  if (/^https?$/.test(name)) return `it begins with ${name}://: write redis://host:port, or rediss://host:port for TLS`;
  if (/unix|socket/.test(name)) return 'expected the absolute path of a socket: redis+unix:///path/to/redis.sock?db=1';
  const at = rest.lastIndexOf('@');
  if (at >= 0 && /[@/?#]/.test(rest.slice(0, at))) {
    return 'the user or the password has one of @ / ? # in it: percent-encode it (%40 %2F %3F %23), or use --user and REDISCLI_AUTH';
  }
  if (rest.includes('?')) return 'nothing is expected after a ?: the database is /1, and rdbkit chooses the protocol itself';
  if (rest.includes('#')) return 'nothing is expected after a #: percent-encode one that belongs to a password (%23)';
  return 'expected redis://host:port, rediss://host:port, redis+sentinel://host:port,host:port/master or redis+unix:///path';
}

function parseSocketUrl(login: string | undefined, path: string, query = ''): ServerUrl {
  const fields = new URLSearchParams(query);
  for (const name of fields.keys()) {
    if (!['db', 'user', 'username', 'password'].includes(name)) {
      throw new TypeError('after the ? of a Unix socket, only db, user and password are expected: redis+unix:///path?db=1');
    }
  }
  const given = loginOf(login);
  return {
    addresses: [{ host: '', port: 0, path: decoded(path) ?? '' }],
    sentinelMaster: undefined,
    tls: false,
    username: fields.get('user') ?? fields.get('username') ?? given.username,
    password: fields.get('password') ?? given.password,
    db: fields.has('db') ? parseDb(fields.get('db') ?? '') : undefined,
  };
}

/** `user:password`, where the user may be empty. */
function loginOf(login: string | undefined): Pick<ServerUrl, 'username' | 'password'> {
  const colon = login?.indexOf(':') ?? -1;
  return {
    username: login === undefined ? undefined : decoded(colon < 0 ? login : login.slice(0, colon)),
    password: login === undefined || colon < 0 ? undefined : decoded(login.slice(colon + 1)),
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
export function addressText({ host, path, port }: Address): string {
  return path ?? `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The URL without a login, as the name of a server. */
export function redacted({ addresses, db, sentinelMaster, tls }: ServerUrl): string {
  const [{ path }] = addresses;
  if (path !== undefined) return `redis+unix://${path}${db === undefined ? '' : `?db=${db}`}`;
  const scheme = `redis${tls ? 's' : ''}${sentinelMaster === undefined ? '' : '+sentinel'}`;
  const master = sentinelMaster === undefined ? '' : `/${sentinelMaster}`;
  return `${scheme}://${addresses.map(addressText).join(',')}${master}${db === undefined ? '' : `/${db}`}`;
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
