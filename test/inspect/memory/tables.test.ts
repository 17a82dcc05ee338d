import { expect, test } from 'vitest';
import { bucketBytes, convertedSlots, nextPower } from '../../../src/inspect/memory/tables.js';

/** A random integer below `n`, the same in each run. */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** A dict as it moves slots from one table to the next (redis 7.0 dict.c): sizes of the tables at the end of a load. */
function loaded(longAt: number, count: number, next: (n: number) => number): number {
  let tables = [{ slots: nextPower(longAt), used: new Map<number, number>() }];
  const put = (table: (typeof tables)[0], times = 1): void => {
    for (let i = 0; i < times; i++) {
      const slot = next(table.slots);
      table.used.set(slot, (table.used.get(slot) ?? 0) + 1);
    }
  };
  const size = ({ used }: (typeof tables)[0]): number => [...used.values()].reduce((sum, n) => sum + n, 0);
  const step = (): void => {
    if (tables.length === 1) return;
    const [first] = [...tables[0].used];
    tables[0].used.delete(first[0]);
    put(tables[1], first[1]);
    if (tables[0].used.size === 0) tables = [tables[1]];
  };
  const expand = (to: number): void => {
    if (tables.length > 1 || size(tables[0]) > to || nextPower(to) === tables[0].slots) return;
    tables.push({ slots: nextPower(to), used: new Map() });
    if (size(tables[0]) === 0) tables = [tables[1]];
  };
  const add = (): void => {
    step();
    if (tables.length === 1 && size(tables[0]) >= tables[0].slots) expand(size(tables[0]) + 1);
    put(tables[tables.length - 1]);
  };
  put(tables[0], longAt);
  add();
  if (count - longAt - 1 > 4) expand(count - longAt - 1);
  for (let i = longAt + 1; i < count; i++) add();
  return tables.reduce((sum, { slots }) => sum + slots, 0);
}

test('slots of a hash that became a table while it was loaded', () => {
  const next = random(7);
  let [right, all] = [0, 0];
  for (let count = 1; count <= 512; count += 7) {
    for (let longAt = 0; longAt < count; longAt += 1 + Math.floor(count / 9)) {
      all++;
      if (convertedSlots(longAt, count) === loaded(longAt, count, next)) right++;
    }
  }
  expect(right / all).toBeGreaterThan(0.95); // slots that elements share are random
});

test('a table of Valkey has as many further buckets as random hashes make', () => {
  const next = random(3);
  for (const count of [1, 7, 8, 13, 14, 50, 129, 500, 1000, 1638, 1639, 3000, 20_000]) {
    const buckets = 2 ** Math.ceil(Math.log2(Math.ceil((count * 5) / 32)));
    let made = 0;
    const rounds = 30;
    for (let round = 0; round < rounds; round++) {
      const filled = new Array<number>(buckets).fill(0);
      for (let i = 0; i < count; i++) filled[next(buckets)]++;
      made += buckets + filled.reduce((sum, k) => sum + (k > 7 ? Math.ceil((k - 7) / 6) : 0), 0);
    }
    expect(Math.abs(bucketBytes(count) / 64 / (made / rounds) - 1)).toBeLessThan(0.05);
  }
  expect(bucketBytes(0)).toBe(0);
});
