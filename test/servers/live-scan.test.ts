import '../support/needs-server.js';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { KeySet } from '../../src/values/key-set.js';
import { differences } from '../support/compare.js';
import { TestServer } from '../support/redis-server.js';
import { callsOf, portOf, serverPath } from '../support/restore-support.js';
import { type Scanned, scan, scanTarget } from '../support/scan-support.js';
import { decodeBytes } from '../support/support.js';
import { until } from '../support/until.js';

const started: TestServer[] = [];

async function start(...options: string[]): Promise<TestServer> {
  const server = await TestServer.start('--enable-debug-command', 'yes', ...options);
  started.push(server);
  return server;
}

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

const targetOf = (server: TestServer, onOpen?: () => void, login = '') => scanTarget(portOf(server), onOpen, login);

/** What SAVE of the server says. */
const saved = async (server: TestServer): Promise<string> => (await decodeBytes(await server.save())).lines;

const keysOf = ({ lines }: Pick<Scanned, 'lines'>): string[] =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { db?: number; key?: string })
    .flatMap(({ db, key }) => (db === undefined || key === undefined ? [] : [key]))
    .sort();

/** Values are not compressed, so that keys are more than buffers on the way hold. */
async function populate({ client }: TestServer, keys: number, size: number): Promise<void> {
  await client.config('SET', 'rdbcompression', 'no');
  await client.call('DEBUG', 'POPULATE', `${keys}`, 'key', `${size}`);
}

describe('the same keys as SAVE', () => {
  for (const name of ['redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15']) {
    test(name, async () => {
      const server = await start();
      await server.load(readFileSync(serverPath(name)));
      const scanned = await scan(targetOf(server));
      expect(differences(await saved(server), scanned.lines)).toEqual([]);
      expect(scanned.input.counts).toMatchObject({ written: keysOf(scanned).length, gone: 0, repeated: 0, problems: 0 });
      expect(scanned.notes).toEqual([]);
    });
  }

  test('of all types and databases, with expiries to the millisecond, and functions first', async () => {
    const server = await start('--databases', '20');
    const { client } = server;
    await client.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
    await client.set('string', 'x', 'PXAT', 1_900_000_000_123);
    await client.set('far', 'x', 'PXAT', String(2 ** 45 + 7));
    await client.set('', 'empty key');
    await client.rpush('list', 'a', '1', 'b'.repeat(5000));
    await client.sadd('set', '1', '2', 'x');
    await client.zadd('zset', '1.5', 'a', 'inf', 'b');
    await client.hset('hash', 'f', 'v');
    await client.xadd('stream', '1-1', 'f', 'v');
    await client.xgroup('CREATE', 'stream', 'g', '0');
    await client.select(19);
    await client.set('last', 'db');
    const scanned = await scan(targetOf(server));
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(scanned.lines).toContain('"expireAt":1900000000123');
    expect(scanned.lines).toContain(`"expireAt":${2 ** 45 + 7}`);
    const heads = scanned.lines.split('\n').map((line) => /"type":"(aux|function|selectDb)"/i.exec(line)?.[1] ?? 'key');
    expect(heads.indexOf('function')).toBeGreaterThan(0);
    expect(heads.indexOf('function')).toBeLessThan(heads.indexOf('key'));
    expect(scanned.lines).toContain('"redis-ver"');
    expect(scanned.input.compression).toBe('none');
  });

  test('of an empty server', async () => {
    const server = await start();
    const scanned = await scan(targetOf(server), { functions: false });
    expect(keysOf(scanned)).toEqual([]);
    expect(Buffer.from(scanned.rdb.subarray(0, 9)).toString()).toMatch(/^REDIS00\d\d$/);
  });

  test('whose values or keys are larger than any buffer', async () => {
    const server = await start();
    const { client } = server;
    await client.set('before', '1');
    await client.set('large', Buffer.alloc(9_000_000, 'abcdefgh'), 'PXAT', 1_900_000_000_001);
    await client.set('noise', Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 2_654_435_761) >>> 13)));
    await client.set(Buffer.alloc(3_000_000, 'k'), 'v', 'PXAT', 1_900_000_000_002);
    await client.config('SET', 'rdbcompression', 'no');
    await client.sadd('set', ...Array.from({ length: 60_000 }, (_, i) => `member of a large set ${i}`));
    const scanned = await scan(targetOf(server));
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(scanned.input.counts).toMatchObject({ written: 5, gone: 0, problems: 0 });
  });
});

describe('expiries of servers without PEXPIRETIME', () => {
  test('are right to the time that a few commands take', async () => {
    const server = await start('--rename-command', 'PEXPIRETIME', '');
    const { client } = server;
    for (let i = 0; i < 500; i++) client.set(`key:${i}`, 'v', 'PXAT', 1_900_000_000_000 + i).catch(() => undefined);
    await client.set('large', Buffer.alloc(2_000_000, 'x'), 'PXAT', 1_900_000_001_000);
    await client.set('none', 'v');
    await client.config('SET', 'rdbcompression', 'no');
    const scanned = await scan(targetOf(server));
    const found = new Map(
      scanned.lines
        .split('\n')
        .flatMap((line) => [...line.matchAll(/"key":"([^"]+)".*?"expireAt":(\d+)/g)].map(([, key, at]) => [key, Number(at)])),
    );
    expect(found.size).toBe(501);
    // never later than what the server has; earlier by what runs between TIME and PTTL, which is no more than the whole scan
    for (let i = 0; i < 500; i++) {
      expect(found.get(`key:${i}`)).toBeLessThanOrEqual(1_900_000_000_000 + i);
      expect(found.get(`key:${i}`)).toBeGreaterThan(1_900_000_000_000 + i - 60_000);
    }
    expect(found.get('large')).toBeLessThanOrEqual(1_900_000_001_000);
    expect(await callsOf(server.client, 'time')).toBeGreaterThanOrEqual(Math.floor(502 / 32));
  });

  test('without TIME, too', async () => {
    const server = await start('--rename-command', 'PEXPIRETIME', '', '--rename-command', 'TIME', '');
    await server.client.set('key', 'v', 'PXAT', 1_900_000_000_000);
    const { lines } = await scan(targetOf(server));
    const at = Number(/"expireAt":(\d+)/.exec(lines)?.[1]);
    expect(Math.abs(at - 1_900_000_000_000)).toBeLessThan(60_000);
  });
});

describe('idle times', () => {
  test('are those from before the scan', async () => {
    const server = await start();
    await server.load(readFileSync(serverPath('redis-6.2.14-lru')));
    await server.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const scanned = await scan(targetOf(server), { scan: { idleTimes: true } });
    expect(scanned.lines).toMatch(/"idle":\d+/);
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(await callsOf(server.client, 'object\\|idletime')).toBe(scanned.input.counts.written + 1); // the first asks whether it is allowed
  });

  test('are frequencies under an LFU policy', async () => {
    const server = await start('--maxmemory-policy', 'allkeys-lfu');
    await server.client.set('key', 'v');
    expect((await scan(targetOf(server), { scan: { idleTimes: true } })).lines).toMatch(/"freq":\d+/);
    expect((await scan(targetOf(server))).lines).not.toMatch(/"freq"/);
  });
});

describe('filters leave out before DUMP', () => {
  async function filled(): Promise<TestServer> {
    const server = await start();
    const { client } = server;
    for (let i = 0; i < 50; i++) await client.set(`a*:${i}`, 'v');
    for (let i = 0; i < 50; i++) await client.set(`ab:${i}`, 'v');
    for (let i = 0; i < 10; i++) await client.rpush(`list:${i}`, 'v');
    await client.select(3);
    await client.set('other', 'db');
    return server;
  }
  const text = (words: string): Uint8Array => new Uint8Array(Buffer.from(words));

  test.each([
    ['a prefix', { prefix: [text('a*:')] }, 50],
    ['two prefixes', { prefix: [text('a*:'), text('list:')] }, 60],
    ['a pattern', { match: [text('*:1')] }, 3],
    ['no pattern', { notMatch: [text('a*')] }, 11],
    ['an expression', { regex: ['[12]$'], db: [0] }, 22],
    ['a type', { type: ['list' as const] }, 10],
    ['a database', { db: [3] }, 1],
    ['a slot', { slot: [[0, 16383] as const], db: [3] }, 1],
  ])('%s', async (_, filter, expected) => {
    const server = await filled();
    const scanned = await scan(targetOf(server), { filter });
    expect(scanned.input.counts.written).toBe(expected);
    expect(await callsOf(server.client, 'dump')).toBe(expected);
  });

  test('slots that are not wanted of the node are counted', async () => {
    const server = await filled();
    const scanned = await scan({ ...targetOf(server), slots: new Uint8Array(16384) });
    expect(scanned.input.counts).toMatchObject({ written: 0, unowned: 111 });
    expect(await callsOf(server.client, 'dump')).toBe(0);
  });
});

describe('while others write', () => {
  test('no key is missed that was there all the time, none is invented, and none comes twice', async () => {
    const server = await start();
    await populate(server, 20_000, 600);
    let grown = 0;
    const scanned = await scan(targetOf(server), {}, async () => {
      if (grown >= 5) return;
      const batch = server.client.pipeline(); // the table is rehashed: SCAN gives keys again
      for (let i = 0; i < 20_000; i++) batch.set(`new:${grown}:${i}`, 'v');
      for (let i = 0; i < 200; i++) batch.del(`key:${grown * 200 + i}`);
      grown++;
      await batch.exec();
    });
    const keys = keysOf(scanned);
    expect(new Set(keys).size).toBe(keys.length);
    const found = new Set(keys);
    const stayed = Array.from({ length: 19_000 }, (_, i) => `key:${i + 1000}`);
    expect(stayed.filter((key) => !found.has(key))).toEqual([]);
    expect(keys.filter((key) => !/^(?:key:\d{1,5}|new:[0-4]:\d{1,5})$/.test(key))).toEqual([]);
  });

  test('databases that are swapped meanwhile are counted', async () => {
    const server = await start();
    await populate(server, 5000, 600);
    expect((await scan(targetOf(server))).input.counts.swaps).toBe(0);
    let swapped = false;
    const scanned = await scan(targetOf(server), {}, async () => {
      if (!swapped) await server.client.call('SWAPDB', '0', '1');
      swapped = true;
    });
    expect(scanned.input.counts.swaps).toBe(1);
  });

  test('keys beyond what can be remembered may come twice, and that is said once', async () => {
    const server = await start();
    await populate(server, 2000, 10);
    const scanned = await scan(targetOf(server), { keys: new KeySet(100) });
    expect(scanned.input.counts.written).toBe(2000);
    expect(scanned.notes).toEqual(['more keys than can be remembered: further ones may come twice']);
  });
});

describe('a lost connection', () => {
  test('is opened again, and the scan goes on where it was', async () => {
    const server = await start();
    await populate(server, 40_000, 600);
    let [opened, chunks] = [0, 0];
    const scanned = await scan(
      targetOf(server, () => opened++),
      {},
      async () => {
        chunks++;
        if (chunks % 8 === 2) await server.client.call('CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES');
      },
    );
    expect(opened).toBeGreaterThan(2);
    expect(scanned.events.length).toBeGreaterThan(1);
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(await callsOf(server.client, 'dump')).toBeLessThan(60_000); // it does not begin again
  });

  test('to another process begins that database again, and no key comes twice', async () => {
    const [one, two] = [await start(), await start()];
    for (const server of [one, two]) {
      await populate(server, 30_000, 600);
      await server.client.select(2);
      await server.client.set('last', '1');
    }
    let chunks = 0;
    let now = one;
    const target = { name: 'server', open: () => targetOf(now).open() };
    const scanned = await scan(target, {}, async () => {
      if (++chunks !== 3) return;
      now = two;
      await one.stop();
    });
    expect(differences(await saved(two), scanned.lines)).toEqual([]);
    expect(scanned.input.counts.repeated).toBeGreaterThan(0);
  });

  test('that does not come back is an error that says what was reached', async () => {
    const server = await start();
    await populate(server, 30_000, 600);
    const target = targetOf(server);
    const failing = scan(target, { retryFor: 200 }, () => server.stop());
    await expect(failing).rejects.toMatchObject({
      code: 'SOURCE_LOST',
      file: target.name,
      got: expect.stringMatching(/; \d+ keys were read, up to database 0$/) as string,
    });
  });

  test('in the middle of a large value is an error: what is written cannot be taken back', async () => {
    const server = await start('--rdbcompression', 'no');
    await server.client.set('large', Buffer.alloc(60_000_000, 'x'));
    const failing = scan(targetOf(server), {}, async () => {
      await server.client.call('CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES');
    });
    await expect(failing).rejects.toMatchObject({
      code: 'SOURCE_LOST',
      got: expect.stringContaining('in the middle of a large value') as string,
    });
  });

  test('a position is a place to go on from', async () => {
    const server = await start();
    await populate(server, 30_000, 600);
    const target = targetOf(server);
    let [length, until]: number[] = [0, 0];
    let position: ReturnType<Scanned['input']['positionAt']>;
    const all = await scan(target, { functions: false }, (input, chunk) => {
      length += chunk.length;
      if (length < 8_000_000) [until, position] = [length, input.positionAt(length)];
      return Promise.resolve();
    });
    expect(position).toMatchObject({ db: 0, cursor: expect.stringMatching(/^[1-9]\d*$/) as string });
    const before =
      Buffer.from(all.rdb.subarray(0, until))
        .toString('latin1')
        .match(/key:\d+/g) ?? [];
    const rest = keysOf(await scan(target, { from: position, functions: false }));
    expect(rest.length).toBeLessThan(25_000);
    expect(new Set([...before, ...rest]).size).toBe(30_000);
  });

  test('an abort ends the scan with its reason, and closes the connection', async () => {
    const server = await start();
    await populate(server, 30_000, 600);
    const over = new AbortController();
    const failing = scan(targetOf(server), { signal: over.signal }, () => {
      over.abort(new Error('enough'));
      return Promise.resolve();
    });
    await expect(failing).rejects.toThrow('enough');
    await until('only the test is connected', async () => /connected_clients:1\r/.test(await server.client.info('clients')));
  });

  test('a reader that stops closes the connection', async () => {
    const server = await start();
    await populate(server, 30_000, 600);
    await expect(scan(targetOf(server), {}, () => Promise.reject(new Error('full disk')))).rejects.toThrow('full disk');
    await until('only the test is connected', async () => /connected_clients:1\r/.test(await server.client.info('clients')));
  });
});

describe('rights', () => {
  const login = 'reader:secret@';

  async function withUser(...rules: string[]): Promise<TestServer> {
    const server = await start();
    for (let i = 0; i < 20; i++) await server.client.set(`${i % 2 === 0 ? 'app' : 'own'}:${i}`, 'v', 'PXAT', 1_900_000_000_000 + i);
    await server.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', ...rules);
    return server;
  }

  test('SCAN, DUMP, PTTL and SELECT are enough', async () => {
    const server = await withUser('~*', '+scan', '+dump', '+pttl', '+select');
    const scanned = await scan(scanTarget(portOf(server), undefined, login, true));
    expect(scanned.input.counts).toMatchObject({ written: 20, problems: 0 });
    expect(scanned.notes).toHaveLength(1);
    expect(scanned.notes[0]).toContain('FUNCTION DUMP');
  });

  test('without DUMP it is refused, and why is said', async () => {
    const server = await withUser('~*', '+@all', '-dump');
    await expect(scan(targetOf(server, undefined, login))).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      got: expect.stringContaining("'dump'") as string,
    });
  });

  test('keys that the user may not read are named', async () => {
    const server = await withUser('~app:*', '+@all');
    const scanned = await scan(targetOf(server, undefined, login));
    expect(scanned.input.counts).toMatchObject({ written: 10, problems: 10 });
    expect(scanned.problems).toHaveLength(10);
    expect(scanned.problems[0]).toMatch(/^0 own:\d+: DUMP: NOPERM/);
  });

  test('a renamed DUMP is refused', async () => {
    const server = await start('--rename-command', 'DUMP', '');
    await server.client.set('a', '1');
    await expect(scan(targetOf(server))).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      got: expect.stringMatching(/^DUMP: ERR unknown command/) as string,
    });
  });
});

test('with a limit of latency, PING is sent over a connection of its own', async () => {
  const server = await start();
  await populate(server, 3000, 10);
  const scanned = await scan(targetOf(server), { scan: { maxLatency: 5 } });
  expect(scanned.input.counts.written).toBe(3000);
  expect(await callsOf(server.client, 'ping')).toBeGreaterThan(0);
});

describe('values above maxDump', () => {
  test('of all types are read in ranges, and are the same', async () => {
    const server = await start();
    const { client } = server;
    await client.set('small', 'v', 'PXAT', 1_900_000_000_000);
    await client.set('string', Buffer.alloc(1_500_000, 'text that compresses '), 'PXAT', 1_900_000_000_001);
    const items = Array.from({ length: 6000 }, (_, i) => (i % 3 === 0 ? `${i}` : `element ${i} of a large value`));
    await client.rpush('list', ...items, 'x'.repeat(50_000), ...items);
    await client.sadd('set', ...items);
    await client.sadd('intset', ...Array.from({ length: 400 }, (_, i) => `${i * 1_000_000}`));
    await client.zadd('zset', ...items.flatMap((item, i) => [`${i / 7}`, item]), 'inf', 'top', '-inf', 'bottom', '1e300', 'e');
    await client.hset('hash', ...items.flatMap((item) => [item, `value of ${item}`]));
    await client.call('CONFIG', 'RESETSTAT');
    const scanned = await scan(targetOf(server), { scan: { maxDump: 1500 } });
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(scanned.input.counts).toMatchObject({ written: 7, gone: 0, problems: 0 });
    expect(scanned.notes).toEqual([]);
    expect(await callsOf(server.client, 'dump')).toBe(1);
    await server.load(scanned.rdb); // a server takes them
    expect(await client.hlen('hash')).toBe(6000);
  });

  test('that have no ranges are read with DUMP, and the first one is named', async () => {
    const server = await start();
    for (const key of ['one', 'two']) for (let i = 0; i < 300; i++) await server.client.xadd(key, '*', 'field', 'x'.repeat(100));
    const scanned = await scan(targetOf(server), { scan: { maxDump: 1000 } });
    expect(differences(await saved(server), scanned.lines)).toEqual([]);
    expect(scanned.notes).toHaveLength(1);
    expect(scanned.notes[0]).toMatch(/key "(?:one|two)" of database 0: read with DUMP all the same: values of type stream/);
  });

  test('that change meanwhile are read again, and that they are not of one moment is told', async () => {
    const server = await start();
    const { client } = server;
    for (let i = 0; i < 20; i++) await client.rpush('list', ...Array.from({ length: 10_000 }, (_, j) => `element ${i * 10_000 + j}`));
    const over = new AbortController();
    const writing = (async () => {
      while (!over.signal.aborted) await client.rpush('list', 'more');
    })();
    const scanned = await scan(targetOf(server), { scan: { maxDump: 1000 } });
    over.abort();
    await writing;
    expect(scanned.notes).toEqual([expect.stringContaining('key "list" of database 0: it changed each of 3 times while it was read')]);
    expect(scanned.input.counts.written).toBe(1);
    expect(scanned.lines).toContain('element 199999');
  });

  test('are not known where MEMORY USAGE is refused: that is told', async () => {
    const server = await start('--rename-command', 'MEMORY', '');
    await server.client.set('a', 'x'.repeat(10_000));
    const scanned = await scan(targetOf(server), { scan: { maxDump: 1000 } });
    expect(scanned.input.counts.written).toBe(1);
    expect(scanned.notes).toEqual([
      expect.stringMatching(/sizes are not known, and all values are read with DUMP: MEMORY USAGE: ERR unknown/),
    ]);
  });
});
