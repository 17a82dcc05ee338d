import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DifferenceKind } from '../../src/diff/key-table.js';
import { Interruption } from '../../src/cli/exit.js';
import { Folder, FIXTURE, rdbkit } from '../support/cli-support.js';
import { array, bulk, dumpOf, scanReply } from '../support/fake-node.js';
import { FakeServer, USUAL } from '../support/fake-server.js';
import { TestCluster } from '../support/redis-cluster.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { callsOf, casePath, portOf, restore, serverPath, strings, urlOf } from '../support/restore-support.js';
import { noise } from '../support/support.js';
import { TripProxy } from '../support/trip-proxy.js';
import { until } from '../support/until.js';

const WAYS = ['replication', 'scan'] as const;
const LEVELS = ['counts', 'keys', 'values'] as const;
const PASSWORD = 's3cret';
/** What Redis 7.0 loads. */
const FIXTURES = ['redis-2.8.24', 'redis-3.2.13', 'redis-4.0.14-lfu', 'redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15'];

const folder = new Folder();
let one: TestServer;
let other: TestServer;

beforeAll(async () => {
  const start = (): Promise<TestServer> =>
    TestServer.start('--enable-debug-command', 'yes', '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1');
  [one, other] = await Promise.all([start(), start()]);
});
afterAll(async () => {
  await Promise.all([one.stop(), other.stop()]);
  folder.remove();
});

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly same: boolean;
  readonly complete: boolean;
  readonly different: number;
  readonly excused: number;
  readonly rounds: number;
  readonly kinds: Readonly<Record<DifferenceKind, number>>;
  readonly source: { keys: number; expired: number; counts: unknown[] };
  readonly target: { keys: number; expired: number; counts: unknown[] };
  readonly warnings: { file: string; text: string }[];
  readonly errors: { code: string; hint?: string }[];
}

/** The object of --json, and the lines of differences. */
async function diff(argv: readonly string[], world: Parameters<typeof rdbkit>[1] = {}): Promise<Said> {
  const { code, err, out } = await rdbkit(['diff', ...argv, '--json'], world);
  return { ...(JSON.parse(err) as Said), code, err, out };
}

/** What it says to people. */
const said = (...argv: string[]): ReturnType<typeof rdbkit> => rdbkit(['diff', ...argv]);

/** Lines of differences without what the sides have. */
const told = (out: string): string[] =>
  out
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/(, key "[^"]*"): .*$/, '$1'))
    .sort();

const SAME = { code: 0, same: true, complete: true, different: 0, out: '' };

describe(`the same data, of ${SERVER}`, () => {
  describe.each(FIXTURES)('%s and a server that has loaded it', (name) => {
    beforeAll(async () => {
      await one.load(readFileSync(serverPath(name)));
      await other.load(readFileSync(serverPath(name)));
    });

    test.each(LEVELS.flatMap((level) => WAYS.map((via) => [level, via])))('--level %s --via %s', async (level, via) => {
      const more = ['--level', level, '--via', via, ...(level === 'values' ? ['--streams', 'full'] : [])];
      const table = level === 'counts' ? { out: expect.stringContaining('all keys') as string } : {};
      for (const sides of [
        [serverPath(name), urlOf(one)],
        [urlOf(one), serverPath(name)],
        [urlOf(one), urlOf(other)],
      ]) {
        const found = await diff([...sides, ...more]);
        expect(found).toMatchObject({ ...SAME, ...table, warnings: [] });
        expect(found.source.keys).toBeGreaterThan(100);
        expect(found.source).toMatchObject({ keys: found.target.keys });
      }
    });
  });

  test.each(WAYS)('written by several versions, by %s', async (via) => {
    await one.load(readFileSync(serverPath('redis-5.0.14')));
    for (const name of ['redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15']) {
      expect(await diff([serverPath(name), urlOf(one), '--level', 'values', '--via', via]), name).toMatchObject(SAME);
    }
  });

  test.each(FIXTURES)('%s and its own JSON lines', async (name) => {
    const lines = folder.file('lines.jsonl', (await rdbkit(['decode', serverPath(name)])).out);
    expect(await diff([serverPath(name), lines, '--level', 'values', '--streams', 'full'])).toMatchObject(SAME);
    expect(await diff([lines, serverPath(name), '--level', 'keys'])).toMatchObject(SAME);
  });

  test.each(['6.2', '7.2', '8.0', 'valkey-8.1', 'valkey-9.1'])('a file and what dump --target-version %s makes of it', async (version) => {
    const copy = folder.at('copy.rdb');
    await rdbkit(['dump', FIXTURE, '--target-version', version, '-o', copy]); // 6.2 has no functions
    expect(await diff([FIXTURE, copy, '--level', 'values', '--streams', 'full'])).toMatchObject({ ...SAME, target: { keys: 250 } });
  });
});

describe('a cluster', () => {
  let cluster: TestCluster;
  let url: string;
  beforeAll(async () => {
    cluster = await TestCluster.start();
    url = cluster.nodes[0].url;
    expect((await restore([FIXTURE, url, '--db', '0'])).code).toBe(0);
  });
  afterAll(() => cluster.stop());

  test.each(WAYS)('and the file that it was restored from, by %s', async (via) => {
    for (const level of LEVELS) {
      for (const sides of [
        [FIXTURE, url],
        [url, FIXTURE],
      ]) {
        const found = await diff([...sides, '--db', '0', '--level', level, '--via', via]);
        expect(found).toMatchObject({ code: 0, same: true, source: { keys: 146 }, target: { keys: 146 }, warnings: [] });
      }
    }
  });

  test('a slot that nobody owns: no verdict', async () => {
    const running = cluster.nodes.map(({ client }) => client);
    const [{ client }] = await cluster.masters();
    const slot = 0; // of the empty key, with which a scan asks whether commands are allowed
    expect(await client.call('CLUSTER', 'COUNTKEYSINSLOT', `${slot}`)).toBe(0);
    for (const node of running) {
      await node.config('SET', 'cluster-require-full-coverage', 'no');
      await node.call('CLUSTER', 'DELSLOTS', `${slot}`);
    }
    try {
      for (const via of WAYS) {
        const found = await diff([FIXTURE, url, '--db', '0', '--via', via, '--retry-for', '3s']);
        expect(found, found.err).toMatchObject({
          code: 1,
          same: false,
          complete: false,
          different: 0,
          source: { keys: 146 },
          target: { keys: 146 },
        });
      }
      expect((await said(FIXTURE, url, '--db', '0')).err).toContain('rdbkit: no difference found, but not everything was read: 146 keys');
    } finally {
      await client.call('CLUSTER', 'ADDSLOTS', `${slot}`);
      await cluster.settled();
    }
  });

  test('a key that it lacks, and one that it has alone', async () => {
    const [node] = await cluster.masters();
    const keys = (await node.client.callBuffer('SCAN', '0', 'COUNT', '1000', 'TYPE', 'string')) as [Buffer, Buffer[]];
    const key = keys[1].find((name) => !name.includes('{'));
    if (key === undefined) throw new Error('there is no key without braces');
    await node.client.del(key);
    await node.client.set(Buffer.concat([Buffer.from('{'), key, Buffer.from('}')]), 'in the same slot');
    for (const via of WAYS) {
      expect(await diff([FIXTURE, url, '--db', '0', '--level', 'values', '--via', via])).toMatchObject({
        code: 1,
        different: 2,
        kinds: { missing: 1, extra: 1 },
      });
    }
  });
});

describe('two servers', () => {
  beforeEach(async () => {
    for (const { client } of [one, other]) {
      await client.select(0);
      await client.flushall();
    }
  });
  const both = async (...commands: (string | number)[][]): Promise<void> => {
    for (const { client } of [one, other]) for (const [name, ...args] of commands) await client.call(String(name), ...args);
  };
  const sides = (): [string, string] => [urlOf(one), urlOf(other)];

  test('a database on each side', async () => {
    const file = folder.file('strings.rdb', strings({ '0:a': '1', '0:b': '2', '3:c': '3' }));
    await one.client.select(1);
    await one.client.mset('a', '1', 'b', '2');
    await one.client.select(0);
    const url = urlOf(one);
    expect(await diff([file, `${url}/1`, '--db', '0', '--level', 'values'])).toMatchObject(SAME);
    expect(await diff([file, url, '--db', '0', '--db-map', '0:1'])).toMatchObject(SAME);
    expect(await diff([file, '-h', '127.0.0.1', '-p', `${portOf(one)}`, '-n', '1', '--db', '0'])).toMatchObject(SAME);
    expect(told((await said(file, url)).out)).toEqual([
      'extra: db 1, key "a"',
      'extra: db 1, key "b"',
      'missing: db 0, key "a"',
      'missing: db 0, key "b"',
      'missing: db 3, key "c"',
    ]);
    expect((await said(file, `${url}/1`, '--db-map', '0:1')).err).toContain('--db-map cannot be used with it');
  });

  test.each(WAYS)('keys that differ between databases with other numbers, by %s', async (via) => {
    const pipelines = [one, other].map(({ client }) => client.pipeline());
    pipelines[1].select(1);
    for (let i = 0; i < 500; i++)
      for (const [side, pipeline] of pipelines.entries()) pipeline.set(`key:${i}`, i % 100 === 0 ? `${side}` : 'x');
    pipelines[1].select(0);
    for (const pipeline of pipelines) await pipeline.exec();
    const want = [0, 100, 200, 300, 400].map((i) => `another value: db 1, key "key:${i}"`);
    const more = ['--level', 'values', '--via', via];
    for (const argv of [
      [...sides(), '--db-map', '0:1'],
      [urlOf(one), urlOf(other, '/1')],
      [urlOf(one, '/0'), urlOf(other, '/1')],
    ]) {
      expect(told((await said(...argv, ...more)).out)).toEqual(want);
      const some = await diff([...argv, ...more, '--sample', '50%']);
      expect(some).toMatchObject({ code: 1, kinds: { missing: 0, extra: 0 } });
      expect(some.source.keys).toBeLessThan(400);
    }
    const [a, b] = sides();
    expect(told((await said(b, a, '--db-map', '1:0', ...more)).out)).toEqual(want.map((line) => line.replace('db 1', 'db 0')));
  });

  test('filters leave out keys on both sides', async () => {
    await both(['MSET', 'a:1', 'x', 'a:2', 'y', 'b:1', 'z'], ['RPUSH', 'b:2', 'x']);
    await one.client.set('a:2', 'another');
    await other.client.del('b:1');
    await other.client.rpush('b:3', 'x');
    const found = async (...argv: string[]): Promise<string[]> =>
      told((await said(...sides(), '--level', 'values', '--via', 'scan', ...argv)).out);
    const [value, missing, extra] = ['another value: db 0, key "a:2"', 'missing: db 0, key "b:1"', 'extra: db 0, key "b:3"'];
    expect(await found()).toEqual([value, extra, missing]);
    expect(await found('--prefix', 'a:')).toEqual([value]);
    expect(await found('--not-match', 'b:*')).toEqual([value]);
    expect(await found('--type', 'list')).toEqual([extra]);
    expect(await found('--match', '?:1')).toEqual([missing]);
    expect(await found('--db', '1')).toEqual([]);
  });

  test('--sample takes the same keys of both sides, in any order', async () => {
    const pipelines = [one, other].map(({ client }) => client.pipeline());
    for (let i = 0; i < 2000; i++) {
      pipelines[0].set(`key:${i}`, 'x');
      if (i % 10 > 0) pipelines[1].set(`key:${1999 - i}`, i % 10 === 1 ? 'y' : 'x');
    }
    for (const pipeline of pipelines) await pipeline.exec();
    const all = await diff([...sides(), '--level', 'values', '--via', 'scan']);
    expect(all).toMatchObject({ code: 1, kinds: { missing: 200, extra: 0, value: 200 } });
    const some = await diff([...sides(), '--level', 'values', '--via', 'scan', '--sample', '20%']);
    expect(some.source.keys).toBeGreaterThan(200);
    expect(some.source.keys).toBeLessThan(800);
    const names = new Set(told(all.out));
    expect(told(some.out).every((line) => names.has(line))).toBe(true);
    expect(some).toMatchObject({ code: 1, kinds: { extra: 0 } });
    expect(some.target.keys).toBe(some.source.keys - some.kinds.missing);
  });

  test('--ttl-tolerance', async () => {
    const at = Date.now() + 1e9;
    await both(['SET', 'a', '1', 'PXAT', at]);
    await other.client.call('PEXPIREAT', 'a', at + 100);
    expect(await diff([...sides(), '--ttl-tolerance', '100ms'])).toMatchObject(SAME);
    await other.client.call('PEXPIREAT', 'a', at + 101);
    expect(await diff([...sides(), '--ttl-tolerance', '100ms'])).toMatchObject({ code: 1, kinds: { expiry: 1 } });
    await other.client.persist('a');
    expect(await diff([...sides(), '--ttl-tolerance', '100ms'])).toMatchObject({ code: 1, kinds: { expiry: 1 } });
  });

  test('keys that have expired are left out and counted', async () => {
    await both(['SET', 'stays', '1']);
    await until('no child is saving', async () => (await one.client.info('persistence')).includes('rdb_bgsave_in_progress:0'));
    await one.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0'); // else it may be gone before SAVE
    await one.client.call('SET', 'goes', '1', 'PX', 1);
    const file = folder.file('before.rdb', await one.save());
    await one.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1');
    await until('its time has passed', async () => (await one.client.exists('goes')) === 0);
    const found = await diff([file, urlOf(other)]);
    expect(found).toMatchObject({ ...SAME, source: { keys: 1, expired: 1 }, target: { keys: 1, expired: 0 } });
    expect((await said(file, urlOf(other))).err).toContain(
      'the same: 1 key of the source and 1 of the target compared by key, 1 expired key left out; ',
    );
  });

  test('--level counts is a table', async () => {
    await both(['MSET', 'a', '1', 'b', '2'], ['RPUSH', 'c', '1']);
    expect((await said(...sides(), '--level', 'counts')).code).toBe(0);
    await other.client.del('b');
    await other.client.sadd('b', '1');
    const { code, err, out } = await said(...sides(), '--level', 'counts');
    expect(code).toBe(1);
    const rows = out.split('\n').map((line) => line.trim().replace(/ {2,}/g, '  '));
    expect(rows.slice(0, 6)).toEqual([
      'source  target  difference',
      'all keys  3  3',
      'db 0  3  3',
      'list  1  1',
      '*  set  0  1  +1',
      '*  string  2  1  -1',
    ]);
    expect(err).toContain('2 numbers differ: 3 keys of the source and 3 of the target compared by number; ');
    const json = (await said(...sides(), '--level', 'counts', '--format', 'json')).out;
    expect(
      json
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as { group: string })
        .filter(({ group }) => group === 'type'),
    ).toEqual([
      { group: 'type', db: 0, name: 'list', source: 1, target: 1, difference: 0 },
      { group: 'type', db: 0, name: 'set', source: 0, target: 1, difference: 1 },
      { group: 'type', db: 0, name: 'string', source: 2, target: 1, difference: -1 },
    ]);
  });

  test('what differs, in words and as JSON lines', async () => {
    await both(['SET', 'a', 'abc'], ['RPUSH', 'b', '1', '2']);
    await other.client.call('SET', 'a', 'abcd', 'PXAT', 4e12);
    await other.client.del('b');
    await other.client.call('SADD', 'b', '1');
    expect((await said(...sides(), '--level', 'values')).out.split('\n').sort()).toEqual([
      '',
      'another expiry, another value: db 0, key "a": source: string, 3 bytes, no expiry; target: string, 4 bytes, expires 2096-10-02T07:06:40.000Z',
      'another type: db 0, key "b": source: list, 2 elements, no expiry; target: set, 1 element, no expiry',
    ]);
    const output = folder.at('found.jsonl');
    expect(await diff([...sides(), '-o', output])).toMatchObject({ code: 1, out: '' });
    const lines = readFileSync(output, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { key: string });
    expect(lines.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { db: 0, key: 'a', kinds: ['expiry'], source: { type: 'string' }, target: { type: 'string', expireAt: 4e12 } },
      { db: 0, key: 'b', kinds: ['type'], source: { type: 'list' }, target: { type: 'set' } },
    ]);
  });

  test('one server under two names is told; a replica is not', async () => {
    await both(['SET', 'a', '1']);
    const twin = `redis://localhost:${portOf(one)}`;
    expect(await diff([urlOf(one), twin])).toMatchObject({
      ...SAME,
      warnings: [{ file: twin, text: `it is the same server as ${urlOf(one)}` }],
    });
    expect((await diff([urlOf(one, '/0'), urlOf(one, '/1')])).warnings).toEqual([]);
    expect(await said(urlOf(one), urlOf(one))).toMatchObject({
      code: 2,
      err: expect.stringContaining('is both source and target: they are the same') as string,
    });
  });

  describe('a replica, and servers that are written to', () => {
    let writing: Promise<void>;
    let isOn: boolean;
    /** Sets one key after another, each of them once; `then` after the first server has it. */
    const write = (then: (key: string) => Promise<void> = () => Promise.resolve()): void => {
      const loop = async (): Promise<void> => {
        for (let i = 0; isOn; i++) {
          await one.client.set(`key:${i}`, `${i}`);
          await then(`key:${i}`);
          if (i % 20 === 0) await delay(1);
        }
      };
      isOn = true;
      writing = loop();
    };
    afterEach(async () => {
      isOn = false;
      await writing;
      await other.client.replicaof('NO', 'ONE');
    });

    test.each(WAYS)('rounds end when the replica has caught up, by %s', async (via) => {
      await other.client.replicaof('127.0.0.1', portOf(one));
      await until('the replica is in sync', async () => (await other.client.info('replication')).includes('master_link_status:up'));
      write();
      await delay(100);
      const found = await diff([...sides(), '--via', via, '--level', 'values', '--rounds', '5', '--settle', '200ms']);
      expect(found).toMatchObject({ ...SAME, warnings: [] });
      expect(found.source.keys).toBeGreaterThan(0);
    });

    test('with a lag, only what stays different is named', async () => {
      await one.client.mset('stuck', '1', 'gone', '1');
      await other.client.mset('stuck', '2');
      const late: Promise<unknown>[] = [];
      write((key) => {
        late.push(delay(50).then(() => other.client.set(key, key.slice(4))));
        return Promise.resolve();
      });
      await delay(200);
      const argv = [...sides(), '--via', 'scan', '--level', 'values'];
      const found = await diff([...argv, '--rounds', '5', '--settle', '200ms']);
      expect(found).toMatchObject({ code: 1, rounds: 5, different: 2, kinds: { missing: 1, extra: 0, value: 1 } });
      expect(told(found.out)).toEqual(['another value: db 0, key "stuck"', 'missing: db 0, key "gone"']);
      await Promise.all(late);
    });
  });

  describe('errors', () => {
    const noFile = (output: string): void => {
      for (const name of [output, `${output}.partial`]) expect(existsSync(name)).toBe(false);
    };

    test('a damaged file: no verdict, no table, no output, exit code 3', async () => {
      const damaged = casePath('bad-lzf.rdb');
      for (const argv of [
        [damaged, FIXTURE],
        [FIXTURE, damaged],
        [damaged, damaged],
      ]) {
        const output = folder.at('never');
        const { code, err } = await said(...argv, '--level', 'values', '-o', output);
        expect(code).toBe(3);
        expect(err).toMatch(/^rdbkit: BAD_LZF: [^\n]*\nrdbkit: not compared to the end: /);
        expect(err).not.toMatch(/the same|--skip-damaged/);
        noFile(output);
        expect(await diff([...argv, '--level', 'values'])).toMatchObject({ code: 3, same: false, complete: false, out: '' });
      }
      const cut = folder.file('cut.rdb', readFileSync(FIXTURE).subarray(0, 4000));
      expect(await diff([FIXTURE, cut, '--level', 'counts'])).toMatchObject({
        code: 3,
        same: false,
        out: '',
        errors: [{ code: 'TRUNCATED' }],
      });
    });

    test('commands of an AOF that are not read: no verdict, unless they are to be ignored', async () => {
      const file = folder.file('appended.aof', Buffer.concat([readFileSync(FIXTURE), Buffer.from('*2\r\n$3\r\nDEL\r\n$1\r\na\r\n')]));
      const { code, err } = await said(FIXTURE, file);
      expect(code).toBe(1);
      expect(err).toContain(
        'rdbkit: no difference found, but not everything was read: 250 keys of the source and 250 of the target compared by key; ',
      );
      expect(await diff([FIXTURE, file])).toMatchObject({ code: 1, same: false, complete: false, different: 0 });
      expect(await diff([FIXTURE, file, '--ignore-aof-tail'])).toMatchObject(SAME);
    });

    test.each([
      ['standard input', ['-', FIXTURE], 'standard input can be read only once, and what differs is read again: name a file'],
      ['a pipe', [FIXTURE, '/dev/null'], '/dev/null can be read only once'],
      ['one side alone', [FIXTURE], 'expected a source and a target'],
      ['no side', [], 'expected a source and a target'],
      ['an address without a scheme', [FIXTURE, '127.0.0.1:6379'], 'the target 127.0.0.1:6379 has no scheme: write redis://127.0.0.1:6379'],
      [
        'options of a source without one',
        [FIXTURE, 'redis://127.0.0.1:1', '--source-user', 'u'],
        '--source-user is for sources that are servers',
      ],
      ['options of servers without one', [FIXTURE, FIXTURE, '--via', 'scan'], '--via is for sources that are servers'],
      [
        'options of a target that is a file',
        [FIXTURE, FIXTURE, '--user', 'u'],
        `--user is for a target that is a server, and ${FIXTURE} is a file`,
      ],
      [
        'a tolerance of counts',
        [FIXTURE, FIXTURE, '--level', 'counts', '--ttl-tolerance', '1s'],
        '--ttl-tolerance is for keys: use --level keys or values with it',
      ],
      [
        'rounds of counts',
        [FIXTURE, FIXTURE, '--level', 'counts', '--rounds', '2'],
        '--rounds is for keys: use --level keys or values with it',
      ],
      ['streams of keys', [FIXTURE, FIXTURE, '--streams', 'full'], '--streams is for values: use --level values with it'],
      [
        'a time between rounds, for a single one',
        [FIXTURE, FIXTURE, '--settle', '1s'],
        '--settle is the time between rounds: use --rounds with it',
      ],
      [
        'an option of restore',
        [FIXTURE, FIXTURE, '--max-in-flight', '1mb'],
        '--max-in-flight is for --repair --apply: nothing else is written',
      ],
    ])('wrong usage: %s', async (_, argv, text) => {
      const { code, err, out } = await said(...argv);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(text);
    });

    test('a file that does not exist', async () => {
      expect(await said('nofile.rdb', FIXTURE)).toMatchObject({
        code: 2,
        err: expect.stringContaining('READ_FAILED: nofile.rdb: no such file. Name a readable file.\n') as string,
      });
    });

    describe('passwords', () => {
      beforeEach(async () => {
        await one.client.config('SET', 'requirepass', PASSWORD);
      });
      afterEach(() => one.client.config('SET', 'requirepass', ''));

      const auth = { source: 'RDBKIT_SOURCE_AUTH', target: 'REDISCLI_AUTH' };
      const options = {
        source: '--source-user, RDBKIT_SOURCE_AUTH, --source-password-file',
        target: '--user, REDISCLI_AUTH, --password-file',
      };
      const argvOf = (side: string): string[] => (side === 'source' ? [urlOf(one), urlOf(other)] : [urlOf(other), urlOf(one)]);

      test.each(['source', 'target'] as const)('of the %s: the options of this side are named', async (side) => {
        const run = (password: string | undefined, ...more: string[]) =>
          rdbkit(['diff', ...argvOf(side), ...more], { env: password === undefined ? {} : { [auth[side]]: password } });
        for (const way of WAYS) {
          const none = await run(undefined, '--via', way);
          expect([none.code, none.out]).toEqual([4, '']);
          const [, , passwordFile] = options[side].split(', ');
          expect(none.err.trimEnd().split('\n').at(-1)).toMatch(
            new RegExp(`^rdbkit: REFUSED: .*NOAUTH .*: set ${auth[side]}, or use ${passwordFile}\\.$`),
          );
          const wrong = await run('wrong', '--via', way);
          expect(wrong.code).toBe(4);
          expect(wrong.err.trimEnd().split('\n').at(-1)).toMatch(
            new RegExp(`WRONGPASS .*Check user name and password \\(${options[side]}\\)\\.$`),
          );
        }
        expect((await run(PASSWORD)).code).toBe(0);
      });
    });

    test.each(WAYS)('a target that is lost on the way, by %s', async (via) => {
      const pipeline = other.client.pipeline();
      for (let i = 0; i < 40; i++) pipeline.set(`large:${i}`, Buffer.from(noise(100_000)));
      await pipeline.exec();
      const proxy = await TripProxy.start(portOf(other), 1_500_000, async (bytes) => {
        await other.client.config('SET', 'requirepass', PASSWORD); // nobody gets in again
        return { bytes, last: true };
      });
      const output = folder.at('lost');
      try {
        const { code, err } = await said(FIXTURE, proxy.url, '--via', via, '--retry-for', '0s', '-o', output);
        expect([proxy.tripped, code]).toEqual([true, 4]);
        expect(err).toContain('not compared to the end');
        expect(err).not.toContain('the same:');
        noFile(output);
      } finally {
        proxy.stop();
        await other.client.config('SET', 'requirepass', '');
      }
    });

    test('Ctrl-C on the way', async () => {
      const pipeline = other.client.pipeline();
      for (let i = 0; i < 1000; i++) pipeline.set(`key:${i}`, 'x');
      await pipeline.exec();
      await other.client.config('RESETSTAT');
      const aborter = new AbortController();
      const output = folder.at('interrupted');
      const running = rdbkit(['diff', FIXTURE, urlOf(other), '--via', 'scan', '--max-keys-per-second', '100', '-o', output], {
        signal: aborter.signal,
      });
      await until('keys are read', async () => (await callsOf(other.client, 'dump')) > 0);
      aborter.abort(new Interruption('SIGINT'));
      const { code, err } = await running;
      expect(code).toBe(130);
      expect(err).toContain('rdbkit: interrupted by SIGINT.\nrdbkit: not compared to the end: ');
      noFile(output);
    });

    test('Ctrl-C between two rounds', async () => {
      await one.client.set('a', '1');
      const aborter = new AbortController();
      const running = rdbkit(['diff', ...sides(), '--rounds', '2', '--settle', '1h'], { signal: aborter.signal });
      setTimeout(() => aborter.abort(new Interruption('SIGINT')), 500);
      expect(await running).toMatchObject({ code: 130, out: '' });
    });
  });
});

describe('keys that SCAN gives twice', () => {
  let server: FakeServer;
  /** Pages of keys, of which `b` comes twice; values are the keys, unless they are told. */
  const start = async (pages: readonly (readonly string[])[], values: Readonly<Record<string, string>> = {}): Promise<void> => {
    const info = { redis_version: '7.0.15', used_memory: '1000', db0: 'keys=3,expires=0,avg_ttl=0' };
    server = await FakeServer.start(info, ([name, argument]) => {
      if (name === 'SCAN')
        return scanReply(Number(argument) + 1 < pages.length ? `${Number(argument) + 1}` : '0', ...pages[Number(argument)]);
      if (name === 'DUMP') return dumpOf(values[argument] ?? argument);
      if (name === 'PEXPIRETIME' || name === 'PTTL') return ':-1\r\n';
      if (name === 'TYPE') return '+string\r\n';
      if (name === 'ROLE') return array(bulk('master'), ':0\r\n', array());
      return USUAL;
    });
  };
  afterEach(() => server.stop());
  const file = (...keys: string[]): string => folder.file('keys.rdb', strings(Object.fromEntries(keys.map((key) => [key, key]))));

  test.each(LEVELS)('make no difference, at level %s', async (level) => {
    await start([
      ['a', 'b'],
      ['b', 'c'],
      ['b', 'a'],
    ]);
    for (const sides of [
      [file('a', 'b', 'c'), server.url],
      [server.url, file('a', 'b', 'c')],
    ]) {
      expect(await diff([...sides, '--via', 'scan', '--level', level])).toMatchObject({ code: 0, same: true, different: 0 });
    }
  });

  test.each(LEVELS)('hide none, at level %s', async (level) => {
    await start([
      ['a', 'b'],
      ['b', 'c'],
    ]);
    const found = await diff([file('a', 'b', 'c', 'd'), server.url, '--via', 'scan', '--level', level]);
    expect(found).toMatchObject({ code: 1, same: false, different: level === 'counts' ? 5 : 1 });
    if (level !== 'counts') expect(told(found.out)).toEqual(['missing: db 0, key "d"']);
  });

  test('have a value that differs', async () => {
    await start(
      [
        ['a', 'b'],
        ['b', 'c'],
      ],
      { b: 'another' },
    );
    const found = await diff([server.url, file('a', 'b', 'c'), '--via', 'scan', '--level', 'values']);
    expect(told(found.out)).toEqual(['another value: db 0, key "b"']);
  });
});
