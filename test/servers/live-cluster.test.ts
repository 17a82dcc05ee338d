import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SLOTS, keySlot } from '../../src/bytes/crc16.js';
import { Folder, lines, rdbkit, type Result } from '../support/cli-support.js';
import { type Hook, HookProxy } from '../support/hook-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';

const KEYS = 900;
const slotOf = (key: string): number => keySlot(Buffer.from(key), 0, key.length);
const all = Array.from({ length: KEYS }, (_, i) => `key:${i}`).sort();

let cluster: TestCluster;
/** The masters, in the order of their slots. */
let masters: RedisNode[];
const folder = new Folder();

beforeAll(async () => {
  cluster = await TestCluster.start();
  masters = (await cluster.masters()).slice(0, 3);
  await fill(all);
});

afterAll(async () => {
  await cluster.stop();
  folder.remove();
});

const ownerOf = (slot: number): RedisNode => masters[Math.floor((slot * 3) / SLOTS)];

async function fill(keys: readonly string[]): Promise<void> {
  await Promise.all(keys.map((key) => ownerOf(slotOf(key)).client.set(key, `value of ${key}`)));
}

const decoded = ({ out }: Result): string[] => lines(out).map(({ key }) => key).sort();

/** Reads the cluster with hooks on commands to some nodes. */
async function read(via: string, hooks: ReadonlyMap<RedisNode, Hook>, ...argv: string[]): Promise<Result> {
  const proxies = new Map<RedisNode, HookProxy>();
  try {
    for (const [node, hook] of hooks) proxies.set(node, await HookProxy.start(node.port, hook));
    const nat = [...proxies].flatMap(([node, { port }]) => ['--source-nat-map', `${node.name}=127.0.0.1:${port}`]);
    return await rdbkit(['decode', masters[0].url, '--via', via, ...nat, ...argv]);
  } finally {
    for (const proxy of proxies.values()) await proxy.stop();
  }
}

describe.each(['replication', 'scan'])('by %s', (via) => {
  test('every key comes once', async () => {
    const result = await read(via, new Map());
    expect(result).toMatchObject({ code: 0, err: expect.stringContaining('cluster of 3 masters') as string });
    expect(decoded(result)).toEqual(all);
  });
});
