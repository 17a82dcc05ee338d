import { setTimeout as delay } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Interruption } from '../../src/cli/exit.js';
import { FIXTURE, Folder, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { casePath, portOf, report, restore, serverPath, strings, urlOf } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const small = folder.file('small.rdb', strings({ a: '1', b: '2', c: '3' }));

describe(`messages of rdbkit restore to ${SERVER}`, () => {
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    server = await TestServer.start();
    url = urlOf(server);
  });
  beforeEach(() => server.client.flushall());
  afterAll(() => server.stop());

  test('a plan before, a line at the end', async () => {
    const { code, err, out } = await restore([FIXTURE, url]);
    expect([code, out]).toEqual([0, '']);
    const [source, target, planned, libraries, closing, ...rest] = err.split('\n');
    expect(source).toMatch(
      /^rdbkit: source .*redis-7\.0\.15\.rdb: RDB 10, of Redis 7\.0\.15, 146 keys in db 0, 31 in db 1, 35 in db 2, 38 in db 15, 2 function libraries, [\d.,]+ \w+, written \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
    );
    expect(target).toMatch(/^rdbkit: target 127\.0\.0\.1:\d+: (Redis|Valkey) [\d.]+, one server, 16 databases, 0 keys$/);
    expect(planned).toMatch(/^rdbkit: function libraries: "second_lib", "corpus_lib" (to load|already the same)$/);
    expect(libraries).toMatch(/^rdbkit: function libraries: "second_lib", "corpus_lib" (loaded|already the same)$/);
    expect(closing).toMatch(
      /^rdbkit: 250 keys restored(, \d+ in another encoding)?; [\d.,]+ \w+ in, [\d.]+ m?s, [\d.,]+ \w+\/s, [\d,]+ keys\/s$/,
    );
    expect(rest).toEqual(['']);
  });

  test('the plan names all databases of a source', async () => {
    const multidb = casePath('multidb.rdb');
    expect((await restore([multidb, url, '--dry-run'])).err).toContain(
      'multidb.rdb: RDB 10, of Redis 7.0.15, 506 keys in db 0, 2 in db 3, 1 in db 7, 12.6 kB, ',
    );
    const keys = [{ db: 0, keys: 506, expires: 100 }, { db: 3, keys: 2, expires: 0 }, { db: 7, keys: 1, expires: 1 }];
    expect((await report([multidb, url, '--dry-run'])).plan.sources).toMatchObject([{ keys, allDatabases: true }]);
    const lines = folder.file('multidb.jsonl', (await rdbkit(['dump', multidb, '--format', 'payload'])).out);
    expect((await report([lines, url, '--dry-run'])).plan.sources).toMatchObject([{ keys, allDatabases: true }]);
    const many = folder.file('databases.rdb', strings(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}:a`, '']))));
    expect((await restore([many, url, '--dry-run'])).err).toMatch(/1 key in db 0, (1 in db \d+, ){15}more in 4 other databases, /);
    expect((await restore([many, url, '--dry-run'])).err).toContain('a key in database 19, which the target does not have');
  });

  test('the plan names modules as MODULE LIST does, not their data types', async () => {
    const { err } = await restore([casePath('redis-stack-7.4.1.rdb'), url, '--dry-run']);
    expect(err).toContain(', data of the module search, ');
    expect(err).toContain('the sources have data of modules that the target does not have: search.\n');
  });

  test('the plan does not guess the databases of a damaged source', async () => {
    const { err } = await restore([casePath('sparse-tail.rdb'), url, '--dry-run']);
    expect(err).toContain('506 keys in db 0, perhaps more in databases not read yet, ');
  });

  test('the plan says what a newer source means', async () => {
    const { err } = await restore([serverPath('redis-8.0.6'), url, '--dry-run', '--target-version', '7.0']);
    expect(err).toMatch(
      /warning: the target \(\w+ [\d.]+\) reads RDB versions up to 10, and the sources are of Redis 8\.0\.6 \(RDB version 12\): values in an encoding that the target does not know are written in another\.\n/,
    );
  });

  test('the target by the options of redis-cli', async () => {
    const target = ['-h', '127.0.0.1', '-p', String(portOf(server))];
    expect(await report([small, FIXTURE, ...target, '-c', '-n', '3', '--db', '0'])).toMatchObject({
      code: 0,
      sources: 2,
      plan: { intoDb: 3 },
    });
    expect((await server.client.info('keyspace')).match(/^db\d+/gm)).toEqual(['db3']);
    expect(await report([small, url, '-n', '4'])).toMatchObject({ code: 0, plan: { intoDb: 4 } });
    expect(await report([small, '-p', String(portOf(server)), '-n', '5'])).toMatchObject({ code: 0, plan: { intoDb: 5 } });
  });

  test('-a logs in, and says that it shows', async () => {
    await server.client.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>s3cret', '~*', '+@all');
    const argv = [small, '-h', '127.0.0.1', '-p', String(portOf(server)), '--user', 'worker', '-a', 's3cret'];
    const { code, err } = await restore(argv, { env: { REDISCLI_AUTH: 'another' } });
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(
        /^rdbkit: warning: a password on the command line \(-a\) shows in the process list: set REDISCLI_AUTH, or use --password-file\.\nrdbkit: source /,
      ),
    ]);
    expect(err).not.toContain('s3cret');
    expect(await restore([...argv, '--on-conflict', 'skip', '--quiet'])).toMatchObject({ code: 0, err: '' });
    expect((await restore([small, url.replace('://', '://worker:wrong@'), '-a', 's3cret', '--on-conflict', 'skip'])).code).toBe(0);
  });

  test('--quiet: nothing but errors', async () => {
    expect(await restore([FIXTURE, url, '--quiet'])).toEqual({ code: 0, out: '', err: '' });
    expect((await restore([FIXTURE, url, '--quiet'])).err).toMatch(/^rdbkit: TARGET: [^\n]*\n$/);
  });

  test('--verbose: counts by database and server', async () => {
    const { err } = await restore([FIXTURE, url, '--verbose']);
    const rows = [...err.matchAll(/^rdbkit:   db (\d+), 127\.0\.0\.1:\d+: ([\d,]+) restored$/gm)];
    expect(rows.map(([, db]) => db)).toEqual(['0', '1', '2', '15']);
    expect(rows.reduce((sum, [, , keys]) => sum + Number(keys), 0)).toBe(250);
  });

  test('--progress plain says now and then how far it is', async () => {
    const many = folder.file('many.rdb', strings(Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`key:${i}`, 'x'.repeat(100)]))));
    const { err } = await restore([many, url, '--progress', 'plain', '--max-keys-per-second', '250']);
    expect(err).toMatch(/^rdbkit: .*keys/m);
    expect(await server.client.dbsize()).toBe(700);
  });

  test('--json: an object with documented fields, whatever happens', async () => {
    const hostile = folder.file('hostile.rdb', strings({ __proto__x: '', '\u001b[2J\n<b>"': '1', '20:\u0007bell': '2' }));
    const { code, err, out } = await restore([hostile, url, '--json']);
    expect([code, out]).toEqual([1, '']);
    expect(err.split('\n')).toHaveLength(2);
    expect(err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    const object = JSON.parse(err) as Record<string, unknown>;
    expect(Object.keys(object).sort()).toEqual(
      [
        'aofTails',
        'bytesIn',
        'bytesOut',
        'command',
        'commandsRefused',
        'counts',
        'declined',
        'errors',
        'evicted',
        'exitCode',
        'finished',
        'functions',
        'interrupted',
        'keys',
        'keysDamaged',
        'keysExpired',
        'keysFiltered',
        'keysRead',
        'keysRejected',
        'keysReplaced',
        'keysRestored',
        'keysSkipped',
        'keysTranscoded',
        'keysUnanswered',
        'keysUncounted',
        'limited',
        'memberExpiriesLost',
        'notKeys',
        'plan',
        'reasons',
        'rejected',
        'resumed',
        'seconds',
        'sources',
        'torn',
        'unconfirmed',
        'warnings',
      ].sort(),
    );
    expect(object).toMatchObject({
      ...{
        command: 'restore',
        exitCode: 1,
        keysRead: 3,
        keysRestored: 2,
        keysRejected: 1,
        keysFiltered: 0,
        interrupted: null,
        errors: [],
        warnings: [],
        unconfirmed: [],
      },
      counts: [
        { db: 0, server: `127.0.0.1:${portOf(server)}`, restored: 2 },
        { db: 20, rejected: 1 },
      ],
      rejected: [
        { file: hostile, db: 20, key: '\u0007bell', reason: 'the target has no database 20; --db-map 20:0 writes its keys to database 0' },
      ],
      plan: {
        keysThere: 0,
        keysDeleted: 0,
        target: {
          clustered: false,
          databases: 16,
          masters: [{ name: `127.0.0.1:${portOf(server)}`, slots: 16384, replicas: 0, keys: {} }],
        },
      },
    });
    expect(JSON.parse((await restore([hostile, url, '--json', '--quiet', '--on-conflict', 'skip', '--db', '0'])).err)).toMatchObject({
      exitCode: 0,
    });
  });

  describe('a target whose memory has a limit', () => {
    const values = folder.file(
      'much.rdb',
      strings(Object.fromEntries(Array.from({ length: 4000 }, (_, i) => [`key:${i}`, 'x'.repeat(2000)]))),
    );

    const limitTo = async (more: number, policy: string): Promise<void> => {
      const used = Number(/used_memory:(\d+)/.exec(await server.client.info('memory'))?.[1]);
      await server.client.config('SET', 'maxmemory-policy', policy);
      await server.client.config('SET', 'maxmemory', `${used + more}`);
    };
    afterEach(async () => {
      await server.client.config('SET', 'maxmemory', '0');
      await server.client.config('SET', 'maxmemory-policy', 'noeviction');
    });

    test('keys that it evicts are told, and are no success', async () => {
      await limitTo(3 << 20, 'allkeys-lru');
      const { code, keysRestored, evicted } = await report([values, url]);
      const there = await server.client.dbsize();
      expect(there).toBeLessThan(4000);
      expect([code, keysRestored]).toEqual([1, 4000]);
      expect(evicted).toEqual([{ server: `127.0.0.1:${portOf(server)}`, keys: 4000 - there, policy: 'allkeys-lru' }]);
      await server.client.flushall();
      const { err } = await restore([values, url, '--quiet']);
      expect(err).toMatch(/^rdbkit: warning: 127\.0\.0\.1:\d+: [\d,]+ keys evicted during the restore \(maxmemory-policy allkeys-lru\)/);
      await server.client.flushall();
      await server.client.config('SET', 'maxmemory', '0');
      expect(await report([values, url])).toMatchObject({ code: 0, evicted: [] }); // what was evicted before does not count
    });

    test.each([
      ['noeviction', 'the memory left may not be enough'],
      ['allkeys-lfu', 'the memory left may not be enough: the target would evict keys (maxmemory-policy allkeys-lfu)'],
    ])('that it may not be enough is said before: %s', async (policy, warning) => {
      await limitTo(100_000, policy);
      expect((await report([FIXTURE, url, '--dry-run'])).plan.warnings).toContain(warning);
      expect((await report([FIXTURE, url, '--dry-run', '--prefix', 'k'])).plan.warnings).not.toContain(warning);
    });
  });

  test('hostile keys do not reach the terminal', async () => {
    const hostile = folder.file(
      'hostile.rdb',
      strings({ '\u001b]0;title\u0007\n\r\u009b2J': '1', __proto__: '2', constructor: '3', '': '4' }),
    );
    await server.client.mset('__proto__', '', 'constructor', '', '', '');
    const { code, err } = await restore([hostile, hostile, urlOf(server, '/3'), '--parallel', '1']);
    expect(code).toBe(1);
    expect(err).toContain('key "\\u001b]0;title\\u0007\\n\\r\\u009b2J"');
    expect(err).toContain(`key "constructor": 127.0.0.1:${portOf(server)}: the target has the key already`);
    expect(err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  test('filtered keys and those that were rejected are told apart', async () => {
    const { err } = await restore([FIXTURE, url, '--type', 'hash']);
    expect(err).toMatch(/rdbkit: (\d+) keys restored(, \d+ in another encoding)?, (\d+) filtered out; /);
  });

  test('from standard input, from gzip, and from standard input with gzip', async () => {
    const bytes = readFileSync(FIXTURE);
    const sources: [string, Readable | undefined][] = [
      ['-', Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)])],
      [folder.file('dump.rdb.gz', gzipSync(bytes)), undefined],
      ['-', Readable.from([gzipSync(bytes)])],
    ];
    for (const [source, stdin] of sources) {
      await server.client.flushall();
      expect(await report([source, url], stdin === undefined ? {} : { stdin })).toMatchObject({ code: 0, keysRestored: 250 });
    }
  });

  test('several files at the same time', async () => {
    const files = Array.from({ length: 9 }, (_, i) =>
      folder.file(`shard-${i}.rdb`, strings(Object.fromEntries(Array.from({ length: 100 }, (_, j) => [`shard:${i}:${j}`, `${j}`])))),
    );
    for (const parallel of ['1', '3', '64']) {
      await server.client.flushall();
      expect(await report([...files, url, '--parallel', parallel, '--max-in-flight', '1'])).toMatchObject({
        code: 0,
        keysRestored: 900,
        sources: 9,
      });
      expect(await server.client.dbsize()).toBe(900);
    }
  });

  describe('a source that is damaged', () => {
    const damaged = folder.file('damaged.rdb', rdb('REDIS0009', [0, str('a'), str('1'), 0, str('b'), str('2'), 99, str('c')], false));

    test('what came before it is restored', async () => {
      const { code, err } = await restore([damaged, small, url, '--parallel', '1']);
      expect(code).toBe(3);
      expect(err).toContain(`rdbkit: UNKNOWN_OPCODE: ${damaged}, offset `);
      expect(err).toMatch(/rdbkit: 2 keys restored; /);
      expect((await server.client.keys('*')).sort()).toEqual(['a', 'b']);
    });

    test('--keep-going restores the others', async () => {
      const { code, errors, keysReplaced, keysRestored } = await report([
        damaged,
        small,
        url,
        '--parallel',
        '1',
        '--keep-going',
        '--on-conflict',
        'replace',
      ]);
      expect([code, errors.length, keysRestored, keysReplaced]).toEqual([3, 1, 3, 2]);
      expect((await server.client.keys('*')).sort()).toEqual(['a', 'b', 'c']);
    });

    test('a value that is cut off in the middle is not written', async () => {
      const whole = strings({ a: '1', large: 'x'.repeat(3 << 20) });
      const cut = folder.file('cut.rdb', whole.subarray(0, 2 << 20));
      expect(await report([cut, url])).toMatchObject({ code: 3, keysRestored: 1, errors: [{ code: 'TRUNCATED' }] });
      expect(await server.client.keys('*')).toEqual(['a']);
    });

    test('a file that is none: nothing is written', async () => {
      const { code, err } = await restore([folder.file('none.rdb', 'nothing of that kind'), url]);
      expect(code).toBe(3);
      expect(err).toContain('NOT_RDB');
      expect((await restore([folder.at('no-such.rdb'), url])).code).toBe(2);
    });
  });

  describe('limits of speed', () => {
    const values = strings(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key:${i}`, 'x'.repeat(1000)])));
    const source = folder.file('pace.rdb', values);

    test.each([
      ['--max-keys-per-second', '300'],
      ['--max-bytes-per-second', '320kb'],
    ])('%s %s', async (option, value) => {
      const start = performance.now();
      expect(await report([source, url, option, value])).toMatchObject({ code: 0, keysRestored: 300 });
      const seconds = (performance.now() - start) / 1000;
      expect(seconds).toBeGreaterThan(0.6);
      expect(seconds).toBeLessThan(3);
    });
  });

  describe('a signal', () => {
    const values = strings(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key:${i}`, 'x'.repeat(100)])));
    const source = folder.file('long.rdb', values);

    const stopAfter = (ms: number): AbortSignal => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Interruption('SIGINT')), ms);
      return controller.signal;
    };

    /** Once the first keys have arrived, which takes a while on a busy machine. */
    const stopAmidst = (): AbortSignal => {
      const controller = new AbortController();
      const stop = async (): Promise<void> => {
        while ((await server.client.dbsize()) === 0) await delay(20);
        controller.abort(new Interruption('SIGINT'));
      };
      void stop();
      return controller.signal;
    };

    test('stops it, with counts of what is there', async () => {
      const { err, code } = await restore([source, url, '--max-keys-per-second', '500'], { signal: stopAmidst() });
      expect(code).toBe(130);
      expect(err).toContain('rdbkit: interrupted by SIGINT.');
      const restored = Number(/rdbkit: ([\d,]+) keys? restored/.exec(err)?.[1].replace(',', ''));
      expect(restored).toBe(await server.client.dbsize());
      expect(restored).toBeLessThan(2000);
      expect(err).not.toContain('filtered out');
    });

    test('also while it waits for its allowance', async () => {
      const start = performance.now();
      const { code } = await restore([source, url, '--max-bytes-per-second', '1'], { signal: stopAfter(300) });
      expect(code).toBe(130);
      expect(performance.now() - start).toBeLessThan(20_000); // not the hours that it would take
    });

    test('also while standard input gives nothing', async () => {
      const stdin = new PassThrough();
      stdin.write(values.subarray(0, 1000));
      const { code, err } = await restore(['-', url], { signal: stopAfter(300), stdin });
      expect(code).toBe(130);
      expect(err).toContain('interrupted by SIGINT');
    });

    test('also while the server does not answer', async () => {
      const deaf: Server = createServer((socket) => socket.on('error', () => undefined));
      await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
      const start = performance.now();
      const { code } = await restore([source, `redis://127.0.0.1:${(deaf.address() as { port: number }).port}`], {
        signal: stopAfter(300),
      });
      deaf.close();
      expect(code).toBe(130);
      expect(performance.now() - start).toBeLessThan(9000); // it waits 10 s for an answer
    });
  });

  test('a named pipe is read once', async () => {
    const pipe = folder.at('pipe.rdb');
    execFileSync('mkfifo', [pipe]);
    const writing = writeFile(pipe, strings({ a: '1', b: '2' }));
    const { code, err } = await restore([pipe, url]);
    await writing;
    expect([code, err]).toEqual([0, expect.stringMatching(/rdbkit: 2 keys restored; /)]);
  });

  test('with a checkpoint, a source that does not exist is wrong usage', async () => {
    const { code, err } = await restore([folder.at('not-there.rdb'), url, '--checkpoint', folder.at('not-there.json')]);
    expect([code, err]).toEqual([2, expect.stringMatching(/^rdbkit: --checkpoint: the source .*not-there\.rdb cannot be read: ENOENT/)]);
  });

  test('--cluster to a server that is none', async () => {
    expect(await restore([small, url, '--cluster'])).toMatchObject({
      code: 4,
      err: expect.stringMatching(
        /^rdbkit: REFUSED: 127\.0\.0\.1:\d+: ERR This instance has cluster support disabled\. It is not a cluster: restore to it without --cluster\.\n$/,
      ) as string,
    });
  });

  test('a database of the URL that is not there: no other option helps', async () => {
    const { code, errors } = await report([small, `${url}/99`]);
    expect([code, errors[0].code, errors[0].got]).toEqual([4, 'TARGET', 'the target has no database 99, which its URL names']);
  });

  test('a checkpoint that is no file', async () => {
    const { code, err } = await restore([small, url, '--checkpoint', '/dev/null']);
    expect([code, err]).toEqual([2, expect.stringContaining('--checkpoint: expected a regular file')]);
  });

  test('rejects of a run before stay until something is read', async () => {
    const rejects = folder.file('rejects.jsonl', Buffer.from('all that there is of them\n'));
    expect((await restore([folder.at('not-there.rdb'), url, '--rejects', rejects])).code).toBe(2);
    expect(readFileSync(rejects, 'utf8')).toBe('all that there is of them\n');
    expect((await restore([small, url, '--rejects', rejects])).code).toBe(0);
    expect(readFileSync(rejects, 'utf8')).toBe('');
  });

  test('of a key with a long name its beginning is told', async () => {
    const long = folder.file('long.rdb', rdb('REDIS0010', [0xfe, 0, 0, str('k'.repeat(100_000)), str('e')]));
    const { code, err } = await restore([long, url, '--db-map', '0:99']);
    expect(code).toBe(1);
    expect(err).toContain(`key "${'k'.repeat(256)}"… (100,000 characters): the target has no database 99`);
    expect(err.length).toBeLessThan(2000);
  });

  test('rejects that cannot be written end it', async () => {
    const { code, err } = await restore([
      small,
      folder.file('again.rdb', strings({ a: 'x' })),
      url,
      '--parallel',
      '1',
      '--rejects',
      '/dev/full',
    ]);
    expect(code).toBe(4);
    expect(err).toContain('cannot write /dev/full: ');
  });
});
