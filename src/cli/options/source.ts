import { flag, list, LIVE as commands, SCANNING, value } from './option.js';
import { addressPairs, fileLine, fileText, keyFile, number, oneOf, psyncNames, size, text, time } from './words.js';

const WAYS = ['auto', 'replication', 'scan'] as const;

/** How to reach sources that are servers: the names of the target's options with `source` before them. */
export const SOURCE = {
  via: value({
    ...{ commands, value: 'way', choices: WAYS, parse: oneOf(WAYS), default: 'auto' },
    help:
      'how to read a server. replication: as a replica, a snapshot of one moment; scan: with SCAN and DUMP, which every server allows; ' +
      'auto: replication, or scan where it is refused',
    helpIn: {
      sync:
        'how to follow the source. replication: as a replica; scan: copy with SCAN and DUMP, and fetch again each key that the source tells ' +
        'was written; auto: replication, or scan where it is refused',
    },
  }),
  sourceUser: value({ commands, value: 'name', parse: text, help: 'log in as this user' }),
  sourcePasswordFile: value({
    ...{ commands, value: 'file', parse: fileLine },
    help: 'file with the password (default: RDBKIT_SOURCE_AUTH, else the URL)',
  }),
  sourceSentinelUser: value({ commands, value: 'name', parse: text, help: 'log in to the sentinels as this user' }),
  sourceSentinelPasswordFile: value({
    ...{ commands, value: 'file', parse: fileLine },
    help: "file with the sentinels' password (default: RDBKIT_SOURCE_SENTINEL_AUTH)",
  }),
  sourceCacert: value({ commands, value: 'file', parse: fileText, help: 'with TLS: certificates to trust' }),
  sourceCert: value({ commands, value: 'file', parse: fileText, help: 'with TLS: certificate of this client' }),
  sourceKey: value({ commands, value: 'file', parse: keyFile, help: 'with TLS: its private key' }),
  sourceSni: value({ commands, value: 'name', parse: text, help: 'with TLS: the name to ask for, and to expect in the certificate' }),
  sourceInsecure: flag({ commands, help: 'with TLS: do not verify the certificate' }),
  sourceNatMap: list({
    ...{ commands, value: 'inner=outer', parse: addressPairs },
    help: 'connect to outer for the node that announces inner (host:port)',
  }),
  sourceCluster: flag({ commands, against: ['sourceStandalone'], help: 'treat the source as a cluster, whatever it reports' }),
  sourceStandalone: flag({ commands, against: ['sourceCluster'], help: 'treat the source as a single server, whatever it reports' }),
  preferReplica: flag({ commands, help: 'read a replica of each master, the one with the smallest lag, where there is one' }),
  psyncCommand: list({
    ...{ commands, value: 'name', parse: psyncNames },
    help: 'the name of PSYNC on servers that renamed it; host:port@name where each node has its own, as ElastiCache hands them out',
  }),
  scanCount: value({
    ...{ commands: SCANNING, value: 'n', parse: number(1, 1_000_000) },
    help: 'with scan: keys asked for at a time (default: adapted to their size)',
  }),
  idleTimes: flag({ commands: SCANNING, help: 'with scan: also read idle times, or frequencies where the policy is LFU' }),
  maxDump: value({
    ...{ commands: SCANNING, value: 'bytes', parse: size },
    help: 'with scan: read larger values in ranges instead of with DUMP, which holds up the server while it writes one',
  }),
  maxLatency: value({
    ...{ commands: SCANNING, value: 'time', parse: time },
    help: 'with scan: read more slowly when the server takes longer than this to answer PING: 5ms',
  }),
} as const;
