import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { aborted, Folder, rdbkit } from '../support/cli-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { until } from '../support/until.js';
import { portOf, report, restore, urlOf } from '../support/restore-support.js';

interface Manifest {
  rdbkit: string;
  version: number;
  created: string;
  source: string;
  server: string;
  clustered: boolean;
  via: string;
  filtered?: boolean;
  options?: string[];
  files: {
    file: string;
    bytes: number;
    crc64: string;
    rdbVersion: number;
    keys: number;
    shards: {
      node: string;
      replicaOf?: string;
      nodeId?: string;
      slots: [number, number][];
      replicationId?: string;
      replicationOffset?: number;
      streamDb?: number;
    }[];
  }[];
}

const KEYS = 3000;
const LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";

describe(`a backup of a cluster of ${SERVER}`, () => {
  let folder: Folder;
  const folders: Folder[] = [];
  let cluster: TestCluster;
  let target: TestServer;
  let masters: RedisNode[];
  let url: string;

  beforeAll(async () => {
    [cluster, target] = await Promise.all([TestCluster.start(), TestServer.start()]);
    masters = await cluster.masters();
    url = masters[1].url;
    const keys = Object.fromEntries(Array.from({ length: KEYS }, (_, i) => [`key:${i}`, `value ${i}`]));
    const source = await TestServer.start();
    await source.client.mset(keys);
    await source.client.call('FUNCTION', 'LOAD', LIBRARY);
    expect((await restore([urlOf(source), url, '--quiet'])).code).toBe(0);
    await source.stop();
  });
  beforeEach(async () => {
    folder = new Folder();
    folders.push(folder);
    await target.client.flushall();
    await target.client.call('FUNCTION', 'FLUSH');
  });
  afterAll(async () => {
    await Promise.all([cluster.stop(), target.stop()]);
    for (const made of folders) made.remove();
  });

  const files = (): string[] => readdirSync(folder.path).sort();
  const names = (): string[] => masters.map(({ port }) => `backup-127.0.0.1-${port}.rdb`).sort();
  const dump = (...argv: string[]) => rdbkit(['dump', url, ...argv]);
  const backUp = async (...argv: string[]): Promise<Manifest> => {
    const { code, err } = await dump('-o', folder.at('backup-{shard}.rdb'), '--manifest', folder.at('backup.json'), ...argv);
    expect([code, err]).toEqual([0, expect.any(String)]);
    return manifest();
  };
  const manifest = (): Manifest => JSON.parse(readFileSync(folder.at('backup.json'), 'utf8')) as Manifest;
  const edit = (change: (manifest: Manifest) => void): void => {
    const read = manifest();
    change(read);
    writeFileSync(folder.at('backup.json'), JSON.stringify(read));
  };

  test('has a file for each master, and a manifest that describes them', async () => {
    const { code, err } = await dump('-o', folder.at('backup-{shard}.rdb'), '--manifest', folder.at('backup.json'));
    expect(code).toBe(0);
    expect(files()).toEqual([...names(), 'backup.json'].sort());
    for (const name of names()) expect(err).toMatch(new RegExp(`^rdbkit: "?${folder.at(name)}"?: [\\d,]+ keys, \\d`, 'm'));
    expect(err).toContain('rdbkit: 3,000 keys, ');
    const { created, files: described, ...about } = manifest();
    expect(about).toEqual({
      ...{ rdbkit: 'backup manifest', version: 1, source: url, clustered: true, via: 'replication' },
      server: expect.stringMatching(/^(Redis|Valkey) \d/) as string,
    });
    expect(Date.now() - Date.parse(created)).toBeLessThan(60_000);
    expect(described.map(({ file }) => file).sort()).toEqual(names());
    expect(described.reduce((sum, { keys }) => sum + keys, 0)).toBe(KEYS);
    for (const { bytes, crc64, file, rdbVersion, shards } of described) {
      const content = readFileSync(folder.at(file));
      expect([content.length, content.subarray(-8).toString('hex')]).toEqual([bytes, crc64]);
      expect(Number(/\d+$/.exec(content.subarray(0, 9).toString())?.[0])).toBe(rdbVersion);
      const node = masters.find(({ name }) => name === shards[0].node) as RedisNode;
      expect(file).toBe(`backup-127.0.0.1-${node.port}.rdb`);
      const info = await node.client.info('replication');
      expect(shards).toEqual([
        {
          node: node.name,
          nodeId: await node.client.call('CLUSTER', 'MYID'),
          slots: [[expect.any(Number), expect.any(Number)]],
          replicationId: /master_replid:(\w+)/.exec(info)?.[1],
          replicationOffset: expect.any(Number) as number,
          streamDb: expect.any(Number) as number,
        },
      ]);
      expect(shards[0].replicationOffset).toBeLessThanOrEqual(Number(/master_repl_offset:(\d+)/.exec(info)?.[1]));
    }
    expect(described.flatMap(({ shards }) => shards[0].slots).sort(([a], [b]) => a - b)).toEqual([
      [0, 5461],
      [5462, 10922],
      [10923, 16383],
    ]);
  });

  test('is restored by its manifest, from another folder, with a checkpoint', async () => {
    await backUp();
    const moved = new Folder();
    folders.push(moved);
    for (const name of files()) copyFileSync(folder.at(name), moved.at(name));
    const { code, err } = await restore(['--manifest', moved.at('backup.json'), urlOf(target), '--checkpoint', moved.at('checkpoint')]);
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(
        /^rdbkit: manifest \S+: \w+ \S+, cluster of 3 masters, all slots, read by replication, written \S+; 3 files with 3,000 keys, unchanged since$/m,
      ),
    ]);
    expect(err).not.toContain('warning');
    expect(await target.client.dbsize()).toBe(KEYS);
    expect(await target.client.call('FUNCTION', 'LIST')).toHaveLength(1);
    const again = await restore(['--manifest', moved.at('backup.json'), urlOf(target), '--checkpoint', moved.at('checkpoint')]);
    expect(again.err).toContain('this restore is finished');
  });

  test.each([['scan'], ['replication']])('into one file by %s: the manifest has all shards of it', async (via) => {
    const { code } = await dump('-o', folder.at('all.rdb'), '--manifest', folder.at('backup.json'), '--via', via);
    expect(code).toBe(0);
    const { files: described, via: way } = manifest();
    expect([way, described.length]).toEqual([via, 1]);
    expect(described[0]).toMatchObject({ file: 'all.rdb', keys: KEYS });
    expect(described[0].shards.map(({ node }) => node).sort()).toEqual(masters.map(({ name }) => name).sort());
    expect(described[0].shards.map(({ replicationId }) => replicationId !== undefined)).toEqual(Array(3).fill(via === 'replication'));
    expect((await restore(['--manifest', folder.at('backup.json'), urlOf(target)])).code).toBe(0);
    expect(await target.client.dbsize()).toBe(KEYS);
  });

  test.each(['payload', 'resp'])('--format %s', async (format) => {
    const { code } = await dump('-o', folder.at('backup-{shard}.rdb'), '--format', format);
    expect([code, files()]).toEqual([0, names()]);
  });

  test('from replicas: files are named for the masters, and the manifest names both', async () => {
    const { files: described } = await backUp('--prefer-replica');
    expect(described.map(({ file }) => file).sort()).toEqual(names());
    for (const {
      shards: [{ node, replicaOf }],
    } of described) {
      expect(masters.map(({ name }) => name)).toContain(replicaOf);
      expect(masters.map(({ name }) => name)).not.toContain(node);
    }
  });

  test('of some of the keys says so, and the plan of a restore warns', async () => {
    const { filtered, options } = await backUp('--prefix', 'key:1', '--strip-ttl');
    expect([filtered, options]).toEqual([true, ['--prefix', '--strip-ttl']]);
    const { code, err } = await restore(['--manifest', folder.at('backup.json'), urlOf(target)]);
    expect([code, err]).toEqual([
      0,
      expect.stringContaining('rdbkit: warning: the backup is partial: it was made with --prefix, --strip-ttl.\n'),
    ]);
  });

  test('with --limit has only the files that it came to', async () => {
    const { files: described, options } = await backUp('--limit', '5');
    expect([options, described.map(({ keys }) => keys)]).toEqual([['--limit'], [5]]);
    const { err } = await restore(['--manifest', folder.at('backup.json'), urlOf(target)]);
    expect(err).toContain('warning: the backup has no shard for the slots ');
  });

  test('that is interrupted leaves no file with its name, and the manifest before as it was', async () => {
    writeFileSync(folder.at('backup.json'), 'of yesterday');
    const { code } = await rdbkit(['dump', url, '-o', folder.at('backup-{shard}.rdb'), '--manifest', folder.at('backup.json')], {
      signal: aborted('SIGINT'),
    });
    expect(code).toBe(130);
    expect(files()).toEqual(['backup.json']);
    expect(readFileSync(folder.at('backup.json'), 'utf8')).toBe('of yesterday');
  });

  test('the same cluster twice is refused', async () => {
    const { code, err } = await dump(masters[2].url, '-o', folder.at('backup-{shard}.rdb'));
    expect([code, err]).toEqual([4, expect.stringContaining('is given twice: name it once')]);
    expect(files()).toEqual([]);
  });

  describe('that is not as its manifest says', () => {
    const attempt = async (): Promise<{ code: number | null; err: string }> => {
      const { code, err } = await restore(['--manifest', folder.at('backup.json'), urlOf(target)]);
      if (code !== 1) expect(await target.client.dbsize()).toBe(0);
      return { code, err };
    };

    test('a file is missing, another was cut, the last one was written anew', async () => {
      await backUp();
      const [a, b, c] = names().map((name) => folder.at(name));
      const content = readFileSync(a);
      writeFileSync(a, content.subarray(0, -1));
      const other = Buffer.from(readFileSync(c));
      other[other.length - 1] ^= 1;
      writeFileSync(c, other);
      rmSync(b);
      const { code, err } = await attempt();
      expect(code).toBe(3);
      expect(err).toContain(`${a} has ${content.length - 1} bytes instead of ${content.length}`);
      expect(err).toContain(`${b} is missing`);
      expect(err).toContain(`${c} ends with the checksum ${other.subarray(-8).toString('hex')} instead of `);
      expect(err).toMatch(/^rdbkit: MANIFEST: .* Nothing was written to the target\.\n$/);
      expect((await report(['--manifest', folder.at('backup.json'), urlOf(target)])).errors).toMatchObject([{ code: 'MANIFEST' }]);
    });

    test('a byte in the middle: the checksum is wrong when it is read', async () => {
      await backUp();
      const path = folder.at(names()[0]);
      const content = readFileSync(path);
      const at = content.indexOf('value ') + 1;
      content[at] ^= 0x20;
      writeFileSync(path, content);
      const { code, err } = await restore(['--manifest', folder.at('backup.json'), urlOf(target)]);
      expect([code, err]).toEqual([3, expect.stringContaining('CHECKSUM')]);
    });

    test('other numbers of keys', async () => {
      await backUp();
      edit(({ files: [file] }) => (file.keys += 7));
      const {
        files: [{ file, keys }],
      } = manifest();
      const { code, err } = await attempt();
      expect([code, err]).toEqual([1, expect.stringContaining(`${folder.at(file)} has ${keys - 7} keys, and the manifest says ${keys}.`)]);
    });

    test('slots that no shard has', async () => {
      await backUp();
      edit((read) => (read.files = read.files.filter(({ shards }) => shards[0].slots[0][0] !== 5462)));
      const { err } = await restore(['--manifest', folder.at('backup.json'), urlOf(target), '--dry-run']);
      expect(err).toContain('cluster of 2 masters, read by');
      expect(err).toContain('warning: the backup has no shard for the slots 5462-10922.');
    });
  });

  test('decode, too, has a file for each master', async () => {
    const { code } = await rdbkit(['decode', url, '-o', folder.at('backup-{shard}.jsonl')]);
    expect([code, files()]).toEqual([0, names().map((name) => `${name.slice(0, -'.rdb'.length)}.jsonl`)]);
    const lines = files().map((name) => readFileSync(folder.at(name), 'utf8').split('\n').length - 1);
    expect([lines.every((count) => count > 0), lines.reduce((sum, count) => sum + count, 0)]).toEqual([true, KEYS]);
  });

  test('a manifest that cannot be written ends it before anything is read', async () => {
    const { code, err } = await dump('-o', folder.at('backup-{shard}.rdb'), '--manifest', folder.at('no/backup.json'));
    expect([code, err]).toEqual([4, expect.stringContaining('its folder does not exist')]);
    expect(files()).toEqual([]);
  });

  test('a server that is lost on the way is read again, and the others are not', async () => {
    const options = [
      '--repl-diskless-sync',
      'yes',
      '--repl-diskless-sync-delay',
      '0',
      '--rdb-key-save-delay',
      '1000',
      '--rdbcompression',
      'no',
    ];
    const [fast, slow] = await Promise.all([TestServer.start(), TestServer.start(...options)]);
    try {
      await fast.client.mset({ a: '1', b: '2' });
      await slow.client.mset(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`slow:${i}`, 'x'.repeat(1000)])));
      const running = rdbkit(['dump', urlOf(fast), urlOf(slow), '-o', folder.at('{shard}.rdb'), '--verbose']);
      const begun = (): boolean => files().some((name) => name.includes(`${portOf(slow)}.rdb`) && statSync(folder.at(name)).size > 0);
      await until('the beginning of the slow one is written', () => Promise.resolve(begun()));
      await slow.client.config('SET', 'rdb-key-save-delay', '0');
      await slow.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
      const { code, err } = await running;
      expect([code, err]).toEqual([0, expect.stringContaining('it is read again from the beginning, the other shards go on.\n')]);
      const copies = await Promise.all([fast, slow].map(async ({ client }) => /sync_full:(\d+)/.exec(await client.info('stats'))?.[1]));
      expect(copies).toEqual(['1', '2']);
      expect(files()).toHaveLength(2);
      expect(files().every((name) => /^127\.0\.0\.1-\d+\.rdb$/.test(name))).toBe(true);
      expect(err).toContain('rdbkit: 3,002 keys, ');
    } finally {
      await Promise.all([fast.stop(), slow.stop()]);
    }
  });

  test('one server: one file', async () => {
    await target.client.set('a', '1');
    const { code } = await rdbkit(['dump', urlOf(target), '-o', folder.at('x-{shard}.rdb'), '--manifest', folder.at('backup.json')]);
    expect(code).toBe(0);
    const { clustered, files: described } = manifest();
    expect([clustered, described.map(({ keys }) => keys), described[0].shards[0].slots]).toEqual([false, [1], [[0, 16383]]]);
    expect(described[0].shards[0].nodeId).toBeUndefined();
    expect(described[0].file).toBe(`x-${urlOf(target).slice('redis://'.length).replace(':', '-')}.rdb`);
    expect(existsSync(folder.at(described[0].file))).toBe(true);
  });
});
