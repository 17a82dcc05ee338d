import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dropWhere, fold, hex } from '../support/diff-support.js';
import { f64, le, len, type Part, rdb, str } from '../support/support.js';
import type { FoldSinkOptions } from '../../src/diff/fold-sink.js';
import { LARGE } from '../support/samples.js';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

const ms = (at: number): Part => [252, le(at, 8)];
const key = (name: string, type: number, value: Part, head: Part = []): Part => [head, type, str(name), value];
const file = (...records: readonly Part[]): Uint8Array => rdb('REDIS0011', records);
const differs = async (a: Uint8Array, b: Uint8Array, options: Partial<FoldSinkOptions> = {}): Promise<number> => {
  const [one, other] = await Promise.all([fold(a, options), fold(b, options)]);
  return one.buckets.differing(other.buckets).length;
};

const A = key('a', 0, str('1'));
const B = key('b', 1, [len(2), str('x'), str('y')]);
const C = key('c', 5, [len(1), str('m'), f64(1.5)], ms(2_000_000_000_000));

describe('buckets', () => {
  test('the order of records does not matter', async () => {
    expect(await differs(file(A, B, C), file(C, B, A))).toBe(0);
  });

  test('every difference of a record is one bucket', async () => {
    const others = [
      key('c', 5, [len(1), str('m'), f64(1.5000000000000002)], ms(2_000_000_000_000)),
      key('c', 5, [len(1), str('m'), f64(1.5)], ms(2_000_000_000_001)),
      key('c', 5, [len(1), str('m'), f64(1.5)]),
      key('c', 2, [len(1), str('m')], ms(2_000_000_000_000)),
    ];
    for (const other of others) expect(await differs(file(A, B, C), file(A, B, other))).toBe(1);
    expect(await differs(file(A, B, C), file(A, B))).toBe(1);
    expect(await differs(file(A, B, C), file(A, B, C, C))).toBe(1);
    expect(await differs(file(A), file([254, 1], A))).toBeGreaterThan(0);
  });

  test('a key twice is not no key', async () => {
    expect(await differs(file(A, A), file())).toBe(1);
  });

  test('values do not count at the level of keys, types and expiries do', async () => {
    const level = { level: 'keys' } as const;
    expect(await differs(file(A), file(key('a', 0, str('2'))), level)).toBe(0);
    expect(await differs(file(A), file(key('a', 1, [len(1), str('1')])), level)).toBe(1);
    expect(await differs(file(A), file([ms(2_000_000_000_000), A]), level)).toBe(1);
  });

  test('expiries that are further apart than the tolerance differ', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 2 ** 45 }),
        fc.nat(10_000),
        async (tolerance, at, by) => {
          const count = await differs(file([ms(at), A]), file([ms(at + by), A]), { tolerance });
          if (by > tolerance) expect(count).toBe(1);
          if (by === 0) expect(count).toBe(0);
        },
      ),
    );
  });

  test('another seed, other sums', async () => {
    const [one, other] = await Promise.all([fold(file(A)), fold(file(A), { seed: [1, 2, 3, 5] })]);
    expect(one.buckets.differing(other.buckets).length).toBeGreaterThan(0);
  });

  test('those of two threads are merged', async () => {
    const [all, one, other] = await Promise.all([fold(file(A, B, C)), fold(file(A)), fold(file(C, B))]);
    one.buckets.merge(other.buckets);
    expect(all.buckets.differing(one.buckets)).toEqual([]);
  });

  test('sums carry over all words', async () => {
    const many = Array.from({ length: 300 }, (_, i) => key(`k${i}`, 0, str(`${i}`)));
    const sink = await fold(file(...many), { bits: 0 });
    let sum = 0n;
    for (const record of many) sum += BigInt(`0x${words((await fold(file(record), { bits: 0 })).buckets.sums)}`);
    expect(words(sink.buckets.sums)).toBe((sum % 2n ** 128n).toString(16).padStart(32, '0'));
  });
});

const words = (sums: Int32Array): string => hex([...sums.subarray(0, 4)].reverse());

describe('counts', () => {
  test('by database and type', async () => {
    const { counts } = await fold(file(A, B, C, [254, 3], A, [254, len(1000)], A, key('d', 0, str(''))), { level: 'counts' });
    expect([...counts]).toEqual([
      [0, { string: 1, list: 1, zset: 1 }],
      [3, { string: 1 }],
      [1000, { string: 2 }],
    ]);
  });

  test('expired keys are left out and counted', async () => {
    const sink = await fold(file(A, C), { now: 2_000_000_000_000 });
    expect(sink.expired).toBe(1);
    expect([...sink.counts]).toEqual([[0, { string: 1 }]]);
    expect(sink.buckets.differing((await fold(file(A))).buckets)).toEqual([]);
    expect((await fold(file(A, C), { now: 1_999_999_999_999 })).expired).toBe(0);
  });

  test('dropped rows do not count', async () => {
    const sink = await fold(file(A, B), {}, { passes: [dropWhere((row) => row === 1)] });
    expect(sink.buckets.differing((await fold(file(A))).buckets)).toEqual([]);
  });
});

describe('large values', () => {
  const files: readonly (readonly [string, Uint8Array])[] = [
    ...Object.entries(LARGE),
    ...['servers/redis-7.4.1.rdb', 'servers/valkey-9.1.2.rdb', 'servers/redis-6.2.14-lru.rdb', 'servers/redis-7.4.1-modules.rdb'].map(
      (name) => [name, new Uint8Array(readFileSync(join(FIXTURES, name)))] as const,
    ),
  ];
  test.each(files)('in parts are the same as whole: %s', async (_, bytes) => {
    const whole = await fold(bytes, { streams: 'full' }, { limit: Infinity });
    for (const [limit, size] of [
      [64, 50],
      [200, 1000],
      [4096, 100_000],
    ]) {
      const parts = await fold(bytes, { streams: 'full' }, { limit, sizes: [size] });
      expect(whole.buckets.differing(parts.buckets)).toEqual([]);
      expect(parts.counts).toEqual(whole.counts);
    }
  });
});
