import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CompareSink } from '../../src/diff/compare-sink.js';
import { type Difference, KeyTable, type KeyTableCounts, type KeyTableOptions } from '../../src/diff/key-table.js';
import { feedFile, SEED } from '../support/diff-support.js';
import { len, le, type Part, rdb, str } from '../support/support.js';

const BITS = 4;
const OPTIONS: KeyTableOptions = {
  buckets: Array.from({ length: 1 << BITS }, (_, i) => i),
  bits: BITS,
  limit: 1 << 20,
  tolerance: 0,
  values: true,
};
const file = (...records: readonly Part[]): Uint8Array => rdb('REDIS0011', records);
const string = (key: string, value: string, at?: number): Part => [at === undefined ? [] : [252, le(at, 8)], 0, str(key), str(value)];
/** Unix milliseconds. */
const AT = 2_000_000_000_000;
const list = (key: string, ...items: string[]): Part => [1, str(key), len(items.length), items.map((item) => str(item))];

interface Compared {
  readonly differences: Difference[];
  readonly counts: KeyTableCounts;
  readonly table: KeyTable;
}

async function compare(
  a: Uint8Array,
  b: Uint8Array,
  options: Partial<KeyTableOptions> = {},
  now = -Infinity,
  later = now,
): Promise<Compared> {
  const table = new KeyTable({ ...OPTIONS, ...options });
  const sink = { seed: SEED, streams: 'full', values: options.values ?? true, now } as const;
  await feedFile(new CompareSink(undefined, 'a', table, sink), a);
  await feedFile(new CompareSink(undefined, 'b', table, sink), b);
  const found = table.differences(later);
  const differences: Difference[] = [];
  for (let next = found.next(); ; next = found.next()) {
    if (next.done === true) return { differences, counts: next.value, table };
    differences.push(next.value);
  }
}

const text = (key: Uint8Array): string => Buffer.from(key).toString();
const told = ({ differences }: Compared): string[] =>
  differences.map(({ db, key, kinds }) => `${db} ${text(key)}: ${kinds.join(' ')}`).sort();

describe('differences', () => {
  test('of each kind', async () => {
    const a = file(
      string('same', 'x'),
      string('value', 'x'),
      string('expiry', 'x', AT),
      string('both', 'x', AT),
      string('type', 'x'),
      string('missing', 'x'),
      [254, 1],
      string('same', 'x'),
    );
    const b = file(
      string('same', 'x'),
      string('value', 'y'),
      string('expiry', 'x', AT + 1),
      string('both', 'y'),
      list('type', 'x', 'y'),
      string('extra', 'x'),
      [254, 2],
      string('same', 'x'),
    );
    const compared = await compare(a, b);
    expect(told(compared)).toEqual([
      '0 both: expiry value',
      '0 expiry: expiry',
      '0 extra: extra',
      '0 missing: missing',
      '0 type: type',
      '0 value: value',
      '1 same: missing',
      '2 same: extra',
    ]);
    expect(compared.counts).toEqual({ met: 0, firstMet: undefined, same: 1, missing: 2, extra: 2, different: 4, excused: 0 });
    expect(compared.differences.find(({ kinds }) => kinds.includes('type'))).toMatchObject({
      a: { type: 'string', elements: 1, expireAt: undefined },
      b: { type: 'list', elements: 2 },
    });
    expect(compared.differences.find(({ key }) => text(key) === 'expiry')).toMatchObject({ a: { expireAt: AT }, b: { expireAt: AT + 1 } });
  });

  test('expiries within the tolerance are the same', async () => {
    const within = async (by: number): Promise<string[]> =>
      told(await compare(file(string('k', 'x', AT)), file(string('k', 'x', AT + by)), { tolerance: 100 }));
    expect(await within(100)).toEqual([]);
    expect(await within(-100)).toEqual([]);
    expect(await within(101)).toEqual(['0 k: expiry']);
  });

  test('values that are not read do not count', async () => {
    const compared = await compare(file(string('k', 'x')), file(string('k', 'y')), { values: false });
    expect(told(compared)).toEqual([]);
    expect(told(await compare(file(string('k', 'x')), file(list('k', 'y')), { values: false }))).toEqual(['0 k: type']);
  });

  test('what has expired is left out, and what expires until the end is excused', async () => {
    expect((await compare(file(string('k', 'x', AT)), file(), {}, AT)).counts).toMatchObject({ missing: 0, excused: 0 });
    expect((await compare(file(string('k', 'x', AT)), file(), {}, AT - 1, AT)).counts).toMatchObject({ missing: 0, excused: 1 });
    expect((await compare(file(), file(string('k', 'x', AT)), {}, AT - 1, AT)).counts).toMatchObject({ extra: 0, excused: 1 });
    expect((await compare(file(), file(string('k', 'x', AT)), {}, AT - 1, AT - 1)).counts).toMatchObject({ extra: 1 });
  });
});

test('what expires up to the tolerance after the end may have expired on the other side', async () => {
  const key = file(string('k', 'x', AT));
  expect((await compare(key, file(), { tolerance: 100 }, 0, AT - 100)).counts).toMatchObject({ missing: 0, excused: 1 });
  expect((await compare(key, file(), { tolerance: 100 }, 0, AT - 101)).counts).toMatchObject({ missing: 1, excused: 0 });
  expect((await compare(file(), key, { tolerance: 100 }, 0, AT - 100)).counts).toMatchObject({ extra: 0, excused: 1 });
});

describe('a key that comes twice', () => {
  test('on one side or the other makes no difference', async () => {
    const twice = file(string('k', 'x'), string('j', 'y'), string('k', 'x'));
    const once = file(string('j', 'y'), string('k', 'x'));
    expect(told(await compare(twice, once))).toEqual([]);
    expect(told(await compare(once, twice))).toEqual([]);
    expect((await compare(once, twice)).counts.same).toBe(2);
  });

  test('counts as it came last', async () => {
    expect(told(await compare(file(string('k', 'x'), string('k', 'y')), file(string('k', 'y'))))).toEqual([]);
    expect(told(await compare(file(string('k', 'x'), string('k', 'y')), file(string('k', 'x'))))).toEqual(['0 k: value']);
    expect(told(await compare(file(string('k', 'x')), file(string('k', 'y'), string('k', 'x'))))).toEqual([]);
    expect(told(await compare(file(string('k', 'x')), file(string('k', 'x'), list('k', 'y'))))).toEqual(['0 k: type']);
  });

  test('is one extra key', async () => {
    expect(told(await compare(file(), file(string('k', 'x'), string('k', 'y'))))).toEqual(['0 k: extra']);
  });
});

/** Both sides with some keys missing and some different, and what is wrong. */
const sides = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 30 }), fc.constantFrom('same', 'missing', 'extra', 'value')), {
  selector: ([key]) => key,
  maxLength: 2000,
  size: 'max',
});

test('a table that is full leaves buckets to other passes, and all passes together find everything', async () => {
  await fc.assert(
    fc.asyncProperty(sides, fc.integer({ min: 12, max: 18 }), async (keys, size) => {
      const of = (side: 'missing' | 'extra'): Uint8Array =>
        file(...keys.filter(([, what]) => what !== side).map(([key, what]) => string(key, what === 'value' ? side : 'x')));
      const [a, b] = [of('extra'), of('missing')];
      const limit = 1 << size;
      const found: string[] = [];
      let same = 0;
      let buckets = [...OPTIONS.buckets];
      for (let passes = 0; buckets.length > 0; passes++) {
        expect(passes).toBeLessThanOrEqual(1 << BITS);
        const compared = await compare(a, b, { buckets, limit });
        if (compared.table.wanted.size > 1) expect(compared.table.bytes).toBeLessThanOrEqual(Math.max(limit, 1 << 16));
        found.push(...compared.differences.map(({ key, kinds }) => `${text(key)} ${kinds.join()}`));
        same += compared.counts.same;
        buckets = compared.table.left;
      }
      expect(found.sort()).toEqual(
        keys
          .filter(([, what]) => what !== 'same')
          .map(([key, what]) => `${key} ${what}`)
          .sort(),
      );
      expect(same).toBe(keys.filter(([, what]) => what === 'same').length);
    }),
    { numRuns: 20 },
  );
});
