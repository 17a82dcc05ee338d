import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { endSourceLink, endTargetConnections, SyncRounds } from '../support/sync-rounds.js';
import { until } from '../support/until.js';
import { tagOf } from '../../src/sync/record.js';
import { failOver, restartWithHistory } from '../support/sync-support.js';

const PROMPT = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

const slotsOf = async ({ client, port }: RedisNode): Promise<number[]> => {
  const slots = (await client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  return slots.filter(([, , [, owner]]) => owner === port).map(([first]) => first);
};

/** Of the keys with a hash tag. */
async function digestsOf(nodes: readonly RedisNode[], tag: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { client } of nodes) {
    const keys = (await client.keys('*')).filter((key) => key.startsWith(tag));
    if (keys.length === 0) continue;
    const digests = (await client.call('DEBUG', 'DIGEST-VALUE', ...keys)) as string[];
    keys.forEach((key, i) => found.set(key, digests[i]));
  }
  return found;
}

describe('a server into a cluster', { timeout: 3_600_000 }, () => {
  let source: RedisNode;
  let target: TestCluster;
  let rounds: SyncRounds;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start(...PROMPT, '--repl-backlog-size', '64mb'), TestCluster.start()]);
    rounds = new SyncRounds({ source, url: target.nodes[0].url, masters: () => target.masters() });
  });

  afterEach(() => rounds.stop());

  afterAll(async () => {
    await rounds.end();
    await Promise.all([source.stop(), target.stop()]);
  });

  const someMaster = async (): Promise<RedisNode> => {
    const masters = await target.masters();
    return masters[rounds.below(masters.length)];
  };

  const FAULTS = {
    'kill -9': async () => {
      await rounds.kill();
      await delay(rounds.below(300));
      rounds.start();
    },
    'a master is killed': async () => failOver(target, await someMaster()),
    'connections to the target are lost': async () => {
      for (let times = 0; times < 3; times++) {
        await endTargetConnections(await someMaster());
        await delay(rounds.below(100));
      }
    },
    'kill -9 soon after the start': async () => {
      for (let times = 0; times < 3; times++) {
        await rounds.kill();
        rounds.start();
        await delay(300 + rounds.below(700));
      }
    },
    'kill -9 and a master is killed': async () => {
      const victim = await someMaster();
      if (rounds.below(2) === 0) await Promise.all([rounds.kill(), failOver(target, victim)]);
      else {
        await rounds.kill();
        await failOver(target, victim);
      }
      rounds.start();
    },
    'the link of the source is lost': () => endSourceLink(source),
    'a master is killed, and then the program': async () => {
      const over = failOver(target, await someMaster());
      await delay(rounds.below(3000));
      await rounds.kill();
      await over;
      rounds.start();
    },
    'the source is restarted': async () => {
      await restartWithHistory(source);
    },
    'a slot is moved': async () => {
      const [from, to] = await target.masters();
      const [first] = await slotsOf(from);
      await target.migrateSlot(first, from, to, () => delay(20));
    },
  };

  test('a slot that is on its way for long: what is written to it arrives, at both masters', async () => {
    const [from, to] = await target.masters();
    const first = (await slotsOf(from))[0]; // the records of that master are there, too
    const tag = tagOf(first);
    const all = Array.from({ length: 40 }, (_, i) => `${tag}:${i}`);
    for (const [i, key] of all.entries()) await source.client.incrby(key, i);
    rounds.start();
    await rounds.follows();
    const [fromId, toId] = (await Promise.all([from, to].map(({ client }) => client.call('CLUSTER', 'MYID')))) as string[];
    await to.client.call('CLUSTER', 'SETSLOT', `${first}`, 'IMPORTING', fromId);
    await from.client.call('CLUSTER', 'SETSLOT', `${first}`, 'MIGRATING', toId);
    const move = async (): Promise<void> => {
      const some = (await from.client.callBuffer('CLUSTER', 'GETKEYSINSLOT', `${first}`, '15')) as Buffer[];
      if (some.length > 0) await from.client.call('MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '10000', 'KEYS', ...some);
    };
    const write = async (round: number): Promise<void> => {
      const key = (i: number): string => all[(i * 7 + round) % all.length];
      for (let i = 0; i < 40; i++) {
        await source.client.incr(key(i));
        await source.client.rpush(`${tag}:list:${i % 5}`, i, round);
        await source.client
          .multi()
          .incr(key(i + 1))
          .incr(key(i + 3))
          .exec();
        await source.client.mset(`${tag}:a${i}`, i, key(i + 2), i);
        await source.client.call('SUNIONSTORE', `${tag}:union`, `${tag}:set:1`, `${tag}:set:2`);
        await source.client.sadd(`${tag}:set:${i % 3}`, i);
      }
      await source.client.rename(key(3), key(4));
    };
    const alike = async (): Promise<void> => {
      let wrong: string[] = ['nothing is there'];
      const isAlike = async (): Promise<boolean> => {
        const [want, got] = [await digestsOf([source], tag), await digestsOf([from, to], tag)];
        wrong = [...new Set([...want.keys(), ...got.keys()])].filter((key) => got.get(key) !== want.get(key));
        return wrong.length === 0;
      };
      await until('both have what is written', isAlike).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${wrong.join(' ')}: ${rounds.process.err}`);
      });
    };
    for (let round = 0; round < 4; round++) {
      await write(round);
      await alike();
      await move();
      if (round === 2) {
        await rounds.kill();
        rounds.start();
      }
    }
    await target.migrateSlot(first, from, to);
    await rounds.follows();
    await rounds.check();
  });

  test('whatever is lost when, the target is the source', () => rounds.play(FAULTS, 3));
});
