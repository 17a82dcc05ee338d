import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RedisNode } from '../support/redis-node.js';
import { endSourceLink, endTargetConnections, SyncRounds } from '../support/sync-rounds.js';
import { restartWithHistory } from '../support/sync-support.js';
import { until } from '../support/until.js';

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
    'the target is out of memory': async () => {
      await target.client.config('SET', 'maxmemory', '1');
      await delay(500);
      await target.client.config('SET', 'maxmemory', '0');
    },
    'the target is a replica': async () => {
      await target.client.replicaof('127.0.0.1', 1);
      await delay(500);
      await target.client.call('REPLICAOF', 'NO', 'ONE');
    },
    'the target is restarted, and loads for long': async () => {
      await target.shutdown();
      await target.restart('--key-load-delay', '5000', '--loading-process-events-interval-bytes', '1024');
      await until('it has loaded', async () => (await target.client.info('persistence')).includes('\nloading:0'));
    },
    'the target is restarted from an older snapshot': async () => {
      await target.client.call('SAVE');
      await delay(300 + rounds.below(500));
      await target.kill();
      await target.restart();
    },
  };

  test('whatever is lost when, the target is the source', () => rounds.play(FAULTS, 9));

  test.each([true, false])('two runs of one sync: the older one ends; CLIENT KILL is allowed: %s', async (allowed) => {
    await rounds.stop();
    const login = 'ACL SETUSER writer on >secret ~* &* +@all'.split(' ');
    await target.client.call(...(login as ['ACL']), ...(allowed ? [] : ['-client|list', '-client|kill']));
    const url = `redis://writer:secret@${target.name}`;
    rounds.start();
    await rounds.follows();
    await rounds.kill();
    const first = rounds.startOther(url);
    await first.said(/going on where an earlier run ended/);
    rounds.counters.start();
    await delay(1000);
    const second = rounds.startOther(url);
    const { err } = await first.ended;
    expect(err).toContain('another run of this sync has begun');
    expect(second.runs).toBe(true);
    if (allowed) await rounds.checkWith(second); // else what the first one had sent may be applied twice
    await second.kill();
  });

  test('a target that is emptied while it runs is a gap', async () => {
    await rounds.stop();
    rounds.start();
    await rounds.follows();
    rounds.counters.start();
    await delay(200);
    await target.client.flushall();
    const { code, err } = await rounds.process.ended;
    expect([code, err]).toEqual([4, expect.stringMatching(/GAP: .*position/) as string]);
    await rounds.stop();
    rounds.start('--on-gap', 'full');
    await rounds.follows();
    await rounds.check();
  });

  test('a target that has lost everything is a gap', async () => {
    await rounds.stop();
    rounds.start();
    await rounds.follows();
    await target.kill();
    rmSync(join(target.folder, 'dump.rdb'), { force: true });
    await target.restart();
    await source.client.set('a', 1);
    const { code, err } = await rounds.process.ended;
    expect([code, err]).toEqual([4, expect.stringMatching(/GAP: .*has no position of this sync any more/) as string]);
    expect(await target.client.dbsize()).toBe(0);
  });
});
