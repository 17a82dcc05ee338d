import { expect, test } from 'vitest';
import { slotRanges } from '../../src/bytes/crc16.js';
import { split, unbalanced } from '../../src/page/shards.js';

const slots = Array.from({ length: 16_384 }, (_, slot) => [slot, 1, 10, slot % 7 === 0 ? 400 : 100] as const);

test('a split has the ranges that --shards has, and every slot once', () => {
  for (const count of [1, 2, 3, 5, 6, 7, 12, 100, 333, 999, 1000]) {
    const shards = split(slots, count);
    expect(shards.map(({ from, to }) => [from, to])).toEqual(slotRanges(count));
    expect(shards.map(({ keys }) => keys)).toEqual(slotRanges(count).map(([from, to]) => to - from + 1));
  }
});

test('a shard is out of balance from a quarter of the mean on', () => {
  const shards = [75, 76, 124, 126, 99].map((memory) => ({ from: 0, to: 0, keys: 0, bytes: 0, elements: 0, memory }));
  expect(unbalanced(shards).map(({ memory }) => memory)).toEqual([126]);
  expect(unbalanced([])).toEqual([]);
});
