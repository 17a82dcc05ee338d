import type { RedisNode } from './redis-node.js';
import { noise } from './support.js';

/** Bytes that cannot be compressed. */
const text = (size: number, ...numbers: number[]): Buffer => Buffer.concat([Buffer.from(numbers.join(' ')), noise(size)]);

/** A value over 1 MiB of each type, at once; `seed` makes other ones. */
export async function writeLarge({ client }: RedisNode, seed: number): Promise<void> {
  const pipeline = client.multi();
  pipeline.set('string', text((3 << 20) - 100, seed));
  for (let from = 0; from < 12_000; from += 3000) {
    const numbers = Array.from({ length: 3000 }, (_, i) => text(100, seed, from + i));
    pipeline.rpush('list', ...numbers).sadd('set', ...numbers);
    pipeline.zadd('zset', ...numbers.flatMap((member, i) => [i / 7, member])).hset('hash', ...numbers.flatMap((field) => [field, field]));
  }
  for (let i = 0; i < 100; i++) pipeline.xadd('stream', '*', 'field', text(30_000, seed, i));
  pipeline
    .xgroup('CREATE', 'stream', `group ${seed}`, '0')
    .xreadgroup('GROUP', `group ${seed}`, 'someone', 'COUNT', 10, 'STREAMS', 'stream', '>');
  await pipeline.exec();
}
