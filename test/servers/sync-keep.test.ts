import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Running } from '../support/processes.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { forgetSync } from '../../src/commands/sync.js';
import { SyncRun, syncOptions } from '../support/sync-run.js';
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
    new Running([
      'sync',
      source.url,
      target.url,
      '--id',
      'test',
      '--spool',
      spool,
      '--keep-rdb',
      '--until',
      'caught-up',
      '--settle',
      '100ms',
      ...more,
    ]);
  /** A target that takes some keys a second only. */
  const slow = (): Running => start('--max-keys-per-second', '20');
  const isWhole = (): Promise<void> => until('the RDB is kept', () => existsSync(file('copy.json')));

  const ended = async (run: Running): Promise<string> => {
    const { code, err } = await run.ended;
    expect([code, err]).toEqual([0, expect.stringContaining(`the full copy is done, with ${KEYS} keys`)]);
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
      await target.client.flushall();
      const killed = slow();
      await isWhole();
      await killed.kill();
    };
    await kept();
    truncateSync(file('copy.rdb'), 1e6);
    expect(await ended(start())).toContain('the RDB that an earlier run kept of it is not whole');

    await kept();
    const bytes = Buffer.alloc(1000);
    writeFileSync(file('copy.rdb'), bytes, { flag: 'r+' });
    const failed = await start().ended;
    expect([failed.code, failed.err]).toEqual([3, expect.stringMatching(/deleted: run the same command again to copy the source/)]);
    expect(await ended(start())).not.toContain('which an earlier run kept');

    await kept();
    for (const name of readdirSync(join(spool, 'lane-test-0'))) if (name.endsWith('.spool')) rmSync(file(name));
    await source.client.set('key:0', Buffer.alloc(3 << 20));
    expect(await ended(start())).toMatch(
      /the RDB that an earlier run kept is at offset \d+ of it: it keeps its writes from offset \d+ on only/,
    );
    await source.client.set('key:0', randomBytes(SIZE));
  });

  test('the target is lost: what to do then', async () => {
    const run = start('--max-keys-per-second', '20', '--retry-for', '100ms');
    await isWhole();
    await target.kill();
    const { code, err } = await run.ended;
    await target.restart();
    expect([code, err]).toEqual([4, expect.stringContaining('Run the same command again: it goes on from the RDB that was kept.')]);
    expect(await ended(start())).toContain('which an earlier run kept');
  });

  test('it is used without the option, too; --fresh and --forget delete it', async () => {
    const run = (more: ConstructorParameters<typeof SyncRun>[2]): SyncRun => new SyncRun(source.url, target.url, { spool, ...more });
    const killed = run({ keepRdb: true, maxKeysPerSecond: 20 });
    await isWhole();
    await killed.abort();
    expect(killed.events).toContainEqual(expect.stringMatching(/its RDB is kept, 30\.0 MB: a run/));
    const before = await forksOf(source);
    const dry = run({ dryRun: true });
    await dry.done;
    expect([dry.events, existsSync(file('copy.rdb'))]).toEqual([
      expect.arrayContaining([expect.stringContaining('its copy is taken')]),
      true,
    ]);
    const again = run({ maxKeysPerSecond: 20 });
    await expect.poll(() => again.events).toContainEqual(expect.stringContaining('its copy is taken'));
    await again.abort();
    expect(await forksOf(source)).toEqual(before);

    const fresh = run({ fresh: true });
    expect((await fresh.done).restored?.keys).toBe(KEYS);
    expect([fresh.events.join(), existsSync(file('copy.rdb'))]).toEqual([expect.not.stringContaining('its copy is taken'), false]);
    expect(await forksOf(source)).not.toEqual(before);

    const last = run({ fresh: true, keepRdb: true, maxKeysPerSecond: 20 });
    await isWhole();
    await last.abort();
    await forgetSync(syncOptions(source.url, target.url, { spool }));
    expect(existsSync(join(spool, 'lane-test-0'))).toBe(false);
  });
});

describe('a cluster', () => {
  let cluster: TestCluster;
  let masters: RedisNode[];
  let target: RedisNode;

  beforeAll(async () => {
    [cluster, target] = await Promise.all([TestCluster.start(), RedisNode.start()]);
    masters = await cluster.masters();
    const client = new Cluster([{ host: '127.0.0.1', port: masters[0].port }]);
    await Promise.all(Array.from({ length: 300 }, (_, i) => client.incr(`key:${i}`)));
    client.disconnect();
  });

  afterAll(() => Promise.all([cluster.stop(), target.stop()]));

  const kept = (spool: string): boolean[] => [0, 1, 2].map((lane) => existsSync(join(spool, `lane-test-${lane}`, 'copy.json')));

  /** A run that is ended when it has kept the RDBs of all masters. */
  const killed = async (spool: string): Promise<void> => {
    await target.client.flushall();
    const run = new SyncRun(masters[0].url, target.url, { spool, keepRdb: true, maxKeysPerSecond: 60 });
    await until('all are kept', () => kept(spool).every(Boolean));
    await run.abort();
    expect(await target.client.dbsize()).toBeLessThan(300);
  };

  test('goes on from the RDBs of all masters, without keys of slots that they do not have', async () => {
    const spool = join(folder, 'cluster');
    const [first, , last] = masters;
    const { slot, key } = await strayKey(first, last);
    await killed(spool);
    const before = await Promise.all(masters.map(forksOf));
    const run = new SyncRun(masters[0].url, target.url, { spool });
    expect((await run.done).restored?.keys).toBe(300);
    expect(await Promise.all(masters.map(forksOf))).toEqual(before);
    expect(await target.client.get(key)).toBe('1');
    await last.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await first.client.cluster('MYID'));
    await last.client.pipeline().call('ASKING').del(key).call('CLUSTER', 'SETSLOT', slot, 'STABLE').exec();
    expect([await unlike(masters, [target]), kept(spool)]).toEqual([[], [false, false, false]]);
  });

  /** A key of the first master that the other one has a value of, too, though not its slot. */
  async function strayKey(first: RedisNode, other: RedisNode): Promise<{ slot: number; key: string }> {
    const [key = ''] = await first.client.keys('key:*');
    const slot = await first.client.cluster('KEYSLOT', key);
    await other.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await first.client.cluster('MYID'));
    await other.client.pipeline().call('ASKING').set(key, 'stray').call('CLUSTER', 'SETSLOT', slot, 'STABLE').exec();
    return { slot, key };
  }

  test('copies all again unless those of all masters are whole', async () => {
    const spool = join(folder, 'some');
    await killed(spool);
    for (const name of ['copy.json', 'copy.rdb']) rmSync(join(spool, 'lane-test-1', name));
    const run = new SyncRun(masters[0].url, target.url, { spool, keepRdb: true });
    expect((await run.done).restored?.keys).toBe(300);
    expect(run.events).toContainEqual(expect.stringMatching(/has kept no RDB of it: the full copy begins again, of all masters$/));
    expect([await unlike(masters, [target]), kept(spool)]).toEqual([[], [false, false, false]]);
  });
});
