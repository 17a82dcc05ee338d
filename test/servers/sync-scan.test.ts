import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { rdbkit } from '../support/cli-support.js';
import { commandsOf } from '../support/random-writes.js';
import { writeRandomly } from '../support/random-writer.js';
import type { RedisNode } from '../support/redis-node.js';
import { IS_OLD } from '../support/redis-server.js';
import { RedisNode as Node } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

const nodes: RedisNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

async function started(...options: string[]): Promise<RedisNode> {
  const node = await Node.start(...options);
  nodes.push(node);
  return node;
}

const digest = async ({ client }: RedisNode): Promise<string> => String(await client.call('DEBUG', 'DIGEST'));

const byScan = (source: string, more: Partial<SyncOptions> = {}): Partial<SyncOptions> => ({
  source: { access: { url: parseServerUrl(source) }, via: 'scan' },
  ...{ spool: undefined, holdExpiries: false, roundEvery: 100, settle: 100, drainFor: 5000, untilCaughtUp: false },
  ...more,
});

async function follows(run: SyncRun): Promise<void> {
  await until('the sync follows', () => Promise.resolve(run.status?.phase === 'changes' && run.status.told !== undefined));
}

/** Another run of the sync, until it has caught up. */
async function caughtUp(source: RedisNode, target: RedisNode, more: Partial<SyncOptions> = {}): Promise<SyncRun> {
  const run = new SyncRun(source.url, target.url, byScan(source.url, { untilCaughtUp: true, ...more }));
  const summary = await run.done;
  expect([summary.caughtUp, summary.told?.doubts, run.problems]).toEqual([true, [], []]);
  return run;
}

test('random commands during copy and changes: digests are equal', async () => {
  const [source, target] = [await started(), await started()];
  const { client } = source;
  const commands = await commandsOf(client);
  await writeRandomly({ port: source.port, commands, count: 5000, seed: 1 });
  const run = new SyncRun(source.url, target.url, byScan(source.url, { untilCaughtUp: false }));
  const writing = writeRandomly({ port: source.port, commands, count: 30_000, seed: 2 });
  await follows(run);
  await writing;
  await delay(200);
  await run.stop();
  expect(run.problems).toEqual([]);
  await caughtUp(source, target);
  expect(await unlike([source], [target], { databases: [0, 1, 2, 3] })).toEqual([]);
  await target.client.del('rdbkit:sync:test');
  if (!IS_OLD) expect(await digest(target)).toBe(await digest(source)); // expiries that are counted from now are inexact
});

/** Ends the connection on which the source tells what is written. */
async function endTelling({ client }: RedisNode): Promise<void> {
  const lines = String(await client.call('CLIENT', 'LIST')).split('\n');
  for (const line of lines)
    if (/ flags=[^ ]*[tBP]/.test(line)) await client.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '');
}

async function alike(source: RedisNode, target: RedisNode, databases = [0]): Promise<void> {
  let last: string[] = [];
  const isAlike = async (): Promise<boolean> => (last = await unlike([source], [target], { databases })).length === 0;
  await until('source and target are alike', isAlike).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last.slice(0, 5).join('; ')}`);
  });
}

test('a connection that is lost in the middle: all keys are read again, and deleted ones are deleted', async () => {
  const [source, target] = [await started(), await started()];
  for (let i = 0; i < 200; i++) await source.client.set(`key:${i}`, 'a');
  const run = new SyncRun(source.url, target.url, byScan(source.url));
  await follows(run);
  await source.client.multi().set('between', '1').exec();
  await alike(source, target);
  const commands = await commandsOf(source.client);
  const writing = writeRandomly({ port: source.port, commands, count: 20_000, seed: 3 });
  await endTelling(source);
  await source.client.del('key:7');
  await writing;
  await until('all keys were read again', () => Promise.resolve((run.status?.told?.scans ?? 0) > 0));
  await alike(source, target, [0, 1, 2, 3]);
  expect(run.events.join('\n')).toContain('all keys are read again');
  await run.stop();
  expect((await run.done).caughtUp).toBe(true);
  await target.client.del('rdbkit:sync:test');
  if (!IS_OLD) expect(await digest(target)).toBe(await digest(source)); // expiries that are counted from now are inexact
});

test('a source without PEXPIRETIME, as before Redis 7.0: the first key that is written is not lost', async () => {
  const [source, target] = [await started(...(IS_OLD ? [] : ['--rename-command', 'PEXPIRETIME', ''])), await started()];
  await source.client.mset('a', '1', 'b', '1');
  const run = new SyncRun(source.url, target.url, byScan(source.url));
  await follows(run);
  await source.client.set('a', '2');
  await until('it is fetched', () => Promise.resolve((run.status?.told?.fetched ?? 0) > 0));
  await source.client.set('b', '2', 'PX', 600_000);
  await until('both are written', async () => (await target.client.mget('a', 'b')).join() === '2,2');
  expect(await target.client.pttl('b')).toBeGreaterThan(500_000);
  await run.stop();
});

test('what nothing tells of: consumer groups, functions, SWAPDB; and flushed keys', async () => {
  const [source, target] = [await started(), await started()];
  const { client } = source;
  await client.xadd('stream', '1-1', 'a', 'b');
  const run = new SyncRun(source.url, target.url, byScan(source.url));
  await follows(run);
  await client.call('XGROUP', 'CREATE', 'stream', 'group', '0');
  await client.call('XREADGROUP', 'GROUP', 'group', 'one', 'STREAMS', 'stream', '>');
  const functionsFollow = async (): Promise<void> => {
    const code = "#!lua name=lib\nredis.register_function('one', function() return 1 end)";
    await client.call('FUNCTION', 'LOAD', code);
    await until('it has the function', async () => String(await target.client.call('FUNCTION', 'LIST')).includes('lib'));
    await client.call('FUNCTION', 'DELETE', 'lib');
    await until('it has it no more', async () => !String(await target.client.call('FUNCTION', 'LIST')).includes('lib'));
  };
  const pendingOf = async ({ client: of }: RedisNode): Promise<string> =>
    JSON.stringify(await of.call('XPENDING', 'stream', 'group').catch(() => 'none'));
  await until('the target has the group', async () => (await pendingOf(target)) === (await pendingOf(source)));
  await client.call('XACK', 'stream', 'group', '1-1');
  await until('it is acknowledged there', async () => (await pendingOf(target)) === (await pendingOf(source)));
  if (!IS_OLD) await functionsFollow();
  await client.set('zero', '0');
  await client.select(1);
  await client.set('one', '1');
  await client.select(0);
  await alike(source, target, [0, 1]);
  await client.call('SWAPDB', '0', '1');
  await alike(source, target, [0, 1]);
  await client.flushall();
  await client.set('last', '1');
  await alike(source, target, [0, 1]);
  await run.stop();
});

test('deleted and expired keys, whole databases, values that are no longer wanted', async () => {
  const [source, target] = [await started(), await started()];
  const { client } = source;
  await client.select(3);
  await client.set('third', '1');
  await client.select(0);
  await client.mset('a:1', '1', 'a:2', '2', 'b:1', '3');
  await client.hset('a:hash', 'f', 'v');
  const run = new SyncRun(source.url, target.url, {
    ...byScan(source.url),
    filter: { prefix: [Buffer.from('a:'), Buffer.from('third')], type: ['string'] },
    dbMap: new Map([[3, 5]]),
  });
  await follows(run);
  await client.select(3);
  await client.del('third');
  await client.select(0);
  await client.del('a:1');
  await client.set('a:2', '2', 'PX', 50);
  await client.set('a:3', '3');
  await client.set('b:2', '3');
  await client.set('a:4', '3');
  await until('it has it', async () => (await target.client.get('a:4')) === '3');
  await client.del('a:4');
  await client.rpush('a:4', '1');
  await until('it has no list', async () => (await target.client.exists('a:1', 'a:2', 'a:4')) === 0);
  expect((await target.client.keys('*')).sort()).toEqual(['a:3', 'rdbkit:sync:test']);
  await target.client.select(5);
  await until('the database is empty', async () => (await target.client.dbsize()) === 0);
  await target.client.select(0);
  await run.stop();
});

test('keyspace notifications, with the number of the database', async () => {
  const [source, target] = [await started('--notify-keyspace-events', 'KA'), await started()];
  const commands = await commandsOf(source.client);
  const run = new SyncRun(source.url, target.url, byScan(source.url, { events: 'notifications' }));
  await follows(run);
  await writeRandomly({ port: source.port, commands, count: 10_000, seed: 5 });
  await alike(source, target, [0, 1, 2, 3]);
  await source.client.flushall();
  await alike(source, target, [0, 1, 2, 3]);
  await run.stop();
});

test('the rights that the docs print are enough, and PSYNC is not needed', async () => {
  const [source, target] = [await started(), await started()];
  const docs = readFileSync(new URL('../../docs/sync.md', import.meta.url), 'utf8');
  const [, rules = ''] = /^ACL SETUSER rdbkit on >… (.+)$/m.exec(docs) ?? [];
  const known = IS_OLD ? rules.replace('+pexpiretime', '+pttl +time +hello +multi').replaceAll(/ \+function\|\w+/g, '') : rules; // as the docs say
  await source.client.call('ACL', 'SETUSER', 'rdbkit', 'reset', 'on', '>s3cret', ...known.split(' '));
  await source.client.mset('a', '1', 'b', '2');
  await source.client.xadd('stream', '1-1', 'a', 'b');
  const url = source.url.replace('://', '://rdbkit:s3cret@');
  const sync = ['sync', url, target.url, '--until', 'caught-up', '--settle', '100ms', '--id', 'test'];
  const { code, err } = await rdbkit(sync);
  expect(err).toContain('read by scan, since replication is refused (NOPERM');
  expect([code, err.includes('warning')], err).toEqual([0, false]);
  expect(await unlike([source], [target])).toEqual([]);
  const spooled = await rdbkit([...sync, '--spool', '/tmp/none']);
  expect([spooled.code, spooled.err]).toEqual([4, expect.stringContaining('--spool is only for --via replication: leave it out')]);
  const replicated = await rdbkit(['sync', source.url, target.url, '--until', 'caught-up', '--id', 'test', '--spool', 'none']);
  expect(replicated.err).toContain('an earlier run of this sync has read the source by scan: --via scan goes on with it, --fresh makes');
});

test('keys that are written all the time: exit code 1, and they are named', async () => {
  const [source, target] = [await started(), await started()];
  const over = new AbortController();
  const writing = (async () => {
    while (!over.signal.aborted) await source.client.incr('busy');
  })();
  const run = new SyncRun(source.url, target.url, byScan(source.url, { untilCaughtUp: true, drainFor: 500 }));
  const { caughtUp: isWell, told } = await run.done;
  over.abort();
  await writing;
  expect([isWell, told?.left.map(({ key }) => Buffer.from(key).toString())]).toEqual([false, ['busy']]);
});
