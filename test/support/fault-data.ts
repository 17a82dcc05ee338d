import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { RedisNode } from './redis-node.js';
import { noise } from './support.js';
import { IS_OLD } from './redis-server.js';

/** What a server has: by key in hexadecimal, the digest of its value and its expiry. */
export type Content = ReadonlyMap<string, string>;

export interface FaultData {
  readonly rdb: Uint8Array;
  readonly content: Content;
}

/** Keys of all types, in a few encodings each, a third of the strings with an expiry. Without chance. */
const FILL = `
local n = tonumber(ARGV[1])
for i = 1, n do
  local key = 'string:' .. i
  redis.call('SET', key, string.rep('v' .. i .. ':', i % 12 + 1))
  if i % 3 == 0 then redis.call('PEXPIREAT', key, 4102444800000 + i) end
  if i % 20 == 0 then
    for j = 1, i % 40 + 1 do
      redis.call('RPUSH', 'list:' .. i, 'item' .. j)
      redis.call('SADD', 'intset:' .. i, i * j)
      redis.call('ZADD', 'zset:' .. i, j / 7, 'member' .. j)
      redis.call('HSET', 'hash:' .. i, 'field' .. j, string.rep('x', j))
      redis.call('XADD', 'stream:' .. i, i .. '-' .. j, 'field', j)
    end
    redis.call('SADD', 'set:' .. i, 'member' .. i)
    redis.call('XGROUP', 'CREATE', 'stream:' .. i, 'group', '0')
    if i % 60 == 0 then redis.call('PEXPIREAT', 'hash:' .. i, 4102444800000 + i) end
  end
end`;

/** Values that come in parts. */
const FILL_LARGE = `
for j = 1, 60000 do
  redis.call('HSET', 'large:hash', 'field' .. j, string.rep('y', 30) .. j)
  redis.call('SADD', 'large:set', 'a member of some length ' .. j * 7)
  redis.call('ZADD', 'large:zset', j / 3, 'a member of some length ' .. j)
end
redis.call('PEXPIREAT', 'large:hash', 4102444800000)`;

/** A file with so many strings, 6/20 as many other values, and some large ones (2 to 5 MiB). */
export async function faultData(strings: number, large = true): Promise<FaultData> {
  const server = await RedisNode.start();
  try {
    const { client } = server;
    await client.eval(FILL, 0, strings);
    if (large) {
      await client.eval(FILL_LARGE, 0);
      await client.set('large:string', Buffer.from(noise(5 << 20)));
      await client.set('large:other', Buffer.from(noise((2 << 20) + 7)));
      await client.pexpireat('large:other', 4102444800001);
    }
    await client.call('SAVE');
    return { rdb: new Uint8Array(readFileSync(join(server.folder, 'dump.rdb'))), content: await contentOf([client]) };
  } finally {
    await server.stop();
  }
}

const AT_A_TIME = 5000;
/** By how much expiries may differ that are counted from now, as before Redis 7.0. */
const INEXACT = IS_OLD ? 100 : 0;
const msOf = ([seconds, micros]: [string, string]): number => Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);

/** All that servers have. A key that two of them have is an error. */
export async function contentOf(clients: readonly Redis[]): Promise<Content> {
  const content = new Map<string, string>();
  for (const client of clients) {
    const keys = await client.keysBuffer('*');
    for (let at = 0; at < keys.length; at += AT_A_TIME) {
      const some = keys.slice(at, at + AT_A_TIME);
      const pipeline = client.pipeline();
      pipeline.call('DEBUG', 'DIGEST-VALUE', ...some);
      if (IS_OLD) pipeline.call('TIME');
      for (const key of some) pipeline.call(IS_OLD ? 'PTTL' : 'PEXPIRETIME', key);
      const replies = (await pipeline.exec()) ?? [];
      for (const [error] of replies) if (error !== null) throw error;
      const [digests, ...expiries] = replies.map(([, reply]) => reply) as [string[], ...unknown[]];
      const now = IS_OLD ? msOf(expiries.shift() as [string, string]) : 0;
      some.forEach((key, i) => {
        const name = key.toString('latin1');
        if (content.has(name)) throw new Error(`two servers have ${name}`);
        content.set(name, `${digests[i]} ${Number(expiries[i]) < 0 ? String(expiries[i]) : Number(expiries[i]) + now}`);
      });
    }
  }
  return content;
}

/** Milliseconds. */
const expiryOf = (value: string): number => Number(value.slice(value.indexOf(' ') + 1));
const digestOf = (value: string): string => value.slice(0, value.indexOf(' '));

/** What is not as it should be: nothing, where all is well. Expiries may be so many milliseconds late: those of MIGRATE are relative. */
export function differences(actual: Content, expected: Content, late = 0): string[] {
  const wrong: string[] = [];
  for (const [key, value] of expected) {
    const there = actual.get(key);
    if (there === undefined) wrong.push(`missing ${key}`);
    else {
      const later = expiryOf(there) - expiryOf(value);
      const isSame = digestOf(there) === digestOf(value) && later <= late + INEXACT && later >= -INEXACT;
      if (!isSame) wrong.push(`other value of ${key}: ${there}, not ${value}`);
    }
  }
  for (const key of actual.keys()) if (!expected.has(key)) wrong.push(`extra ${key}`);
  return wrong;
}
