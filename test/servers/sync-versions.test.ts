import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/values/targets.js';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import { RedisNode } from '../support/redis-node.js';
import { RespProxy } from '../support/resp-proxy.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';

/** RDBKIT_TEST_WRITES may ask for more. */
const COUNT = Number(process.env.RDBKIT_TEST_WRITES ?? 6000);
const SEED = Number(process.env.RDBKIT_TEST_SEED ?? 1);
const DATABASES = [0, 1, 5];

/** Commands of a stream that came with 6.2 and 7.0, and what 6.0 does not have either. */
const NEWER = ['COPY', 'LMOVE', 'ZRANGESTORE', 'ZDIFFSTORE', 'GEOSEARCHSTORE', 'LMPOP', 'ZMPOP', 'GETEX', 'FUNCTION', 'PEXPIRETIME'];

describe('a server into one that looks like an older one', () => {
  let source: RedisNode;
  let target: RedisNode;
  let older: RespProxy;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      RedisNode.start('--repl-diskless-sync-delay', '0', '--repl-backlog-size', '64mb'),
      RedisNode.start(),
    ]);
    const info = [[/redis_version:\S+/, 'redis_version:6.0.16']] as const;
    older = await RespProxy.start(target.port, { unknown: NEWER, newest: 9, info });
  });

  afterAll(() => Promise.all([older.stop(), source.stop(), target.stop()]));

  const options = { target: parseTarget('6.0') };

  test('random writes: what it does not know is fetched, and values are written for it', async () => {
    const commands = await commandsOf(source.client);
    const writes = { port: source.port, commands, databases: DATABASES, without: ['function|load', 'function|delete'] };
    await writeRandomly({ ...writes, seed: SEED, count: 2000 });
    const run = new SyncRun(source.url, older.url, { ...options, untilCaughtUp: false });
    await run.follows();
    await writeRandomly({ ...writes, seed: SEED + 1, count: COUNT, rareEvery: 2000 });
    await run.stop();
    const last = new SyncRun(source.url, older.url, options);
    expect([(await last.done).caughtUp, run.problems, last.problems]).toEqual([true, [], []]);
    expect(await unlike([source], [target], { databases: DATABASES, late: 5 })).toEqual([]);
    expect(run.notes.some((note) => note.includes('COPY: the target does not know it'))).toBe(true);
  });

  test('a transaction that is refused, after one command for another database', async () => {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    const run = new SyncRun(source.url, older.url, { ...options, untilCaughtUp: false, fresh: true, conflict: 'replace' });
    await run.follows();
    const { client } = source;
    await client.select(5);
    await client.call('FUNCTION', 'LOAD', 'REPLACE', "#!lua name=some\nredis.register_function('some', function() return 1 end)");
    const pipeline = client.pipeline();
    pipeline.set('a', '1').copy('a', 'b').append('b', '2').select(0);
    for (let i = 0; i < 5000; i++) pipeline.append(`key:${i % 100}`, 'x'.repeat(400));
    await pipeline.exec();
    await run.stop();
    const last = new SyncRun(source.url, older.url, options);
    expect((await last.done).caughtUp).toBe(true);
    expect(await unlike([source], [target], { databases: DATABASES })).toEqual([]);
    expect(await target.client.keys('rdbkit:*')).toContain('rdbkit:sync:test');
    await target.client.select(5);
    expect(await target.client.keys('rdbkit:*')).toEqual([]);
    await target.client.select(0);
  });

  test('databases that are swapped while keys of them are to be fetched', async () => {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    const run = new SyncRun(source.url, older.url, { ...options, untilCaughtUp: false, fresh: true });
    await run.follows();
    const pipeline = source.client.pipeline();
    for (let i = 0; i < 50; i++) pipeline.set(`a:${i}`, i).copy(`a:${i}`, `b:${i}`).swapdb(0, 1);
    await pipeline.exec();
    await run.stop();
    const last = new SyncRun(source.url, older.url, options);
    expect((await last.done).caughtUp).toBe(true);
    expect(await unlike([source], [target], { databases: DATABASES })).toEqual([]);
  });

  test('commands that an older server takes otherwise, and says nothing', async () => {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    const { client } = source;
    await client.geoadd('places', 13, 52, 'a');
    for (const id of ['1-1', '2-1']) await client.xadd('stream', id, 'f', 'v');
    await client.xgroup('CREATE', 'stream', 'group', '0');
    const run = new SyncRun(source.url, older.url, { ...options, untilCaughtUp: false, fresh: true, conflict: 'replace' });
    await run.follows();
    await client.call('GEORADIUS', 'none', '13', '52', '9', 'km', 'STORE', 'places'); // 6.0 leaves it as it is
    await client.xreadgroup('GROUP', 'group', 'consumer', 'STREAMS', 'stream', '>');
    await client.xdel('stream', '1-1');
    await client.xclaim('stream', 'group', 'other', 0, '1-1'); // 6.0 claims it
    await run.stop();
    const last = new SyncRun(source.url, older.url, options);
    expect([(await last.done).caughtUp, run.problems, last.problems]).toEqual([true, [], []]);
    expect(await unlike([source], [target])).toEqual([]);
    expect(await target.client.xpending('stream', 'group')).toEqual(await client.xpending('stream', 'group'));
    const apart = [...run.notes, ...last.notes].filter((note) => note.includes('it may give another value there'));
    expect(apart.map((note) => note.split(': ')[1])).toEqual(['GEORADIUS', 'XCLAIM']);
  });

  test('commands that read what a refused one has not written', async () => {
    await Promise.all([source.client.flushall(), target.client.flushall()]);
    await source.client.set('a', 'stale');
    const run = new SyncRun(source.url, older.url, { ...options, untilCaughtUp: false, fresh: true, conflict: 'replace' });
    await run.follows();
    const { client } = source;
    const pipeline = client.pipeline();
    // the payload is refused when it is applied, so that the transaction goes on
    pipeline
      .restore('a', 0, await newPayload(source), 'REPLACE')
      .rename('a', 'b')
      .rename('b', 'c')
      .sadd('s', '1');
    await pipeline.exec();
    await run.stop();
    const last = new SyncRun(source.url, older.url, options);
    expect((await last.done).caughtUp).toBe(true);
    expect(await unlike([source], [target])).toEqual([]);
  });
});

async function newPayload({ client }: RedisNode): Promise<Buffer> {
  await client.select(9);
  await client.set('made', 'new');
  const payload = await client.dumpBuffer('made');
  await client.select(0);
  return payload;
}
