import { describe, expect, test } from 'vitest';
import { type CountRow, countRows } from '../../src/diff/count-rows.js';
import { FoldSink } from '../../src/diff/fold-sink.js';
import { KeyCounts } from '../../src/diff/key-counts.js';
import { feedFile, SEED } from '../support/diff-support.js';
import { encodeLines } from '../support/encode-support.js';

const NOW = 1_800_000_000_000;

interface Key {
  readonly key: string;
  readonly expireAt?: number;
}

async function counted(keys: readonly Key[], { delimiters = ':', most = 100, slots = false } = {}): Promise<FoldSink> {
  const lines = keys.map((key) => `${JSON.stringify({ db: 0, type: 'string', value: 'x', ...key })}\n`).join('');
  const { rdb } = await encodeLines(Buffer.from(lines), { target: '7.0' });
  const keyCounts = new KeyCounts({ delimiters: Buffer.from(delimiters), most, slots });
  const sink = new FoldSink(undefined, { seed: SEED, level: 'counts', now: NOW, tolerance: 0, streams: 'data', keyCounts });
  await feedFile(sink, rdb);
  return sink;
}

const of = (rows: readonly CountRow[], group: string): [string, number, number][] =>
  rows.filter((row) => row.group === group).map(({ name, source, target }) => [name, source, target]);
const named = (...keys: string[]): Key[] => keys.map((key) => ({ key }));

describe('prefixes', () => {
  test('end with the first delimiter, and keys without one are apart', async () => {
    const a = await counted(named('user:1', 'user:2:x', 'cart/1:2', 'plain', ':', ''), { delimiters: ':/' });
    const b = await counted(named('user:1', 'user:3'), { delimiters: ':/' });
    expect(of(countRows(a, b, []), 'prefix')).toEqual([
      ['user:', 2, 2],
      [':', 1, 0],
      ['cart/', 1, 0],
      ['no prefix', 2, 0],
    ]);
  });

  test('bytes that are no UTF-8 are told in text form', async () => {
    const a = await counted(named('base64:/zo=', 'base64:/zox'));
    expect(of(countRows(a, await counted([]), []), 'prefix')).toEqual([['base64:/zo=', 2, 0]]);
  });

  test('those with the most keys on either side are listed, and those that differ; the sum is all keys', async () => {
    const many = (from: number, extra: number): Key[] =>
      Array.from({ length: 60 }, (_, i) => i).flatMap((i) =>
        named(...Array.from({ length: i + from + (i === 5 ? extra : 0) }, (_, n) => `p${i}:${n}`)),
      );
    const [a, b] = [await counted(many(1, 0)), await counted(many(1, 3))];
    const rows = of(countRows(a, b, []), 'prefix');
    expect(rows.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => [`p${59 - i}:`, 60 - i, 60 - i]));
    expect(rows.slice(20)).toEqual([
      ['p5:', 6, 9],
      ['other prefixes', 814, 814],
    ]);
    expect(rows.reduce((sum, [, keys]) => sum + keys, 0)).toBe(1830);
  });

  test('beyond the most, numbers are exact or not told', async () => {
    const keys = named(...Array.from({ length: 50 }, (_, i) => `p${i}:`), ...Array.from({ length: 9 }, (_, i) => `p3:${i}`));
    const [a, b] = [await counted(keys, { most: 8 }), await counted([...keys].reverse(), { most: 8 })];
    expect(a.keyCounts?.prefixes.length).toBe(8);
    expect(of(countRows(a, b, []), 'prefix')).toEqual([
      ['p3:', 10, 10],
      ['other prefixes', 49, 49],
    ]);
    const complete = await counted(keys, { most: 100 });
    for (const [name, one, other] of of(countRows(a, complete, []), 'prefix')) expect(one, name).toBe(other);
  });

  test('a prefix that is longer than 256 bytes is another one', async () => {
    const [short, long] = ['x'.repeat(255), 'x'.repeat(256)];
    const a = await counted(named(`${short}:1`, `${long}:1`, `${long}y`));
    expect(of(countRows(a, a, []), 'prefix')).toEqual([
      [`${short}:`, 1, 1],
      ['other prefixes', 1, 1],
      ['no prefix', 1, 1],
    ]);
  });
});

test('with an expiry, without one, and expired', async () => {
  const a = await counted([{ key: 'a', expireAt: NOW + 1 }, { key: 'b', expireAt: NOW }, { key: 'c' }, { key: 'd:' }]);
  const rows = countRows(a, await counted([]), []);
  expect(of(rows, 'expiry')).toEqual([
    ['with an expiry', 1, 0],
    ['without an expiry', 2, 0],
  ]);
  expect(of(rows, 'expired')).toEqual([['expired, not counted', 1, 0]]);
  expect(of(rows, 'keys')).toEqual([['all keys', 3, 0]]);
});

test('slots, by hash tag', async () => {
  const a = await counted(named('{user}:1', '{user}:2', 'foo'), { slots: true }); // 5474, 5474, 12182
  const group = (name: string, ...ranges: [number, number][]) => ({ name, ranges });
  expect(of(countRows(a, a, [group('one', [0, 5473], [12182, 12182]), group('two', [5474, 5474])]), 'slots')).toEqual([
    ['one', 1, 1],
    ['two', 2, 2],
  ]);
  expect(of(countRows(a, a, [group('one', [0, 100])]), 'slots')).toEqual([
    ['one', 0, 0],
    ['slots of no master', 3, 3],
  ]);
});
