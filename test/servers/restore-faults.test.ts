import { readFileSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit, type Result } from '../support/cli-support.js';
import { contentOf, differences, type FaultData, faultData } from '../support/fault-data.js';
import { FaultProxy, randomFrom } from '../support/fault-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode, until } from '../support/redis-node.js';
import { strings } from '../support/restore-support.js';

const folder = new Folder();
let data: FaultData;
let source: string;

beforeAll(async () => {
  data = await faultData(20_000);
  source = folder.file('source.rdb', data.rdb);
}, 60_000);

afterAll(() => folder.remove());

/** What `--json` says at the end. */
interface Summary {
  keysRestored: number;
  keysReplaced: number;
  keysSkipped: number;
  keysRejected: number;
  resumed: boolean;
  counts: { db: number; server?: string; restored: number; replaced: number }[];
  unconfirmed: string[];
  errors?: { code: string; message: string; hint: string }[];
}

interface Restored extends Result {
  summary: Summary;
}

/** Values over 2 MiB go by way of a temporary key. */
const MAX_PAYLOAD = ['--max-payload', '2mb'];
/** Time enough for something to happen meanwhile. */
const SLOWLY = ['--max-keys-per-second', '15000', '--max-in-flight', '64kb'];

async function restore(argv: readonly string[], stdin?: Readable): Promise<Restored> {
  const result = await rdbkit(['restore', ...argv, ...MAX_PAYLOAD, '--json'], stdin === undefined ? {} : { stdin });
  const summary = JSON.parse(result.err.trim().split('\n').at(-1) ?? '') as Summary;
  return { ...result, summary };
}

const wrongIn = async (nodes: readonly RedisNode[], late = 0): Promise<string[]> => differences(await contentOf(nodes.map(({ client }) => client)), data.content, late);

/** All keys are counted, each of them once. */
function expectAll({ code, err, summary }: Restored): void {
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  expect(summary).toMatchObject({ keysRejected: 0, keysSkipped: 0 });
  expect(summary.keysRestored + summary.keysReplaced).toBe(data.content.size);
}

describe('a cluster', { timeout: 60_000 }, () => {
  let cluster: TestCluster;
  let joined: RedisNode | undefined;

  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 60_000);

  afterAll(() => cluster.stop());

  test.each(['replace', 'skip', 'error'])('a master is killed, and its replica takes over: --on-conflict %s', async (conflict) => {
    await cluster.flush();
    const masters = await cluster.masters();
    const [victim, other] = masters;
    const running = restore([source, other.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await cluster.size()) > 5000);
    await victim.kill();
    const result = await running;
    await cluster.failedOver(victim);
    expectAll(result);
    expect(result.summary.keysReplaced).toBe(0);
    expect(result.summary.unconfirmed).not.toContain(victim.name);
    expect(await wrongIn(await cluster.masters())).toEqual([]);
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
    const running = restore([source, givers[0].url, '--on-conflict', conflict, ...SLOWLY]).finally(() => over.abort());
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
    expectAll(await running);
    await cluster.settled();
    expect(await wrongIn(await cluster.masters(), 1000)).toEqual([]);
  });

  test('connections are dropped at random', async () => {
    await cluster.flush();
    const masters = await cluster.masters();
    const random = randomFrom(11);
    const proxies = await Promise.all(masters.map(({ port }) => FaultProxy.start(port, { random, dropWithin: 6 << 20, drops: 6 })));
    const map = masters.flatMap(({ name }, i) => ['--nat-map', `${name}=127.0.0.1:${proxies[i].port}`]);
    try {
      const result = await restore([source, `redis://127.0.0.1:${proxies[0].port}`, ...map]);
      expectAll(result);
      expect(proxies.reduce((sum, { dropped }) => sum + dropped, 0)).toBeGreaterThan(5);
      expect(await wrongIn(masters)).toEqual([]);
    } finally {
      for (const proxy of proxies) proxy.stop();
    }
  });
});

describe('a single server', { timeout: 60_000 }, () => {
  let server: RedisNode;

  beforeAll(async () => {
    server = await RedisNode.start();
  }, 60_000);

  afterEach(async () => {
    await server.client.flushall();
    await server.client.config('SET', 'maxmemory', '0');
  });

  afterAll(() => server.stop());

  const size = (): Promise<number> => server.client.dbsize();

  test.each(['replace', 'skip', 'error'])('connections are dropped at random: --on-conflict %s', async (conflict) => {
    const proxy = await FaultProxy.start(server.port, { random: randomFrom(3), dropWithin: 6 << 20, drops: 8 });
    try {
      const result = await restore([source, `redis://127.0.0.1:${proxy.port}`, '--on-conflict', conflict]);
      expectAll(result);
      expect(result.summary.keysReplaced).toBe(0);
      expect(proxy.dropped).toBeGreaterThan(2);
      expect(await wrongIn([server])).toEqual([]);
    } finally {
      proxy.stop();
    }
  });

  test('a server that is not reached for a while', async () => {
    const proxy = await FaultProxy.start(server.port, { random: Math.random, drops: 0 });
    try {
      const running = restore([source, `redis://127.0.0.1:${proxy.port}`, ...SLOWLY]);
      await until('keys are there', async () => (await size()) > 5000);
      proxy.refusing = true;
      proxy.dropAll();
      await until('it has been tried again', () => proxy.refused > 2);
      proxy.refusing = false;
      expectAll(await running);
      expect(await wrongIn([server])).toEqual([]);
    } finally {
      proxy.stop();
    }
  });

  test('a server that is not reached any more', async () => {
    const proxy = await FaultProxy.start(server.port, { random: Math.random, drops: 0 });
    const running = restore([source, `redis://127.0.0.1:${proxy.port}`, ...SLOWLY, '--retry-for', '500ms']);
    await until('keys are there', async () => (await size()) > 5000);
    proxy.stop();
    const { code, summary } = await running;
    expect(code).toBe(4);
    expect(summary.errors).toMatchObject([{ code: 'LOST', message: expect.stringMatching(/given up after [01] s; the last error was: .*ECONNREFUSED/) as string }]);
  });

  test.each(['replace', 'skip', 'error'])('the server saves, and is started again: --on-conflict %s', async (conflict) => {
    const running = restore([source, server.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await size()) > 5000);
    await server.shutdown();
    await server.restart('--key-load-delay', '20');
    expectAll(await running);
    await until('it has loaded', async () => (await server.client.info('persistence')).includes('\nloading:0'));
    expect(await wrongIn([server])).toEqual([]);
  });

  test.each(['replace', 'skip', 'error'])('the server loses all that it had: --on-conflict %s', async (conflict) => {
    const running = restore([source, server.url, '--on-conflict', conflict, ...SLOWLY]);
    await until('keys are there', async () => (await size()) > 5000);
    await server.kill();
    await server.restart();
    expectAll(await running);
    expect(await wrongIn([server])).toEqual([]);
  });

  test('the server loses all that it had, and the source is standard input', async () => {
    const running = restore(['-', server.url, ...SLOWLY], Readable.from([data.rdb]));
    await until('keys are there', async () => (await size()) > 5000);
    await server.kill();
    await server.restart();
    const { code, summary } = await running;
    expect(code).toBe(4);
    expect(summary.errors).toMatchObject([{ code: 'RESTARTED', message: expect.stringContaining('standard input cannot be read again') as string }]);
    expectAll(await restore(['-', server.url, '--on-conflict', 'replace'], Readable.from([data.rdb])));
    expect(await wrongIn([server])).toEqual([]);
  });

  test('a target that was emptied meanwhile is not gone on with', async () => {
    const checkpoint = folder.at('emptied.json');
    const argv = [folder.file('few.rdb', strings({ few: '1' })), source, server.url, '--parallel', '1', '--checkpoint', checkpoint];
    const used = Number(/used_memory:(\d+)/.exec(await server.client.info('memory'))?.[1]);
    await server.client.config('SET', 'maxmemory', `${used + (3 << 20)}`);
    expect((await restore(argv)).code).toBe(4);
    await server.client.config('SET', 'maxmemory', '0');
    await server.client.flushall();
    const { code, summary } = await restore(argv);
    expect(code).toBe(2);
    expect(summary.errors).toMatchObject([{ code: 'CHECKPOINT', message: expect.stringMatching(/^the target is empty, and had \d+ of the keys: remove it to restore them again$/) as string }]);
    expect(await size()).toBe(0);
    rmSync(checkpoint);
    expect((await restore(argv)).code).toBe(0);
    expect(await size()).toBe(data.content.size + 1);
  });

  test('memory runs out, is given, and the restore goes on', async () => {
    const checkpoint = folder.at('oom.json');
    const used = Number(/used_memory:(\d+)/.exec(await server.client.info('memory'))?.[1]);
    await server.client.config('SET', 'maxmemory', `${used + (3 << 20)}`);
    const first = await restore([source, server.url, '--checkpoint', checkpoint]);
    expect(first.code).toBe(4);
    expect(first.summary.errors).toMatchObject([{ code: 'REFUSED', message: expect.stringContaining('OOM') as string, hint: expect.stringContaining('maxmemory') as string }]);
    const there = await size();
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(data.content.size);
    await server.client.config('SET', 'maxmemory', '0');
    const second = await restore([source, server.url, '--checkpoint', checkpoint]);
    expectAll(second);
    expect(second.summary.resumed).toBe(true);
    expect(await wrongIn([server])).toEqual([]);
    expect(readFileSync(checkpoint, 'utf8')).toContain('"finished": true');
  });
});
