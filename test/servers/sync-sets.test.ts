import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RedisNode } from '../support/redis-node.js';
import { callsOf } from '../support/restore-support.js';
import { SyncRun } from '../support/sync-run.js';
import { started, stopAll, withBacklog } from '../support/sync-source.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

afterEach(stopAll);

describe('SETs that follow one another', () => {
  let source: RedisNode;
  let target: RedisNode;

  beforeEach(async () => {
    [source, target] = [await withBacklog(), await started()];
    await source.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
  });

  /** Writes whose effect SET and MSET have to have in common, and waits until they are at the target. */
  async function write(last: string): Promise<void> {
    const client = source.client.pipeline();
    for (let i = 0; i < 500; i++) client.set(`k${i}`, `first ${i}`, 'PX', 1e9);
    for (let i = 0; i < 500; i++) client.set(`k${i}`, `second ${i} ${last}`); // without an expiry
    for (let i = 0; i < 10; i++) client.rpush(`list${i}`, 'v').incr('count');
    for (let i = 0; i < 10; i++) client.set(`list${i}`, ''); // of another type
    for (let i = 0; i < 9; i++) client.set('same', `${i}`);
    client.set('count', '7').incr('count').set('odd\r\n*3\r\n$3\r\nSET\r\n', last).set('count', '9').incr('count');
    for (let i = 0; i < 20; i++) client.set(`long${i}`, 'x'.repeat(500 * i));
    client.call('MULTI');
    for (let i = 0; i < 7; i++) client.set(`multi${i}`, last);
    client.incr('count').call('EXEC');
    client.select(3);
    for (let i = 0; i < 30; i++) client.set(`k${i}`, `other database ${i}`);
    client.select(0).set('last', last);
    await client.exec();
  }

  const arrived = (last: string): Promise<void> =>
    until('the last write came', async () => (await target.client.get('last')) === last);

  test('are one MSET of the target', async () => {
    const run = new SyncRun(source.url, target.url, { untilCaughtUp: false, holdExpiries: false });
    await run.follows();
    await write('1');
    await arrived('1');
    await run.stop();
    expect([run.problems, await unlike([source], [target], { databases: [0, 3] })]).toEqual([[], []]);
    expect(await callsOf(target.client, 'mset')).toBeGreaterThan(3);
    expect(await callsOf(target.client, 'set')).toBeLessThan(600); // 500 are with an expiry
    expect(await target.client.exists('rdbkit:sync:test:none')).toBe(0);
  });

  test('are SETs where the user may not run MSET, or not any more', async () => {
    const { client } = target;
    await client.call('ACL', 'SETUSER', 'rdbkit', 'on', '>secret', '~*', '+@all', '-mset', '-discard');
    const url = `redis://rdbkit:secret@127.0.0.1:${target.port}`;
    const more = { untilCaughtUp: false, holdExpiries: false };
    const first = new SyncRun(source.url, url, more);
    await first.follows();
    await write('1');
    await arrived('1');
    await first.stop();
    expect([await callsOf(target.client, 'mset'), first.problems]).toEqual([0, []]);
    await client.call('ACL', 'SETUSER', 'rdbkit', '+mset');
    const second = new SyncRun(source.url, url, more);
    await second.follows();
    await client.call('ACL', 'SETUSER', 'rdbkit', '-mset');
    await write('2');
    await expect(second.done).rejects.toThrow(/NOPERM .*mset/);
    const third = new SyncRun(source.url, url, more);
    await arrived('2');
    await third.stop();
    expect([third.problems, await unlike([source], [target], { databases: [0, 3] })]).toEqual([[], []]);
  });
});
