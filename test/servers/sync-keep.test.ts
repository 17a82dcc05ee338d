import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Running } from '../support/processes.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';
import { unlike } from '../support/sync-support.js';
import { until } from '../support/until.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rdbkit-keep-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const forksOf = async ({ client }: RedisNode): Promise<string[]> =>
  (await client.info()).match(/(?:sync_full|total_forks|rdb_saves):\d+/g) ?? [];

const SIZE = 100_000;
const KEYS = 300;

describe('a server', () => {
  let source: RedisNode;
  let target: RedisNode;
  let spool: string;
  let runs = 0;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start(), RedisNode.start()]);
    for (let i = 0; i < KEYS; i++) await source.client.set(`key:${i}`, randomBytes(SIZE));
  });

  beforeEach(async () => {
    spool = join(folder, `${runs++}`);
    await target.client.flushall();
    await source.client.select(2);
    await source.client.del('counter');
  });

  afterAll(() => Promise.all([source.stop(), target.stop()]));

  const file = (name: string): string => join(spool, 'lane-test-0', name);
  const start = (...more: string[]): Running =>
    new Running(['sync', source.url, target.url, '--id', 'test', '--spool', spool, '--keep-rdb', '--until', 'caught-up', ...more]);
  /** A target that takes some keys a second only. */
  const slow = (): Running => start('--max-keys-per-second', '20');
  const isWhole = (): Promise<void> => until('the RDB is kept', () => existsSync(file('copy.json')));

  const ended = async (run: Running): Promise<string> => {
    const { code, err } = await run.ended;
    expect([code, err]).toEqual([0, expect.stringContaining(`${KEYS} keys restored`)]);
    expect(await unlike([source], [target], { databases: [0, 2] })).toEqual([]);
    expect(readdirSync(join(spool, 'lane-test-0')).filter((name) => name.startsWith('copy'))).toEqual([]);
    return err;
  };

  test('a run that is killed after the RDB has come goes on from it: the source does not fork again', async () => {
    const killed = slow();
    await isWhole();
    for (let i = 0; i < 100; i++) await source.client.incr('counter');
    expect(statSync(file('copy.rdb')).size).toBeGreaterThan(KEYS * SIZE);
    const before = await forksOf(source);
    expect(before).toHaveLength(3);
    await killed.kill();
    expect(await target.client.dbsize()).toBeLessThan(KEYS);
    await source.client.incr('counter');
    expect(await ended(start())).toMatch(/redis:\S+: its copy is taken from \S+copy\.rdb, which an earlier run kept/);
    expect(await forksOf(source)).toEqual(before);
    await target.client.select(2);
    expect(await target.client.get('counter')).toBe('101');
    await target.client.select(0);
  });

  test('a run that is killed before the RDB is whole begins the copy again', async () => {
    await source.client.config('SET', 'rdb-key-save-delay', '10000');
    const killed = start();
    await until('some of the RDB has come', () => existsSync(file('copy.rdb.partial')) && statSync(file('copy.rdb.partial')).size > 1e6);
    await killed.kill();
    await source.client.config('SET', 'rdb-key-save-delay', '0');
    await until('the source has noticed', async () => (await source.client.info('persistence')).includes('rdb_bgsave_in_progress:0'));
    expect(existsSync(file('copy.json'))).toBe(false);
    expect(await ended(start())).toMatch(/the RDB that an earlier run kept of it is not whole: the full copy begins again/);
  });

  test('one that is damaged, too short, or whose writes are gone is dropped', async () => {
    const kept = async (): Promise<void> => {
      const killed = slow();
      await isWhole();
      await killed.kill();
    };
    await kept();
    truncateSync(file('copy.rdb'), 1e6);
    expect(await ended(start())).toContain('the RDB that an earlier run kept of it is not whole');

    await target.client.flushall();
    await kept();
    const bytes = Buffer.alloc(1000);
    writeFileSync(file('copy.rdb'), bytes, { flag: 'r+' });
    const failed = await start().ended;
    expect([failed.code, failed.err]).toEqual([3, expect.stringContaining('copy.rdb')]);
    expect(await ended(start())).not.toContain('which an earlier run kept');

    await target.client.flushall();
    await kept();
    rmSync(spool, { recursive: true, force: true });
  });

  test('--fresh and --forget delete it; without the option it is used', async () => {
    const run = new SyncRun(source.url, target.url, { spool, keepRdb: true, maxKeysPerSecond: 20 });
    await isWhole();
    await run.abort();
    const before = await forksOf(source);
    expect(run.events).toContainEqual(expect.stringMatching(/its RDB is kept, with \d+ bytes/));
    expect((await new SyncRun(source.url, target.url, { spool }).done).restored?.keys).toBe(KEYS);
    expect(await forksOf(source)).toEqual(before);
    expect(existsSync(file('copy.rdb'))).toBe(false);
  });
});
