import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Collector, Folder } from '../support/cli-support.js';
import { FakeServer, slotsReply, USUAL } from '../support/fake-server.js';
import { FaultProxy, randomFrom } from '../support/fault-proxy.js';
import { portOf, report, restore, strings, urlOf } from '../support/restore-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { RespProxy } from '../support/resp-proxy.js';

const folder = new Folder();
afterAll(() => folder.remove());

const row = (keys: number): Record<string, string> => Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k:${i}`, 'value']));
const few = folder.file('few.rdb', strings(row(10)));
const many = folder.file('many.rdb', strings(row(5000)));
const TOLD = ['--standalone', '--target-version', '7.0'];

describe(`targets with less than ${SERVER} has`, () => {
  let server: TestServer;
  let socket: string;

  beforeAll(async () => {
    socket = join(mkdtempSync(join(tmpdir(), 'rdbkit-')), 'redis.sock');
    server = await TestServer.start('--unixsocket', socket);
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await server.stop();
    rmSync(join(socket, '..'), { recursive: true, force: true });
  });

  async function through(lies: Parameters<typeof RespProxy.start>[1], argv: readonly string[], path = ''): ReturnType<typeof restore> {
    const proxy = await RespProxy.start(portOf(server), lies);
    try {
      return await restore([few, `${proxy.url}${path}`, ...argv]);
    } finally {
      await proxy.stop();
    }
  }

  test.each([
    ['INFO', [], 'INFO is not needed with --target-version and --standalone (or --cluster).'],
    ['RESTORE', [], '--write-as commands writes keys with SET, RPUSH, HMSET, … instead.'],
    ['CLUSTER', ['--cluster'], 'If it is a proxy that knows which node has a key, use --standalone.'],
    ['FLUSHALL', ['--flush', '--yes'], 'leave --flush out'],
  ])('without %s, the option that helps is named', async (command, argv, help) => {
    for (const lies of [{ unknown: [command] }, { refused: [command] }]) {
      const { code, err } = await through(lies, argv);
      expect([code, err]).toEqual([4, expect.stringContaining('REFUSED: ') as string]);
      expect(err).toContain(help);
    }
  });

  test.each([
    [
      { unknown: ['INFO', 'SELECT', 'CLUSTER', 'RESTORE', 'DBSIZE', 'TIME', 'CLIENT', 'WAIT', 'PING'] },
      [...TOLD, '--write-as', 'commands'],
    ],
    [{ refused: ['INFO', 'SELECT'] }, TOLD],
    [{ closes: ['INFO', 'SELECT'] }, TOLD],
  ])('what is not needed may be missing: %j', async (lies, argv) => {
    const { code, err } = await through(lies, argv);
    expect([code, err]).toEqual([0, expect.stringContaining('10 keys restored')]);
    expect(err).toContain('warning: INFO is refused: restarts and evictions are not noticed, and replicas are not waited for.');
    expect(err).toContain('warning: SELECT is refused: only database 0 is written to.');
    expect(await server.client.dbsize()).toBe(10);
  });

  test('without SELECT, the database of the URL is the reason', async () => {
    const { code, err } = await through({ unknown: ['SELECT'] }, [], '/3');
    expect([code, err]).toEqual([
      4,
      expect.stringContaining(
        'the target has no database 3, which its URL names. It refuses SELECT, so there is database 0 only',
      ) as string,
    ]);
  });

  test('existing keys are found without INFO, too', async () => {
    await server.client.set('k:1', 'mine');
    expect(await through({ unknown: ['INFO'] }, TOLD)).toMatchObject({ code: 4, err: expect.stringContaining('TARGET: ') as string });
    const { code, err } = await through({ unknown: ['INFO', 'DBSIZE'] }, [...TOLD, '--on-conflict', 'replace']);
    expect([code, err]).toEqual([0, expect.stringContaining('9 keys restored, 1 replaced')]);
  });

  test.each(['redis+unix://', 'unix://', 'redis+unix://:s3cret@', 'valkey+unix://'])('a Unix socket: %s', async (scheme) => {
    await server.client.config('SET', 'requirepass', scheme.includes('@') ? 's3cret' : '');
    const { code, err } = await restore([few, `${scheme}${socket}?db=1`]);
    expect([code, err]).toEqual([0, expect.stringContaining(`target ${socket}: `)]);
    await server.client.config('SET', 'requirepass', '');
    await server.client.select(1);
    expect(await server.client.dbsize()).toBe(10);
    await server.client.select(0);
    await server.client.flushall();
    expect((await restore([few, `unix://${socket}?user=default&password=`])).code).toBe(0);
  });

  test('while it is gone, the terminal says so, and for how long it goes on', async () => {
    const proxy = await FaultProxy.start(portOf(server), { random: randomFrom(1), drops: 0 });
    const stderr = new Collector();
    try {
      const running = restore(
        [many, `redis://127.0.0.1:${proxy.port}`, '--max-keys-per-second', '2000', '--progress', 'plain', '--retry-for', '54s'],
        { stderr },
      );
      while ((await server.client.dbsize()) < 100) await delay(20);
      proxy.refusing = true;
      proxy.dropAll();
      await delay(2500);
      proxy.refusing = false;
      const { code, err } = await running;
      expect(code).toBe(0);
      expect(err).toMatch(new RegExp(`rdbkit: 127\\.0\\.0\\.1:${proxy.port} lost, trying again, 5[23] s left\\.\n`));
      expect(err).toContain(`rdbkit: 127.0.0.1:${proxy.port}: connected again.\n`);
    } finally {
      proxy.stop();
    }
  });

  test('a checkpoint: how to go on, what is done, only this run counts for the rate, and the end', async () => {
    const checkpoint = join(folder.path, 'progress.json');
    const argv = [many, urlOf(server), '--checkpoint', checkpoint, '--max-keys-per-second', '2000', '--on-conflict', 'skip'];
    const stop = new AbortController();
    const running = restore(argv, { signal: stop.signal });
    while ((await server.client.dbsize()) < 1500) await delay(20);
    stop.abort();
    const first = await running;
    expect([first.code, first.err]).toEqual([
      130,
      expect.stringMatching(/interrupted by SIGINT\. Run the same command again to go on from \S*progress\.json\.\n/),
    ]);
    const second = await restore(argv.filter((_, i) => i !== 4 && i !== 5));
    expect(second.code).toBe(0);
    const [, done] = /going on from \S*progress\.json: ([\d,]+) keys are done\n/.exec(second.err) as unknown as [string, string];
    expect(second.err).toContain(`, ${done} of them before`);
    expect(await restore(argv)).toMatchObject({
      code: 0,
      err: expect.stringMatching(
        /^rdbkit: \S*progress\.json: this restore is finished, [\d,]+ keys restored\. Remove the file to restore again\.\n$/,
      ) as string,
    });
  });

  test('TLS to a server without it', async () => {
    const began = performance.now();
    const { code, err } = await restore([few, urlOf(server).replace('redis:', 'rediss:')]);
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/^rdbkit: REFUSED: 127\.0\.0\.1:\d+: it does not speak TLS\. Write redis:\/\/ instead of rediss:\/\//),
    ]);
    expect(performance.now() - began).toBeLessThan(9000);
  });

  test('WAIT is refused: the warning says why', async () => {
    const fake = await FakeServer.start({ redis_version: '7.0.15', connected_slaves: '1' }, ([name]) =>
      name === 'WAIT' ? "-NOPERM this user has no permissions to run the 'wait' command\r\n" : USUAL,
    );
    try {
      expect((await restore([few, fake.url])).err).toMatch(
        /no replica confirmed what was written \(WAIT was refused: NOPERM [^)]*\); a failover now could lose keys/,
      );
    } finally {
      await fake.stop();
    }
  });

  test('nobody has logged in where a login is refused', async () => {
    await server.client.config('SET', 'requirepass', 's3cret');
    const { err } = await restore([few, urlOf(server).replace('://', '://:wr0ng@')]);
    await server.client.call('AUTH', 's3cret');
    await server.client.config('SET', 'requirepass', '');
    expect(err).toMatch(/^rdbkit: REFUSED: 127\.0\.0\.1:\d+: WRONGPASS [^(]*\(as the default user\)\. Check user name and password/);
  });
});

describe('other servers', () => {
  let http: Server;

  beforeAll(async () => {
    http = createServer((_, answer) => answer.end('hello'));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => http.close(resolve)));

  test('a web server', async () => {
    const { code, err } = await restore([few, `redis://127.0.0.1:${(http.address() as { port: number }).port}`]);
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/^rdbkit: REFUSED: 127\.0\.0\.1:\d+: a web server answers, not a Redis server\. Check the port\.\n$/),
    ]);
  });

  test('a node that cannot be reached: who named it, and --nat-map', async () => {
    const fake = await FakeServer.start({ redis_version: '7.0.15', redis_mode: 'cluster' }, ([name]) =>
      name === 'CLUSTER' ? slotsReply([0, 16383, { host: '127.0.0.1', port: 1 }]) : USUAL,
    );
    try {
      const { code, err } = await restore([few, fake.url, '--retry-for', '1s', '--progress', 'plain']);
      expect(code).toBe(4);
      expect(err).toContain(
        `UNREACHABLE: 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1; CLUSTER SLOTS of 127.0.0.1:${fake.port} names this address. If the node is up, its address is another one from here: --nat-map 127.0.0.1:1=HOST:PORT.`,
      );
      expect(err).toMatch(/names this address, trying again, 1 s left\.\n/);
    } finally {
      await fake.stop();
    }
  });

  test('a server that is loading is waited for', async () => {
    const fake = await FakeServer.start({ redis_version: '7.0.15', loading: '1' });
    try {
      const running = restore([few, fake.url, '--progress', 'plain']);
      await delay(1200);
      fake.info.loading = '0';
      const { code, err } = await running;
      expect([code, err]).toEqual([0, expect.stringMatching(/LOADING: it is loading its data into memory, trying again, 60 s left\.\n/)]);
      fake.info.loading = '1';
      expect(await report([few, fake.url, '--retry-for', '0s'])).toMatchObject({
        code: 4,
        errors: [{ code: 'UNREACHABLE', hint: expect.stringContaining('--retry-for') as string }],
      });
    } finally {
      await fake.stop();
    }
  });

  test('a server that is down at the start is waited for if --retry-for is given', async () => {
    const fake = await FakeServer.start({ redis_version: '7.0.15' });
    const proxy = await FaultProxy.start(fake.port, { random: randomFrom(1), drops: 0 });
    try {
      proxy.refusing = true;
      const running = restore([few, `redis://127.0.0.1:${proxy.port}`, '--retry-for', '20s']);
      while (proxy.refused < 3) await delay(20);
      proxy.refusing = false;
      expect((await running).code).toBe(0);
    } finally {
      proxy.stop();
      await fake.stop();
    }
  });
});

test.each([
  ['localhost:7211', 'the target localhost:7211 has no scheme: write redis://localhost:7211'],
  ['redis+cluster://h:1', 'write it as redis://host:port: a cluster is detected'],
  ['redis://h:1?protocol=3', 'nothing is expected after a ?'],
  ['redis://:s3/cret@h:1', 'percent-encode it'],
  ['redis://:s3@cret@h:1', 'percent-encode it'],
  ['unix://relative.sock', 'expected the absolute path of a socket'],
  ['unix:///path?protocol=3', 'only db, user and password are expected'],
])('%s: what to write instead', async (url, words) => {
  const { code, err } = await restore([few, url]);
  expect([code, err]).toEqual([2, expect.stringContaining(words)]);
  expect(err).not.toContain('cret');
});
