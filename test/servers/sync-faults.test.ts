import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RedisNode } from '../support/redis-node.js';
import { endSourceLink, endTargetConnections, roundsOf, SyncRounds } from '../support/sync-rounds.js';
import { restartWithHistory } from '../support/sync-support.js';

const PROMPT = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

describe('a server into a server', { timeout: 3_600_000 }, () => {
  let source: RedisNode;
  let target: RedisNode;
  let rounds: SyncRounds;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start(...PROMPT, '--repl-backlog-size', '64mb'), RedisNode.start()]);
    rounds = new SyncRounds({ source, url: target.url, masters: () => Promise.resolve([target]) });
  });

  afterAll(async () => {
    await rounds.end();
    await Promise.all([source.stop(), target.stop()]);
  });

  const FAULTS = {
    'kill -9': async () => {
      await rounds.kill();
      await delay(rounds.below(300));
      rounds.start();
    },
    'kill -9 soon after the start': async () => {
      for (let times = 0; times < 3; times++) {
        await rounds.kill();
        rounds.start();
        await delay(300 + rounds.below(700));
      }
    },
    'the link of the source is lost': () => endSourceLink(source),
    'connections to the target are lost': async () => {
      for (let times = 0; times < 3; times++) {
        await endTargetConnections(target);
        await delay(rounds.below(100));
      }
    },
    'the source is restarted': async () => {
      await restartWithHistory(source);
    },
  };

  test('whatever is lost when, the target is the source', async () => {
    rounds.start();
    await rounds.follows();
    rounds.counters.start();
    const names = Object.keys(FAULTS) as (keyof typeof FAULTS)[];
    const passed = new Map<string, number>();
    for (let round = 0; round < roundsOf(6); round++) {
      const name = names[round % names.length];
      await delay(rounds.below(400));
      await FAULTS[name]();
      await rounds.follows();
      await rounds.check().catch((error: unknown) => {
        throw new Error(`round ${round}, ${name}: ${String(error)}`);
      });
      passed.set(name, (passed.get(name) ?? 0) + 1);
    }
    if (process.env.RDBKIT_TEST_ROUNDS !== undefined) console.log(passed, rounds.counters.answered);
    expect(await rounds.counters.wrong([source])).toEqual([]);
  });
});
