import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { ClusterWriter } from '../support/cluster-writer.js';
import { differences } from '../support/fault-data.js';
import { writeRandomly } from '../support/random-writer.js';
import { commandsOf } from '../support/random-writes.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { expectMapped, severalNodes, SeveralRun } from '../support/several-run.js';
import { everythingOf } from '../support/sync-support.js';
import { until } from '../support/until.js';

let a: RedisNode;
let b: RedisNode;
let target: RedisNode;
let spool: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ a, b, spool, stop, target } = await severalNodes());
});
afterAll(() => stop());
beforeEach(async () => {
  await Promise.all([a, b].map(({ client }) => client.call('CLIENT', 'UNPAUSE')));
  await Promise.all([a, b, target].map(({ client }) => client.flushall()));
  rmSync(spool, { recursive: true, force: true });
});

/** What concerns more than the keys of one source. */
const WITHOUT = ['swapdb', 'function|load', 'function|flush', 'function|delete', 'function|restore'];
const BOTH = { databases: [0, 1] };
const SAME = new Map([[0, 0]]);
const MAP = new Map([[0, 4]]);
const byScan = (url: string): Partial<SyncOptions> => ({ source: { access: { url: parseServerUrl(url) }, via: 'scan' }, roundEvery: 100 });

/** A client that writes until it is told to stop. */
function writing({ client }: RedisNode): () => Promise<void> {
  const over = new AbortController();
  const work = (async () => {
    const own = client.duplicate({ commandTimeout: undefined });
    for (let i = 0; !over.signal.aborted; i++) {
      await own.pipeline().incr('count').rpush('list', i).set(`session:${i % 50}`, i, 'PX', 60_000).del(`session:${(i * 7) % 50}`).exec();
      await delay(2);
    }
    own.disconnect();
  })();
  return () => {
    over.abort();
    return work;
  };
}

describe('a cutover of two sources', () => {
  const cutover = (more: Partial<SyncOptions> = {}): SeveralRun =>
    new SeveralRun([[a.url], [b.url, { dbMap: MAP }]], target.url, { spool, pauseSource: 30_000, verify: 'values', ...more });

  test('both are paused, and the target is what both are', async () => {
    const stops = [writing(a), writing(b)];
    const run = cutover();
    const { sources } = await run.done;
    expect(sources.map(({ summary }) => [summary?.caughtUp, summary?.cutover?.kind])).toEqual([
      [true, 'done'],
      [true, 'done'],
    ]);
    await expectMapped([a], [target], SAME);
    await expectMapped([b], [target], MAP);
    expect(await target.client.get('count')).toBe(await a.client.get('count'));
    await Promise.all([a, b].map(({ client }) => client.call('CLIENT', 'UNPAUSE')));
    await Promise.all(stops.map((stop) => stop()));
  });

  test('where one differs, both take writes again, and both end', async () => {
    await a.client.set('a', '1');
    await b.client.mset('b', '1', 'c', '1');
    await new SeveralRun([[a.url], [b.url, { dbMap: MAP }]], target.url, { spool }).done;
    await target.client.select(4);
    await target.client.set('b', 'spoiled');
    await target.client.select(0);
    const { sources } = await cutover().done;
    expect(sources.map(({ summary }) => summary?.cutover?.kind)).toEqual(['withdrawn', 'different']);
    await Promise.all([a, b].map(({ client }) => client.set('free', '1')));
  });

  test('where one is late, both take writes again, and go on', async () => {
    const stops = [writing(a), writing(b)];
    const run = cutover({ pauseSource: 1500 });
    const held = setInterval(() => run.statuses.get(b.url)?.phase === 'paused' && target.signal('SIGSTOP'), 5);
    await until('it is given up', () => run.notes.filter((note) => note.includes('the cutover is given up')).length === 2);
    clearInterval(held);
    target.signal('SIGCONT');
    await Promise.all(stops.map((stop) => stop()));
    await until('both go on', async () => (await target.client.get('count')) === (await a.client.get('count')));
    await run.stop();
    await target.client.select(4);
    expect(await target.client.lrange('list', 0, -1)).toEqual(await b.client.lrange('list', 0, -1));
    await target.client.select(0);
  });
});

describe('sources of several kinds', () => {
  test('one is followed by replication, the other one by scan', async () => {
    const commands = await commandsOf(a.client);
    const write = (seed: number): Promise<unknown> =>
      Promise.all([
        writeRandomly({ commands, databases: [0], without: WITHOUT, port: a.port, seed, count: 1500 }),
        b.client.mset(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k:${(i * seed) % 301}`, `${seed}`]))),
      ]);
    await write(1);
    const run = new SeveralRun([[a.url], [b.url, { ...byScan(b.url), dbMap: MAP }]], target.url, { spool, untilCaughtUp: false });
    await until('both follow', () => [a, b].every(({ url }) => run.statuses.get(url)?.phase === 'changes'));
    await write(2);
    await a.client.flushall();
    await b.client.flushdb();
    await write(3);
    await run.abort();
    await write(4);
    const last = new SeveralRun([[a.url], [b.url, { ...byScan(b.url), dbMap: MAP }]], target.url, { spool });
    const { sources } = await last.done;
    expect(sources.map(({ summary }) => [summary?.caughtUp, summary?.told === undefined])).toEqual([
      [true, true],
      [true, false],
    ]);
    await expectMapped([a], [target], SAME);
    await expectMapped([b], [target], MAP);
  });

  test('a cutover of both', async () => {
    const stops = [writing(a), writing(b)];
    const given = { spool, pauseSource: 30_000, verify: 'values' as const };
    const { sources } = await new SeveralRun([[a.url], [b.url, { ...byScan(b.url), dbMap: MAP }]], target.url, given).done;
    expect(sources.map(({ summary }) => summary?.cutover?.kind)).toEqual(['done', 'done']);
    await expectMapped([b], [target], MAP);
    await Promise.all([a, b].map(({ client }) => client.call('CLIENT', 'UNPAUSE')));
    await Promise.all(stops.map((stop) => stop()));
  });

  test('keys of one database, with other names: flushes and a killed run', async () => {
    const commands = await commandsOf(a.client);
    const own = { commands, databases: BOTH.databases, rareEvery: 300, without: WITHOUT };
    const write = (seed: number): Promise<unknown> =>
      Promise.all([a, b].map(({ port }, i) => writeRandomly({ ...own, prefix: i === 0 ? 'a:' : 'b:', port, count: 1500, seed: seed + i })));
    const run = (more: Partial<SyncOptions> = {}): SeveralRun => new SeveralRun([[a.url], [b.url]], target.url, { spool, ...more });
    for (const seed of [10, 20]) {
      await write(seed);
      const killed = run({ untilCaughtUp: false });
      await killed.follows();
      await write(seed + 2);
      await killed.abort();
      await write(seed + 4);
    }
    await run().done;
    const last = run();
    await last.done;
    const wanted = new Map([...(await everythingOf([a], BOTH)), ...(await everythingOf([b], BOTH))]);
    expect(differences(await everythingOf([target], BOTH), wanted)).toEqual([]);
  });

  test('a cluster and a server', async () => {
    const cluster = await TestCluster.start();
    try {
      await cluster.settled();
      const writer = new ClusterWriter(await cluster.masters(), { tags: ['b', 'c', 'a'] }).start();
      await a.client.set('a', '1');
      const given = [[`redis://${(await cluster.masters())[0].name}`], [a.url, { dbMap: MAP }]] as const;
      const run = new SeveralRun(given, target.url, { spool, untilCaughtUp: false });
      await run.follows();
      await a.client.mset('a', '2', 'c', '3');
      await run.abort();
      await writer.stop();
      const { sources } = await new SeveralRun(given, target.url, { spool }).done;
      expect(sources.map(({ summary }) => [summary?.caughtUp, summary?.lanes.length, summary?.restored])).toEqual([
        [true, 3, undefined],
        [true, 1, undefined],
      ]);
      await expectMapped(await cluster.masters(), [target], SAME);
      await expectMapped([a], [target], MAP);
    } finally {
      await cluster.stop();
    }
  });
});
