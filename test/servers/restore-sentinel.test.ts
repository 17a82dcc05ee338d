import { type ChildProcess, spawn } from 'node:child_process';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from '../support/cli-support.js';
import { until } from '../support/until.js';
import { freePort, SERVER, TestServer } from '../support/redis-server.js';
import { portOf, report, restore, strings } from '../support/restore-support.js';

/** Who is asked may not be there at first. */
const eventually = (what: string, holds: () => Promise<boolean>): Promise<void> => until(what, () => holds().catch(() => false));

/** A sentinel of a master, and a connection to it; `more` lines of its configuration, `password` where they ask for one. */
async function startSentinel(
  folder: Folder,
  master: TestServer,
  more: readonly string[] = [],
  password?: string,
): Promise<{ sentinel: ChildProcess; asked: Redis; port: number }> {
  const port = await freePort();
  const lines = [
    ...[`port ${port}`, 'bind 127.0.0.1', `dir ${folder.path}`, `sentinel monitor mymaster 127.0.0.1 ${portOf(master)} 1`],
    ...['sentinel down-after-milliseconds mymaster 3000', 'sentinel failover-timeout mymaster 3000', ...more],
  ];
  const sentinel = spawn(SERVER, [folder.file('sentinel.conf', `${lines.join('\n')}\n`), '--sentinel'], { stdio: 'ignore' });
  const asked = new Redis({ port, password, host: '127.0.0.1', retryStrategy: (times) => (times < 100 ? 50 : null) });
  asked.on('error', () => undefined); // refused until it listens
  return { sentinel, asked, port };
}

describe(`rdbkit restore to sentinels of ${SERVER}`, () => {
  const folder = new Folder();
  let master: TestServer;
  let replica: TestServer;
  let sentinel: ChildProcess;
  let asked: Redis;
  let port: number;
  let url: string;

  beforeAll(async () => {
    const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    [master, replica] = await Promise.all([TestServer.start(...quick), TestServer.start(...quick)]);
    await replica.client.replicaof('127.0.0.1', portOf(master));
    ({ asked, port, sentinel } = await startSentinel(folder, master));
    url = `redis+sentinel://127.0.0.1:${port}/mymaster`;
    await eventually(
      'the sentinel knows the replica',
      async () => ((await asked.call('SENTINEL', 'REPLICAS', 'mymaster')) as unknown[]).length === 1,
    );
    await eventually('the replica is in sync', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  });
  beforeEach(async () => {
    await Promise.all([master, replica].map(({ client }) => client.flushall().catch(() => undefined))); // one of them is a replica
  });
  afterAll(async () => {
    asked.disconnect();
    sentinel.kill('SIGKILL');
    await Promise.all([master.stop(), replica.stop()]);
    folder.remove();
  });

  const masterNow = async (): Promise<TestServer> => ((await master.client.info('replication')).includes('role:master') ? master : replica);

  test('finds the master; the replica has everything, too', async () => {
    const { code, keysRestored, plan, unconfirmed } = await report([FIXTURE, url]);
    expect([code, keysRestored, unconfirmed]).toEqual([0, 250, []]);
    expect(plan.target.masters).toMatchObject([{ name: 'mymaster', replicas: 1 }]);
    expect((await replica.client.info('keyspace')).match(/keys=/g)).toHaveLength(4);
  });

  test('a database and a sentinel that is not there', async () => {
    expect(await report([FIXTURE, `redis+sentinel://127.0.0.1:1,127.0.0.1:${port}/mymaster/3`, '--db', '0'])).toMatchObject({ code: 0 });
    expect(Object.keys((await report([FIXTURE, url, '--dry-run'])).plan.target.masters[0].keys)).toEqual(['3']);
  });

  test('a name that nobody knows, and no sentinel at all', async () => {
    const unknown = await restore([FIXTURE, url.replace('mymaster', 'other')]);
    expect([unknown.code, unknown.err]).toEqual([
      4,
      expect.stringMatching(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:\d+: the sentinel does not know a master other\. /),
    ]);
    expect((await restore([FIXTURE, 'redis+sentinel://127.0.0.1:1/mymaster'])).code).toBe(4);
  });

  const many = (): string =>
    folder.file('many.rdb', strings(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`key:${i}`, `${i}`]))));

  test('a failover that somebody asks for: what only the old master has is warned of', async () => {
    const before = await masterNow();
    const running = report([many(), url, '--max-keys-per-second', '1000']);
    await eventually('it has begun', async () => (await before.client.dbsize()) > 300);
    await asked.call('SENTINEL', 'FAILOVER', 'mymaster');
    const { code, keysRejected, keysReplaced, keysRestored, unconfirmed } = await running;
    expect([code, keysRestored + keysReplaced, keysRejected]).toEqual([0, 3000, 0]);
    await eventually('the other one is the master', async () => (await masterNow()) !== before);
    if ((await (await masterNow()).client.dbsize()) < 3000) expect(unconfirmed).toEqual(['mymaster']);
    await eventually('the old one is its replica', async () => (await before.client.info('replication')).includes('master_link_status:up'));
    await eventually('the sentinel knows that', async () =>
      ((await asked.call('SENTINEL', 'REPLICAS', 'mymaster')) as string[][]).some(
        (fields) => fields.includes('slave') && !fields.includes('disconnected'),
      ),
    );
  });

  test('the master dies in the middle: everything is on the new one, and counts once', async () => {
    const before = await masterNow();
    await before.client.flushall();
    const running = report([many(), url, '--max-keys-per-second', '1000', '--retry-for', '40s']);
    await eventually('it has begun', async () => (await before.client.dbsize()) > 300);
    await before.stop();
    const { code, keysRejected, keysReplaced, keysRestored } = await running;
    expect([code, keysRestored + keysReplaced, keysRejected]).toEqual([0, 3000, 0]);
    expect(await (before === master ? replica : master).client.dbsize()).toBe(3000);
  });
});

describe(`sentinels of ${SERVER} with a password`, () => {
  const folder = new Folder();
  const small = folder.file('small.rdb', strings({ a: '1', b: '2' }));
  const password = folder.file('password', 's3cret\n');
  let master: TestServer;
  let sentinel: ChildProcess;
  let asked: Redis;
  let port: number;
  let url: string;

  beforeAll(async () => {
    master = await TestServer.start();
    await master.client.config('SET', 'requirepass', 'm4ster');
    const users = ['user bob on >b0b ~* &* +@all', 'user open on nopass ~* &* +@all', 'user poor on >p00r ~* &* -@all +auth'];
    ({ asked, port, sentinel } = await startSentinel(
      folder,
      master,
      ['requirepass s3cret', 'sentinel auth-pass mymaster m4ster', ...users],
      's3cret',
    ));
    url = `redis+sentinel://:m4ster@127.0.0.1:${port}/mymaster`;
    await eventually('the sentinel answers', async () => (await asked.call('PING')) === 'PONG');
  });
  beforeEach(() => master.client.flushall());
  afterAll(async () => {
    asked.disconnect();
    sentinel.kill('SIGKILL');
    await master.stop();
    folder.remove();
  });

  test.each<[string, string[], Record<string, string>]>([
    ['in RDBKIT_SENTINEL_AUTH', [], { RDBKIT_SENTINEL_AUTH: 's3cret' }],
    ['in --sentinel-password-file, which comes before that', ['--sentinel-password-file', password], { RDBKIT_SENTINEL_AUTH: 'wrong' }],
    ['of a user', ['--sentinel-user', 'bob'], { RDBKIT_SENTINEL_AUTH: 'b0b' }],
    ['of a user who needs none', ['--sentinel-user', 'open'], {}],
  ])('%s', async (_, argv, env) => {
    const { code, err } = await restore([small, url, ...argv], { env });
    expect([code, await master.client.dbsize()]).toEqual([0, 2]);
    expect(err).not.toMatch(/s3cret|m4ster/);
  });

  const HINT =
    'Sentinels have a user and a password of their own: look at --sentinel-user, RDBKIT_SENTINEL_AUTH, --sentinel-password-file.';

  test.each<[string, string[], Record<string, string>, string]>([
    ['none', [], {}, `the sentinel refuses the login: NOAUTH Authentication required. ${HINT}\n`],
    ['an empty one', [], { RDBKIT_SENTINEL_AUTH: '' }, `NOAUTH Authentication required. ${HINT}\n`],
    ["only the server's", [], { REDISCLI_AUTH: 's3cret' }, 'the sentinel refuses the login: NOAUTH Authentication required.'],
    [
      'a wrong one',
      [],
      { RDBKIT_SENTINEL_AUTH: 'wr0ng' },
      `the sentinel refuses the login: WRONGPASS invalid username-password pair or user is disabled. (as the default user). ${HINT}\n`,
    ],
    ['that of another user', ['--sentinel-user', 'bob'], { RDBKIT_SENTINEL_AUTH: 's3cret' }, '(as bob)'],
    [
      'a user who may not ask',
      ['--sentinel-user', 'poor'],
      { RDBKIT_SENTINEL_AUTH: 'p00r' },
      'the sentinel refuses to tell the master: NOPERM',
    ],
  ])('%s: refused', async (_, argv, env, message) => {
    const { code, err } = await restore([small, url, ...argv], { env: { ...env, DEBUG: 'rdbkit' } });
    expect(code).toBe(4);
    expect(err).toContain(`rdbkit: REFUSED: 127.0.0.1:${port}: `);
    expect(err).toContain(message);
    expect(err).not.toMatch(/s3cret|wr0ng|m4ster|p00r/);
    expect(await master.client.dbsize()).toBe(0);
  });

  test('of several each says what is wrong; one that is not reached now may be later', async () => {
    const { code, err } = await restore([small, `redis+sentinel://127.0.0.1:1,127.0.0.1:${port}/mymaster`]);
    expect(code).toBe(4);
    expect(err).toBe(
      `rdbkit: UNREACHABLE: 127.0.0.1:1: the sentinel 127.0.0.1:1 was not reached: Connection is closed; the sentinel 127.0.0.1:${port} refuses the login: NOAUTH Authentication required. ${HINT}\n`,
    );
  });

  test("the master's password is asked for as the master's", async () => {
    const { code, err } = await restore([small, url.replace('m4ster', 'wr0ng')], { env: { RDBKIT_SENTINEL_AUTH: 's3cret' } });
    expect(code).toBe(4);
    expect(err).toContain('WRONGPASS');
    expect(err).toContain('REDISCLI_AUTH');
  });
});
