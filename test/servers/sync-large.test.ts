import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { HOLD } from '../../src/sync/settle.js';
import { writeLarge } from '../support/large-values.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll, withBacklog } from '../support/sync-source.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

afterEach(stopAll);

/** Values that are chosen by their type are fetched. */
const FETCHED: Partial<SyncOptions> = { filter: { type: ['string', 'list', 'set', 'zset', 'hash', 'stream'] } };

test.each([
  ['as payloads', {}, []],
  ['as commands', { maxPayload: 1 << 20 }, []],
  ['as commands, where the target closes the connection at the payload', {}, ['--proto-max-bulk-len', '3mb']],
])('values that are too large to be held are fetched and written: %s', async (_, more, args) => {
  const [source, target] = [await withBacklog(), await started(...args)];
  const run = new SyncRun(source.url, target.url, { ...FETCHED, untilCaughtUp: false, ...more });
  await run.follows();
  for (const seed of [1, 2]) {
    await writeLarge(source, seed);
    await source.client.set('last', seed);
    await until('the last write came', async () => (await target.client.get('last')) === `${seed}`);
    expect([run.problems, await unlike([source], [target])]).toEqual([[], []]);
  }
  await source.client.del('list', 'hash');
  await source.client.pexpireat('string', 4102444800000);
  await source.client.set('last', 'of all');
  await until('the last write came', async () => (await target.client.get('last')) === 'of all');
  await run.stop();
  expect(run.problems).toEqual([]);
  expect(await target.client.keys('*restoring*')).toEqual([]);
  expect(Number(await target.client.call('PEXPIRETIME', 'string'))).toBe(4102444800000 + HOLD);
});

/** Above it, only the key of a command is kept. */
const LARGE = 33 << 20;

test.each([
  ['a spool in files', {}],
  ['a spool that is smaller than a command', { spoolMax: 1 << 20 }],
  ['no spool', { spool: undefined }],
])('commands that are too large to be held are applied: %s', async (_, more) => {
  const [source, target] = [await withBacklog(), await started()];
  const run = new SyncRun(source.url, target.url, { untilCaughtUp: false, ...more });
  await run.follows();
  const { client } = source;
  await client.set('big', Buffer.alloc(LARGE, 'x'));
  await client.rpush('list', ...Array.from({ length: 40 }, (_, i) => Buffer.alloc(1 << 20, `${i}`)));
  await client.multi().incr('count').append('big', Buffer.alloc(LARGE, 'y')).incr('count').exec();
  await client.append('big', 'the end');
  await client.mset('one', Buffer.alloc(LARGE / 2, '1'), 'two', Buffer.alloc(LARGE / 2, '2'));
  await client.set('last', '1');
  await until('the last write came', async () => (await target.client.get('last')) === '1');
  await run.stop();
  expect([run.problems, await unlike([source], [target])]).toEqual([[], []]);
  const named = run.notes.flatMap((text) => /: (\w+): one is larger than 32 MB/.exec(text)?.[1] ?? []);
  expect(named.filter((name) => name !== 'APPEND')).toEqual(['SET', 'RPUSH']); // what APPEND added may have come with the value of SET
});
