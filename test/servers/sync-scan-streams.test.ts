import { afterEach, expect, test } from 'vitest';
import { parseServerUrl } from '../../src/redis/url.js';
import type { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll } from '../support/sync-source.js';
import { until } from '../support/until.js';

afterEach(stopAll);

const syncOf = (source: RedisNode, target: RedisNode): SyncRun =>
  new SyncRun(source.url, target.url, {
    source: { access: { url: parseServerUrl(source.url) }, via: 'scan' },
    ...{ spool: undefined, holdExpiries: false, roundEvery: 20, settle: 20, untilCaughtUp: false },
  });

/** How often a server was asked for a value. */
const dumpsOf = async ({ client }: RedisNode): Promise<number> =>
  Number(/^cmdstat_dump:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1]);

/** Until some rounds in a row ask for no value. */
async function settled(source: RedisNode, run: SyncRun): Promise<void> {
  let [dumps, rounds] = [-1, 0];
  await until('no value is asked for', async () => {
    const [now, round] = [await dumpsOf(source), run.status?.told?.rounds ?? 0];
    if (now !== dumps) [dumps, rounds] = [now, round];
    return round >= rounds + 30;
  });
}

/** All that a stream has. */
async function streamOf({ client }: RedisNode): Promise<string> {
  const fields = (await client.call('XINFO', 'STREAM', 'stream', 'FULL', 'COUNT', '0').catch(String)) as unknown[];
  return JSON.stringify(fields, (_, value: unknown) => value).replaceAll(/"radix-tree-\w+",\d+,/g, '');
}

const CHANGES: readonly string[][] = [
  ['XGROUP CREATE stream other 0'],
  ['XREADGROUP GROUP group one COUNT 3 STREAMS stream >'],
  ['XREADGROUP GROUP group one COUNT 3 STREAMS stream 0'],
  ['XREADGROUP GROUP group one NOACK COUNT 1 STREAMS stream >'],
  ['XACK stream group 1-1'],
  ['XCLAIM stream group one 0 1-2 JUSTID'],
  ['XCLAIM stream group one 0 1-3 RETRYCOUNT 7 JUSTID'],
  ['XCLAIM stream group one 0 1-3 TIME 1000 JUSTID'],
  ['XACK stream group 1-2', 'XCLAIM stream group one 0 1-1 FORCE JUSTID'],
  ['XAUTOCLAIM stream group two 0 1-3 COUNT 1'],
  ['XGROUP CREATECONSUMER stream group three'],
  ['XGROUP DELCONSUMER stream group two'],
  ['XGROUP SETID stream group 1-2'],
  ['XSETID stream 9-9'],
  ['XGROUP DESTROY stream other'],
];

test('streams are read again only if they have changed, and every change is noticed that nothing tells of', async () => {
  const [source, target] = [await started(), await started()];
  const { client } = source;
  for (let i = 1; i < 10; i++) await client.xadd('stream', `1-${i}`, 'field', `${i}`);
  await client.xgroup('CREATE', 'stream', 'group', '0');
  for (let i = 1; i < 100; i++) await client.xadd(`stream:${i}`, '1-1', 'field', `${i}`);
  const run = syncOf(source, target);
  await until('the sync follows', () => Promise.resolve(run.status?.told?.watched === 100));
  for (const commands of CHANGES) {
    await settled(source, run);
    const transaction = client.multi();
    for (const command of commands) transaction.call(...(command.split(' ') as [string, ...string[]]));
    for (const [error] of (await transaction.exec()) ?? []) expect(error, commands.join()).toBeNull();
    const isAlike = async (): Promise<boolean> => (await streamOf(target)) === (await streamOf(source));
    await until(`the target has ${commands.join()}`, isAlike);
  }
  const before = await dumpsOf(source);
  const { caughtUp, told } = await run.stop();
  expect([caughtUp, told?.doubts, run.problems, await dumpsOf(source)]).toEqual([true, [], [], expect.any(Number)]);
  expect((await dumpsOf(source)) - before).toBeLessThan(10); // not those of the other streams
});

test('a source that refuses XINFO: its streams are read every round', async () => {
  const [source, target] = [await started(), await started()];
  await source.client.xadd('stream', '1-1', 'a', 'b');
  await source.client.xgroup('CREATE', 'stream', 'group', '0');
  await source.client.call('ACL', 'SETUSER', 'default', '-xinfo');
  const run = syncOf(source, target);
  await until('the sync follows', () => Promise.resolve(run.status?.phase === 'changes'));
  await until('it is told', () => run.events.some((text) => text.includes('all streams are read every round')));
  await source.client.xgroup('CREATECONSUMER', 'stream', 'group', 'one');
  await source.client.call('ACL', 'SETUSER', 'default', '+xinfo');
  await until('the target has it', async () => (await streamOf(target)) === (await streamOf(source)));
  expect((await run.stop()).caughtUp).toBe(true);
});
