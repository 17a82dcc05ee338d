import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseServerUrl } from '../../src/redis/url.js';
import { Servers } from '../../src/redis/servers.js';
import { HOLD, releaseExpiries } from '../../src/sync/settle.js';
import { RedisNode } from '../support/redis-node.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RespProxy } from '../support/resp-proxy.js';

const AT = 4_000_000_000_000;

async function released(url: string, signal?: AbortSignal): Promise<number | undefined> {
  const servers = await Servers.open({ url: parseServerUrl(url) });
  try {
    return await releaseExpiries(servers, { databases: 16, signal });
  } finally {
    servers.close();
  }
}

describe('held expiries of a server', () => {
  let node: RedisNode;

  beforeAll(async () => {
    node = await RedisNode.start();
  });

  afterAll(() => node.stop());

  /** Three in four of these keys are held, in two databases. */
  async function fill(count: number): Promise<void> {
    await node.client.flushall();
    for (const db of [0, 3]) {
      const pipeline = node.client.pipeline().select(db);
      for (let i = 0; i < count; i++) pipeline.call('SET', `key:${i}`, 'v', 'PXAT', `${AT + i + (i % 4 === 0 ? 0 : HOLD)}`);
      await pipeline.set('lasts', 'v').select(0).exec();
    }
  }

  async function expiriesIn(db: number, count: number): Promise<number[]> {
    const pipeline = node.client.pipeline().select(db);
    for (let i = 0; i < count; i++) pipeline.call('PEXPIRETIME', `key:${i}`);
    const replies = (await pipeline.call('PEXPIRETIME', 'lasts').select(0).exec()) ?? [];
    return replies.slice(1, -1).map(([, at]) => Number(at));
  }

  const real = (count: number): number[] => [...Array.from({ length: count }, (_, i) => AT + i), -1];

  test('become what they are, in all databases; again, nothing changes', async () => {
    await fill(2500);
    expect(await released(node.url)).toBe(2 * 1875);
    expect(await released(node.url)).toBe(0);
    for (const db of [0, 3]) expect(await expiriesIn(db, 2500)).toEqual(real(2500));
  });

  test('where scripts, or INFO, are refused', async () => {
    await fill(1200);
    await node.client.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '&*', '+@all', '-eval', '-info');
    const url = node.url.replace('//', '//plain:secret@');
    const servers = await Servers.open({ url: parseServerUrl(url) }, { cluster: false, versionKnown: true });
    expect(await releaseExpiries(servers, { databases: 16 })).toBe(2 * 900);
    servers.close();
    for (const db of [0, 3]) expect(await expiriesIn(db, 1200)).toEqual(real(1200));
  });

  test.each([true, false])('on a server that only tells what is left of them (scripts: %s)', async (scripts) => {
    await fill(1200);
    const old = await RespProxy.start(node.port, { unknown: ['PEXPIRETIME'], refused: scripts ? [] : ['EVAL'] });
    expect(await released(old.url)).toBe(2 * 900);
    expect(await released(old.url)).toBe(0);
    await old.stop();
    for (const db of [0, 3]) {
      const off = (await expiriesIn(db, 1200)).map((at, i) => at - real(1200)[i]);
      expect(Math.min(...off)).toBeGreaterThanOrEqual(-1);
      expect(Math.max(...off)).toBeLessThan(10_000);
    }
  });

  test('an end amid it, and another run', async () => {
    await fill(20_000);
    const over = new AbortController();
    const first = released(node.url, over.signal);
    for (let one = HOLD; one > HOLD / 2;) one = Number(await node.client.call('PEXPIRETIME', 'key:1'));
    over.abort(new Error('over'));
    const error: unknown = await first.catch((reason: unknown) => reason);
    await released(node.url);
    expect(String(error)).toContain('over');
    for (const db of [0, 3]) expect(await expiriesIn(db, 20_000)).toEqual(real(20_000));
  });

  test('one that is beyond what can be told apart is left alone; one that has passed is due', async () => {
    await node.client.flushall();
    await node.client.call('SET', 'late', 'v', 'PXAT', `${3 * HOLD}`);
    await node.client.call('SET', 'passed', 'v', 'PXAT', `${HOLD + 1000}`);
    expect(await released(node.url)).toBe(1);
    expect([await node.client.call('PEXPIRETIME', 'late'), await node.client.exists('passed')]).toEqual([3 * HOLD, 0]);
  });

  test('of fields', async (context) => {
    await node.client.flushall();
    const known = await node.client.call('COMMAND', 'INFO', 'HPEXPIRETIME');
    if (!Array.isArray(known) || known[0] === null) return context.skip(); // before Redis 7.4 and Valkey 9
    for (const [key, count] of [
      ['small', 5],
      ['large', 3000],
    ] as const) {
      const pipeline = node.client.pipeline();
      for (let i = 0; i < count; i++) {
        pipeline.hset(key, `f${i}`, 'v');
        if (i % 3 > 0) pipeline.call('HPEXPIREAT', key, `${AT + i + (i % 3 === 1 ? HOLD : 0)}`, 'FIELDS', '1', `f${i}`);
      }
      await pipeline.hset(`plain:${key}`, 'f', 'v').exec();
    }
    expect(await released(node.url)).toBe(2 + 1000);
    expect(await released(node.url)).toBe(0);
    for (const [key, count] of [
      ['small', 5],
      ['large', 3000],
    ] as const) {
      const fields = Array.from({ length: count }, (_, i) => `f${i}`);
      const times = await node.client.call('HPEXPIRETIME', key, 'FIELDS', `${count}`, ...fields);
      expect(times).toEqual(fields.map((_, i) => (i % 3 > 0 ? AT + i : -1)));
    }
  });
});

test('held expiries of a cluster', async () => {
  const cluster = await TestCluster.start();
  const masters = await cluster.masters();
  const client = new Cluster([{ host: '127.0.0.1', port: masters[0].port }]);
  const keys = Array.from({ length: 300 }, (_, i) => `key:${i}`);
  await Promise.all(keys.map((key, i) => client.set(key, 'v', 'PXAT', AT + i + HOLD)));
  expect(await released(masters[0].url)).toBe(300);
  expect(await Promise.all(keys.map((key) => client.pexpiretime(key)))).toEqual(keys.map((_, i) => AT + i));
  client.disconnect();
  await cluster.stop();
});
