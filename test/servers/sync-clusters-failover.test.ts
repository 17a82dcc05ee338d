import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Counters } from '../support/counters.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { tagsOf } from '../support/slot-tags.js';
import { catchUp, SyncRun } from '../support/sync-run.js';
import { failOver } from '../support/sync-support.js';
import { until } from '../support/until.js';

const ROUNDS = Number(process.env.RDBKIT_TEST_ROUNDS ?? 1);

const replicasOf = async ({ client }: RedisNode): Promise<number[]> =>
  [...(await client.info('replication')).matchAll(/ip=127.0.0.1,port=(\d+),state=online/g)].map(([, port]) => Number(port));

describe('masters of the source that are replaced', () => {
  let source: TestCluster;
  let target: RedisNode;

  beforeAll(async () => {
    [source, target] = await Promise.all([TestCluster.start('--repl-backlog-size', '64mb'), RedisNode.start()]);
  });
  beforeEach(() => Promise.all([source.flush(), target.client.flushall()]));
  afterAll(() => Promise.all([source.stop(), target.stop()]));

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
      await catchUp((await source.masters())[2].url, () => source.masters(), target);
    }
  });

  test('by a replica that lacks the last writes, and has others', async () => {
    const [master] = await source.masters();
    const tags = await tagsOf(master.client, 3);
    const run = new SyncRun(master.url, target.url, { untilCaughtUp: false });
    await run.follows();
    const ports = await replicasOf(master);
    const heir = source.nodes.find(({ port }) => ports.includes(port));
    if (heir === undefined) throw new Error('the master has no replica');
    const write = async ({ client }: RedisNode, value: string): Promise<void> => {
      for (const tag of tags) {
        await client.rpush(`{${tag}}list`, value);
        await client.incr(`{${tag}}count`);
        await client.set(`{${tag}}${value}`, value);
      }
    };
    await write(master, 'both');
    await until('the replica has it', async () => (await heir.client.info('replication')).includes('master_link_status:up'));
    await master.client.wait(1, 1000);
    heir.signal('SIGSTOP');
    await master.client.call('CLIENT', 'KILL', 'TYPE', 'replica'); // nothing more comes to it
    await write(master, 'lost');
    await until('the target has it', async () => (await target.client.get(`{${tags[2]}}lost`)) === 'lost');
    await master.kill();
    heir.signal('SIGCONT');
    await source.failedOver(master);
    for (let i = 0; i < 20; i++) await write(heir, `other${i}`);
    await until('it has gone back', () => run.events.some((text) => text.includes('it has taken back its last writes')));
    await run.stop();
    await master.restart();
    await source.settled();
    expect(await heir.client.lrange(`{${tags[0]}}list`, 0, 1)).toEqual(['both', 'other0']);
    await catchUp((await source.masters())[2].url, () => source.masters(), target);
  });
});
