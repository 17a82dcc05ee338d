import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeLines } from './encode-support.js';
import { missingServer, TestServer } from './redis-server.js';
import { decodeBytes } from './support.js';

const TIMEOUT = 60_000;
const missing = missingServer();

/** Written by hand: what no server wrote so. */
const HAND = `${[
  '{"key":"text","type":"string","value":"é"}',
  '{"db":2,"value":{"b":2,"10":1,"a":-0.5,"z":"inf"},"type":"zset","key":"zset"}',
  '{"key":"set","type":"set","value":["3","1","2"],"expireAt":4102444800000}',
  '{"key":"hash","type":"hash","value":{"2":"b","1":"a","__proto__":"c"}}',
  `{"key":"list","type":"list","value":["1","two","${'x'.repeat(9000)}","4"]}`,
  '{"key":"stream","type":"stream","value":{"entries":[{"id":"1-1","fields":["a","1"]},{"id":"2-0","fields":["a","1","b","2"]}],"groups":[{"name":"g","lastId":"1-1","pending":[{"id":"1-1","consumer":"c","deliveredAt":5,"deliveries":1}],"consumers":[{"name":"c","seenTime":7}]}]}}',
].join('\n')}\n`;

describe.skipIf(missing !== undefined)('a real server', () => {
  test('finds in what was decoded and encoded again what it finds in the file', { timeout: TIMEOUT }, async () => {
    const file = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/servers/redis-7.0.15.rdb')));
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

  test('loads what was written by hand', { timeout: TIMEOUT }, async () => {
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
