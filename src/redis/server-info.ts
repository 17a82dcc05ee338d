import type { Redis } from 'ioredis';
import { aheadByTime, timedInfo } from './server-clock.js';
import { addressText } from './url.js';

/** A server process, from its start to its end. */
export interface ServerProcess {
  /** Different after every start; empty if the server does not tell. */
  readonly runId: string;
  /** Unix milliseconds by this machine's clock, up to a second late, since servers count their uptime in whole seconds. */
  readonly startedAt: number;
  /** `host:port` of the connection; undefined if it is over. */
  readonly address?: string | undefined;
}

/** What a server tells in INFO, which managed services allow. */
export interface ServerInfo {
  /** The name that the server uses: `redis`, `valkey`, `keydb`, `dragonfly`. */
  readonly make: string;
  /** Its own version, and the Redis release that it is compatible with. */
  readonly version: string;
  readonly redisVersion: string;
  /** `standalone`, `cluster` or `sentinel`. */
  readonly mode: string;
  /** Different after every start. */
  readonly runId: string;
  /** Of its data set: a master and its replicas have the same one. Empty if it does not tell. */
  readonly replicationId: string;
  /** Of a replica that became a master: the history that it had as a replica; empty if there is none. */
  readonly earlierReplicationId: string;
  readonly role: string;
  /** Of a replica, the address of its master. */
  readonly masterAddress: string | undefined;
  readonly replicas: number;
  /** Bytes; 0 for no limit. */
  readonly maxMemory: number;
  readonly usedMemory: number;
  readonly maxMemoryPolicy: string;
  /** Since its start. */
  readonly evictedKeys: number;
  /** Keys by database, and those of them that have an expiry. */
  readonly keys: ReadonlyMap<number, number>;
  readonly expires: ReadonlyMap<number, number>;
  readonly modules: readonly string[];
  /** Milliseconds that its clock is ahead of this machine's; undefined if it does not tell the time. */
  readonly clockAhead: number | undefined;
  /** Whether it is loading its data. */
  readonly loading: boolean;
}

/**
 * What HELLO tells (since 6.0), in the form of INFO: make, version, mode and role. No user lacks the right to it (redis acl.c,
 * ACLCheckAllUserCommandPerm: CMD_NO_AUTH). Empty if the server does not know it.
 */
export async function helloInfo(client: Redis): Promise<string> {
  const reply: unknown = await client.call('HELLO').catch(() => []);
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const field = (name: string): string => words[words.indexOf(name) + 1];
  if (!['server', 'version', 'mode', 'role'].every((name) => words.includes(name))) return '';
  const make = field('server');
  return [
    ...(make === 'redis' ? [] : [`server_name:${make}`, `${make}_version:${field('version')}`]),
    ...[`redis_version:${make === 'redis' ? field('version') : COMPATIBLE}`, `redis_mode:${field('mode')}`],
    `role:${field('role') === 'replica' ? 'slave' : field('role')}`,
  ].join('\n');
}

/** The Redis release that Valkey says it is compatible with (valkey version.h, REDIS_VERSION). */
const COMPATIBLE = '7.2.4';

/** Of a server that refuses INFO: what it tells otherwise; undefined for keys that are not known. */
export async function infoOtherwise(client: Redis): Promise<ServerInfo & { readonly size: number | undefined }> {
  const [size, clockAhead] = [await client.dbsize().catch(() => undefined), await aheadByTime(client)];
  const keys = new Map(size === undefined || size === 0 ? [] : [[0, size]]);
  return { ...parseInfo(await helloInfo(client)), keys, clockAhead, size };
}

export async function serverInfo(client: Redis): Promise<ServerInfo> {
  const { ahead, text } = await timedInfo(client);
  const modules = /^module:/m.test(text) ? text : `${text}\n${await client.info('modules').catch(() => '')}`;
  return { ...parseInfo(modules), clockAhead: ahead };
}

const fieldsOf = (lines: readonly string[]): Map<string, string> =>
  new Map(lines.map((line) => [line.slice(0, Math.max(line.indexOf(':'), 0)), line.slice(line.indexOf(':') + 1)]));

/** `text`: the section `server` of INFO. */
export function processOf(text: string): ServerProcess {
  const fields = fieldsOf(text.split(/\r?\n/));
  return { runId: fields.get('run_id') ?? '', startedAt: Date.now() - 1000 * (Number(fields.get('uptime_in_seconds')) || 0) };
}

export function parseInfo(text: string): Omit<ServerInfo, 'clockAhead'> {
  const lines = text.split(/\r?\n/);
  const fields = fieldsOf(lines);
  const field = (name: string): string => fields.get(name) ?? '';
  const number = (name: string): number => Number(field(name)) || 0;
  const keys = new Map<number, number>();
  const expires = new Map<number, number>();
  const modules = new Set<string>();
  for (const line of lines) {
    const db = /^db(\d+):keys=(\d+)(?:,expires=(\d+))?/.exec(line);
    if (db !== null) {
      keys.set(Number(db[1]), Number(db[2]));
      expires.set(Number(db[1]), Number(db[3]) || 0);
    }
    const module = /^module:name=([^,]+)/.exec(line);
    if (module !== null) modules.add(module[1]);
  }
  const redisVersion = field('redis_version');
  const make = fields.has('valkey_version')
    ? 'valkey'
    : fields.has('dragonfly_version')
      ? 'dragonfly'
      : isKeyDb(fields)
        ? 'keydb'
        : 'redis';
  return {
    make,
    version: make === 'redis' || make === 'keydb' ? redisVersion : field(`${make}_version`).replace(/^[a-z]*-?v?/i, ''),
    redisVersion,
    mode: field('redis_mode') || field('server_mode') || 'standalone',
    runId: field('run_id'),
    replicationId: historyOf(field('master_replid')),
    earlierReplicationId: historyOf(field('master_replid2')),
    role: field('role'),
    masterAddress: fields.has('master_host') ? addressText({ host: field('master_host'), port: number('master_port') }) : undefined,
    replicas: number('connected_slaves'),
    maxMemory: number('maxmemory'),
    usedMemory: number('used_memory'),
    maxMemoryPolicy: field('maxmemory_policy'),
    evictedKeys: number('evicted_keys'),
    keys,
    expires,
    modules: [...modules],
    loading: field('loading') === '1',
  };
}

/** None is all zeros. */
const historyOf = (id: string): string => (/^0*$/.test(id) ? '' : id);

/** KeyDB calls itself Redis, but has fields that Redis lacks (keydb server.cpp, genRedisInfoString). */
const isKeyDb = (fields: ReadonlyMap<string, string>): boolean =>
  fields.has('mvcc_depth') || fields.has('server_threads') || /keydb/i.test(fields.get('executable') ?? '');
