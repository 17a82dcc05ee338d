import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rdbkit } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { SyncRun } from '../support/sync-run.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rdbkit-seed-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const forksOf = async ({ client }: RedisNode): Promise<string[]> =>
  (await client.info('stats')).match(/(?:sync_full|total_forks):\d+/g) ?? [];

describe('a server', () => {
  let source: RedisNode;
  let target: RedisNode;
  let file: string;

  beforeAll(async () => {
    [source, target] = await Promise.all([RedisNode.start('--repl-backlog-size', '1mb'), RedisNode.start()]);
    const pipeline = source.client.pipeline();
    for (let i = 0; i < 200; i++) pipeline.set(`key:${i}`, `${i}`);
    await pipeline.select(3).set('counter', '1').exec(); // the stream goes on in that database
    file = join(folder, 'backup.rdb');
    expect((await rdbkit(['dump', source.url, '--format', 'rdb', '-o', file])).code).toBe(0);
    await source.client.incr('counter');
  });

  afterAll(() => Promise.all([source.stop(), target.stop()]));

  const run = (more: ConstructorParameters<typeof SyncRun>[2] = {}): SyncRun =>
    new SyncRun(source.url, target.url, { seed: [file], ...more });

  test('is copied from a file, and followed from where that stands; it does not fork', async () => {
    const before = await forksOf(source);
    expect(before).toHaveLength(2);
    const copy = run({ untilCaughtUp: false });
    await copy.follows();
    await source.client.incr('counter');
    await source.client.pipeline().select(0).del('key:0').select(3).exec();
    expect((await copy.stop()).restored?.keys).toBe(201);
    const { caughtUp, restored } = await run().done;
    expect([caughtUp, restored, await forksOf(source)]).toEqual([true, undefined, before]);
    await target.client.select(3);
    expect([await target.client.get('counter'), await target.client.dbsize()]).toEqual(['3', 1]);
    await target.client.select(0);
    expect(await target.client.dbsize()).toBe(199 + 1);
  });

  test('a run that is killed while it copies goes on from the file and the spool', async () => {
    await target.client.flushall();
    const spool = join(folder, 'killed');
    const killed = run({ spool, maxKeysPerSecond: 20 });
    await expect.poll(() => target.client.dbsize()).toBeGreaterThan(5);
    await source.client.set('large', Buffer.alloc(3 << 20));
    await source.client.incr('counter');
    await expect.poll(() => killed.status?.lanes[0].received ?? 0).toBeGreaterThan(3 << 20);
    await killed.abort();
    const before = await forksOf(source);
    expect((await run({ spool }).done).restored?.keys).toBe(201);
    expect(await forksOf(source)).toEqual(before);
    await target.client.select(3);
    expect([await target.client.get('counter'), await target.client.strlen('large')]).toEqual(['4', 3 << 20]);
    await target.client.select(0);
  });

  test('a file that is too old: how many bytes are missing, or a full copy', async () => {
    await target.client.flushall();
    expect(await run().failure).toMatch(
      /SyncGap.*backup\.rdb is at offset \d+ of redis:\S+: it keeps its writes from offset \d+ on only, and \d+ bytes before/,
    );
    expect(await target.client.dbsize()).toBe(0);
    const asked: string[] = [];
    const whole = run({ onGap: undefined, confirmFull: (reason) => Promise.resolve(asked.push(reason) > 0) });
    expect((await whole.done).restored?.keys).toBe(201);
    expect(asked).toEqual([expect.stringContaining('backup.rdb is at offset')]);
  });

  test('files that do not say where they stand, are of another server, or come twice', async () => {
    await target.client.flushall();
    const other = await RedisNode.start();
    await other.client.set('a', '1');
    await other.client.save();
    expect(await run({ seed: [join(other.folder, 'dump.rdb')] }).failure).toContain('dump.rdb: it does not say where it stands');
    const [of, twice] = ['other.rdb', 'twice.rdb'].map((name) => join(folder, name));
    await rdbkit(['dump', other.url, '--format', 'rdb', '-o', of]);
    copyFileSync(file, twice);
    expect(await run({ seed: [of] }).failure).toMatch(
      /other\.rdb: it is at offset \d+ of [\da-f]{40}, a history that the source does not have/,
    );
    expect(await run({ seed: [file, twice] }).failure).toMatch(/backup\.rdb and \S+twice\.rdb are copies of it: give one of them/);
    expect(await target.client.dbsize()).toBe(0);
    await other.stop();
  });

  test('not into itself', async () => {
    expect(await new SyncRun(source.url, source.url, { seed: [file] }).failure).toContain('it is also the source');
  });
});

test('all masters of a cluster, by their manifest', async () => {
  const [cluster, target] = await Promise.all([TestCluster.start(), RedisNode.start()]);
  const masters = await cluster.masters();
  const client = new Cluster([{ host: '127.0.0.1', port: masters[0].port }]);
  const keys = Array.from({ length: 100 }, (_, i) => `key:${i}`);
  await Promise.all(keys.map((key) => client.incr(key)));
  const manifest = join(folder, 'backup.json');
  const made = await rdbkit(['dump', masters[0].url, '--format', 'rdb', '-o', join(folder, '{shard}.rdb'), '--manifest', manifest]);
  expect(made.code).toBe(0);
  await Promise.all(keys.map((key) => client.incr(key)));
  const before = await Promise.all(masters.map(forksOf));
  const argv = [
    'sync',
    masters[0].url,
    target.url,
    '--seed',
    manifest,
    '--until',
    'caught-up',
    '--settle',
    '100ms',
    '--spool',
    join(folder, 'cluster'),
  ];
  const { code, err } = await rdbkit(argv);
  expect([code, err]).toEqual([0, expect.stringContaining('100 keys restored')]);
  expect(await target.client.mget(keys)).toEqual(keys.map(() => '2'));
  expect(await Promise.all(masters.map(forksOf))).toEqual(before);
  client.disconnect();
  await Promise.all([cluster.stop(), target.stop()]);
});
