import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { endSourceLink, endTargetConnections, roundsOf, SyncRounds } from '../support/sync-rounds.js';
import { failOver, restartWithHistory } from '../support/sync-support.js';

const PROMPT = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

describe('a server into a cluster', { timeout: 3_600_000 }, () => {
  let source: RedisNode;
  let target: TestCluster;
  let rounds: SyncRounds;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start(...PROMPT, '--repl-backlog-size', '64mb'), TestCluster.start()]);
    rounds = new SyncRounds({ source, url: target.nodes[0].url, masters: () => target.masters() });
  });

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
      const slots = (await from.client.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const own = slots.filter(([, , [, port]]) => port === from.port).map(([first]) => first);
      await target.migrateSlot(own[0], from, to, () => delay(20));
    },
  };

  test('whatever is lost when, the target is the source', async () => {
    rounds.start();
    await rounds.follows();
    rounds.counters.start();
    const only = process.env.RDBKIT_TEST_ONLY;
    const names = (Object.keys(FAULTS) as (keyof typeof FAULTS)[]).filter((name) => only === undefined || new RegExp(only).test(name));
    const passed = new Map<string, number>();
    for (let round = 0; round < roundsOf(3); round++) {
      const name = names[round % names.length];
      await delay(rounds.below(400));
      await FAULTS[name]();
      await rounds.follows().catch((error: unknown) => {
        throw new Error(`round ${round}, ${name}: ${String(error)}`);
      });
      await rounds.check().catch((error: unknown) => {
        throw new Error(`round ${round}, ${name}: ${String(error)}`);
      });
      passed.set(name, (passed.get(name) ?? 0) + 1);
      if (process.env.RDBKIT_TEST_ROUNDS !== undefined) console.log(round, name);
    }
    if (process.env.RDBKIT_TEST_ROUNDS !== undefined) console.log(passed, rounds.counters.answered);
    expect(await rounds.counters.wrong([source])).toEqual([]);
  });
});
