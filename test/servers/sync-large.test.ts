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
