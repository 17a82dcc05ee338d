import { setTimeout as delay } from 'node:timers/promises';
import { type Content, contentOf, differences } from './fault-data.js';
import type { TestCluster } from './redis-cluster.js';
import type { RedisNode } from './redis-node.js';
import { digestOf } from './restore-support.js';
import { until } from './until.js';

/** At both, until they are the same. */
const LOOKS = 8;
/** Milliseconds between two of them, but for the first ones. */
const PAUSE = 250;

/** What the keys begin with that `rdbkit sync` keeps its positions in. */
export const POSITIONS = 'rdbkit:sync:';

export interface ContentOptions {
  readonly databases?: readonly number[];
  /** Milliseconds that expiries of the target may be late. */
  readonly late?: number;
}

/** All keys of some servers, by database and name, without positions. Of the groups of streams it has nothing: see `rdbkit diff`. */
export async function everythingOf(nodes: readonly RedisNode[], { databases = [0] }: ContentOptions = {}): Promise<Content> {
  const all = new Map<string, string>();
  const clients = nodes.map(({ client }) => client);
  for (const database of databases) {
    if (database !== 0) await Promise.all(clients.map((client) => client.select(database)));
    for (const [key, value] of await contentOf(clients)) if (!key.startsWith(POSITIONS)) all.set(`${database} ${key}`, value);
  }
  if (databases.some((database) => database !== 0)) await Promise.all(clients.map((client) => client.select(0)));
  return all;
}

/**
 * What the target has otherwise than the source; each may be the masters of a cluster. Looked at again if need be: a key may expire
 * between the looks at both.
 */
export async function unlike(source: readonly RedisNode[], target: readonly RedisNode[], options: ContentOptions = {}): Promise<string[]> {
  const look = async (): Promise<string[]> => {
    const [want, got] = await Promise.all([everythingOf(source, options), everythingOf(target, options)]);
    return differences(got, want, options.late);
  };
  for (let more = LOOKS - 1; ; more--) {
    const found = await look();
    if (found.length === 0 || more === 0) return found;
    if (more < LOOKS - 2) await delay(PAUSE);
  }
}

/** Until two servers that nobody writes to have the same DEBUG DIGEST, of all databases: a key may have expired on one of them only. */
export const untilSameDigest = async (one: RedisNode, other: RedisNode): Promise<void> =>
  until('both have the same digest', async () => (await digestOf(one)) === (await digestOf(other)));

/** Until the target is what the source is, which nobody writes to. Throws with some of the differences that remain. */
export async function untilAlike(
  source: readonly RedisNode[],
  target: readonly RedisNode[],
  options: ContentOptions = {},
): Promise<void> {
  let last: string[] = [];
  const alike = async (): Promise<boolean> => (last = await unlike(source, target, options)).length === 0;
  await until('source and target are alike', alike).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last.length} differences\n${last.slice(0, 10).join('\n')}`);
  });
}

/** kill -9 of a master: its replica takes over, and it is started again as the replica of that one. */
export async function failOver(cluster: TestCluster, victim: RedisNode): Promise<void> {
  await victim.kill();
  await cluster.failedOver(victim);
  await victim.restart();
  await cluster.settled();
}

export interface History {
  readonly id: string;
  readonly offset: number;
}

export async function historyOf({ client }: RedisNode): Promise<History> {
  const info = await client.info('replication');
  return { id: /master_replid:(\w+)/.exec(info)?.[1] ?? '', offset: Number(/master_repl_offset:(\d+)/.exec(info)?.[1]) };
}

/**
 * Ends a server that has replicas, and starts it again with what it had, so that it answers +CONTINUE to who has read all (Redis 7.0 and
 * later, by what the RDB says of its history). Returns where it ended.
 */
export async function restartWithHistory(node: RedisNode): Promise<History> {
  const { id } = await historyOf(node);
  await node.shutdown();
  await node.restart();
  await until('it has loaded', async () => (await node.client.info('persistence')).includes('\nloading:0'));
  const info = await node.client.info('replication');
  const offset = Number(/second_repl_offset:(-?\d+)/.exec(info)?.[1]) - 1;
  if (!info.includes(`master_replid2:${id}`)) throw new Error('the server does not know its history');
  return { id, offset };
}
