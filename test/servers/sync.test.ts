import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseServerUrl } from '../../src/redis/url.js';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { HookProxy } from '../support/hook-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike, untilSameDigest } from '../support/sync-support.js';

/** RDBKIT_TEST_WRITES may ask for more. */
const COUNT = Number(process.env.RDBKIT_TEST_WRITES ?? 60_000);

describe('a server into a server', () => {
  let source: RedisNode;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '64mb'),
      RedisNode.start(),
    ]);
  });

  afterAll(() => Promise.all([source.stop(), target.stop()]));

  test('random writes of all commands before and during it: the target is the source', async () => {
    const commands = await commandsOf(source.client);
    await writeRandomly({ port: source.port, commands, seed: 3, count: 5000 });
    const early = writeRandomly({ port: source.port, commands, seed: 17, count: 20_000, rareEvery: 2000, perSecond: 10_000 });
    const run = new SyncRun(source.url, target.url, { untilCaughtUp: false });
    await run.follows();
    await early;
    await writeRandomly({ port: source.port, commands, seed: 18, count: COUNT, rareEvery: 2000 });
    await run.stop();
    const summary = await new SyncRun(source.url, target.url).done;
    expect([summary.caughtUp, run.problems]).toEqual([true, []]);
    await target.client.del('rdbkit:sync:test', 'rdbkit:sync:test:fences');
    const databases = Array.from({ length: 16 }, (_, db) => db);
    expect(await unlike([source], [target], { databases })).toEqual([]);
    await untilSameDigest(source, target);
  });

  test.each(['replication', 'scan'] as const)(
    'a target that is lost while it is asked where it stands, by %s: it is asked again',
    async (via) => {
      await target.client.flushall();
      let times = 0;
      const proxy: HookProxy = await HookProxy.start(target.port, ([command, word]) => {
        if (command === 'CLIENT' && word === 'LIST' && times++ < 2) proxy.drop();
      });
      const byScan = { spool: undefined, holdExpiries: false, roundEvery: 100, settle: 100, drainFor: 5000 };
      const run = new SyncRun(source.url, `redis://127.0.0.1:${proxy.port}`, {
        source: { access: { url: parseServerUrl(source.url) }, via },
        ...(via === 'scan' && byScan),
      });
      expect([(await run.done).caughtUp, times > 2]).toEqual([true, true]);
      await proxy.stop();
    },
  );
});

describe('a server into a cluster', () => {
  let source: RedisNode;
  let target: TestCluster;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '64mb'),
      TestCluster.start(),
    ]);
  });

  afterAll(() => Promise.all([source.stop(), target.stop()]));

  test('random writes of all commands before and during it: the target is the source', async () => {
    const commands = await commandsOf(source.client);
    const writes = { port: source.port, commands, databases: [0], without: ['swapdb', 'move'] };
    await writeRandomly({ ...writes, seed: 3, count: 5000 });
    const early = writeRandomly({ ...writes, seed: 17, count: 20_000, rareEvery: 2000, perSecond: 10_000 });
    const [{ url }] = await target.masters();
    const run = new SyncRun(source.url, url, { untilCaughtUp: false });
    await run.follows();
    await early;
    await writeRandomly({ ...writes, seed: 18, count: COUNT, rareEvery: 20000 });
    await run.stop();
    const summary = await new SyncRun(source.url, url).done;
    expect([summary.caughtUp, run.problems]).toEqual([true, []]);
    expect(await unlike([source], await target.masters())).toEqual([]);
  });
});
