import { flag, list, value } from './option.js';
import { addressPairs, fileLine, fileText, number, size, text, time } from './words.js';

const commands = ['restore'] as const;

/** How to reach the target. */
export const TARGET = {
  cluster: flag({ commands, against: ['standalone'], help: 'the target is a cluster, whatever it says' }),
  standalone: flag({ commands, against: ['cluster'], help: 'the target is a single server, whatever it says' }),
  natMap: list({
    commands,
    value: 'inner=outer',
    parse: addressPairs,
    help: 'a node that calls itself inner (host:port) is reached at outer',
  }),
  user: value({ commands, value: 'name', parse: text, help: 'log in as this user' }),
  passwordFile: value({ commands, value: 'file', parse: fileLine, help: 'the password; else that of REDISCLI_AUTH, else that of the URL' }),
  sentinelUser: value({ commands, value: 'name', parse: text, help: 'log in to the sentinels as this user' }),
  sentinelPasswordFile: value({
    commands,
    value: 'file',
    parse: fileLine,
    help: "the sentinels' password; else that of RDBKIT_SENTINEL_AUTH",
  }),
  cacert: value({ commands, value: 'file', parse: fileText, help: 'with rediss://: certificates to trust' }),
  cert: value({ commands, value: 'file', parse: fileText, help: 'with rediss://: certificate of this client' }),
  key: value({ commands, value: 'file', parse: fileText, help: 'with rediss://: its private key' }),
  sni: value({ commands, value: 'name', parse: text, help: 'with rediss://: the name to ask for, and to expect in the certificate' }),
  insecure: flag({ commands, help: 'with rediss://: do not verify the certificate' }),
  retryFor: value({
    commands,
    value: 'time',
    parse: time,
    default: '60s',
    help: 'how long a lost, loading or failing server is tried again',
  }),
} as const;

export const SPEED = {
  threads: value({
    ...{ commands: ['decode'], value: 'n', parse: number(1, 256) },
    help: 'decode large inputs with at most this many threads (default: as many as there are cores); 1: without any',
  }),
  parallel: value({ commands, value: 'n', parse: number(1, 64), default: '4', help: 'sources that are read at the same time' }),
  maxInFlight: value({ commands, value: 'bytes', parse: size, default: '4mb', help: 'bytes that are on the way to one server at a time' }),
  maxKeysPerSecond: value({ commands, value: 'n', parse: number(1), help: 'write no more keys than this in a second' }),
  maxBytesPerSecond: value({ commands, value: 'bytes', parse: size, help: 'write no more bytes than this in a second' }),
} as const;
