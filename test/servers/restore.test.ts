import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { SERVERS } from '../support/dump-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { callsOf, digestOf, expiry, report, restore, serverPath, strings, terminal, urlOf } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

const DEBUG = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'no'];
const FIXTURE = serverPath('redis-7.0.15');
const YEARS = 10 * 365 * 86_400_000;

describe(`rdbkit restore to ${SERVER}`, () => {
  const folder = new Folder();
  let server: TestServer;
  /** The one that loads files itself. */
  let judge: TestServer;
  let url: string;

  beforeAll(async () => {
    [server, judge] = await Promise.all([TestServer.start(...DEBUG), TestServer.start(...DEBUG)]);
    url = urlOf(server);
  });
  beforeEach(async () => {
    await server.client.flushall();
    await server.client.call('FUNCTION', 'FLUSH').catch(() => undefined); // since 7.0
    await server.client.config('RESETSTAT');
  });
  afterAll(async () => {
    await Promise.all([server.stop(), judge.stop()]);
    folder.remove();
  });

  const file = (name: string, values: Readonly<Record<string, string>>): string => folder.file(name, strings(values));
  const rawFile = (name: string, ...records: Parameters<typeof rdb>[1][number][]): string => folder.file(name, rdb('REDIS0009', records));

  describe('files of servers', () => {
    test.each(SERVERS.filter((name) => !name.endsWith('modules')))('%s', async (name) => {
      const bytes = new Uint8Array(readFileSync(serverPath(name)));
      const { rdbVersion, vendor } = await server.target();
      const version = Number(Buffer.from(bytes.subarray(5, 9)).toString().replace(/\D/g, ''));
      const loads =
        bytes[0] === 0x56
          ? vendor === 'valkey' && version <= rdbVersion
          : version <= Math.min(rdbVersion, vendor === 'valkey' ? 11 : rdbVersion);
      const { code, keysRestored, keysRejected, rejected } = await report([serverPath(name), url]);
      expect(keysRestored + keysRejected).toBe(250);
      if (loads) {
        await judge.load(bytes);
        expect(await digestOf(server)).toBe(await digestOf(judge));
        expect([code, keysRejected]).toEqual([0, 0]);
      } else {
        expect(code).toBe(keysRejected > 0 ? 1 : 0);
        for (const { reason } of rejected) expect(reason).toMatch(/expir/);
      }
      const keyspace = await server.client.info('keyspace');
      expect([...keyspace.matchAll(/keys=(\d+)/g)].reduce((sum, [, keys]) => sum + Number(keys), 0)).toBe(keysRestored);
    });
  });

  const get = (key: string): Promise<string | null> => server.client.get(key);
  const keysIn = async (db: number): Promise<string[]> => {
    await server.client.select(db);
    const keys = await server.client.keys('*');
    await server.client.select(0);
    return keys.sort();
  };

  describe('filters', () => {
    test.each([
      ['--db', '15'],
      ['--prefix', 'user:'],
      ['--not-prefix', 'user:'],
      ['--match', '*:[0-9]*'],
      ['--not-match', '*:*'],
      ['--regex', '^[a-m]'],
      ['--not-regex', '[0-9]$'],
      ['--type', 'hash,zset'],
      ['--not-type', 'string'],
      ['--slot', '0-8191'],
      ['--ttl', 'none'],
      ['--ttl', 'live'],
      ['--min-size', '200'],
      ['--max-size', '40'],
    ])('%s %s: the keys that decode gives', async (option, value) => {
      const decoded = lines((await rdbkit(['decode', FIXTURE, option, value])).out).map(({ db, key }) => `${db} ${key}`);
      const { code, keysFiltered, keysRestored } = await report([FIXTURE, url, option, value]);
      expect([code, keysRestored, keysFiltered]).toEqual([0, decoded.length, 250 - decoded.length]);
      const { out } = await rdbkit(['decode', folder.file('saved.rdb', await server.save())]);
      expect(lines(out).map(({ db, key }) => `${db} ${key}`).sort()).toEqual(decoded.sort());
      expect(decoded.length).toBeGreaterThan(0);
    });

    test('--partition: all parts together are everything, once', async () => {
      const counts: number[] = [];
      for (const part of ['1/3', '2/3', '3/3']) {
        const { code, keysRestored, keysSkipped } = await report([FIXTURE, url, '--partition', part, '--on-conflict', 'skip']);
        expect([code, keysSkipped]).toEqual([0, 0]);
        counts.push(keysRestored);
      }
      expect(counts.reduce((a, b) => a + b)).toBe(250);
      expect(Math.min(...counts)).toBeGreaterThan(50);
      await judge.load(new Uint8Array(readFileSync(FIXTURE)));
      expect(await digestOf(server)).toBe(await digestOf(judge));
    });

    test('--limit stops there, over several sources, too', async () => {
      const [a, b] = [file('a.rdb', { a1: '', a2: '', a3: '' }), file('b.rdb', { b1: '', b2: '', b3: '' })];
      const { code, keysRestored, limited } = await report([a, b, url, '--limit', '4']);
      expect([code, keysRestored, limited]).toEqual([0, 4, true]);
      expect(await keysIn(0)).toEqual(['a1', 'a2', 'a3', 'b1']);
    });
  });

  describe('databases', () => {
    const values = { '0:a': '0', '3:a': '3', '3:b': '3', '9:c': '9' };

    test('--db-map moves some, the others stay', async () => {
      const { code } = await report([file('dbs.rdb', values), url, '--db-map', '3:1,0:7']);
      expect(code).toBe(0);
      expect([await keysIn(1), await keysIn(7), await keysIn(9), await keysIn(0), await keysIn(3)]).toEqual([
        ['a', 'b'],
        ['a'],
        ['c'],
        [],
        [],
      ]);
    });

    test('/db of the target takes all, and keys that meet are named', async () => {
      const path = file('dbs.rdb', values);
      const { code, err } = await restore([path, urlOf(server, '/2')]);
      expect(code).toBe(1);
      expect(err).toContain(`NOT_RESTORED: ${path}, db 2, key "a":`);
      expect(err).toMatch(/the target has the key already: another client wrote it, or another key of the sources has this name there\.\n/);
      expect(err).toMatch(/rdbkit: 3 keys restored, 1 rejected; /);
      expect(await keysIn(2)).toEqual(['a', 'b', 'c']);
    });

    test('what the target has no database for is rejected, with the way out', async () => {
      const path = file('far.rdb', { '0:a': '', '16:b': '', '200:c': '' });
      const { code, err } = await restore([path, url]);
      expect(code).toBe(1);
      expect(err).toContain(
        `NOT_RESTORED: ${path}, db 16, key "b": the target has no database 16; --db-map 16:0 writes its keys to database 0.\n`,
      );
      expect(err).toContain('db 200, key "c"');
      expect(await keysIn(0)).toEqual(['a']);
      expect((await restore([path, url, '--on-conflict', 'skip', '--db-map', '16:15,200:14'])).code).toBe(0);
      expect([await keysIn(15), await keysIn(14)]).toEqual([['b'], ['c']]);
    });
  });

  describe('keys that are there', () => {
    const source = (): string => file('new.rdb', { a: 'new', b: 'new', c: 'new' });

    test('by default the target has to be empty, and nothing is written', async () => {
      await server.client.set('x', 'old');
      const { code, err } = await restore([source(), url]);
      expect(code).toBe(4);
      expect(err).toContain('TARGET: ');
      expect(err).toContain('the target has a key already. Choose what happens to them: --on-conflict skip or replace, or --flush.');
      expect(await keysIn(0)).toEqual(['x']);
    });

    test('only the databases that are written to have to be empty', async () => {
      await server.client.select(5);
      await server.client.set('x', 'old');
      await server.client.select(0);
      expect((await restore([source(), url, '--db', '0'])).code).toBe(0);
      expect((await restore([source(), urlOf(server, '/5')])).code).toBe(4);
    });

    test('skip keeps them', async () => {
      await server.client.mset('a', 'old', 'z', 'old');
      const { code, keysReplaced, keysRestored, keysSkipped } = await report([source(), url, '--on-conflict', 'skip']);
      expect([code, keysRestored, keysReplaced, keysSkipped]).toEqual([0, 2, 0, 1]);
      expect([await get('a'), await get('b'), await get('z')]).toEqual(['old', 'new', 'old']);
    });

    test('replace replaces them, whatever they were', async () => {
      await server.client.rpush('a', 'old');
      await server.client.set('b', 'old', 'EX', 1000);
      await server.client.set('z', 'old');
      const { code, keysReplaced, keysRestored, keysSkipped } = await report([source(), url, '--on-conflict', 'replace']);
      expect([code, keysRestored, keysReplaced, keysSkipped]).toEqual([0, 1, 2, 0]);
      expect([await get('a'), await get('b'), await get('z'), await server.client.ttl('b')]).toEqual(['new', 'new', 'old', -1]);
    });

    test.each([
      ['error', [1, 3, 0, 0, 1]],
      ['skip', [0, 3, 0, 1, 0]],
    ])('the same key in two sources: %s', async (how, expected) => {
      const [one, two] = [file('one.rdb', { a: '1', b: '1' }), file('two.rdb', { b: '2', c: '2' })];
      const { code, keysReplaced, keysRejected, keysRestored, keysSkipped } = await report([
        one,
        two,
        url,
        '--on-conflict',
        how,
        '--parallel',
        '1',
      ]);
      expect([code, keysRestored, keysReplaced, keysSkipped, keysRejected]).toEqual(expected);
      expect([await get('a'), await get('b'), await get('c')]).toEqual(['1', '1', '2']);
    });

    test('the same key in two sources: replace has the later one', async () => {
      const [one, two] = [file('one.rdb', { a: '1', b: '1' }), file('two.rdb', { b: '2', c: '2' })];
      await server.client.set('x', '');
      const { code, keysReplaced, keysRestored } = await report([one, two, url, '--on-conflict', 'replace', '--parallel', '1']);
      expect([code, keysRestored, keysReplaced]).toEqual([0, 3, 1]);
      expect(await get('b')).toBe('2');
    });
  });

  describe('--flush', () => {
    const fill = async (): Promise<void> => {
      for (const db of [0, 3, 4]) {
        await server.client.select(db);
        await server.client.set('old', '');
      }
      await server.client.select(0);
    };
    const source = (): string => file('flush.rdb', { '0:a': '', '3:b': '' });

    test('without a terminal it needs --yes', async () => {
      await fill();
      const { code, err } = await restore([source(), url, '--flush']);
      expect(code).toBe(2);
      expect(err).toBe('rdbkit: --flush deletes keys, and there is no terminal to confirm on: add --yes. See rdbkit restore --help\n');
      expect(await keysIn(4)).toEqual(['old']);
    });

    test('all of it', async () => {
      await fill();
      expect((await restore([source(), url, '--flush', '--yes'])).code).toBe(0);
      expect([await keysIn(0), await keysIn(3), await keysIn(4)]).toEqual([['a'], ['b'], []]);
    });

    test('the databases that --db or the target name', async () => {
      await fill();
      expect((await restore([source(), url, '--flush', '--yes', '--db', '3'])).code).toBe(0);
      expect([await keysIn(0), await keysIn(3), await keysIn(4)]).toEqual([['old'], ['b'], ['old']]);
      expect((await restore([source(), urlOf(server, '/4'), '--flush', '--yes'])).code).toBe(0);
      expect([await keysIn(0), await keysIn(3), await keysIn(4)]).toEqual([['old'], ['b'], ['a', 'b']]);
    });

    test('--db-map says where those of --db go', async () => {
      await fill();
      expect((await restore([source(), url, '--flush', '--yes', '--db', '3', '--db-map', '3:4'])).code).toBe(0);
      expect([await keysIn(0), await keysIn(3), await keysIn(4)]).toEqual([['old'], ['old'], ['b']]);
    });

    test.each([
      ['yes\n', 0, ['a']],
      ['no\n', 1, ['old']],
      ['y\n', 1, ['old']],
      ['', 1, ['old']],
    ])('asks on a terminal: %j', async (answer, code, there) => {
      await fill();
      const { code: exit, err } = await restore([source(), url, '--flush'], terminal(answer));
      expect(err).toContain('delete 3 keys of the target first? Type yes: ');
      expect(exit).toBe(code);
      expect(await keysIn(0)).toEqual(there);
      if (code !== 0) expect(err).toContain('nothing was written');
    });

    test('--dry-run deletes nothing, and does not ask', async () => {
      await fill();
      expect((await restore([source(), url, '--flush', '--dry-run'])).code).toBe(0);
      expect([await keysIn(0), await keysIn(3), await keysIn(4)]).toEqual([['old'], ['old'], ['old']]);
    });
  });

  describe('--dry-run', () => {
    test('writes nothing, and says what would be', async () => {
      const { code, err } = await restore([FIXTURE, url, '--dry-run']);
      expect(code).toBe(0);
      expect(err).toMatch(/rdbkit: 250 keys to restore; /);
      for (const command of ['set', 'flushall', 'function\\|load', 'del'])
        expect([command, await callsOf(server.client, command)]).toEqual([command, 0]);
      expect(await callsOf(server.client, 'restore')).toBe(1); // of an empty payload
      expect(await server.client.info('keyspace')).not.toContain('db0:');
    });

    test('what cannot go is named as it would be', async () => {
      const far = rawFile(
        'far-dry.rdb',
        0xfe,
        0x80,
        [0, 0, 0, 200],
        0,
        str('far'),
        str(''),
        0xfe,
        0,
        ...expiry(1),
        0,
        str('over'),
        str(''),
      );
      const dry = await report([serverPath('redis-7.4.1'), far, url, '--dry-run', '--parallel', '1']);
      const real = await report([serverPath('redis-7.4.1'), far, url, '--parallel', '1']);
      expect(dry.rejected).toEqual(real.rejected);
      expect(dry.rejected.map(({ key }) => key)).toContain('far');
      const counts = ({ keysExpired, keysFiltered, keysRejected, keysRestored, keysTranscoded, notKeys }: typeof dry) => ({
        keysExpired,
        keysFiltered,
        keysRejected,
        keysRestored,
        keysTranscoded,
        notKeys,
      });
      expect(counts(dry)).toEqual(counts(real));
      expect([dry.code, real.code, real.keysExpired]).toEqual([1, 1, 1]);
    });

    test('a target that is not empty ends a dry run as it would end the restore', async () => {
      await server.client.mset('a', '', 'b', '');
      const { code, err } = await restore([FIXTURE, url, '--dry-run']);
      expect(code).toBe(4);
      expect(err).toContain('rdbkit: 2 keys already in the databases written to\n');
    });
  });

  describe('expiries', () => {
    const at = Date.now() + YEARS + 123;
    const pexpiretime = async (key: string): Promise<number> => Number(await server.client.call('PEXPIRETIME', key));
    const source = (): string =>
      rawFile(
        'ttl.rdb',
        ...expiry(at),
        0,
        str('a'),
        str('1'),
        0,
        str('b'),
        str('2'),
        ...expiry(at + 1),
        2,
        str('s'),
        1,
        str('m'),
        ...expiry(1_600_000_000_001),
        0,
        str('over'),
        str('3'),
      );

    test('to the millisecond; what has expired is left out and counted', async () => {
      const { code, err } = await restore([source(), url]);
      expect(code).toBe(0);
      expect(err).toMatch(/rdbkit: 3 keys restored, 1 left out as expired; /);
      expect([await pexpiretime('a'), await pexpiretime('b'), await pexpiretime('s'), await pexpiretime('over')]).toEqual([
        at,
        -1,
        at + 1,
        -2,
      ]);
    });

    test('--ttl-shift makes them later or earlier, and may bring keys back', async () => {
      const { keysExpired, keysRestored } = await report([source(), url, '--ttl-shift', '2d']);
      expect([keysRestored, keysExpired]).toEqual([3, 1]);
      expect([await pexpiretime('a'), await pexpiretime('b'), await pexpiretime('s')]).toEqual([at + 172_800_000, -1, at + 172_800_001]);
      await server.client.flushall();
      expect((await report([source(), url, '--ttl-shift', '36500d'])).keysRestored).toBe(4);
      expect(await pexpiretime('over')).toBe(1_600_000_000_001 + 36_500 * 86_400_000);
      await server.client.flushall();
      expect((await report([source(), url, '--ttl-shift', '-36500d'])).keysExpired).toBe(3);
      expect(await keysIn(0)).toEqual(['b']);
    });

    test.each(['--no-ttl', '--strip-ttl'])('%s: keys stay for good', async (option) => {
      expect((await report([source(), url, option])).keysRestored).toBe(4);
      expect([await pexpiretime('a'), await pexpiretime('s'), await pexpiretime('over')]).toEqual([-1, -1, -1]);
    });
  });

  test('idle time and frequency are kept', async () => {
    // integers are objects that all keys share
    const own = async (name: string): Promise<{ key: string; idle?: number; freq?: number }[]> =>
      lines((await rdbkit(['decode', serverPath(name), '--db', '0', '--not-type', 'string'])).out);
    const object = async (what: string, key: string): Promise<number> =>
      Number(await server.client.call('OBJECT', what, key.startsWith('base64:') ? Buffer.from(key.slice(7), 'base64') : key));
    await restore([serverPath('redis-6.2.14-lru'), url, '--db', '0']);
    for (const { idle = 0, key } of await own('redis-6.2.14-lru')) {
      const later = (await object('IDLETIME', key)) - idle;
      expect(later).toBeGreaterThanOrEqual(0);
      expect(later).toBeLessThan(15); // the server counts in steps of some seconds
    }
    await server.client.flushall();
    await server.client.config('SET', 'maxmemory-policy', 'allkeys-lfu');
    try {
      await restore([serverPath('redis-4.0.14-lfu'), url, '--db', '0']);
      for (const { freq = 5, key } of await own('redis-4.0.14-lfu')) expect(await object('FREQ', key)).toBe(freq); // LFU_INIT_VAL is 5
    } finally {
      await server.client.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  describe('function libraries', () => {
    const LIBRARY = '#!lua name=lib\nredis.register_function("f", function() return 1 end)';
    const OTHER = LIBRARY.replace('return 1', 'return 2');
    const source = (): string => folder.file('lib.rdb', rdb('REDIS0010', [0xf5, str(LIBRARY), 0, str('a'), str('1')]));
    const call = (): Promise<unknown> => server.client.call('FCALL', 'f', '0');

    test('are loaded; the same code again is no problem', async () => {
      expect(
        await report([source(), source(), url, '--on-conflict', 'error', '--partition', '1/1', '--limit', '1', '--functions']),
      ).toMatchObject({ code: 0, notKeys: 0 });
      expect(await call()).toBe(1);
      expect(await report([source(), url, '--on-conflict', 'skip'])).toMatchObject({ code: 0, keysSkipped: 1, notKeys: 0 });
      await server.client.flushall();
      expect(await report([source(), url])).toMatchObject({ code: 0, keysRestored: 1, notKeys: 0 });
    });

    test('with other code: named, left, replaced', async () => {
      await server.client.call('FUNCTION', 'LOAD', OTHER);
      const { code, err } = await restore([source(), url]);
      expect(code).toBe(1);
      expect(err).toContain(
        `NOT_RESTORED: ${folder.at('lib.rdb')}: the function library "lib" is not loaded: ERR Library 'lib' already exists.\n`,
      );
      expect(err).toContain('rdbkit: 1 key restored, 1 other record not restored; ');
      expect(await call()).toBe(2);
      expect(await report([source(), url, '--on-conflict', 'skip'])).toMatchObject({ code: 0 });
      expect(await call()).toBe(2);
      expect(await report([source(), url, '--on-conflict', 'replace'])).toMatchObject({ code: 0 });
      expect(await call()).toBe(1);
    });

    test('--flush of everything replaces them, of chosen databases it does not', async () => {
      await server.client.call('FUNCTION', 'LOAD', OTHER);
      expect(await report([source(), url, '--flush', '--yes', '--db', '0'])).toMatchObject({ code: 1, notKeys: 1 });
      expect(await call()).toBe(2);
      expect(await report([source(), url, '--flush', '--yes'])).toMatchObject({ code: 0, notKeys: 0 });
      expect(await call()).toBe(1);
    });
  });
});
