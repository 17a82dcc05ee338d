import type { Redis } from 'ioredis';
import { keySlot } from '../../src/library/helpers.js';

/** Hash tags whose slots a node of a cluster has, each another slot. */
export async function tagsOf(client: Redis, count: number): Promise<string[]> {
  const own = ((await client.call('CLUSTER', 'NODES')) as string).split('\n').find((line) => line.includes('myself')) ?? '';
  const ranges = own
    .split(' ')
    .slice(8)
    .filter((range) => /^\d+(?:-\d+)?$/.test(range))
    .map((range) => range.split('-').map(Number));
  const tags: string[] = [];
  for (let i = 0; tags.length < count && ranges.length > 0; i++) {
    const slot = keySlot(`t${i}`);
    if (ranges.some(([first, last = first]) => first <= slot && slot <= last)) tags.push(`t${i}`);
  }
  return tags;
}
