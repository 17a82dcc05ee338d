import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { HOLD } from '../../src/sync/settle.js';
import type { RedisNode } from '../support/redis-node.js';
import { noise } from '../support/support.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll, withBacklog } from '../support/sync-source.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

afterEach(stopAll);

/** Values that are chosen by their type are fetched. */
const FETCHED: Partial<SyncOptions> = { filter: { type: ['string', 'list', 'set', 'zset', 'hash', 'stream'] } };

/** Bytes that cannot be compressed. */
const text = (size: number, ...numbers: number[]): Buffer => Buffer.concat([Buffer.from(numbers.join(' ')), noise(size)]);

/** A value over 1 MiB of each type, at once; `seed` makes other ones. */
async function writeLarge({ client }: RedisNode, seed: number): Promise<void> {
  const pipeline = client.multi();
  pipeline.set('string', text((3 << 20) - 100, seed));
  for (let from = 0; from < 12_000; from += 3000) {
    const numbers = Array.from({ length: 3000 }, (_, i) => text(100, seed, from + i));
    pipeline.rpush('list', ...numbers).sadd('set', ...numbers);
    pipeline.zadd('zset', ...numbers.flatMap((member, i) => [i / 7, member])).hset('hash', ...numbers.flatMap((field) => [field, field]));
  }
  for (let i = 0; i < 100; i++) pipeline.xadd('stream', '*', 'field', text(30_000, seed, i));
  pipeline
    .xgroup('CREATE', 'stream', `group ${seed}`, '0')
    .xreadgroup('GROUP', `group ${seed}`, 'someone', 'COUNT', 10, 'STREAMS', 'stream', '>');
  await pipeline.exec();
}

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
