import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { tagsOf } from '../support/slot-tags.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';

/** RDBKIT_TEST_ROUNDS may ask for more. */
const ROUNDS = Number(process.env.RDBKIT_TEST_ROUNDS ?? 2);
const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

/** Each node has its own functions, which a target can have one of each name of. */
const WITHOUT = ['function|load', 'function|delete', 'function|flush', 'function|restore', 'fcall'];

/** Writes to each master, with names of its own slots. */
async function writeToAll(
  masters: readonly RedisNode[],
  options: { seed: number; perSecond: number; count?: number; signal?: AbortSignal },
): Promise<void> {
  await Promise.all(
    masters.map(async ({ client, port }, i) => {
      const [commands, tags] = await Promise.all([commandsOf(client), tagsOf(client, 3)]);
      const seed = options.seed * 10 + i;
      const { errors } = await writeRandomly({ ...options, port, commands, tags, cluster: true, without: WITHOUT, rareEvery: 3000, seed });
      expect(errors.get('MOVED')).toBeUndefined();
    }),
  );
}

describe('all masters of a cluster', () => {
  let source: TestCluster;

  beforeAll(async () => {
    source = await TestCluster.start('--repl-backlog-size', '64mb');
  });
  beforeEach(() => source.flush());
  afterAll(() => source.stop());

  /** Runs that are ended at moments that nobody expects; the last one catches up. */
  async function withKills(url: string): Promise<void> {
    const masters = await source.masters();
    await writeToAll(masters, { seed: SEED + 1, perSecond: Infinity, count: 1000 });
    const over = new AbortController();
    const writing = writeToAll(masters, { seed: SEED, perSecond: 2000, signal: over.signal });
    for (let round = 0; round < ROUNDS; round++) {
      const run = new SyncRun(masters[round % 3].url, url, { untilCaughtUp: false });
      await Promise.race([run.follows(), run.done]);
      await delay(50 + ((round * 137) % 400));
      if (round === ROUNDS - 1) {
        over.abort();
        await writing;
      }
      expect(String(await run.abort())).toContain('aborted by the test');
    }
    const last = new SyncRun(masters[1].url, url);
    const summary = await last.done;
    expect([summary.caughtUp, summary.restored, last.problems]).toEqual([true, undefined, []]);
  }

  test('into a cluster, with kills: the target is the source', async () => {
    const target = await TestCluster.start();
    await withKills((await target.masters())[0].url);
    expect(await unlike(await source.masters(), await target.masters())).toEqual([]);
    await target.stop();
  });

  test('into a server, with kills: the target is the source', async () => {
    const target = await RedisNode.start();
    await withKills(target.url);
    expect(await unlike(await source.masters(), [target])).toEqual([]);
    await target.stop();
  });
});
