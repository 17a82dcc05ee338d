import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines } from '../support/cli-support.js';
import { LimitProxy } from '../support/limit-proxy.js';
import { TestCluster } from '../support/redis-cluster.js';
import { RedisNode } from '../support/redis-node.js';
import { TestServer } from '../support/redis-server.js';
import { portOf, report, restore, urlOf } from '../support/restore-support.js';
import { rdb, str } from '../support/support.js';

const MB = 1 << 20;
const SMALL = 500;
const QUICKLY = ['--retry-for', '20s'];
const WORDS = '-ERR Protocol error: invalid bulk length';

/** Values of two megabytes among small ones; `field` is a hash with one field of that size. */
const FILL = `
  local two = 2 * 1024 * 1024
  for i = 1, ${SMALL} do redis.call('SET', 'small:' .. i, 'value ' .. i) end
  redis.call('SET', 'string', string.rep('x', two))
  redis.call('PEXPIREAT', 'string', 4102444800123)
  for i = 1, 2048 do redis.call('HSET', 'hash', 'field' .. i, string.rep(string.char(97 + i % 26), 1024)) end
  for i = 1, 2048 do redis.call('RPUSH', 'list', string.rep(string.char(97 + i % 26), 1024)) end
  redis.call('HSET', 'field', 'f', string.rep('y', two))
  for i = ${SMALL} + 1, ${SMALL} * 2 do redis.call('SET', 'small:' .. i, 'value ' .. i) end
`;

/** Values that go into batches. */
const FILL_BATCHES = `
  for i = 1, ${SMALL} do redis.call('SET', 'small:' .. i, 'value ' .. i) end
  for i = 1, 3 do redis.call('SET', 'string:' .. i, string.rep(tostring(i), 900 * 1024)) end
  for i = 1, 900 do redis.call('HSET', 'hash', 'field' .. i, string.rep(string.char(97 + i % 26), 1000)) end
  redis.call('PEXPIREAT', 'hash', 4102444800123)
  for i = ${SMALL} + 1, ${SMALL} * 2 do redis.call('SET', 'small:' .. i, 'value ' .. i) end
`;

describe('values over a limit of the server', () => {
  const folder = new Folder();
  const DEBUG = ['--enable-debug-command', 'yes'];
  let judge: TestServer;
  let bulks: TestServer;
  let buffers: TestServer;
  let large: string;
  let batches: string;

  /** Digests by key. */
  const digests = async (clients: readonly TestServer['client'][]): Promise<Map<string, unknown>> => {
    const found = new Map<string, unknown>();
    for (const client of clients) {
      for (const key of await client.keys('*')) found.set(key, ((await client.call('DEBUG', 'DIGEST-VALUE', key)) as unknown[])[0]);
    }
    return found;
  };
  let digestsOfLarge: Map<string, unknown>;
  let digestsOfBatches: Map<string, unknown>;

  beforeAll(async () => {
    [judge, bulks, buffers] = await Promise.all([
      TestServer.start(...DEBUG, '--rdbcompression', 'no'),
      TestServer.start(...DEBUG, '--proto-max-bulk-len', '1mb'),
      TestServer.start(...DEBUG, '--client-query-buffer-limit', '1mb'),
    ]);
    await judge.client.eval(FILL, 0);
    large = folder.file('large.rdb', await judge.save());
    digestsOfLarge = await digests([judge.client]);
    await judge.client.flushall();
    await judge.client.eval(FILL_BATCHES, 0);
    batches = folder.file('batches.rdb', await judge.save());
    digestsOfBatches = await digests([judge.client]);
  });
  beforeEach(() => Promise.all([bulks.client.flushall(), buffers.client.flushall()]));
  afterAll(async () => {
    await Promise.all([judge.stop(), bulks.stop(), buffers.stop()]);
    folder.remove();
  });

  const without = (all: ReadonlyMap<string, unknown>, ...keys: string[]): Map<string, unknown> => new Map([...all].filter(([key]) => !keys.includes(key)));
  const keysOf = (rejected: readonly { key?: string }[]): (string | undefined)[] => rejected.map(({ key }) => key).sort();

  test.each(['error', 'skip', 'replace'])('proto-max-bulk-len, --on-conflict %s: collections in pieces, what cannot be is rejected with what the server said', async (conflict) => {
    const rejects = folder.at('rejects.jsonl');
    if (conflict === 'replace') await bulks.client.set('hash', 'another');
    const { code, keysReplaced, keysRestored, rejected } = await report([large, urlOf(bulks), ...QUICKLY, '--on-conflict', conflict, '--rejects', rejects]);
    expect([code, keysRestored + keysReplaced]).toEqual([1, 2 * SMALL + 2]);
    expect(keysReplaced).toBe(conflict === 'replace' ? 1 : 0);
    expect(keysOf(rejected)).toEqual(['field', 'string']);
    expect(rejected.find(({ key }) => key === 'field')?.reason).toMatch(/^127\.0\.0\.1:\d+ answered: ERR Protocol error: invalid bulk length; its payload of 2097\d\d\d bytes is over a limit of the server, and so is one of its elements \(proto-max-bulk-len\)$/);
    expect(rejected.find(({ key }) => key === 'string')?.reason).toContain('ERR string exceeds maximum allowed size');
    expect(await digests([bulks.client])).toEqual(without(digestsOfLarge, 'string', 'field'));
    expect(lines(readFileSync(rejects, 'utf8')).map(({ key }) => key).sort()).toEqual(['field', 'string']);
  });

  test.each(['error', 'skip', 'replace'])('client-query-buffer-limit, of which the server says nothing, --on-conflict %s', async (conflict) => {
    const { code, keysRestored, rejected } = await report([large, urlOf(buffers), ...QUICKLY, '--on-conflict', conflict]);
    expect([code, keysRestored]).toEqual([1, 2 * SMALL + 3]);
    expect(keysOf(rejected)).toEqual(['field']);
    expect(rejected[0].reason).toMatch(/^127\.0\.0\.1:\d+: the server closes the connection; its payload of 2097\d\d\d bytes is over a limit of the server, and so is one of its elements \(client-query-buffer-limit/);
    expect(await digests([buffers.client])).toEqual(without(digestsOfLarge, 'field'));
    expect(await buffers.client.pexpiretime('string')).toBe(4_102_444_800_123);
  });

  test('a warning names the first one, and its size', async () => {
    const { err } = await restore([large, urlOf(buffers), ...QUICKLY]);
    expect(err).toMatch(/rdbkit: warning: 127\.0\.0\.1:\d+ closes the connection when it gets key "(string|hash|list)" of database 0, a payload of 2\d{6} bytes: this value and larger ones are written with plain commands\.\n/);
  });

  test('a module value, which no commands make', async () => {
    const parts = [0x81, 0x5d, 0x5c, 0xa1, 0x2c, 0x09, 0x6c, 0x00, 0x00]; // the id of a module; then two megabytes in a string
    const source = folder.file('module.rdb', rdb('REDIS0010', [0xfe, 0, 7, str('mod'), parts, 5, str('z'.repeat(2 * MB)), 0, 0, str('small'), str('1')]));
    for (const server of [bulks, buffers]) {
      const { code, keysRestored, rejected } = await report([source, urlOf(server), ...QUICKLY]);
      expect([code, keysRestored, keysOf(rejected)]).toEqual([1, 1, ['mod']]);
      expect(rejected[0].reason).toMatch(/no plain commands write values of type module, and its payload of 2097\d\d\d bytes is over a limit of the server/);
    }
  });

  describe('a limit of 512 KiB, below that of batches', () => {
    test.each([WORDS, undefined].flatMap((words) => ['error', 'skip', 'replace'].map((conflict) => [words, conflict] as const)))('it says %j: values in batches go in pieces, the others as they are: --on-conflict %s', async (words, conflict) => {
      await judge.client.flushall();
      if (conflict === 'replace') await judge.client.set('string:1', 'another');
      const proxy = await LimitProxy.start(portOf(judge), MB / 2, words);
      try {
        const { code, errors, keysReplaced, keysRestored, rejected } = await report([batches, proxy.url, ...QUICKLY, '--on-conflict', conflict]);
        expect({ code, errors, keys: keysRestored + keysReplaced, rejected }).toEqual({ code: 0, errors: [], keys: digestsOfBatches.size, rejected: [] });
        expect(await digests([judge.client])).toEqual(digestsOfBatches);
        expect(await judge.client.pexpiretime('hash')).toBe(4_102_444_800_123);
        expect(proxy.closed).toBeGreaterThan(0);
      } finally {
        await proxy.stop();
      }
    });
  });

  test('a server that is restarted at the same value has no limit', async () => {
    const node = await RedisNode.start();
    try {
      const running = report([large, node.url, ...QUICKLY, '--max-bytes-per-second', '4mb', '--on-conflict', 'replace']);
      for (let i = 0; i < 2; i++) {
        await new Promise((resolve) => setTimeout(resolve, 400));
        await node.kill();
        await node.restart();
      }
      const { code, keysRejected } = await running;
      expect([code, keysRejected]).toEqual([0, 0]);
      expect(await node.client.object('ENCODING', 'string')).toBe('raw');
      expect(await digests([node.client])).toEqual(digestsOfLarge);
    } finally {
      await node.stop();
    }
  });

  test.each([
    ['proto-max-bulk-len', ['field', 'string']],
    ['client-query-buffer-limit', ['field']],
  ])('a cluster with %s', async (limit, missing) => {
    const cluster = await TestCluster.start(`--${limit}`, '1mb', ...DEBUG);
    try {
      const masters = await cluster.masters();
      const { code, rejected } = await report([large, masters[0].url, ...QUICKLY]);
      expect([code, keysOf(rejected)]).toEqual([1, missing]);
      expect(await digests(masters.map(({ client }) => client))).toEqual(without(digestsOfLarge, ...missing));
    } finally {
      await cluster.stop();
    }
  });
});

describe('a server that takes no more clients', () => {
  test('what it says is shown', async () => {
    const server = await TestServer.start('--maxclients', '1');
    const folder = new Folder();
    try {
      const source = folder.file('a.rdb', rdb('REDIS0009', [0, str('a'), str('1')]));
      const { code, err } = await restore([source, urlOf(server)]);
      expect(code).toBe(4);
      expect(err).toMatch(/^rdbkit: UNREACHABLE: 127\.0\.0\.1:\d+: ERR max number of clients reached\. .*maxclients.*\n$/);
    } finally {
      await server.stop();
      folder.remove();
    }
  });
});
