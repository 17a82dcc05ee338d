import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeLines, typesOf } from '../support/encode-support.js';
import { TestServer } from '../support/redis-server.js';
import { decodeBytes, noise } from '../support/support.js';

/** Written by hand: what no server wrote so. */
const HAND = `${[
  '{"key":"text","type":"string","value":"é"}',
  '{"db":2,"value":{"b":2,"10":1,"a":-0.5,"z":"inf"},"type":"zset","key":"zset"}',
  '{"key":"set","type":"set","value":["3","1","2"],"expireAt":4102444800000}',
  '{"key":"hash","type":"hash","value":{"2":"b","1":"a","__proto__":"c"}}',
  `{"key":"list","type":"list","value":["1","two","${'x'.repeat(9000)}","4"]}`,
  '{"key":"stream","type":"stream","value":{"entries":[{"id":"1-1","fields":["a","1"]},{"id":"2-0","fields":["a","1","b","2"]}],"groups":[{"name":"g","lastId":"1-1","pending":[{"id":"1-1","consumer":"c","deliveredAt":5,"deliveries":1}],"consumers":[{"name":"c","seenTime":7}]}]}}',
].join('\n')}\n`;

/** What a server is told to make values of, at the borders of its encodings. */
async function fill({ client }: TestServer): Promise<void> {
  const strings: [string, string | Buffer][] = [
    ['', 'empty key'],
    ['12345', 'a key that is an integer'],
    [`key ${'k'.repeat(300)}`, 'a key that is compressed'],
    ['string:empty', ''],
    ...['0', '-1', '127', '40000', '2147483648', '9223372036854775807', '-9223372036854775808', '18446744073709551615', '01', '+1'].map((text): [string, string] => [`string:${text}`, text]),
    ...[20, 21, 44, 45, 5000, 2_000_000].flatMap((size): [string, Buffer][] => [
      [`string:${size}`, Buffer.alloc(size, 'abcdefg')],
      [`string:noise:${size}`, Buffer.from(noise(size))],
    ]),
  ];
  for (const [key, value] of strings) await client.set(key, value);
  const ofSize = (count: number, size: number): string[] => Array.from({ length: count }, (_, i) => `${i}`.padStart(size, '.'));
  const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i * 1000 - 5}`);
  for (const [count, size] of [[1, 1], [128, 64], [129, 64], [100, 65], [512, 10], [513, 10], [3, 9000], [2, 1_500_000]]) {
    const items = ofSize(count, size);
    const name = `${count}:${size}`;
    await client.rpush(`list:${name}`, ...items);
    await client.sadd(`set:${name}`, ...items);
    await client.zadd(`zset:${name}`, ...items.flatMap((item, i) => [i * 1.5, item]));
    await client.hset(`hash:${name}`, ...items.flatMap((item) => [item, `value ${item}`.slice(0, size)]));
  }
  for (const count of [1, 512, 513]) await client.sadd(`set:numbers:${count}`, ...numbers(count));
  await client.sadd('set:wide', '1', '-3000000000', '9223372036854775807');
  await client.call('ZADD', 'zset:scores', 'inf', 'a', '-inf', 'b', '-0', 'c', '0.5', 'e', '3', 'f', '-9007199254740992', 'g');
  await client.call('ZADD', 'zset:digits', '0.1', 'a', '1e300', 'b'); // servers print 17 of them
  for (let i = 1; i <= 250; i++) await client.xadd('stream', `${i}-1`, ...(i % 7 === 0 ? ['other', 'fields'] : ['field', `value ${i}`]));
  await client.xdel('stream', '250-1', '1-1', '77-1');
  await client.call('XGROUP', 'CREATE', 'stream', 'group', '0');
  await client.call('XREADGROUP', 'GROUP', 'group', 'consumer', 'COUNT', '20', 'STREAMS', 'stream', '>');
  await client.pexpireat('string:45', 4_102_444_800_123);
}

/** Of every key: how the server holds it, and a digest of its DUMP where that does not depend on the order in a hash table, the cuts of a list or the digits of a score. */
async function held({ client }: TestServer): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const key of (await client.keys('*')).sort()) {
    const encoding = String(await client.call('OBJECT', 'ENCODING', key));
    const same = !['hashtable', 'quicklist', 'stream'].includes(encoding) && key !== 'zset:digits';
    const payload = same ? await client.dumpBuffer(key) : Buffer.alloc(0);
    found.set(key, `${encoding} ${createHash('sha1').update(payload).digest('hex')}`);
  }
  return found;
}

describe('a real server', () => {
  test('finds in what was decoded and encoded again what it finds in the file', async () => {
    const file = new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/servers/redis-7.0.15.rdb')));
    const { rdb } = await encodeLines((await decodeBytes(file, { meta: true })).lines);
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      await server.load(file);
      const digest = await server.client.call('DEBUG', 'DIGEST');
      await server.load(rdb);
      expect(await server.client.call('DEBUG', 'DIGEST')).toBe(digest);
      expect(digest).not.toMatch(/^0+$/);
    } finally {
      await server.stop();
    }
  });

  test('writes the same types as encode, and holds what it loads as what it was told', async () => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      await fill(server);
      const before = await held(server);
      const saved = await server.save();
      const { rdb, refusals } = await encodeLines((await decodeBytes(saved, { meta: true })).lines);
      expect(refusals).toEqual([]);
      expect(typesOf(rdb)).toEqual(typesOf(saved));
      await server.load(rdb);
      expect(await held(server)).toEqual(before);
      expect(before.size).toBeGreaterThan(50);
      expect(rdb.length).toBeLessThan(saved.length * 1.02);
    } finally {
      await server.stop();
    }
  });

  test('loads what was written by hand', async () => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    const { client } = server;
    try {
      await server.load((await encodeLines(HAND, { target: '7.0' })).rdb);
      expect(await client.get('text')).toBe('é');
      expect(await client.smembers('set')).toEqual(['1', '2', '3']);
      expect(await client.call('PEXPIRETIME', 'set')).toBe(4_102_444_800_000);
      expect(await client.hgetall('hash')).toMatchObject({ 1: 'a', 2: 'b' });
      expect(await client.hlen('hash')).toBe(3);
      expect((await client.lrange('list', 0, -1)).map((item) => item.length)).toEqual([1, 3, 9000, 1]);
      expect(await client.xrange('stream', '-', '+')).toEqual([['1-1', ['a', '1']], ['2-0', ['a', '1', 'b', '2']]]);
      expect(await client.call('XPENDING', 'stream', 'g')).toEqual([1, '1-1', '1-1', [['c', '1']]]);
      expect(await client.call('XINFO', 'STREAM', 'stream')).toEqual(expect.arrayContaining(['last-generated-id', '2-0', 'entries-added', 2]));
      await client.select(2);
      expect(await client.call('ZRANGE', 'zset', '0', '-1', 'WITHSCORES')).toEqual(['a', '-0.5', '10', '1', 'b', '2', 'z', 'inf']);
    } finally {
      await server.stop();
    }
  });
});
