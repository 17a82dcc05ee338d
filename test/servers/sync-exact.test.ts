import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LaneRecord } from '../../src/sync/record.js';
import { HOLD } from '../../src/sync/settle.js';
import { HookProxy } from '../support/hook-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike, untilAlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

let source: RedisNode;
let target: RedisNode;
let folder: string;

beforeAll(async () => {
  [source, target] = await Promise.all([
    RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '16mb'),
    RedisNode.start(),
  ]);
});

afterAll(() => Promise.all([source.stop(), target.stop()]));

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rdbkit-exact-'));
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  return () => rmSync(folder, { recursive: true, force: true });
});

describe('commands that are refused within a transaction, and a run that ends before their keys are fetched', () => {
  const COUNT = 200;

  test.each([true, false])('the next one fetches them (a spool in files: %s)', async (hasFiles) => {
    const options = { spool: hasFiles ? folder : undefined };
    let [holds, held] = [false, 0];
    const proxy = await HookProxy.start(source.port, ([word]) => {
      if (!holds || word !== 'DUMP') return;
      held++;
      return new Promise(() => undefined);
    });
    const url = `redis://127.0.0.1:${proxy.port}`;
    for (let i = 0; i < COUNT; i++) await source.client.rpush(`list:${i}`, 'a');
    const run = new SyncRun(url, target.url, { ...options, untilCaughtUp: false });
    await run.follows();
    for (let i = 0; i < COUNT; i++) await target.client.set(`list:${i}`, 'spoiled');
    holds = true;
    const pipeline = source.client.pipeline();
    for (let i = 0; i < COUNT; i++) pipeline.rpush(`list:${i}`, 'b').rename(`list:${i}`, `moved:${i}`).incr('count');
    await pipeline.exec();
    await until('keys are about to be fetched', () => Promise.resolve(held > 0));
    await until('the target has the rest', async () => (await target.client.get('count')) === `${COUNT}`);
    await run.abort();
    await proxy.stop();

    const last = new SyncRun(source.url, target.url, options);
    expect([(await last.done).caughtUp, last.problems]).toEqual([true, []]);
    expect(await unlike([source], [target])).toEqual([]);
  });
});

describe('going on after expiries were released', () => {
  const SOON = 700;
  const LATER = 600_000;

  /** Keys that expire soon, on the target as soon as they are released. */
  async function sessions(count: number): Promise<void> {
    const pipeline = source.client.pipeline();
    for (let i = 0; i < count; i++) {
      pipeline.set(`renewed:${i}`, i, 'PX', SOON).set(`lasts:${i}`, i, 'PX', SOON).set(`expires:${i}`, i, 'PX', SOON);
      pipeline.set(`set:${i}`, i, 'PX', SOON).rpush(`list:${i}`, i).pexpire(`list:${i}`, SOON).set(`far:${i}`, i, 'PX', LATER);
    }
    await pipeline.exec();
  }

  async function renew(count: number): Promise<void> {
    const pipeline = source.client.pipeline();
    for (let i = 0; i < count; i++) {
      pipeline.pexpire(`renewed:${i}`, LATER).getex(`lasts:${i}`, 'PERSIST').set(`set:${i}`, 'again', 'EX', 600);
      pipeline.rpush(`list:${i}`, 'more').pexpire(`list:${i}`, LATER).set(`new:${i}`, i, 'PX', SOON).getex(`far:${i}`, 'EX', 900);
    }
    await pipeline.exec();
  }

  const catchUp = async (options: ConstructorParameters<typeof SyncRun>[2] = {}): Promise<SyncRun> => {
    const run = new SyncRun(source.url, target.url, { spool: folder, ...options });
    expect([(await run.done).caughtUp, run.problems]).toEqual([true, []]);
    return run;
  };

  const expired = (): Promise<void> => until('the target has let some expire', async () => (await target.client.exists('renewed:0')) === 0);

  test.each([true, false])('what was renewed in the source, and has expired on the target, comes again (a spool: %s)', async (has) => {
    const options = { settle: 50, ...(has ? {} : { spool: undefined }) };
    await new SyncRun(source.url, target.url, { ...options, spool: has ? folder : undefined }).done;
    await sessions(50);
    await catchUp(options);
    await renew(50);
    await expired();
    const again = await catchUp(options);
    expect(again.events.join('\n')).toContain('are held again');
    expect(await unlike([source], [target], { late: 2 })).toEqual([]);
  });

  test('ends amid a release, and while they are held again', async () => {
    const count = 3000;
    await catchUp({ settle: 50 });
    const following = new SyncRun(source.url, target.url, { spool: folder, untilCaughtUp: false });
    await following.follows();
    await sessions(count);
    await following.stop();
    await renew(count);
    for (const pause of [0, 5, 20, 40]) {
      const run = new SyncRun(source.url, target.url, { spool: folder, settle: 10 });
      await until('it releases', () => Promise.resolve(run.status?.phase === 'settling'));
      await delay(pause);
      await run.abort();
      await source.client.incr('count');
    }
    await delay(SOON); // what was released, if anything, has expired
    for (const pause of [5, 30, 60, 90, 120, 150]) {
      const run = new SyncRun(source.url, target.url, { spool: folder, untilCaughtUp: false });
      await delay(pause);
      await run.abort();
      await source.client.incr('count');
    }
    await catchUp();
    expect(await unlike([source], [target], { late: 2 })).toEqual([]);
  });
});

describe('two syncs into one target', () => {
  test('expiries stay held until the last one ends', async () => {
    const other = await RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '16mb');
    await Promise.all([source.client.set('a', 1, 'PX', 600_000), other.client.set('b', 1, 'PX', 600_000)]);
    const first = new SyncRun(source.url, target.url, { untilCaughtUp: false, id: 'first' });
    await first.follows();
    const second = new SyncRun(other.url, target.url, { untilCaughtUp: false, id: 'second', conflict: 'replace' });
    await second.follows();
    await first.stop();
    const held = async (): Promise<boolean[]> => {
      const times = await Promise.all(['a', 'b'].map((key) => target.client.call('PEXPIRETIME', key)));
      return times.map((at) => Number(at) > HOLD);
    };
    const done = new SyncRun(source.url, target.url, { id: 'first' });
    expect((await done.done).released).toBe(0);
    expect(done.notes.join('\n')).toContain('expiries stay held for the sync second into the same target');
    expect(await held()).toEqual([true, true]);
    await second.stop();
    const last = new SyncRun(other.url, target.url, { id: 'second' });
    expect((await last.done).released).toBe(2);
    expect(await held()).toEqual([false, false]);
    await other.stop();
  });
});

describe('fences of other databases', () => {
  test.each([
    ['FLUSHDB', ['FLUSHDB']],
    ['SWAPDB', ['SWAPDB', '0', '3']],
  ])('outlive %s of the one that holds them', async (_, [name, ...words]) => {
    const { client } = source;
    await client.select(5);
    await client.rpush('list', '0');
    await client.select(0);
    await client.set('here', '1');
    const run = new SyncRun(source.url, target.url, { spool: undefined, untilCaughtUp: false, maxOpsPerSecond: 2 });
    await run.follows();
    await target.client.select(5);
    await target.client.set('list', 'spoiled');
    /** In a piece of its own, so that it is applied in half a second. */
    const write = async (db: number, ...command: [string, ...string[]]): Promise<void> => {
      if (db >= 0) await client.select(db);
      await client.call(...command);
      await delay(30);
    };
    await write(0, 'SET', 'warm', '1');
    await write(5, 'RPUSH', 'list', '1'); // it is refused, and the list fetched as it is at the end
    await write(0, name, ...words);
    await write(0, 'SET', 'done', '1');
    for (let i = 2; i < 10; i++) await write(5, 'RPUSH', 'list', `${i}`);
    await target.client.select(0);
    await until('the fetched list is there, and the others are to come', async () => (await target.client.exists('done')) === 1);
    await run.abort();
    await client.select(0);

    const last = new SyncRun(source.url, target.url, { spool: undefined });
    expect([(await last.done).caughtUp, last.problems]).toEqual([true, []]);
    expect(await unlike([source], [target], { databases: [0, 3, 5] })).toEqual([]);
  });
});

test('into a cluster, FLUSHALL does not lower the offset that records allow to be sent', async () => {
  const cluster = await TestCluster.start();
  const [master] = await cluster.masters();
  const monitor = await master.client.monitor();
  const sent: number[] = [];
  monitor.on('monitor', (_, [command, key, , record]: string[]) => {
    if (/^hset$/i.test(command) && key.startsWith('rdbkit:sync:test{')) sent.push((JSON.parse(record) as LaneRecord).sent);
  });
  const run = new SyncRun(source.url, master.url, { spool: undefined, untilCaughtUp: false });
  await run.follows();
  await source.client.incr('before');
  await until('a record has put it ahead', () => (sent.at(-1) ?? 0) > 100_000);
  await source.client.flushall();
  await source.client.incr('after');
  await untilAlike([source], await cluster.masters());
  await until('there are records after it', () => sent.length > 6);
  expect(sent).toEqual(sent.toSorted((a, b) => a - b));
  await run.abort();
  monitor.disconnect();
  await cluster.stop();
});

describe('hash fields that expire', () => {
  const AT = 4_000_000_000_000;
  const timesOf = async ({ client }: RedisNode, key: string): Promise<unknown> =>
    client.call('HPEXPIRETIME', key, 'FIELDS', '3', 'a', 'b', 'c');

  test('are held in the copy, in writes and in what is fetched, and released; what is renewed late is not lost', async (context) => {
    const known = await source.client.call('COMMAND', 'INFO', 'HPEXPIRETIME');
    if (!Array.isArray(known) || known[0] === null) return context.skip(); // before Redis 7.4 and Valkey 9
    const { client } = source;
    const expiring = async (key: string, at: number): Promise<void> => {
      await client.hset(key, { a: '1', b: '2', c: '3' });
      await client.call('HPEXPIREAT', key, `${at}`, 'FIELDS', '2', 'a', 'b');
    };
    await expiring('copied', AT);
    await client.hset('large', Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`f${i}`, 'x'.repeat(1000)])));
    await client.call('HPEXPIREAT', 'large', `${AT}`, 'FIELDS', '1', 'f7');
    await expiring('renewed', Date.now() + 1500);
    const run = new SyncRun(source.url, target.url, { spool: folder, untilCaughtUp: false });
    await run.follows();
    await expiring('written', AT);
    await client.call('RESTORE', 'restored', '0', (await client.dumpBuffer('copied')), 'REPLACE');
    await client.call('HPEXPIREAT', 'renewed', `${AT}`, 'FIELDS', '1', 'a');
    await client.set('end', 1);
    await until('all is there', async () => (await target.client.exists('end')) === 1 && (await target.client.exists('restored')) === 1);
    for (const key of ['copied', 'written', 'restored']) expect(await timesOf(target, key)).toEqual([AT + HOLD, AT + HOLD, -1]);
    expect(await target.client.call('HPEXPIRETIME', 'large', 'FIELDS', '2', 'f7', 'f8')).toEqual([AT + HOLD, -1]);
    await run.stop();
    await new SyncRun(source.url, target.url, { spool: folder }).done;
    for (const key of ['copied', 'written', 'restored', 'renewed']) expect(await timesOf(target, key)).toEqual(await timesOf(source, key));
    expect(await target.client.call('HPEXPIRETIME', 'large', 'FIELDS', '2', 'f7', 'f8')).toEqual([AT, -1]);
    await until('a field has expired', async () => (await target.client.hlen('renewed')) === 2);
    await client.call('HPEXPIREAT', 'copied', `${AT + 5}`, 'FIELDS', '1', 'a');
    await new SyncRun(source.url, target.url, { spool: folder }).done;
    expect(await timesOf(target, 'copied')).toEqual([AT + 5, AT, -1]);
    expect(await unlike([source], [target])).toEqual([]);
  });
});
