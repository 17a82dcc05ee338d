import { expect, test } from 'vitest';
import { type MadeKey, redisType, reportOfKeys } from '../support/inspect-support.js';

const texts = (keys: MadeKey[], more: Parameters<typeof reportOfKeys>[1] = {}): string[] =>
  reportOfKeys(keys, more).warnings.map(({ text }) => text);

test('nothing to warn of', () => {
  expect(texts([{ key: 'a' }])).toEqual([]);
});

test('big keys, of a sample as estimated', () => {
  const keys = [
    { key: 'a', memory: 2 ** 20 + 1 },
    { key: 'b', memory: 2 ** 20 },
  ];
  expect(texts(keys)).toContain('1 key with more than 1 MiB of memory');
  expect(texts(keys, { share: 0.1 })).toContain('about 10 keys with more than 1 MiB of memory');
});

test('many elements: not the bytes of strings', () => {
  expect(
    texts([
      { key: 'a', elements: 100_001, type: redisType(2) },
      { key: 'b', elements: 1e9 },
    ]),
  ).toEqual(['1 key with more than 100,000 elements']);
});

test('a slot with more than its share, if that is more than a big key', () => {
  const others = Array.from({ length: 99 }, (_, i) => ({ key: `k${i}`, memory: 10_000_000 }));
  expect(
    texts([...others, { key: 'x{a}', memory: 10_000_000 }], { thresholds: { bigMemory: 1e9, bigElements: 10, hotSlot: 0.01 } }),
  ).toEqual([]);
  const [hot] = reportOfKeys(
    [
      { key: 'x{a}', memory: 2e8 },
      { key: 'y{a}', memory: 2e8 },
    ],
    { thresholds: { bigMemory: 3e8, bigElements: 10, hotSlot: 0.01 } },
  ).warnings;
  expect(hot).toEqual({ kind: 'hotSlot', text: 'slot 15495 has 100 % of the memory, in 2 keys' });
});

test('shards, and expired keys', () => {
  expect(texts([{ key: 'a', expireAt: 5 }], { shards: 2 })).toEqual([
    'slots 8192-16383 would have 100 % of the memory, 2.00 times its fair share',
    '1 key (100 %) have expired already',
  ]);
});
