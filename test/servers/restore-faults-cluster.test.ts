import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FaultProxy, randomFrom } from '../support/fault-proxy.js';
import { expectAll, faultSource, restore, SLOWLY, wrongIn } from '../support/fault-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

const fault = faultSource();

describe('a cluster', () => {
  let cluster: TestCluster;
  let joined: RedisNode | undefined;

  beforeAll(async () => {
    cluster = await TestCluster.start('--cluster-node-timeout', '4000'); // failovers by themselves
  });

  afterAll(() => cluster.stop());

  test.each(['replace', 'skip', 'error'])('a master is killed, and its replica takes over: --on-conflict %s', async (conflict) => {
    await cluster.flush();
    const masters = await cluster.masters();
    const [victim, other] = masters;
    const running = restore([fault.source, other.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await cluster.size()) > 5000);
    await victim.kill();
    const result = await running;
    await cluster.failedOver(victim);
    expectAll(result, fault.data);
    expect(result.summary.keysReplaced).toBe(0);
    expect(result.summary.unconfirmed).not.toContain(victim.name);
    expect(await wrongIn(await cluster.masters(), fault.data)).toEqual([]);
    await victim.restart();
    await cluster.settled();
  });

  test.each(['replace', 'skip', 'error'])('slots move meanwhile, with their keys, to a master that has few: --on-conflict %s', async (conflict) => {
    await cluster.flush();
    const before = await cluster.masters();
    joined ??= await cluster.join();
    const to = joined;
    const givers = before.filter((node) => node !== to);
    const over = new AbortController();
    const running = restore([fault.source, givers[0].url, '--on-conflict', conflict, ...SLOWLY]).finally(() => over.abort());
    await until('keys are there', async () => (await cluster.size()) > 2000);
    let moved = 0;
    const random = randomFrom(7);
    while (!over.signal.aborted) {
      const from = givers[Math.floor(random() * givers.length)];
      const slots = (await from.client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const own = slots.filter(([, , [, port]]) => port === from.port);
      const [first, last] = own[Math.floor(random() * own.length)];
      const slot = first + Math.floor(random() * (last - first + 1));
      await cluster.migrateSlot(slot, from, to, () => new Promise((resolve) => setTimeout(resolve, 3)));
      moved++;
    }
    expect(moved).toBeGreaterThan(20);
    expectAll(await running, fault.data);
    await cluster.settled();
    expect(await wrongIn(await cluster.masters(), fault.data, 1000)).toEqual([]);
  });

  test('connections are dropped at random', async () => {
    await cluster.flush();
    const masters = await cluster.masters();
    const random = randomFrom(11);
    const proxies = await Promise.all(masters.map(({ port }) => FaultProxy.start(port, { random, dropWithin: 6 << 20, drops: 6 })));
    const map = masters.flatMap(({ name }, i) => ['--nat-map', `${name}=127.0.0.1:${proxies[i].port}`]);
    try {
      const result = await restore([fault.source, `redis://127.0.0.1:${proxies[0].port}`, ...map]);
      expectAll(result, fault.data);
      expect(proxies.reduce((sum, { dropped }) => sum + dropped, 0)).toBeGreaterThan(5);
      expect(await wrongIn(masters, fault.data)).toEqual([]);
    } finally {
      for (const proxy of proxies) proxy.stop();
    }
  });
});
