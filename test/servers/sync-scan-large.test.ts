import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import type { RedisNode } from '../support/redis-node.js';
import { writeLarge } from '../support/large-values.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll } from '../support/sync-source.js';
import { untilAlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

afterEach(stopAll);

const byScan = (source: RedisNode, more: Partial<SyncOptions> = {}): Partial<SyncOptions> => ({
  source: { access: { url: parseServerUrl(source.url) }, via: 'scan' },
  ...{ spool: undefined, holdExpiries: false, roundEvery: 100, settle: 100, untilCaughtUp: false },
  ...more,
});

async function follows(run: SyncRun): Promise<void> {
  await until('the sync follows', () => Promise.resolve(run.status?.phase === 'changes' && run.status.told !== undefined));
}

/** Until all that was written before is on the target, and both are alike. */
async function alike(run: SyncRun, source: RedisNode, target: RedisNode): Promise<void> {
  const told = (): { pending: number; rounds: number } => run.status?.told ?? { pending: 1, rounds: 0 };
  const { rounds } = told();
  await until('it is brought', () => told().rounds > rounds + 1 && told().pending === 0);
  await untilAlike([source], [target]);
}

test.each([
  ['as payloads', {}, []],
  ['as commands', { maxPayload: 1 << 20 }, []],
  ['as commands, where the target closes the connection at the payload', {}, ['--proto-max-bulk-len', '3mb']],
])('values that are too large to be held are fetched and written: %s', async (_, more, args) => {
  const [source, target] = [await started(), await started(...args)];
  await writeLarge(source, 0);
  const run = new SyncRun(source.url, target.url, byScan(source, more));
  await follows(run);
  for (const seed of [1, 2]) {
    await writeLarge(source, seed);
    await alike(run, source, target);
  }
  await source.client.xgroup('DESTROY', 'stream', 'group 1'); // which is not told
  await source.client.del('list', 'hash');
  await source.client.pexpireat('string', 4102444800000);
  await alike(run, source, target);
  const { caughtUp, told } = await run.stop();
  expect([caughtUp, told?.doubts, run.problems]).toEqual([true, [], []]);
  expect(await target.client.keys('*restoring*')).toEqual([]);
  expect(await target.client.pexpiretime('string')).toBe(4102444800000);
  expect(await target.client.xinfo('GROUPS', 'stream')).toEqual(await source.client.xinfo('GROUPS', 'stream'));
});

test('a target that takes no writes for a while gets large values then', async () => {
  const [source, target] = [await started(), await started()];
  const run = new SyncRun(source.url, target.url, byScan(source));
  await follows(run);
  await target.client.config('SET', 'min-replicas-to-write', '1');
  await writeLarge(source, 1);
  await until('it is told', () => run.events.some((text) => text.includes('NOREPLICAS')));
  await target.client.config('SET', 'min-replicas-to-write', '0');
  await alike(run, source, target);
  expect([(await run.stop()).caughtUp, run.problems, run.status?.told?.scans]).toEqual([true, [], 0]);
});
