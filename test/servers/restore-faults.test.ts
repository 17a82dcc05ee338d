import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FaultProxy, randomFrom } from '../support/fault-proxy.js';
import { expectAll, faultSource, restore, SLOWLY, wrongIn } from '../support/fault-support.js';
import { RedisNode } from '../support/redis-node.js';
import { until } from '../support/until.js';

const fault = faultSource();

describe('connections to a single server', () => {
  let server: RedisNode;

  beforeAll(async () => {
    server = await RedisNode.start();
  });

  afterEach(async () => {
    await server.client.flushall();
  });

  afterAll(() => server.stop());

  const size = (): Promise<number> => server.client.dbsize();

  test.each(['replace', 'skip', 'error'])('connections are dropped at random: --on-conflict %s', async (conflict) => {
    const proxy = await FaultProxy.start(server.port, { random: randomFrom(3), dropWithin: 6 << 20, drops: 8 });
    try {
      const result = await restore([fault.source, `redis://127.0.0.1:${proxy.port}`, '--on-conflict', conflict]);
      expectAll(result, fault.data);
      expect(result.summary.keysReplaced).toBe(0);
      expect(proxy.dropped).toBeGreaterThan(2);
      expect(await wrongIn([server], fault.data)).toEqual([]);
    } finally {
      proxy.stop();
    }
  });

  test('a server that is not reached for a while', async () => {
    const proxy = await FaultProxy.start(server.port, { random: Math.random, drops: 0 });
    try {
      const running = restore([fault.source, `redis://127.0.0.1:${proxy.port}`, ...SLOWLY]);
      await until('keys are there', async () => (await size()) > 5000);
      proxy.refusing = true;
      proxy.dropAll();
      await until('it has been tried again', () => proxy.refused > 2);
      proxy.refusing = false;
      expectAll(await running, fault.data);
      expect(await wrongIn([server], fault.data)).toEqual([]);
    } finally {
      proxy.stop();
    }
  });

  test('a server that is not reached any more', async () => {
    const proxy = await FaultProxy.start(server.port, { random: Math.random, drops: 0 });
    const running = restore([fault.source, `redis://127.0.0.1:${proxy.port}`, ...SLOWLY, '--retry-for', '500ms']);
    await until('keys are there', async () => (await size()) > 5000);
    proxy.stop();
    const { code, summary } = await running;
    expect(code).toBe(4);
    expect(summary.errors).toMatchObject([{ code: 'LOST', message: expect.stringMatching(/given up after [01] s; the last error was: .*ECONNREFUSED/) as string }]);
  });
});
