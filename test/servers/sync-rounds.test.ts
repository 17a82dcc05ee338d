import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DelayProxy } from '../support/delay-proxy.js';
import { randomFrom } from '../support/fault-proxy.js';
import { RedisNode } from '../support/redis-node.js';
import { roundsOf, SEED, SyncRounds } from '../support/sync-rounds.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

/** How many commands a server has had. */
const commandsOf = async ({ client }: RedisNode): Promise<number> =>
  Number(/^total_commands_processed:(\d+)/m.exec(await client.info('stats'))?.[1]);

describe('rounds of a server into a server that others lack', { timeout: 3_600_000 }, () => {
  let source: RedisNode;
  let target: RedisNode;
  let proxy: DelayProxy | undefined;
  let rounds: SyncRounds | undefined;

  beforeEach(async () => {
    const small = ['--repl-diskless-sync-delay', '0', '--repl-backlog-size', '1mb'];
    [source, target] = await Promise.all([RedisNode.start(...small), RedisNode.start()]);
  });

  afterEach(async () => {
    await rounds?.end();
    await proxy?.stop();
    [proxy, rounds] = [undefined, undefined];
    await Promise.all([source.stop(), target.stop()]);
  });

  const roundsTo = (url: string): SyncRounds =>
    (rounds = new SyncRounds({ source, url, masters: () => Promise.resolve([target]), perSecond: 6000 }));

  test('a backlog of 1 MB, which the spool makes up for', async () => {
    const played = roundsTo(target.url);
    const restart = async (): Promise<void> => {
      await played.kill();
      played.start();
    };
    await played.play({ 'kill -9': restart }, 3);
  });

  test('20 ms to the target: what a killed run had sent comes late', async () => {
    proxy = await DelayProxy.start(target.port, 20);
    const played = roundsTo(proxy.url);
    const restart = async (): Promise<void> => {
      await played.kill();
      played.start();
    };
    await played.play({ 'kill -9': restart }, 3);
  });

  test('kill -9 amid the full copy', async () => {
    for (let from = 0; from < 60_000; from += 5000) {
      const pipeline = source.client.pipeline();
      for (let i = from; i < from + 5000; i++) pipeline.set(`key:${i}`, 'x'.repeat(200));
      await pipeline.exec();
    }
    const random = randomFrom(SEED);
    let amid = 0;
    for (let round = 0; round < roundsOf(1); round++) {
      await target.client.flushall();
      const played = roundsTo(target.url);
      played.counters.start();
      for (let times = 0; times < 3; times++) {
        const most = (await commandsOf(target)) + Math.floor(random() * 60_000);
        const run = played.start();
        const copied = (): boolean => /applying the writes since|going on where an earlier run ended/.test(run.err);
        await until('some of it is copied', async () => copied() || (await commandsOf(target)) >= most);
        if (!copied()) amid++;
        await played.kill();
      }
      played.start();
      await played.follows();
      await played.check();
      await played.end();
    }
    if (process.env.RDBKIT_TEST_ROUNDS !== undefined) console.log(`${amid} of ${3 * roundsOf(1)} kills amid the copy`);
    expect(amid).toBeGreaterThan(0);
  });

  test('sessions that are renewed just before they expire, and a target that is 2 s late', async () => {
    let kept = 0;
    while (kept < roundsOf(1)) if (await renewed()) kept++; // on a busy machine it expires on the source itself
  });

  /** Returns whether the last renewal was in time for the source. */
  async function renewed(): Promise<boolean> {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    proxy = await DelayProxy.start(target.port, 0);
    const run = new SyncRun(source.url, proxy.url, { untilCaughtUp: false });
    await run.follows();
    proxy.delay = 1000;
    const names = Array.from({ length: 100 }, (_, i) => `session:${i}`);
    await source.client.mset(...names.flatMap((name) => [name, 'v']));
    for (let times = 0; times < 8; times++) {
      const pipeline = source.client.pipeline();
      for (const [i, name] of names.entries()) if (times < 4 || i % 2 === 0) pipeline.pexpire(name, 900);
      await pipeline.exec();
      await delay(300);
    }
    const inTime = (await source.client.pexpire('session:0', 600_000)) === 1;
    await run.stop();
    const last = new SyncRun(source.url, target.url);
    expect([(await last.done).caughtUp, last.problems]).toEqual([true, []]);
    expect(await target.client.exists('session:0')).toBe(Number(inTime));
    expect(await unlike([source], [target], { late: 2 })).toEqual([]);
    await proxy.stop();
    return inTime;
  }
});
