import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { digestOf, report, restore, strings, urlOf } from '../support/restore-support.js';

const DEBUG = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'no', '--rdbcompression', 'no'];

/** Fills a server by a script: values of about `KEYS[1]` bytes, of every type. */
const FILL = `
  local size = tonumber(ARGV[1])
  local function text(i, n) return string.rep(string.char(97 + i % 26), n - 12) .. string.format('%012d', i) end
  redis.call('SET', 'string', string.rep('x', size))
  for i = 1, size / 1000 do
    redis.call('RPUSH', 'list', text(i, 1000))
    redis.call('SADD', 'set', text(i, 1000))
    redis.call('HSET', 'hash', 'field' .. i, text(i, 990))
    redis.call('ZADD', 'zset', i / 7, text(i, 980))
    redis.call('XADD', 'stream', i .. '-1', 'field', text(i, 980))
  end
  redis.call('XGROUP', 'CREATE', 'stream', 'group', '5-1')
  redis.call('XREADGROUP', 'GROUP', 'group', 'someone', 'COUNT', '3', 'STREAMS', 'stream', '>')
  for _, key in ipairs({'string', 'list', 'zset'}) do redis.call('PEXPIREAT', key, 4102444800123) end
`;
const KEYS = ['hash', 'list', 'set', 'stream', 'string', 'zset'];

describe(`rdbkit restore of large values to ${SERVER}`, () => {
  const folder = new Folder();
  let server: TestServer;
  let judge: TestServer;
  let url: string;
  let source: string;

  beforeAll(async () => {
    [server, judge] = await Promise.all([TestServer.start(...DEBUG), TestServer.start(...DEBUG)]);
    url = urlOf(server);
    await judge.client.eval(FILL, 0, 300_000);
    source = folder.file('large.rdb', await judge.save());
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await Promise.all([server.stop(), judge.stop()]);
    folder.remove();
  });

  const commands = ['--max-payload', '10kb'];

  test('as commands: every type, the same digest, nothing else is left', async () => {
    const { code, keysRestored } = await report([source, url, ...commands]);
    expect([code, keysRestored]).toEqual([0, 6]);
    expect((await server.client.keys('*')).sort()).toEqual(KEYS);
    expect(await digestOf(server)).toBe(await digestOf(judge));
    expect(await server.client.pexpiretime('list')).toBe(4_102_444_800_123);
  });

  test('as commands: nobody sees a key before it is whole', async () => {
    const watch = await server.client.duplicate().monitor();
    const seen: string[] = [];
    watch.on('monitor', (_: string, [name, key = '']: string[]) => KEYS.includes(key) && seen.push(name.toUpperCase()));
    const renamed: string[] = [];
    watch.on('monitor', (_: string, [name, , to]: string[]) => /^rename/i.test(name) && renamed.push(to));
    expect((await restore([source, url, ...commands])).code).toBe(0);
    await server.client.ping();
    watch.disconnect();
    expect(seen).toEqual([]);
    expect([...new Set(renamed)].sort()).toEqual(KEYS);
  });

  test.each([
    ['error', { keysRestored: 0, keysReplaced: 0, keysSkipped: 0, code: 4 }],
    ['skip', { keysRestored: 4, keysReplaced: 0, keysSkipped: 2, code: 0 }],
    ['replace', { keysRestored: 4, keysReplaced: 2, keysSkipped: 0, code: 0 }],
  ])('keys that are there, of values that come as commands: %s', async (how, expected) => {
    await server.client.mset('list', 'old', 'string', 'old');
    if (how === 'error') {
      expect((await restore([source, url, ...commands])).code).toBe(4);
      expect(await server.client.dbsize()).toBe(2);
      return;
    }
    expect(await report([source, url, ...commands, '--on-conflict', how])).toMatchObject(expected);
    expect((await server.client.keys('*')).sort()).toEqual(KEYS);
    expect(await server.client.type('list')).toBe(how === 'skip' ? 'string' : 'list');
  });

  test('the same large key in two sources is named', async () => {
    const { code, keysRejected, keysRestored, rejected } = await report([source, source, url, ...commands, '--parallel', '1']);
    expect([code, keysRestored, keysRejected]).toEqual([1, 6, 6]);
    expect(rejected.map(({ key }) => key).sort()).toEqual(KEYS);
    expect((await server.client.keys('*')).sort()).toEqual(KEYS);
  });

  test('values in parts, and one over 16 MB: as payloads, as commands, and all three conflicts', async () => {
    await judge.client.flushall();
    await judge.client.eval(FILL, 0, 3_000_000);
    await judge.client.set('string', Buffer.alloc(17 << 20, 'rdbkit'));
    const parts = folder.file('parts.rdb', await judge.save());
    const digest = await digestOf(judge);
    for (const more of [[], ['--max-payload', '2mb'], ['--max-in-flight', '1kb']]) {
      await server.client.flushall();
      expect(await report([parts, url, ...more])).toMatchObject({ code: 0, keysRestored: 6, keysReplaced: 0 });
      expect(await digestOf(server)).toBe(digest);
    }
    expect(await report([parts, url, '--on-conflict', 'skip'])).toMatchObject({ code: 0, keysRestored: 0, keysSkipped: 6 });
    await server.client.set('hash', 'old');
    expect(await report([parts, url, '--on-conflict', 'replace'])).toMatchObject({ code: 0, keysRestored: 0, keysReplaced: 6 });
    expect(await digestOf(server)).toBe(digest);
  });

  test('a server that takes no bulk of that size: --max-payload says so', async () => {
    await server.client.config('SET', 'proto-max-bulk-len', '1mb');
    try {
      const big = folder.file('bulk.rdb', strings({ a: 'small' }));
      expect((await restore([big, url])).code).toBe(0);
      await judge.client.flushall();
      await judge.client.eval(FILL, 0, 1_500_000);
      await judge.client.del('string'); // a single string is larger than the server takes, whatever the command
      const over = folder.file('over.rdb', await judge.save());
      await server.client.flushall();
      expect(await report([over, url, '--max-payload', '900kb'])).toMatchObject({ code: 0, keysRestored: 5 });
      expect(await digestOf(server)).toBe(await digestOf(judge));
    } finally {
      await server.client.config('SET', 'proto-max-bulk-len', '512mb');
    }
  });

  test('a large value that the target refuses is named, and its parts are gone', async () => {
    await server.client.config('SET', 'maxmemory', '1');
    try {
      const { code, err } = await restore([source, url, ...commands, '--retry-for', '1s']);
      expect(code).toBe(4);
      expect(err).toContain('REFUSED: 127.0.0.1');
      expect(err).toContain('OOM');
      expect(err).toContain('Give it more memory (maxmemory), or restore fewer keys.');
    } finally {
      await server.client.config('SET', 'maxmemory', '0');
    }
    expect(await server.client.dbsize()).toBe(0);
  });

  test('--rejects: the payload of every key that is not there, and why', async () => {
    const path = folder.at('rejects.jsonl');
    const small = folder.file('small.rdb', strings({ a: 'new', b: 'new', 'c\n\u001b[2J': 'new' }));
    const [one, two] = [small, folder.file('two.rdb', strings({ a: 'again', d: 'new' }))];
    expect(await report([one, two, url, '--rejects', path, '--parallel', '1'])).toMatchObject({ code: 1, keysRestored: 4, keysRejected: 1 });
    const [line, ...rest] = readFileSync(path, 'utf8').split('\n');
    expect(rest).toEqual(['']);
    const rejected = JSON.parse(line) as Record<string, unknown>;
    expect(rejected).toMatchObject({ db: 0, key: 'a', type: 'string', server: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string, error: expect.stringContaining('the target has the key already') as string });
    const payload = Buffer.from(String(rejected.payload), 'base64');
    expect(lines((await rdbkit(['dump', two, '--format', 'payload', '--prefix', 'a'])).out)).toMatchObject([{ payload: expect.any(String) as string }]);
    await server.client.restore('copy', 0, payload);
    expect(await server.client.get('copy')).toBe('again');
  });
});
