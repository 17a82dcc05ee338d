import { flag, list, LIVE, value } from './option.js';
import { addressPairs, database, fileLine, fileText, hostName, keyFile, number, size, text, time } from './words.js';

const commands = ['restore', 'diff', 'sync'] as const;

const noVariable = 'it names the target, like a URL';

/** How to reach the target, with the words of redis-cli and our own. */
export const TARGET = {
  host: value({
    ...{ commands, short: 'h', value: 'host', parse: hostName, orHelp: true, noVariable },
    help: 'the target, as for redis-cli, instead of a URL: then all other words are sources',
    helpIn: { sync: 'the target, as for redis-cli, instead of a URL: then the only other word is the source' },
  }),
  port: value({ commands, short: 'p', value: 'port', parse: number(1, 65_535), noVariable, help: 'its port (default: 6379)' }),
  pass: value({
    ...{ commands, short: 'a', value: 'password', parse: text, against: ['passwordFile'] },
    ...{ noVariable: 'REDISCLI_AUTH is for that', help: 'its password, which shows in the process list: better set REDISCLI_AUTH' },
  }),
  intoDb: value({
    commands,
    short: 'n',
    value: 'db',
    parse: database,
    noVariable,
    help: 'write all keys to this database, like /db in a URL',
    helpIn: { diff: 'compare all keys with those in this database, like /db in a URL' },
  }),
  tls: flag({ commands, noVariable, help: 'connect by TLS, like rediss://' }),
  redirects: flag({ commands, short: 'c', noVariable, help: 'for those who know redis-cli: clusters are detected without it' }),
  cluster: flag({ commands, against: ['standalone'], help: 'treat the target as a cluster, whatever it reports' }),
  standalone: flag({ commands, against: ['cluster'], help: 'treat the target as a single server, whatever it reports' }),
  natMap: list({
    commands,
    value: 'inner=outer',
    parse: addressPairs,
    help: 'connect to outer for the node that announces inner (host:port)',
  }),
  user: value({ commands, value: 'name', parse: text, help: 'log in as this user' }),
  passwordFile: value({
    ...{ commands, value: 'file', parse: fileLine, against: ['pass'] },
    help: 'file with the password (default: REDISCLI_AUTH, else the URL)',
  }),
  sentinelUser: value({ commands, value: 'name', parse: text, help: 'log in to the sentinels as this user' }),
  sentinelPasswordFile: value({
    commands,
    value: 'file',
    parse: fileLine,
    help: "file with the sentinels' password (default: RDBKIT_SENTINEL_AUTH)",
  }),
  cacert: value({ commands, value: 'file', parse: fileText, help: 'with TLS: certificates to trust' }),
  cert: value({ commands, value: 'file', parse: fileText, help: 'with TLS: certificate of this client' }),
  key: value({ commands, value: 'file', parse: keyFile, help: 'with TLS: its private key' }),
  sni: value({ commands, value: 'name', parse: text, help: 'with TLS: the name to ask for, and to expect in the certificate' }),
  insecure: flag({ commands, help: 'with TLS: do not verify the certificate' }),
} as const;

export const SPEED = {
  threads: value({
    ...{ commands: ['decode', 'inspect'], value: 'n', parse: number(1, 256) },
    help: 'read large inputs with at most this many threads (default: one per core); 1: none besides the main one',
  }),
  parallel: value({
    ...{ commands, value: 'n', parse: number(1, 64) },
    help: 'sources read at the same time (default: 4, or all masters of the servers that are read)',
  }),
  maxInFlight: value({ commands, value: 'bytes', parse: size, default: '4mb', help: 'bytes in flight to one server' }),
  maxKeysPerSecond: value({
    ...{ commands: LIVE, value: 'n', parse: number(1) },
    help: 'read at most this many keys per second from a server, with scan',
    helpIn: { restore: 'write at most this many keys per second', sync: 'write at most this many keys per second of the full copy' },
  }),
  maxBytesPerSecond: value({
    ...{ commands: LIVE, value: 'bytes', parse: size },
    help: 'read at most this many bytes per second from a server, with scan',
    helpIn: { restore: 'write at most this many bytes per second', sync: 'write at most this many bytes per second of the full copy' },
  }),
  retryFor: value({
    ...{ commands: LIVE, value: 'time', parse: time, default: '60s' },
    help: 'how long to retry a lost, loading or failing server',
  }),
} as const;
