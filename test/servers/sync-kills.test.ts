import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { untilAlike, untilSameDigest } from '../support/sync-support.js';

/** RDBKIT_TEST_ROUNDS may ask for more. */
const ROUNDS = Number(process.env.RDBKIT_TEST_ROUNDS ?? 6);
const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);

/** Runs that are ended at moments that nobody expects, each of which goes on where the one before was; the last one catches up. */
async function withKills(source: RedisNode, url: string, rounds: number, between: (round: number) => Promise<void>): Promise<SyncRun> {
  for (let round = 0; round < rounds; round++) {
    const run = new SyncRun(source.url, url, { untilCaughtUp: false });
    await run.follows();
    await between(round);
    const error = await run.abort();
    expect(String(error)).toContain('aborted by the test');
  }
  const last = new SyncRun(source.url, url);
  const summary = await last.done;
  expect([summary.caughtUp, summary.restored, last.problems]).toEqual([true, undefined, []]);
  return last;
}

const stopping = (over: AbortController, writing: Promise<unknown>) => async (): Promise<void> => {
  over.abort();
  await writing;
};

describe('runs that are ended at any moment', { timeout: 300_000 }, () => {
  let source: RedisNode;

  beforeAll(async () => {
    source = await RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '1gb');
  });

  afterAll(() => source.stop());

  test('a server into a server: the target is the source', async () => {
    const target = await RedisNode.start();
    const commands = await commandsOf(source.client);
    const over = new AbortController();
    const writing = writeRandomly({ port: source.port, commands, seed: SEED, perSecond: 20_000, rareEvery: 5000, signal: over.signal });
    const stop = stopping(over, writing);
    await withKills(source, target.url, ROUNDS, async (round) => {
      await delay(50 + ((round * 137) % 400));
      if (round === ROUNDS - 1) await stop();
    }).finally(stop);
    await target.client.del('rdbkit:sync:test', 'rdbkit:sync:test:fences');
    const databases = Array.from({ length: 16 }, (_, db) => db);
    await untilAlike([source], [target], { databases }); // keys that have expired are gone on both then
    await untilSameDigest(source, target);
    await target.stop();
  });

  test('a server into a cluster: the target is the source', async () => {
    const target = await TestCluster.start();
    await source.client.flushall();
    const [{ url }] = await target.masters();
    const commands = await commandsOf(source.client);
    const over = new AbortController();
    const without = ['swapdb', 'move'];
    const writing = writeRandomly({
      port: source.port,
      commands,
      databases: [0],
      without,
      seed: SEED,
      perSecond: 4000,
      rareEvery: 20000,
      signal: over.signal,
    });
    const stop = stopping(over, writing);
    await withKills(source, url, ROUNDS, async (round) => {
      await delay(50 + ((round * 137) % 400));
      if (round === ROUNDS - 1) await stop();
    }).finally(stop);
    await untilAlike([source], await target.masters());
    await target.stop();
  });
});
