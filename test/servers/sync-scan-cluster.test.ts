import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/library/helpers.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { ClusterWriter } from '../support/cluster-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { IS_OLD } from '../support/redis-server.js';
import { tagsOf } from '../support/slot-tags.js';
import { roundsOf, SEED } from '../support/sync-rounds.js';
import { SyncRun } from '../support/sync-run.js';
import { failOver, unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

/** A sync by scan that is ended by `converged`. */
const byScan = (source: string, target: string): SyncRun =>
  new SyncRun(source, target, {
    source: { access: { url: parseServerUrl(source) }, via: 'scan' },
    ...{ spool: undefined, holdExpiries: false, roundEvery: 100, drainFor: 8000, untilCaughtUp: false },
  });

const follows = (run: SyncRun): Promise<void> =>
  run.until('it follows', () => run.status?.phase === 'changes');

describe('a cluster that is read by scan', { timeout: 600_000 }, () => {
  let source: TestCluster;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([TestCluster.start(), RedisNode.start()]);
  });
  beforeEach(() => Promise.all([source.flush(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  /** It says that it has caught up, and it has. */
  async function converges(run: SyncRun): Promise<void> {
    const summary = await run.stop();
    expect([summary.caughtUp, summary.told, run.problems], run.events.join('\n')).toMatchObject([true, { doubts: [] }, []]);
    expect(await unlike(await source.masters(), [target])).toEqual([]);
  }

  /** Moves a slot, until all masters know: else another move makes two masters own it, and one of them drops its keys. */
  async function move(tag: string, from: RedisNode, to: RedisNode, pause = 0): Promise<void> {
    await source.migrateSlot(keySlot(tag), from, to, () => delay(pause));
    const id = String(await to.client.call('CLUSTER', 'MYID'));
    const ownerAt = async ({ client }: RedisNode): Promise<boolean> => {
      const ranges = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
      return ranges.find(([first, last]) => first <= keySlot(tag) && last >= keySlot(tag))?.[2][2] === id;
    };
    await until('all know the owner', async () => (await Promise.all((await source.masters()).map(ownerAt))).every(Boolean));
  }

  test('slots that move', async () => {
    const [a, b, c] = await source.masters();
    const tags = (await Promise.all([a, b, c].map(({ client }) => tagsOf(client, 2)))).flat();
    const writer = new ClusterWriter([a, b, c], { tags, seed: SEED }).start();
    const run = byScan(a.url, target.url);
    await move(tags[0], a, b, 5);
    await follows(run);
    for (let round = 0; round < roundsOf(1); round++) {
      await move(tags[2], b, c);
      await move(tags[0], b, c);
      await move(tags[0], c, b);
      await move(tags[2], c, b);
    }
    await move(tags[0], b, a);
    await writer.stop();
    expect(writer.written).toBeGreaterThan(500);
    await converges(run);
  });

  const library = (result: number): string => `#!lua name=lib\nredis.register_function('one', function() return ${result} end)`;

  test.skipIf(IS_OLD)('functions of any master, and masters that do not have the same', async () => {
    const [a, b, c] = await source.masters();
    const run = byScan(a.url, target.url);
    await follows(run);
    await c.client.call('FUNCTION', 'LOAD', library(3));
    await until('it has the function', async () => (await target.client.call('FCALL', 'one', 0).catch(() => 0)) === 3);
    await c.client.call('FUNCTION', 'DELETE', 'lib');
    await until('it has it no more', async () => ((await target.client.call('FUNCTION', 'LIST')) as unknown[]).length === 0);
    await a.client.call('FUNCTION', 'LOAD', library(1));
    await b.client.call('FUNCTION', 'LOAD', library(2));
    await until('it has that of the first one', async () => (await target.client.call('FCALL', 'one', 0).catch(() => 0)) === 1);
    const { caughtUp, told } = await run.stop();
    const doubts = [`function library lib at ${b.name} is not the one at ${a.name}`];
    expect([caughtUp, told?.doubts]).toEqual([false, doubts]);
    await b.client.call('FUNCTION', 'LOAD', 'REPLACE', library(1));
    const next = byScan(a.url, target.url);
    await follows(next);
    await converges(next);
    for (const { client } of [a, b, target]) await client.call('FUNCTION', 'FLUSH');
  });

  test('masters that fail over', async () => {
    const [a, b, c] = await source.masters();
    const tags = (await Promise.all([a, b, c].map(({ client }) => tagsOf(client, 2)))).flat();
    const run = byScan(a.url, target.url);
    await follows(run);
    for (let round = 0; round < roundsOf(1); round++) {
      const writer = new ClusterWriter(await source.masters(), { tags, seed: SEED + round }).start();
      await delay(300);
      const [victim] = await source.masters();
      await failOver(source, victim);
      await delay(300);
      await writer.stop();
      await run.until('all keys were read again', () => (run.status?.told?.scans ?? 0) > round);
    }
    await converges(run);
  });
});
