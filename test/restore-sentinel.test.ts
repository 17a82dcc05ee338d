import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURE, Folder } from './cli-support.js';
import { missingServer, SERVER, TestServer } from './redis-server.js';
import { portOf, report, restore, strings } from './restore-support.js';

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const listener = createServer();
    listener.listen(0, '127.0.0.1', () => {
      const { port } = listener.address() as { port: number };
      listener.close(() => resolve(port));
    });
  });

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await delay(50);
  }
}

describe.skipIf(missingServer() !== undefined)(`rdbkit restore to sentinels of ${SERVER}`, () => {
  const folder = new Folder();
  let master: TestServer;
  let replica: TestServer;
  let sentinel: ChildProcess;
  let asked: Redis;
  let url: string;

  beforeAll(async () => {
    const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    [master, replica] = await Promise.all([TestServer.start(...quick), TestServer.start(...quick)]);
    await replica.client.replicaof('127.0.0.1', portOf(master));
    const port = await freePort();
    const config = folder.file(
      'sentinel.conf',
      `port ${port}\nbind 127.0.0.1\ndir ${folder.path}\nsentinel monitor mymaster 127.0.0.1 ${portOf(master)} 1\nsentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 3000\n`,
    );
    sentinel = spawn(SERVER, [config, '--sentinel'], { stdio: 'ignore' });
    asked = new Redis({ port, host: '127.0.0.1', retryStrategy: (times) => (times < 100 ? 50 : null) });
    asked.on('error', () => undefined); // refused until it listens
    url = `redis+sentinel://127.0.0.1:${port}/mymaster`;
    await until('the sentinel knows the replica', async () => ((await asked.call('SENTINEL', 'REPLICAS', 'mymaster')) as unknown[]).length === 1);
    await until('the replica is in sync', async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  }, 30_000);
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
    const [, port] = /:(\d+)\//.exec(url) ?? [];
    expect(await report([FIXTURE, `redis+sentinel://127.0.0.1:1,127.0.0.1:${port}/mymaster/3`, '--db', '0'])).toMatchObject({ code: 0 });
    expect(Object.keys((await report([FIXTURE, url, '--dry-run'])).plan.target.masters[0].keys)).toEqual(['3']);
  });

  test('a name that nobody knows, and no sentinel at all', async () => {
    const unknown = await restore([FIXTURE, url.replace('mymaster', 'other')]);
    expect([unknown.code, unknown.err]).toEqual([4, expect.stringMatching(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:\d+: /)]);
    expect((await restore([FIXTURE, 'redis+sentinel://127.0.0.1:1/mymaster'])).code).toBe(4);
  });

  const many = (): string => folder.file('many.rdb', strings(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`key:${i}`, `${i}`]))));

  test('a failover that somebody asks for: what only the old master has is warned of', { timeout: 60_000 }, async () => {
    const before = await masterNow();
    const running = report([many(), url, '--max-keys-per-second', '1000']);
    await until('it has begun', async () => (await before.client.dbsize()) > 300);
    await asked.call('SENTINEL', 'FAILOVER', 'mymaster');
    const { code, keysRejected, keysReplaced, keysRestored, unconfirmed } = await running;
    expect([code, keysRestored + keysReplaced, keysRejected]).toEqual([0, 3000, 0]);
    await until('the other one is the master', async () => (await masterNow()) !== before);
    if ((await (await masterNow()).client.dbsize()) < 3000) expect(unconfirmed).toEqual(['mymaster']);
    await until('the old one is its replica', async () => (await before.client.info('replication')).includes('master_link_status:up'));
    await until('the sentinel knows that', async () => ((await asked.call('SENTINEL', 'REPLICAS', 'mymaster')) as string[][]).some((fields) => fields.includes('slave') && !fields.includes('disconnected')));
  });

  test('the master dies in the middle: everything is on the new one, and counts once', { timeout: 60_000 }, async () => {
    const before = await masterNow();
    await before.client.flushall();
    const running = report([many(), url, '--max-keys-per-second', '1000', '--retry-for', '40s']);
    await until('it has begun', async () => (await before.client.dbsize()) > 300);
    await before.stop();
    const { code, keysRejected, keysReplaced, keysRestored } = await running;
    expect([code, keysRestored + keysReplaced, keysRejected]).toEqual([0, 3000, 0]);
    expect(await (before === master ? replica : master).client.dbsize()).toBe(3000);
  });
});
