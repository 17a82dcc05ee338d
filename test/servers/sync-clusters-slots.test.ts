import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/library/helpers.js';
import { ClusterWriter } from '../support/cluster-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { tagsOf } from '../support/slot-tags.js';
import { catchUp, SyncRun } from '../support/sync-run.js';
import { until } from '../support/until.js';

const ROUNDS = Number(process.env.RDBKIT_TEST_ROUNDS ?? 1);
const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

describe('slots that move between the masters of the source', () => {
  let source: TestCluster;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([TestCluster.start('--repl-backlog-size', '64mb'), RedisNode.start()]);
  });
  beforeEach(() => Promise.all([source.flush(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  test('there and back while keys are written', async () => {
    const [a, b, c] = await source.masters();
    const tags = (await Promise.all([a, b, c].map(({ client }) => tagsOf(client, 2)))).flat();
    const writer = new ClusterWriter([a, b, c], { tags, seed: SEED }).start();
    const run = new SyncRun(a.url, target.url, { untilCaughtUp: false });
    await run.follows();
    for (let round = 0; round < ROUNDS; round++) {
      await source.migrateSlot(keySlot(tags[0]), a, b);
      await source.migrateSlot(keySlot(tags[2]), b, c);
      await source.migrateSlot(keySlot(tags[0]), b, c);
      await source.migrateSlot(keySlot(tags[0]), c, a);
      await source.migrateSlot(keySlot(tags[2]), c, b);
    }
    await writer.stop();
    expect(writer.written).toBeGreaterThan(500);
    await until('the slots are at rest', () => run.events.some((text) => text.startsWith('the source has moved')));
    await run.stop();
    await catchUp(b.url, () => source.masters(), target);
  });

  test('with kills in between', async () => {
    const [a, b, c] = await source.masters();
    const tags = (await Promise.all([a, b, c].map(({ client }) => tagsOf(client, 2)))).flat();
    const writer = new ClusterWriter([a, b, c], { tags, seed: SEED }).start();
    const hops: [slot: number, from: RedisNode, to: RedisNode][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      hops.push([keySlot(tags[0]), a, b], [keySlot(tags[2]), b, c], [keySlot(tags[0]), b, c], [keySlot(tags[4]), c, a]);
      hops.push([keySlot(tags[0]), c, a], [keySlot(tags[2]), c, b], [keySlot(tags[4]), a, c]);
    }
    const moving = (async () => {
      for (const hop of hops) await source.migrateSlot(...hop, () => delay(5));
    })();
    const over = new AbortController();
    void moving.finally(() => over.abort());
    for (let kill = 0; !over.signal.aborted || kill < 3; kill++) {
      const run = new SyncRun(a.url, target.url, { untilCaughtUp: false });
      await Promise.race([run.follows(), run.done]);
      await delay(30 + ((kill * 137) % 300));
      expect(String(await run.abort())).toContain('aborted by the test');
    }
    await moving;
    await writer.stop();
    await catchUp(c.url, () => source.masters(), target);
  });

  test('slots that move during the full copy', async () => {
    const [a, b] = await source.masters();
    const tags = (await Promise.all([a, b].map(({ client }) => tagsOf(client, 3)))).flat();
    const writer = new ClusterWriter([a, b], { tags, seed: SEED }).start();
    await delay(300);
    const run = new SyncRun(a.url, target.url, { untilCaughtUp: false });
    for (const [tag, from, to] of [
      [0, a, b],
      [3, b, a],
      [1, a, b],
    ] as const)
      await source.migrateSlot(keySlot(tags[tag]), from, to, () => delay(20));
    await run.follows();
    await writer.stop();
    await run.stop();
    await catchUp(a.url, () => source.masters(), target);
  });
});
