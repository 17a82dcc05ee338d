import { afterEach, expect, test } from 'vitest';
import type { SyncOptions } from '../../src/commands/sync.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { DelayProxy } from '../support/delay-proxy.js';
import type { RedisNode } from '../support/redis-node.js';
import { callsOf } from '../support/restore-support.js';
import { noise } from '../support/support.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll } from '../support/sync-source.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

afterEach(stopAll);

const byScan = (source: RedisNode, more: Partial<SyncOptions>): Partial<SyncOptions> => ({
  source: { access: { url: parseServerUrl(source.url) }, via: 'scan' },
  ...{ spool: undefined, holdExpiries: false, roundEvery: 100, pauseSource: 20_000 },
  ...more,
});

const givenUp = (run: SyncRun): Promise<void> =>
  until('it has given up', () => run.notes.some((text) => text.includes('the cutover is given up')));

test('a source is not paused for nothing: what prevents the cutover is named first', async () => {
  const [source, target] = [await started(), await started('--proto-max-bulk-len', '1mb')];
  await source.client.mset('a', '1', 'b', '2');
  let writing: Promise<unknown> | undefined;
  const run = new SyncRun(source.url, target.url, {
    ...byScan(source, { roundEvery: 3000 }),
    onStatus: (status) => {
      if (status.phase === 'changes') void (writing ??= source.client.rpush('list', Buffer.from(noise(2 << 20))));
    },
  });
  await until('it says so', () => run.notes.some((text) => text.startsWith('the source is not paused')));
  expect(run.notes.join('\n')).toContain('the target could not take its place: a key could not be brought over. The sync goes on until');
  expect(await callsOf(source.client, 'client\\|pause')).toBe(0);
  await source.client.set('c', '3');
  await until('it goes on', async () => (await target.client.get('c')) === '3');
  const { cutover, problems } = await run.stop();
  expect([cutover, problems]).toEqual([undefined, 1]);
});

test('a pause that is shorter than a round is not tried', async () => {
  const [source, target] = [await started(), await started()];
  const proxy = await DelayProxy.start(source.port, 20);
  const access = { url: parseServerUrl(proxy.url) };
  const run = new SyncRun(proxy.url, target.url, byScan(source, { source: { access, via: 'scan' }, pauseSource: 20 }));
  await until('it says so', () => run.notes.some((text) => text.startsWith('the source is not paused')));
  expect(run.notes.join('\n')).toMatch(/a round takes \d+\.\d s, which is longer than the pause of 0\.0 s/);
  expect(await callsOf(source.client, 'client\\|pause')).toBe(0);
  expect((await run.stop()).caughtUp).toBe(true);
  await proxy.stop();
});

test('a write in the pause that nothing tells of is noticed', async () => {
  const [source, target] = [await started(), await started()];
  await source.client.call('DEBUG', 'POPULATE', '300000');
  await source.client.xgroup('CREATE', 'stream', 'group', '$', 'MKSTREAM');
  let scans = Infinity;
  const run = new SyncRun(source.url, target.url, {
    ...byScan(source, {}),
    onEvent: (text) => {
      if (text.startsWith('the source is paused')) scans = 0;
    },
  });
  await until('it is paused', () => scans === 0);
  scans = await callsOf(source.client, 'scan');
  await until('both sides are compared', async () => (await callsOf(source.client, 'scan')) > scans);
  await source.client.call('CLIENT', 'UNPAUSE');
  await source.client.xgroup('SETID', 'stream', 'group', '1-1');
  await givenUp(run);
  expect(run.notes.join('\n')).toContain('the cutover is given up: the source was written to while it was paused');
  expect((await run.stop()).caughtUp).toBe(true);
  expect(await target.client.xinfo('GROUPS', 'stream')).toEqual(await source.client.xinfo('GROUPS', 'stream'));
});

test('keys that could not be written in the pause are written once the target is back', async () => {
  const [source, target] = [await started(), await started()];
  await source.client.set('a', '1');
  await source.client.xgroup('CREATE', 'stream', 'group', '$', 'MKSTREAM');
  const proxy = await DelayProxy.start(target.port, 0);
  const run = new SyncRun(source.url, proxy.url, {
    ...byScan(source, { pauseSource: 1500 }),
    onEvent: (text) => {
      if (!text.startsWith('the source is paused')) return;
      proxy.cut = true;
      void source.client.set('late', '1');
      void source.client.xgroup('SETID', 'stream', 'group', '1-1');
    },
  });
  await givenUp(run);
  await until('the round has given up, too', () => run.status?.phase === 'changes');
  proxy.cut = false;
  await until('the target has it', async () => (await target.client.get('late')) === '1');
  await until('they are alike', async () => (await unlike([source], [target])).length === 0);
  expect([(await run.stop()).caughtUp, run.status?.told?.scans]).toEqual([true, 0]);
  expect(await target.client.xinfo('GROUPS', 'stream')).toEqual(await source.client.xinfo('GROUPS', 'stream'));
  await proxy.stop();
});
