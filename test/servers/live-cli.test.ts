import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Report } from '../../src/inspect/report.js';
import { Folder, lines, type Result, rdbkit } from '../support/cli-support.js';
import { differences } from '../support/compare.js';
import { TestCluster } from '../support/redis-cluster.js';
import { freePort, SERVER, TestServer } from '../support/redis-server.js';
import { portOf, serverPath, urlOf } from '../support/restore-support.js';
import { TapProxy } from '../support/tap-proxy.js';
import { until } from '../support/until.js';

const folder = new Folder();
afterAll(() => folder.remove());

const WAYS = ['replication', 'scan'] as const;
const COMMANDS = ['decode', 'dump', 'check', 'inspect'] as const;
/** No waiting for other replicas. */
const QUICK = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
const KEYS = 250;
const PASSWORD = 's3cret';
const fixture = readFileSync(serverPath('redis-7.0.15'));

/** The object of --json. */
async function said(
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Record<string, unknown> & { out: string; code: number | null }> {
  const { code, err, out } = await rdbkit([...argv, '--json'], { env });
  return { ...(JSON.parse(err) as Record<string, unknown>), out, code };
}

/** Libraries by their names, which are in no order. */
const libraries = async ({ client }: TestServer): Promise<string[]> =>
  ((await client.call('FUNCTION', 'LIST', 'WITHCODE')) as unknown[]).map((library) => JSON.stringify(library)).sort();

/** What SAVE writes, as soon as no child of an earlier transfer is left, which is in its way. */
async function saved(server: TestServer, name = 'saved.rdb'): Promise<string> {
  await until('no child is saving', async () => (await server.client.info('persistence')).includes('rdb_bgsave_in_progress:0'));
  return folder.file(name, await server.save());
}

/** Starts a server with keys, and until it is loaded. */
async function loaded(rdb: Uint8Array, ...options: string[]): Promise<TestServer> {
  const server = await TestServer.start('--enable-debug-command', 'yes', ...QUICK, ...options);
  await server.load(rdb);
  return server;
}

describe(`ways to a server of ${SERVER}`, () => {
  const socket = folder.at('redis.sock');
  const env = { RDBKIT_SOURCE_AUTH: PASSWORD };
  let tlsPort: number;
  let server: TestServer;
  let replica: TestServer;
  let sentinel: ChildProcess;
  let sentinelPort: number;
  let truth: string;

  beforeAll(async () => {
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        'k.pem',
        '-out',
        'c.pem',
        '-days',
        '30',
      ].concat(['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1']),
      { stdio: 'ignore', cwd: folder.path },
    );
    tlsPort = await freePort();
    const tls = ['--tls-port', `${tlsPort}`, '--tls-cert-file', folder.at('c.pem'), '--tls-key-file', folder.at('k.pem')];
    server = await loaded(
      fixture,
      '--bind',
      '127.0.0.1 ::1',
      '--unixsocket',
      socket,
      ...tls,
      '--tls-ca-cert-file',
      folder.at('c.pem'),
      '--tls-auth-clients',
      'no',
    );
    truth = (await rdbkit(['decode', await saved(server)])).out;
    await server.client.call('ACL', 'SETUSER', 'reader', 'on', `>${PASSWORD}`, '~*', '+@all');
    replica = await TestServer.start(...QUICK);
    await replica.client.replicaof('127.0.0.1', portOf(server));
    await until('the replica is in sync', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
    await until('it has confirmed that', async () => (await server.client.info('replication')).includes('state=online'));
    sentinelPort = await freePort();
    const conf = [`port ${sentinelPort}`, 'bind 127.0.0.1', `dir ${folder.path}`, `sentinel monitor main 127.0.0.1 ${portOf(server)} 1`];
    sentinel = spawn(SERVER, [folder.file('sentinel.conf', `${conf.join('\n')}\n`), '--sentinel'], { stdio: 'ignore' });
    const asked = new Redis({ port: sentinelPort, retryStrategy: () => 50 });
    asked.on('error', () => undefined); // refused until it listens
    await asked.ping();
    asked.disconnect();
  });
  afterAll(async () => {
    sentinel.kill('SIGKILL');
    await Promise.all([server.stop(), replica.stop()]);
  });

  const URLS: Record<string, () => string[]> = {
    standalone: () => [urlOf(server)],
    'with a user and a password': () => [urlOf(server).replace('://', '://reader@')],
    'a replica': () => [urlOf(replica)],
    'through --prefer-replica': () => [urlOf(server), '--prefer-replica'],
    sentinels: () => [`redis+sentinel://127.0.0.1:${sentinelPort}/main`],
    TLS: () => [`rediss://127.0.0.1:${tlsPort}`, '--source-cacert', folder.at('c.pem')],
    'a Unix socket': () => [`redis+unix://${socket}`],
    IPv6: () => [`redis://[::1]:${portOf(server)}`],
  };

  for (const [place, url] of Object.entries(URLS)) {
    for (const way of WAYS) {
      test(`${place}, by ${way}: every command reads all keys`, async () => {
        for (const command of COMMANDS) {
          const { code, keysRead, servers, out } = await said([command, ...url(), '--via', way], place.includes('password') ? env : {});
          expect([command, code, keysRead, servers]).toMatchObject([command, 0, KEYS, [{ way, clustered: false }]]);
          if (command === 'decode') expect(differences(truth, out)).toEqual([]);
        }
      });
    }
  }

  test('the plan names server, way, and what is read instead of a master', async () => {
    const { err } = await rdbkit(['check', urlOf(server), '--prefer-replica', '--via', 'scan']);
    const [master, other] = [portOf(server), portOf(replica)];
    expect(err).toMatch(
      new RegExp(
        `^rdbkit: source redis://127.0.0.1:${master}: \\S+ \\S+, 127.0.0.1:${other}, a replica of 127.0.0.1:${master}, 250 keys, .* of memory; read by scan\n`,
      ),
    );
  });

  test.each(WAYS)('a database in the URL is the only one read, by %s', async (via) => {
    const { out } = await rdbkit(['decode', urlOf(server, '/2'), '--via', via]);
    expect(new Set(lines(out).map(({ db }) => db))).toEqual(new Set([2]));
    expect(differences((await rdbkit(['decode', await saved(server), '--db', '2'])).out, out)).toEqual([]);
  });

  test.each(WAYS)('one that has no keys is named as the reason, by %s', async (via) => {
    const { code, err } = await rdbkit(['decode', urlOf(server, '/9'), '--via', via]);
    expect(code).toBe(0);
    const left = `rdbkit: no key was written: all ${KEYS} are left out by the database of the URL.\n`;
    expect(err.endsWith(via === 'scan' ? 'rdbkit: the source has no key that passes the database of the URL.\n' : left)).toBe(true);
  });

  const filters = [
    ['--prefix', 'base64:e2Fs'],
    ['--match', '*1*'],
    ['--not-match', '*a*'],
    ['--regex', '^\\{'],
    ['--type', 'hash,stream'],
    ['--not-type', 'string'],
    ['--db', '1-2'],
    ['--slot', '0-8191'],
    ['--ttl', 'any'],
    ['--ttl', 'none'],
    ['--min-size', '1kb'],
    ['--max-size', '100', '--type', 'string'],
  ];
  test.each(filters)('%s %s: the same keys as of its SAVE', async (...filter) => {
    const want = await rdbkit(['decode', await saved(server), ...filter]);
    expect(want.out).not.toBe('');
    for (const via of WAYS) {
      const { code, out } = await rdbkit(['decode', urlOf(server), '--via', via, ...filter]);
      expect([via, code, differences(want.out, out)]).toEqual([via, 0, []]);
    }
  });

  test.each(WAYS)('--limit ends the reading, by %s', async (via) => {
    const { code, keys, limited, out } = await said(['decode', urlOf(server), '--via', via, '--limit', '7']);
    expect([code, keys, limited, lines(out).length]).toEqual([0, 7, true, 7]);
  });

  test.each(WAYS)('inspect says the same of it as of its SAVE, by %s', async (via) => {
    const report = async (source: string, ...argv: string[]): Promise<unknown> => {
      const { out } = await rdbkit(['inspect', source, '--format', 'json', '--delimiter', ':', ...argv]);
      const found = JSON.parse(out.replaceAll(source, 'SOURCE')) as Report;
      const { at: _, memory: __, sources, ...rest } = found;
      expect([sources.length, sources[0].live]).toEqual([1, source.startsWith('redis://') ? true : undefined]);
      const { bytes, elements, keys, memory, rdbVersion, server: version, withExpiry } = sources[0];
      // DUMP does not compress keys, and SCAN has another order
      const types = found.types.map((type) => ({ ...type, sizes: undefined, bytes: undefined }));
      return via === 'scan'
        ? { elements, keys, memory, rdbVersion, version, withExpiry, types }
        : { ...rest, source: { bytes, elements, keys, memory, rdbVersion, version, withExpiry } };
    };
    expect(await report(urlOf(server), '--via', via)).toEqual(await report(await saved(server)));
  });

  test('a report of a server does not compare its time with that of this machine', async () => {
    const { out } = await rdbkit(['inspect', urlOf(server)]);
    expect(out.replace(/\s+/g, ' ')).toMatch(/, read live \d{4}-\d\d-\d\d \d\d:\d\d UTC /);
    expect(out).not.toContain('ahead of');
  });

  describe('messages', () => {
    const refused = async (...argv: string[]): Promise<string> => {
      const { code, err, out } = await rdbkit(['decode', ...argv]);
      expect([code, out]).toEqual([4, '']);
      expect(err.split('\n')).toHaveLength(2);
      return err.replace('rdbkit: ', '').trimEnd();
    };
    const port = (): string => `127.0.0.1:${portOf(server)}`;

    test('nobody listens', async () => {
      expect(await refused(`redis://127.0.0.1:${await freePort()}`)).toMatch(/^UNREACHABLE: .*ECONNREFUSED.* Check host and port, /);
    });

    test('a wrong password', async () => {
      const line = await refused(urlOf(server).replace('://', '://reader:wrong@'));
      expect(line).toMatch(
        /^REFUSED: .*: WRONGPASS .*\(as reader\)\. Check user name and password \(--source-user, RDBKIT_SOURCE_AUTH, --source-password-file\)\.$/,
      );
      expect(line).not.toContain('wrong@');
    });

    test('TLS where there is none, and none where there is', async () => {
      expect(await refused(`rediss://${port()}`)).toMatch(/it does not speak TLS\. Write redis:\/\/ instead of rediss:\/\//);
      expect(await refused(`redis://127.0.0.1:${tlsPort}`)).toMatch(/it speaks TLS\. Write rediss:\/\/ instead of redis:\/\//);
      expect(await refused(`rediss://127.0.0.1:${tlsPort}`)).toContain(
        'Trust it with --source-cacert FILE, a file in PEM; --source-insecure does not',
      );
    });

    test('a sentinel for a server, a server for a sentinel, and a name that no sentinel knows', async () => {
      expect(await refused(`redis://127.0.0.1:${sentinelPort}`)).toBe(
        `TARGET: 127.0.0.1:${sentinelPort}: it is a sentinel. Write it as redis+sentinel://host:port/master.`,
      );
      expect(await refused(`redis+sentinel://${port()}/main`)).toBe(
        `REFUSED: ${port()}: the sentinel is not one: it does not know SENTINEL. If it is the server itself, write redis://host:port without a name.`,
      );
      expect(await refused(`redis+sentinel://127.0.0.1:${sentinelPort}/other`, '--retry-for', '0s')).toBe(
        `UNREACHABLE: 127.0.0.1:${sentinelPort}: the sentinel does not know a master other. Check the name after the /: SENTINEL MASTERS lists those that it knows.`,
      );
    });

    test('no cluster', async () => {
      expect(await refused(urlOf(server), '--source-cluster')).toMatch(/It is not a cluster: read it without --source-cluster\.$/);
    });

    const wrong: [string, string[], string][] = [
      [
        'a URL with a password that is not escaped',
        ['decode', 'redis://u:p/w@host'],
        'percent-encode it (%40 %2F %3F %23), or use --source-user and RDBKIT_SOURCE_AUTH',
      ],
      ['the scheme of a cluster', ['decode', 'redis+cluster://host:1'], 'a cluster is detected, and --source-cluster insists on it'],
      ['an address without a scheme', ['decode', 'host:6379'], 'there is no file host:6379; if it is a server, write redis://host:6379.'],
      [
        'a database that --db leaves out',
        ['decode', 'redis://host:1/0', '--db', '1'],
        'redis://host:1/0 names database 0, which --db leaves out: no key could pass',
      ],
      ['a server twice', ['decode', 'redis://host:1', 'redis://:pw@host:1'], 'the source redis://host:1 is given twice'],
      [
        'options of servers without one',
        ['decode', 'dump.rdb', '--via', 'scan'],
        '--via is for sources that are servers, and none is given: name one as redis://host:port',
      ],
      [
        'a restore without a source',
        ['restore', 'redis://host:1'],
        'before the target, name an RDB file, the URL of another server, or - for standard input',
      ],
    ];
    test.each(wrong)('%s', async (_, argv, text) => {
      const { code, err } = await rdbkit(argv);
      expect(code).toBe(2);
      expect(err).toContain(text);
    });

    test('two names of one server: its keys come twice, unless they name two databases', async () => {
      const [one, two] = [urlOf(server), `redis://localhost:${portOf(server)}`];
      const twice = await said(['decode', one, two]);
      expect(twice).toMatchObject({
        code: 0,
        keys: 2 * KEYS,
        warnings: [{ file: two, text: `it has the same keys as ${one}: they come twice` }],
      });
      expect((await said(['decode', `${one}/0`, `${two}/1`])).warnings).toEqual([]);
      expect((await said(['decode', one, urlOf(replica)])).warnings).toHaveLength(1);
    });
  });
});

describe(`what a server has, decoded, of ${SERVER}`, () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start('--enable-debug-command', 'yes', ...QUICK);
  });
  afterAll(() => server.stop());

  test.each(['redis-2.8.24', 'redis-3.2.13', 'redis-4.0.14-lfu', 'redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15'])(
    '%s: as of its SAVE',
    async (name) => {
      await server.load(readFileSync(serverPath(name)));
      const { out: truth } = await rdbkit(['decode', await saved(server)]);
      expect(lines(truth).length).toBeGreaterThan(100);
      for (const via of WAYS) {
        const { code, out } = await rdbkit(['decode', urlOf(server), '--via', via]);
        expect([via, code, differences(truth, out)]).toEqual([via, 0, []]);
      }
    },
  );

  test.each(['yes', 'no'])('a dump by replication is what the server sent, byte for byte: repl-diskless-sync %s', async (diskless) => {
    await server.load(fixture);
    await server.client.config('SET', 'repl-diskless-sync', diskless);
    const proxy = await TapProxy.start(portOf(server));
    try {
      const { code } = await rdbkit(['dump', proxy.url, '--via', 'replication', '-o', folder.at('copy.rdb')]);
      expect([code, proxy.transfer.diskless]).toEqual([0, diskless === 'yes']);
      expect(readFileSync(folder.at('copy.rdb')).equals(proxy.transfer.rdb)).toBe(true);
    } finally {
      await proxy.stop();
    }
  });

  test.each(WAYS)('a server loads a dump, functions included, by %s', async (via) => {
    await server.load(fixture);
    const { out: truth } = await rdbkit(['decode', await saved(server)]);
    expect((await rdbkit(['dump', urlOf(server), '--via', via, '-o', folder.at('copy.rdb')])).code).toBe(0);
    const other = await loaded(readFileSync(folder.at('copy.rdb')));
    try {
      expect(differences(truth, (await rdbkit(['decode', await saved(other, 'other.rdb')])).out)).toEqual([]);
      expect(await libraries(other)).toEqual(await libraries(server));
      expect(await libraries(other)).toHaveLength(2);
    } finally {
      await other.stop();
    }
  });
});

describe(`from server to server of ${SERVER}`, () => {
  let source: TestServer;
  let target: TestServer;
  beforeAll(async () => {
    [source, target] = await Promise.all([loaded(fixture), TestServer.start('--enable-debug-command', 'yes', ...QUICK)]);
    for (let i = 0; i < 50; i++) await source.client.set(`moved:${i}`, `${i}`, 'PX', 1_000_000_007 + i);
  });
  beforeEach(() => target.client.flushall());
  afterAll(() => Promise.all([source.stop(), target.stop()]));

  const restore = (...argv: string[]): Promise<Result> => rdbkit(['restore', ...argv]);

  test.each(WAYS)('everything arrives, by %s', async (via) => {
    await target.client.call('FUNCTION', 'FLUSH');
    const { code } = await restore(urlOf(source), urlOf(target), '--via', via);
    expect(code).toBe(0);
    const [want, got] = [await rdbkit(['decode', await saved(source)]), await rdbkit(['decode', await saved(target, 'target.rdb')])];
    expect(differences(want.out, got.out)).toEqual([]);
    expect(await libraries(target)).toEqual(await libraries(source));
  });

  test.each(WAYS)('--prefix, with expiries to the millisecond, by %s', async (via) => {
    expect((await restore(urlOf(source), urlOf(target), '--via', via, '--prefix', 'moved:')).code).toBe(0);
    expect(await target.client.dbsize()).toBe(50);
    for (let i = 0; i < 50; i++) expect(await target.client.pexpiretime(`moved:${i}`)).toBe(await source.client.pexpiretime(`moved:${i}`));
  });

  test.each(WAYS)('into a cluster, by %s', async (via) => {
    const cluster = await TestCluster.start();
    try {
      expect((await restore(urlOf(source, '/0'), cluster.nodes[0].url, '--via', via, '--prefix', 'moved:')).code).toBe(0);
      expect(await cluster.size()).toBe(50);
      const back = await said(['decode', cluster.nodes[4].url, '--via', via]);
      expect(back).toMatchObject({ code: 0, keys: 50, gaps: [], servers: [{ clustered: true, way: via, shards: [{}, {}, {}] }] });
      const want = (await rdbkit(['decode', urlOf(source), '--prefix', 'moved:'])).out;
      expect(differences(want, back.out)).toEqual([]);
      expect(await restore(cluster.nodes[0].url, cluster.nodes[2].url, '--via', via)).toMatchObject({ code: 4, out: '' });
    } finally {
      await cluster.stop();
    }
  });

  describe('into itself', () => {
    let replica: TestServer;
    beforeAll(async () => {
      replica = await TestServer.start(...QUICK);
      await replica.client.replicaof('127.0.0.1', portOf(source));
      await until('the replica is in sync', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
      await until('it has confirmed that', async () => (await source.client.info('replication')).includes('state=online'));
    });
    afterAll(() => replica.stop());

    const local = (path = ''): string => `redis://localhost:${portOf(source)}${path}`;
    const REPLACE = ['--on-conflict', 'replace'];
    const cases: [string, () => string[]][] = [
      ['by the same name', () => [urlOf(source), urlOf(source)]],
      ['by another name', () => [urlOf(source), local()]],
      ['through --prefer-replica', () => [urlOf(source), local(), '--prefer-replica']],
      ['from its replica', () => [urlOf(replica), local()]],
      ['into a database that is read', () => [urlOf(source, '/1'), local('/1')]],
      ['into one that another source is', () => [urlOf(source, '/1'), urlOf(replica, '/2'), local(), '--db-map', '1:2']],
      ['where --flush would delete what is read', () => [urlOf(source, '/1'), local(), '--db-map', '0:1', '--flush', '--yes']],
    ];
    test.each(cases)('%s: refused, and nothing is deleted', async (_, argv) => {
      const before = await source.client.dbsize();
      const { code, err } = await restore(...argv(), ...(argv().includes('--flush') ? [] : REPLACE));
      expect(code).toBe(4);
      expect(err).toMatch(
        /^rdbkit: TARGET: .*: (?:it is also the source|the source \S+ is a replica of it).* --db 0 and a target URL that ends with \/1\.$/m,
      );
      expect(await source.client.dbsize()).toBe(before);
    });

    test.each(WAYS)('another database is another place, by %s', async (via) => {
      expect((await restore(urlOf(source, '/1'), local('/7'), '--via', via, '--flush', '--yes')).code).toBe(0);
      expect((await restore(urlOf(source), local(), '--db', '1', '--db-map', '1:8', '--via', via, ...REPLACE)).code).toBe(0);
      const keys = (await said(['decode', urlOf(source, '/1')])).keys;
      expect(keys).toBeGreaterThan(0);
      for (const path of ['/7', '/8']) expect((await said(['decode', urlOf(source, path)])).keys).toBe(keys);
    });
  });
});
