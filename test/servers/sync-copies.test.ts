import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KeyPrefixes } from '../../src/values/key-prefixes.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { noise } from '../support/support.js';
import { until } from '../support/until.js';

let source: RedisNode;
let target: RedisNode;
let spool: string;

beforeAll(async () => {
  [source, target] = await Promise.all([RedisNode.start('--repl-backlog-size', '64mb'), RedisNode.start()]);
  spool = mkdtempSync(join(tmpdir(), 'rdbkit-copies-'));
});

afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  rmSync(spool, { recursive: true, force: true });
});

beforeEach(async () => {
  await Promise.all([source.client.flushall(), target.client.flushall()]);
  for (const name of readdirSync(spool)) rmSync(join(spool, name), { recursive: true });
});

const run = (more: ConstructorParameters<typeof SyncRun>[2] = {}): SyncRun => new SyncRun(source.url, target.url, { spool, ...more });

const keysOf = async (node: RedisNode): Promise<string[]> => (await node.client.keys('*')).sort();

const RECORD = 'rdbkit:sync:test';

describe('a target that is not empty', () => {
  beforeEach(async () => {
    await source.client.mset('a', '1', 'b', '2');
    await target.client.mset('a', 'mine', 'other', 'mine');
  });

  test('is left alone, kept, replaced or flushed', async () => {
    expect(await run().failure).toContain('the target has 2 keys already');
    expect(await keysOf(target)).toEqual(['a', 'other']);
    await run({ conflict: 'skip' }).done;
    expect(await target.client.mget('a', 'b', 'other')).toEqual(['mine', '2', 'mine']);
    await target.client.del(RECORD, 'b');
    await run({ conflict: 'replace' }).done;
    expect(await target.client.mget('a', 'b', 'other')).toEqual(['1', '2', 'mine']);
    await target.client.del(RECORD);
    await run({ flush: true }).done;
    expect(await target.client.mget('a', 'b', 'other')).toEqual(['1', '2', null]);
  });

  test('FLUSHALL in the source removes only what is the source’s, also after another full copy', async () => {
    await run({ conflict: 'replace' }).done;
    const again = run({ fresh: true, untilCaughtUp: false, filter: { notPrefix: [Buffer.from('other')] } });
    await again.follows();
    await source.client.flushall();
    await again.stop();
    expect(await keysOf(target)).toEqual(['other', RECORD]);
  });
});

describe('another full copy', () => {
  beforeEach(async () => {
    const pipeline = source.client.pipeline();
    for (let i = 0; i < 50; i++) pipeline.select(i % 2).set(`key:${i}`, `${i}`);
    await pipeline.select(0).exec();
  });

  /** Deletes some in the source while no sync runs, and makes it forget what it wrote. */
  async function away(): Promise<void> {
    await source.client.del('key:0', 'key:2');
    await source.client.select(1);
    await source.client.del('key:1');
    await source.client.select(0);
  }

  test('removes what the source no longer has, if the target has nothing else', async () => {
    await run().done;
    await away();
    const again = run({ fresh: true });
    await again.done;
    expect(again.events).toContain('3 keys of the target that the source does not have: they are deleted');
    const keys = async (): Promise<string[]> => (await keysOf(target)).filter((key) => key.startsWith('key:'));
    expect([(await keys()).length, await target.client.exists('key:0', 'key:2')]).toEqual([23, 0]);
    await target.client.select(1);
    expect([(await keys()).length, await target.client.exists('key:1')]).toEqual([24, 0]);
    await target.client.select(0);
  });

  test('looks for keys under their names in the source', async () => {
    const names = { keyPrefixMap: new KeyPrefixes([{ from: Buffer.from('key:'), to: Buffer.from('new:') }]) };
    await run(names).done;
    await source.client.del('key:0');
    const again = run({ ...names, fresh: true });
    await again.done;
    expect(again.events).toContain('a key of the target that the source does not have: they are deleted');
    expect((await keysOf(target)).filter((key) => key.startsWith('new:')).length).toBe(24);
  });

  test('asks, if the target had other keys', async () => {
    await target.client.set('other', 'mine');
    await run({ conflict: 'skip' }).done;
    await away();
    const asked: number[] = [];
    const again = run({ fresh: true, confirmSweep: (keys) => Promise.resolve(asked.push(keys) < 0) });
    await again.done;
    expect([asked, await target.client.exists('key:0', 'key:2', 'other')]).toEqual([[4], 3]);
    expect(again.notes.join()).toContain('4 keys of the target that the source does not have stay there');
    await run({ fresh: true, filter: { prefix: [Buffer.from('key:')] }, confirmSweep: (keys) => Promise.resolve(asked.push(keys) > 0) })
      .done;
    expect([asked, await target.client.exists('key:0', 'key:2', 'other')]).toEqual([[4, 3], 1]);
  });

  test('one that was killed is made again, whatever was written', async () => {
    const killed = run({ maxKeysPerSecond: 10 });
    await expect.poll(() => target.client.dbsize()).toBeGreaterThan(5);
    await killed.abort();
    await away();
    await source.client.set('key:4', 'new');
    const again = run();
    expect((await again.done).restored?.keys).toBe(47);
    expect([await target.client.get('key:4'), await target.client.exists('key:0', 'key:2')]).toEqual(['new', 0]);
  });
});

describe('a full copy that the source ends', () => {
  beforeEach(async () => {
    await source.client.config('SET', 'rdb-key-save-delay', '2000'); // microseconds
    const pipeline = source.client.pipeline();
    const value = Buffer.from(noise(5000)); // it is not compressed, so that it comes as it is read
    for (let i = 0; i < 2000; i++) pipeline.set(`key:${i}`, value);
    await pipeline.exec();
  });

  afterEach(() => source.client.config('SET', 'rdb-key-save-delay', '0'));

  test('is begun again: FLUSHALL ends an RDB', async () => {
    const flushed = run({ untilCaughtUp: false });
    await expect.poll(() => target.client.dbsize()).toBeGreaterThan(5);
    await source.client.multi().flushall().set('after', '1').exec();
    await flushed.follows();
    await source.client.set('last', '1');
    await flushed.stop();
    expect(flushed.events.join('\n')).toContain('the full copy begins again, attempt 2 of 3');
    expect(await keysOf(target)).toEqual(['after', 'last', RECORD]);
  });

  test('is given up after some attempts', async () => {
    const killed = run({ untilCaughtUp: false });
    for (let attempt = 1; attempt <= 3; attempt++) {
      const sends = async (): Promise<boolean> => (await source.client.info('persistence')).includes('rdb_bgsave_in_progress:1');
      await until('the source sends its RDB', sends);
      await delay(500); // some of it has come
      await source.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
      await until('that has ended', async () => !(await sends()));
    }
    const { restored } = await killed.done;
    expect(restored?.errors.map(({ code }) => code)).toEqual(['SOURCE_LOST']);
    expect(killed.events.filter((event) => event.includes('begins again'))).toHaveLength(2);
  });
});
