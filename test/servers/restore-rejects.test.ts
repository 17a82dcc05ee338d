import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { SERVER, TestServer } from '../support/redis-server.js';
import { digestOf, expiry, report, restore, urlOf } from '../support/restore-support.js';
import { be, le, len, type Part, rdb, str } from '../support/support.js';

/** Values of each type over a mebibyte, one with an expiry. */
const FILL = `
  for i = 1, 3000 do
    local text = string.rep('x', 990) .. string.format('%010d', i)
    redis.call('RPUSH', 'list', text)
    redis.call('HSET', 'hash', 'field' .. i, text)
    redis.call('XADD', 'stream', i .. '-1', 'field', text)
  end
  redis.call('SET', 'string', string.rep('x', 9000001))
  redis.call('PEXPIREAT', 'list', 4102444800123)
`;

interface Line {
  readonly db: number;
  readonly key: string;
  readonly type?: string;
  readonly expireAt?: number;
  readonly payload?: string;
  readonly error: string;
  readonly server?: string;
}

/** A payload without its footer. */
const valueOf = (payload = ''): string => Buffer.from(payload, 'base64').subarray(0, -10).toString('latin1');

const BIG = str('x'.repeat(3 << 20));
const moduleValue: Part = [0x81, be(0xb5eb2dffffddb401n, 8), 5, BIG, 5, BIG, 0];
/** Of hashes whose fields expire: least expiry, fields with their own, relative to that and 1 more (0 for none). */
const expiring: Part = [24, str('expiring'), le(9e12, 8), len(3), 0, str('a'), BIG, 1, str('f'), BIG, 0, str('z'), str('last')];

describe(`payloads over a mebibyte in --rejects, of ${SERVER}`, () => {
  const folder = new Folder();
  const path = folder.at('rejects.jsonl');
  let server: TestServer;
  let judge: TestServer;
  let url: string;
  const rejected = (): Line[] => lines(readFileSync(path, 'utf8')) as unknown as Line[];
  const payloadsOf = async (source: string): Promise<(string | undefined)[]> =>
    (lines((await rdbkit(['dump', source, '--format', 'payload'])).out) as unknown as Line[]).map(({ payload }) => payload);

  beforeAll(async () => {
    const options = ['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'no', '--rdbcompression', 'no'];
    [server, judge] = await Promise.all([TestServer.start(...options), TestServer.start(...options)]);
    url = urlOf(server);
  });
  beforeEach(() => server.client.flushall());
  afterEach(() => {
    const open = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ''; // that of the folder itself
      }
    });
    expect(open.filter((name) => name.includes('/rdbkit-'))).toEqual([]); // what is put aside is closed on every path
  });
  afterAll(async () => {
    await Promise.all([server.stop(), judge.stop()]);
    folder.remove();
  });

  test('keys that are there already: from the rejects, an empty server gets the same', async () => {
    await judge.client.eval(FILL, 0);
    const source = folder.file('large.rdb', await judge.save());
    const state = folder.at('state.json');
    expect(await report([source, source, url, '--parallel', '1', '--rejects', path, '--checkpoint', state])).toMatchObject({ code: 1, keysRestored: 4, keysRejected: 4 });
    expect(JSON.parse(readFileSync(state, 'utf8'))).toMatchObject({ rejectsBytes: readFileSync(path).length, finished: true });
    expect(rejected().find(({ key }) => key === 'list')).toMatchObject({ db: 0, type: 'list', expireAt: 4_102_444_800_123, server: expect.stringMatching(/^127/) as string, error: expect.stringContaining('the target has the key already') as string });
    await server.client.flushall();
    expect(await report([path, url])).toMatchObject({ code: 0, keysRestored: 4 });
    expect(await digestOf(server)).toBe(await digestOf(judge));
    for (const key of ['list', 'stream', 'string']) expect((await server.client.dumpBuffer(key)).equals(await judge.client.dumpBuffer(key))).toBe(true);
    expect(await server.client.pexpiretime('list')).toBe(4_102_444_800_123);
  });

  test('as commands, where the key is there', async () => {
    await judge.client.flushall();
    await judge.client.set('string', 'y'.repeat(2 << 20));
    const source = folder.file('string.rdb', await judge.save());
    expect((await report([source, source, url, '--parallel', '1', '--rejects', path, '--max-payload', '10kb'])).code).toBe(1);
    expect(rejected()).toHaveLength(1);
    expect(rejected()[0].payload === (await payloadsOf(source))[0]).toBe(true);
  });

  test.each([
    ['the server refuses it', [], { server: expect.stringMatching(/^127/) as string, error: expect.stringContaining('Bad data format') as string }],
    ['no command makes it', ['--max-payload', '2mb'], { error: expect.stringContaining('larger than --max-payload') as string }],
    ['only looked at', ['--max-payload', '2mb', '--dry-run'], { error: expect.stringContaining('larger than --max-payload') as string }],
    ['no such database', ['--db-map', '0:99'], { db: 99, error: expect.stringContaining('no database 99') as string }],
    ['a target without modules', ['--target-version', '3.2'], { error: expect.stringContaining('no values of type module') as string }],
  ])('a module value: %s', async (_, more, expected) => {
    const source = folder.file('module.rdb', rdb('REDIS0009', [0xfe, 0, 0, str('before'), str('1'), expiry(4e12), 7, str('mod'), moduleValue, 0, str('behind'), str('2')]));
    const { code, keysRejected, rejected: told } = await report([source, url, '--rejects', path, '--match', 'mod', ...more]);
    expect([code, keysRejected]).toEqual([1, 1]);
    expect(rejected()).toMatchObject([{ db: 0, key: 'mod', type: 'module', expireAt: 4e12, ...expected }]);
    expect(await payloadsOf(path)).toHaveLength(1); // its checksum is right
    expect(valueOf(rejected()[0].payload) === valueOf((await payloadsOf(source))[1])).toBe(true);
    expect(told[0].reason.includes('the target needs the module')).toBe('server' in expected);
  });

  test('found out in the middle of the value: fields that expire, with no place on the target', async () => {
    const source = folder.file('expiring.rdb', rdb('REDIS0012', [0xfe, 0, expiry(4e12), expiring]));
    const first = await report([source, url, '--target-version', '7.0', '--ttl-shift', '1s', '--rejects', path]);
    expect([first.code, first.keysRejected]).toEqual([1, 1]);
    expect(rejected()).toMatchObject([{ type: 'hash', expireAt: 4e12 + 1000 }]);
    expect(rejected()[0].payload === (await payloadsOf(source))[0]).toBe(true);
    expect(await report([path, url, '--target-version', '7.0', '--allow-loss'])).toMatchObject({ code: 0, keysRestored: 1 });
    expect((await server.client.hkeys('expiring')).sort()).toEqual(['a', 'f', 'z']);
  });

  test.each([[['--db-map', '0:99']], [['--target-version', '3.2']], [[]]])('a source that ends within the value: it is not in the file %j', async (more) => {
    const whole = rdb('REDIS0009', [0xfe, 0, 7, str('mod'), moduleValue]);
    const source = folder.file('cut.rdb', whole.subarray(0, 5 << 20));
    const { code, err } = await restore([source, url, '--rejects', path, ...more]);
    expect(code).toBe(3);
    expect(err).toContain('TRUNCATED');
    expect(rejected()).toEqual([]);
  });

  test('a file of rejects that cannot be written', async () => {
    const source = folder.file('module.rdb', rdb('REDIS0009', [0xfe, 0, 7, str('mod'), moduleValue]));
    expect((await restore([source, url, '--rejects', '/dev/full'])).err).toContain('/dev/full');
  });
});

describe(`what KeyDB says of keys, restored to ${SERVER}`, () => {
  const folder = new Folder();
  let server: TestServer;
  const aux = (name: string, value: string): Part => [0xfa, str(name), str(value)];
  const member: Part = [aux('keydb-subexpire-key', 'm'), aux('keydb-subexpire-when', '9000000000000')];

  beforeAll(async () => {
    server = await TestServer.start();
  });
  beforeEach(() => server.client.flushall());
  afterAll(async () => {
    await server.stop();
    folder.remove();
  });

  test.each([
    ['framed in a run', 'm'],
    ['framed on its own', 'm'.repeat(600_000)],
  ])('nothing is told of the members of a key that had expired: %s', async (_, text) => {
    const source = folder.file('keydb.rdb', rdb('REDIS0009', [0xfe, 0, 0, str('a'), str('1'), expiry(1000), 2, str('set'), 1, str(text), member, 0, str('b'), str('2')]));
    expect(await report([source, urlOf(server)])).toMatchObject({ code: 0, keysRestored: 2, keysExpired: 1, notKeys: 0 });
    const alive = folder.file('alive.rdb', rdb('REDIS0009', [0xfe, 0, 2, str('set'), 1, str(text), member]));
    expect(await report([alive, urlOf(server), '--on-conflict', 'replace'])).toMatchObject({ code: 1, keysRestored: 1, notKeys: 1 });
  });

  test('a clock counts for the key behind it, and for no other', async () => {
    const clock = aux('mvcc-tstamp', '111');
    const source = folder.file('clocks.rdb', rdb('REDIS0009', [0xfe, 0, clock, 0, str('a'), str('1'), expiry(1000), clock, 0, str('gone'), str('1'), 0, str('b'), str('x'.repeat(600_000)), clock, 0, str('c'), str('3')]));
    expect(await report([source, urlOf(server)])).toMatchObject({ code: 0, keysRestored: 3, keysExpired: 1, keysTranscoded: 2 });
  });

  test('an expired key within a run: the checkpoint says the end of the run', async () => {
    const source = folder.file('run.rdb', rdb('REDIS0009', [0xfe, 0, 0, str('a'), str('1'), expiry(1000), 0, str('gone'), str('1'), 0, str('last'), str('3')]));
    const state = folder.at('state.json');
    expect((await report([source, urlOf(server), '--checkpoint', state])).code).toBe(0);
    const { sources } = JSON.parse(readFileSync(state, 'utf8')) as { sources: { done: number }[] };
    expect(sources[0].done).toBe(readFileSync(source).indexOf('last') + 'last'.length + 1);
  });
});
