import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Counters } from '../support/counters.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { failOver, unlike } from '../support/sync-support.js';

const ROUNDS = Number(process.env.RDBKIT_TEST_ROUNDS ?? 1);

describe('masters of the source that are replaced', { timeout: 120_000 }, () => {
  let source: TestCluster;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([TestCluster.start('--repl-backlog-size', '64mb'), RedisNode.start()]);
  }, 60_000);
  beforeEach(() => Promise.all([source.flush(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  async function caughtUp(): Promise<void> {
    const last = new SyncRun((await source.masters())[2].url, target.url);
    const summary = await last.done;
    expect([summary.caughtUp, summary.restored, last.problems]).toEqual([true, undefined, []]);
    expect(await unlike(await source.masters(), [target])).toEqual([]);
  }

  test('while it runs, and while it does not', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const counters = new Counters(source.nodes, { keys: 40, perSecond: 2000 }).start();
      const [first] = await source.masters();
      const run = new SyncRun(first.url, target.url, { untilCaughtUp: false });
      await Promise.race([run.follows(), run.done]);
      await delay(300);
      await failOver(source, first);
      await delay(500);
      expect(String(await run.abort())).toContain('aborted by the test');
      const [, second] = await source.masters();
      await failOver(source, second);
      await delay(200);
      await counters.stop();
      await caughtUp();
    }
  });
});
