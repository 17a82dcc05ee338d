import { expect, test } from 'vitest';
import { type MadeKey, redisType, reportOfKeys } from '../support/inspect-support.js';

const advice = (keys: MadeKey[], more: Parameters<typeof reportOfKeys>[1] = {}): [kind: string, text: string, saves: number | undefined][] =>
  reportOfKeys(keys, more).advice.map(({ kind, saves, text }) => [kind, text, saves]);

test('none without a reason, also where nothing takes memory', () => {
  expect(advice([])).toEqual([]);
  expect(advice([{ key: 'a' }])).toEqual([]);
  expect(advice([{ key: 'a', memory: 0 }])).toEqual([]);
});

test('hashes of the same field names', () => {
  const keys = Array.from({ length: 10 }, (_, i) => ({ key: `h${i}`, type: redisType(4), fields: 7, fieldBytes: 30 }));
  expect(advice(keys)).toEqual([['fieldSets', '10 hashes share 1 set of field names: templates (Redis 8.10) store each set once', 190]]);
});

test('equal values', () => {
  const keys = [1, 2, 2, 2].map((digest, i) => ({ key: `k${i}`, digest, memory: 100 }));
  expect(advice(keys)).toEqual([['duplicates', '2 keys have a value of 64 bytes or more that another key has, too', 200]]);
  expect(advice(keys, { share: 0.5 })[0][1]).toMatch(/^about 4 keys/);
});

test('big collections', () => {
  const [[kind, text]] = advice([{ key: 'h', type: redisType(4), memory: 2 ** 21 }, { key: 's', memory: 2 ** 21 }]);
  expect([kind, text]).toEqual(['bigCollections', expect.stringMatching(/^1 collection is big \(50\.0 % of the memory\)/)]);
});

test('keys that never expire among those that do', () => {
  const keys = Array.from({ length: 100 }, (_, i) => ({ key: `s:${i}:x`, memory: 10, ...(i < 10 ? {} : { expireAt: 2e12 }) }));
  expect(advice(keys)).toEqual([['noExpiry', 'under "s:" 10 keys of 100 never expire, the others do', 100]]);
  expect(advice(keys.slice(0, 99))).toEqual([]);
});
