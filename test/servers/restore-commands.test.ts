import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder } from '../support/cli-support.js';
import { FakeServer, USUAL } from '../support/fake-server.js';
import { contentOf, differences } from '../support/fault-data.js';
import { FaultProxy, randomFrom } from '../support/fault-proxy.js';
import { expectAll, faultSource, restore as restoreFaults, wrongIn } from '../support/fault-support.js';
import { TestCluster } from '../support/redis-cluster.js';
import type { RedisNode } from '../support/redis-node.js';
import { callsOf, portOf, report, restore, serverPath, strings, urlOf } from '../support/restore-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { RespProxy } from '../support/resp-proxy.js';
import { rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const COMMANDS = ['--write-as', 'commands'];
const fault = faultSource();

describe(`keys as plain commands into ${SERVER}`, () => {
  let server: TestServer;
  let node: Pick<RedisNode, 'client'>;

  beforeAll(async () => {
    server = await TestServer.start('--enable-debug-command', 'yes');
    node = server;
  });
  beforeEach(async () => {
    await server.client.flushall();
    await server.client.config('RESETSTAT');
  });
  afterAll(() => server.stop());

  const content = async (): ReturnType<typeof contentOf> => contentOf([server.client]);
  const wrong = (): Promise<string[]> => wrongIn([node as RedisNode], fault.data);

  test('they are what RESTORE makes of them, without a RESTORE', async () => {
    const path = serverPath('redis-7.0.15');
    expect((await restore([path, urlOf(server), '--db', '0', '--no-functions'])).code).toBe(0);
    const expected = await content();
    await server.client.flushall();
    await server.client.config('RESETSTAT');
    expect(await report([path, urlOf(server), '--db', '0', '--no-functions', ...COMMANDS])).toMatchObject({
      code: 0,
      keysRestored: expected.size,
      keysReplaced: 0,
    });
    expect(await callsOf(server.client, 'restore')).toBe(0);
    const [minusZero, ...others] = differences(await content(), expected);
    expect(others).toEqual([]);
    expect(minusZero).toContain('jumps:2249240'); // a score of -0: ZADD makes 0 of it
  });

  test.each(['--write-as commands', '--max-payload 0', '--max-payload 20'])('%s: pipelined, with their expiries', async (words) => {
    const result = await restoreFaultsWith([fault.source, urlOf(server)], words.split(' '));
    expect(result).toMatchObject({ code: 0, keysRestored: fault.data.content.size });
    expect(await wrong()).toEqual([]);
    expect(await callsOf(server.client, 'multi')).toBeGreaterThan(3000);
    expect(result.seconds).toBeLessThan(20);
  });

  test.each(['error', 'skip', 'replace'])('an existing key: --on-conflict %s', async (conflict) => {
    const source = folder.file('few.rdb', strings({ a: 'new', b: 'new', c: 'new' }));
    await server.client.rpush('b', 'mine');
    const object = await report([source, urlOf(server), '--on-conflict', conflict, ...COMMANDS]);
    if (conflict === 'error') {
      expect(object).toMatchObject({ code: 4, errors: [{ code: 'TARGET' }] });
      return;
    }
    expect(object).toMatchObject({ code: 0, keysRestored: 2, [conflict === 'skip' ? 'keysSkipped' : 'keysReplaced']: 1 });
    expect(await server.client.type('b')).toBe(conflict === 'skip' ? 'list' : 'string');
    expect(await server.client.keys('rdbkit*')).toEqual([]);
  });

  test('collections of which some exist: skipped or replaced, and counted', async () => {
    expect((await restoreFaultsWith([fault.source, urlOf(server), '--match', 'set:*', '--match', 'hash:*1*'], COMMANDS)).code).toBe(0);
    const there = await server.client.dbsize();
    const skipped = await restoreFaultsWith([fault.source, urlOf(server), '--on-conflict', 'skip'], COMMANDS);
    expect(skipped).toMatchObject({ code: 0, keysSkipped: there, keysRestored: fault.data.content.size - there });
    expect(await wrong()).toEqual([]);
    await server.client.del('list:20');
    const replaced = await restoreFaultsWith([fault.source, urlOf(server), '--on-conflict', 'replace'], COMMANDS);
    expect(replaced).toMatchObject({ code: 0, keysReplaced: fault.data.content.size - 1, keysRestored: 1 });
    expect(await wrong()).toEqual([]);
    expect(await server.client.keys('rdbkit*')).toEqual([]);
  });

  test.each(['replace', 'skip', 'error'])(
    'connections are dropped at random, nothing is left half or counted twice: --on-conflict %s',
    async (conflict) => {
      const proxy = await FaultProxy.start(portOf(server), { random: randomFrom(3), dropWithin: 3 << 20, drops: 8 });
      try {
        const result = await restoreFaults([fault.source, `redis://127.0.0.1:${proxy.port}`, '--on-conflict', conflict, ...COMMANDS]);
        expectAll(result, fault.data);
        expect(proxy.dropped).toBeGreaterThan(2);
        expect(await wrong()).toEqual([]);
      } finally {
        proxy.stop();
      }
    },
  );

  test('without DUMP, our own keys are told by their size after a lost connection', async () => {
    const proxy = await RespProxy.start(portOf(server), { unknown: ['DUMP', 'RESTORE'] });
    const faults = await FaultProxy.start(Number(new URL(proxy.url).port), { random: randomFrom(5), dropWithin: 2 << 20, drops: 4 });
    try {
      const result = await restoreFaults([
        fault.source,
        `redis://127.0.0.1:${faults.port}`,
        '--not-prefix',
        'large',
        '--on-conflict',
        'skip',
        ...COMMANDS,
      ]);
      expect([result.code, result.summary.keysSkipped]).toEqual([0, 0]);
      expect(faults.dropped).toBeGreaterThan(1);
      expect(await wrong()).toEqual([...fault.data.content.keys()].filter((key) => key.startsWith('large')).map((key) => `missing ${key}`));
    } finally {
      faults.stop();
      await proxy.stop();
    }
  });

  test('without MULTI, all but short strings go one by one, and a warning says so', async () => {
    const proxy = await RespProxy.start(portOf(server), { unknown: ['MULTI'] });
    try {
      const { code, err } = await restore([fault.source, proxy.url, '--match', '*:1?0', ...COMMANDS]);
      expect([code, err]).toEqual([
        0,
        expect.stringMatching(
          /warning: 127\.0\.0\.1:\d+ refuses MULTI \(ERR unknown command 'MULTI'\): all keys but short strings are written one by one/,
        ),
      ]);
      expect(differences(await content(), fault.data.content).filter((text) => !text.startsWith('missing'))).toEqual([]);
      expect(await server.client.exists('string:100', 'list:100', 'stream:180', 'hash:120')).toBe(4);
      expect(await server.client.keys('rdbkit*')).toEqual([]);
    } finally {
      await proxy.stop();
    }
  });

  test('a right that is missing ends it, nothing is left half', async () => {
    await server.client.call('ACL', 'SETUSER', 'less', 'reset', 'on', '>s3cret', '~*', '+@all', '-pexpireat');
    const { code, err } = await restore([fault.source, urlOf(server).replace('://', '://less:s3cret@'), '--prefix', 'hash:', ...COMMANDS]);
    expect([code, err]).toEqual([4, expect.stringContaining('REFUSED: ') as string]);
    expect(differences(await content(), fault.data.content).filter((text) => !text.startsWith('missing'))).toEqual([]);
  });

  test('values that no commands make are rejected', async () => {
    const rejects = join(folder.path, 'rejects.jsonl');
    const object = await report([
      serverPath('redis-7.4.1-modules'),
      urlOf(server),
      '--target-version',
      '7.4',
      '--rejects',
      rejects,
      ...COMMANDS,
    ]);
    expect(object.code).toBe(1);
    expect(object.rejected.map(({ reason }) => reason)).toContainEqual(
      expect.stringMatching(/no commands make a value of the type module/),
    );
    expect(readFileSync(rejects, 'utf8')).toContain('"payload":"');
  });
});

test('a command of a transaction that fails: what it left is deleted, and the key is rejected', async () => {
  const source = folder.file('set.rdb', rdb('REDIS0009', [[2, str('s'), 1, str('m')]]));
  const fake = await FakeServer.start({ redis_version: '7.0.15' }, ([name], count) => {
    if (name === 'SADD') return count === 1 ? '+QUEUED\r\n' : '-ERR out of order\r\n';
    if (name === 'EXEC') return '*3\r\n-ERR out of order\r\n:1\r\n:0\r\n';
    if (name === 'RENAMENX') return count === 1 ? '+QUEUED\r\n' : '-ERR no such key\r\n';
    return USUAL;
  });
  try {
    const object = await report([source, fake.url, ...COMMANDS]);
    expect(object).toMatchObject({
      code: 1,
      keysRestored: 0,
      keysRejected: 1,
      rejected: [{ key: 's', reason: expect.stringContaining('ERR out of order') as string }],
    });
    expect(fake.sent('DEL')).toContain('DEL s');
  } finally {
    await fake.stop();
  }
});

describe('keys as plain commands into a cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => {
    for (const { client } of await cluster.masters()) await client.flushall();
  });
  afterAll(() => cluster.stop());

  test.each(['error', 'skip', 'replace'])('--on-conflict %s', async (conflict) => {
    const result = await restoreFaults([
      fault.source,
      `redis://127.0.0.1:${cluster.nodes[0].port}`,
      '--on-conflict',
      conflict,
      ...COMMANDS,
    ]);
    expectAll(result, fault.data);
    expect(await wrongIn(await cluster.masters(), fault.data)).toEqual([]);
  });
});

async function restoreFaultsWith(
  argv: readonly string[],
  options: readonly string[],
): Promise<Awaited<ReturnType<typeof report>> & { seconds: number }> {
  const began = performance.now();
  const object = await report([...argv, ...options]);
  return { ...object, seconds: (performance.now() - began) / 1000 };
}
