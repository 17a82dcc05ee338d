import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/library/helpers.js';
import { ClusterWriter } from '../support/cluster-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { tagsOf } from '../support/slot-tags.js';
import { catchUp, SyncRun } from '../support/sync-run.js';
import { until } from '../support/until.js';

const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

describe('masters that come to the source, and leave it', () => {
  let source: TestCluster;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([TestCluster.start('--repl-backlog-size', '64mb'), RedisNode.start()]);
  });
  beforeEach(() => Promise.all([source.flush(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  test('a master that joins, while it runs and while it does not; FLUSHALL on one', async () => {
    const [a, b, c] = await source.masters();
    const tags = (await Promise.all([a, b, c].map(({ client }) => tagsOf(client, 3)))).flat();
    const run = new SyncRun(a.url, target.url, { untilCaughtUp: false });
    const writer = new ClusterWriter([a, b, c], { tags, seed: SEED }).start();
    await run.follows();
    const d = await source.join();
    await source.migrateSlot(keySlot(tags[0]), a, d);
    await source.migrateSlot(keySlot(tags[3]), b, d);
    await until('it has a lane', () => run.status?.lanes.length === 4);
    await c.client.flushall();
    await delay(300);
    await d.client.flushall();
    await delay(300);
    await run.abort();
    await source.migrateSlot(keySlot(tags[0]), d, c);
    const e = await source.join();
    await source.migrateSlot(keySlot(tags[6]), c, e);
    await source.migrateSlot(keySlot(tags[4]), b, e);
    await delay(100);
    await b.client.flushall();
    await writer.stop();
    expect(writer.written).toBeGreaterThan(500);
    await catchUp(b.url, () => source.masters(), target);
  });

  test('a master that gives all its slots away, while it runs and while it does not', async () => {
    const [a, b] = await source.masters();
    const [d, e] = [await source.join(), await source.join()];
    const tags = (await Promise.all([a, b].map(({ client }) => tagsOf(client, 2)))).flat();
    await source.migrateSlot(keySlot(tags[0]), a, d);
    await source.migrateSlot(keySlot(tags[1]), a, e);
    const run = new SyncRun(a.url, target.url, { untilCaughtUp: false });
    const writer = new ClusterWriter([a, b], { tags, seed: SEED }).start();
    await run.follows();
    expect(run.status?.lanes).toHaveLength((await source.masters()).length);
    await giveLast(tags[0], d, b);
    await until('a lane has ended', () => run.events.some((text) => text.includes('it has no slots any more')));
    await run.abort();
    await giveLast(tags[1], e, b);
    await writer.stop();
    await catchUp(b.url, () => source.masters(), target);
  });

  /** It is a replica then, which is told no more of slots. */
  async function giveLast(tag: string, from: RedisNode, to: RedisNode): Promise<void> {
    await source.migrateSlot(keySlot(tag), from, to).catch((error: unknown) => expect(String(error)).toContain('only with masters'));
    await until('it is a replica', async () => ((await from.client.call('ROLE')) as string[])[0] === 'slave');
  }
});
