import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { ENCODINGS } from '../../src/inspect/measures.js';
import { amountOf, OTHER_DATABASES, Tally } from '../../src/inspect/tally.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { CELL, CELL_KEYS, CELL_MEMORY, NODE_WORDS, SLOT_CELL, TREE_MASK, TREE_NAMES_LENGTH } from '../../src/kernels/layout.js';
import { TABLES, type TypeRow } from '../../src/rdb/types.js';
import { batchOf, type MadeKey, measuresOf, numbers, redisType } from '../support/inspect-support.js';

const NOW = 1_700_000_000_000;
const DELIMITERS = Buffer.from(':;,_-+@=|#');
type Options = ConstructorParameters<typeof Tally>[0];
const options: Options = {
  ...{ top: 3, now: NOW, delimiters: DELIMITERS, depth: 5, bigMemory: 1000, bigElements: 100 },
  ...{ capacity: 1 << 10, kept: 64, seed: 7 },
};

const typesOf = (types: readonly (TypeRow | undefined)[]): TypeRow[] => types.filter((type) => type !== undefined);
const TYPES = [...new Set([...typesOf(TABLES.redis.types), ...typesOf(TABLES.valkey.types)])];

const hex = (next: (below: number) => number, length: number): string =>
  Array.from({ length }, () => '0123456789abcdef'[next(16)]).join('');
const uuid = (next: (below: number) => number): string => [8, 4, 4, 4, 12].map((length) => hex(next, length)).join('-');

/** Keys as they occur, and as they should not. */
function keyOf(next: (below: number) => number): Uint8Array {
  const words = [
    'user',
    'session',
    'Ωμέγα',
    '😀',
    '',
    'a',
    'cache',
    'v2',
    'item0012',
    '000',
    'deadbeef0123',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    '*',
  ];
  const delimiters = ':;,_-+@=|#/.';
  const segment = (): string => {
    switch (next(10)) {
      case 0:
        return String(next(1 << 20));
      case 1:
        return uuid(next);
      case 2:
        return `${uuid(next)}x`;
      case 3:
        return hex(next, 8 + next(40));
      case 4:
        return String.fromCharCode(97 + next(26), 97 + next(26));
      case 5:
        return Array.from({ length: 25 + next(3) }, () => '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'[next(next(30) === 0 ? 36 : 18)]).join('');
      default:
        return words[next(words.length)];
    }
  };
  if (next(40) === 0) return Buffer.alloc(0);
  if (next(30) === 0) return Uint8Array.from({ length: next(20) }, () => next(256));
  const parts = Array.from(
    { length: 1 + next(next(10) === 0 ? 80 : 5) },
    () => segment() + delimiters[next(delimiters.length)].repeat(1 + Number(next(9) === 0)),
  );
  const text = parts.join('').slice(0, next(3) === 0 ? undefined : -1);
  if (next(25) === 0) return Buffer.from(`${['long', 'größe', '😀'][next(3)].repeat(60 + next(40))}:${text}`);
  return Buffer.from(text);
}

function made(seed: number, count: number): MadeKey[] {
  const next = numbers(seed);
  return Array.from({ length: count }, () => ({
    key: keyOf(next),
    apart: next(10) === 0,
    dropped: next(12) === 0,
    type: TYPES[next(TYPES.length)],
    db: next(3) === 0 ? next(300) : next(4),
    encoding: next(ENCODINGS.length),
    memory: next(20) === 0 ? next(2 ** 31) * 4096 : next(3000) / (next(2) + 1),
    elements: next(4) === 0 ? next(2 ** 32) : next(200),
    largest: next(5000),
    size: next(1 << 16),
    digest: next(3) === 0 ? 1 + next(40) : 0,
    fields: next(5) === 0 ? 1 + next(10) : 0,
    fieldBytes: next(100),
    ...(next(3) === 0
      ? { expireAt: [NOW, 0, -5, NOW + 1, NOW - 1, NOW + next(2 ** 32), NOW + next(2 ** 32) * 1000, 2 ** 60][next(8)] }
      : {}),
    ...(next(3) === 0 ? { idle: [0, 60, 61, next(2 ** 32), 2 ** 40][next(5)] } : {}),
    ...(next(3) === 0 ? { freq: next(256) } : {}),
  }));
}

/** All that is counted, as plain arrays: only addresses are left out. */
function stateOf(tally: Tally): Record<string, unknown> {
  const { databases, expired, expiring, fieldSets, frequency, idle, left, prefixes, sizes, slots } = tally;
  const tree = prefixes as unknown as Record<'doubles' | 'histograms' | 'mixes' | 'names' | 'table' | 'state' | 'words', Float64Array> & {
    sketch?: Int32Array;
  };
  return {
    databases: [...databases].map(([db, cells]) => [db, Array.from(cells)]).sort(([a], [b]) => Number(a) - Number(b)),
    ...{ expired, expiring, frequency, idle, left, sizes, slots },
    nodes: prefixes.nodes,
    missing: prefixes.missing,
    words: tree.words.slice(0, prefixes.nodes * NODE_WORDS),
    names: tree.names.slice(0, tree.state[TREE_NAMES_LENGTH]),
    ...{ table: tree.table.slice(0, tree.state[TREE_MASK] + 2), sketch: tree.sketch, mixes: tree.mixes, histograms: tree.histograms },
    shared: fieldSets.shared,
    duplicates: tally.duplicates.found,
    top: [tally.topMemory.sorted, tally.topElements.sorted, tally.topLargest.sorted],
    big: [tally.bigKeys, tally.manyElements, tally.bigCollections],
  };
}

function tallied(keys: readonly (readonly MadeKey[])[], more: Partial<Options>, compiled: boolean): Tally {
  const kernels = Kernels.create(112 << 20);
  if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
  const tally = new Tally({ ...options, ...more }, compiled ? kernels : TS_CODEC);
  for (const some of keys) {
    const batch = batchOf(kernels, some);
    tally.rows(batch, batch.to, measuresOf(kernels, some));
  }
  return tally;
}

describe('the kernel counts as the TypeScript does', () => {
  const same = (keys: readonly (readonly MadeKey[])[], more: Partial<Options> = {}): void => {
    const state = stateOf(tallied(keys, more, true));
    const reference = stateOf(tallied(keys, more, false));
    for (const [name, values] of Object.entries(reference)) expect(isDeepStrictEqual(state[name], values), name).toBe(true);
  };

  test('any keys', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 2, 5, 64), fc.constantFrom(':', ':;,_-+@=|#', '/'), (seed, depth, delimiters) => {
        same([made(seed, 400), made(seed + 1, 400)], { depth, delimiters: Buffer.from(delimiters) });
      }),
      { numRuns: 10 },
    );
  });

  test('also when nodes have to go', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 4, max: 40 }), (seed, kept) => {
        same([made(seed, 600), made(seed + 1, 600), made(seed + 2, 600)], { capacity: 2 * kept + 50, kept });
      }),
      { numRuns: 10 },
    );
  });

  test('64 segments, and more', () => {
    same([[{ key: 'a:'.repeat(64) }, { key: 'a:'.repeat(65) }, { key: 'b:'.repeat(63) }, { key: `c:${'1:'.repeat(70)}` }]], { depth: 64 });
  });

  test('many keys under one prefix, with a histogram, of one type and of several', () => {
    const keys = Array.from({ length: 100 }, (_, i) => ({ key: `user:${i}`, memory: i + 0.5, type: redisType(i < 50 ? 0 : 2) }));
    same([keys, keys]);
  });

  test('most rows are left to nobody', () => {
    const kernels = Kernels.create(112 << 20);
    if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
    let calls = 0;
    const counting = new Proxy(kernels, {
      get: (target, name) => {
        if (name === 'tallyRows') calls++;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value as (...words: unknown[]) => unknown).bind(target) : value;
      },
    });
    const tally = new Tally(options, counting);
    const keys = Array.from({ length: 500 }, (_, i) => ({ key: `user:${i}:${i % 7}` }));
    const batch = batchOf(kernels, keys);
    tally.rows(batch, batch.to, measuresOf(kernels, keys));
    expect(calls).toBeLessThan(5);
  });

  test('keys of any length, in the window and held apart', () => {
    const long = 'x'.repeat(300_000);
    const keys = [long, `${long}:y`, `a:${long}`, `${long}${long}${long}${long}`].flatMap((key) => [{ key }, { key, apart: true }]);
    same([keys, keys]);
  });
});

describe('amounts', () => {
  const tally = tallied([made(1, 1000), made(2, 1000)], {}, true);
  const keys = [...made(1, 1000), ...made(2, 1000)].filter(({ dropped }) => dropped !== true);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

  test('of databases', () => {
    for (const [db, cells] of tally.databases) {
      const own = keys.filter((key) => key.db === db);
      expect(sum(Array.from({ length: cells.length / CELL }, (_, i) => cells[i * CELL + CELL_KEYS]))).toBe(own.length);
      expect(sum(Array.from({ length: cells.length / CELL }, (_, i) => cells[i * CELL + CELL_MEMORY]))).toBeCloseTo(
        sum(own.map(({ memory = 0 }) => memory)),
      );
    }
  });

  test('of expiries: those expired, those not yet, and none', () => {
    const expired = keys.filter(({ expireAt }) => expireAt !== undefined && expireAt <= NOW);
    const expiring = keys.filter(({ expireAt }) => expireAt !== undefined && expireAt > NOW);
    expect(amountOf(tally.expired).keys).toBe(expired.length);
    expect(amountOf(tally.expiring).keys).toBe(expiring.length);
  });

  test('of slots', () => {
    const slots = new Map<number, number>();
    for (const { key } of keys) {
      const bytes = Buffer.from(key as Uint8Array);
      const slot = keySlot(bytes, 0, bytes.length);
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    }
    for (const [slot, count] of slots) expect(tally.slots[slot * SLOT_CELL + CELL_KEYS]).toBe(count);
    expect(sum(Array.from({ length: 16384 }, (_, slot) => tally.slots[slot * SLOT_CELL + CELL_KEYS]))).toBe(keys.length);
  });
});

test('more than 1,024 databases: the others count as one', () => {
  const keys = Array.from({ length: 1500 }, (_, db) => ({ key: 'k', db: db === 1499 ? 2 ** 31 - 1 : db }));
  const tally = tallied([keys], {}, true);
  expect(tally.databases.size).toBe(1025);
  const others = tally.databases.get(OTHER_DATABASES) ?? [];
  expect(
    Array.from(others)
      .filter((_, i) => i % CELL === CELL_KEYS)
      .reduce((a, b) => a + b, 0),
  ).toBe(476);
});

describe('lists', () => {
  const listed = (keys: MadeKey[], more: Partial<Options> = {}): Tally => tallied([keys], more, true);

  test('the elements of strings are their bytes: they are in no list of elements, and no collections', () => {
    const tally = listed([
      { key: 's', elements: 1e6, memory: 1e6 },
      { key: 'l', type: redisType(1), elements: 5, memory: 10 },
    ]);
    expect(tally.topMemory.sorted.map(({ key }) => key)).toEqual(['s', 'l']);
    expect(tally.topElements.sorted.map(({ key }) => key)).toEqual(['l']);
    expect([tally.bigKeys, tally.manyElements, tally.bigCollections.keys]).toEqual([1, 0, 0]);
  });

  test('over both limits, a key is one big collection', () => {
    const tally = listed([
      { key: 'h', type: redisType(4), elements: 101, memory: 1001 },
      { key: 'i', type: redisType(4), elements: 100, memory: 1000 },
    ]);
    expect([tally.bigKeys, tally.manyElements, tally.bigCollections]).toEqual([1, 1, { keys: 1, memory: 1001 }]);
  });

  test('a key with all that is known of it', () => {
    const [key] = listed([{ key: 'k', db: 3, expireAt: NOW + 5, idle: 7, freq: 9, size: 123, memory: 88, largest: 4, encoding: 2 }])
      .topMemory.sorted;
    expect(key).toEqual({
      ...{
        source: 0,
        db: 3,
        key: 'k',
        type: 'string',
        encoding: 'raw',
        bytes: 123,
        memory: 88,
        elements: 1,
        largest: 4,
        slot: keySlot(Buffer.from('k'), 0, 1),
      },
      ...{ expireAt: NOW + 5, idle: 7, freq: 9 },
    });
  });

  test('long names are cut between characters', () => {
    const [key] = listed([{ key: `a${'ö'.repeat(600)}` }]).topMemory.sorted;
    expect([key.key, key.keyLength]).toEqual([`a${'ö'.repeat(511)}`, 1201]);
  });

  test('none at all', () => {
    const tally = listed([{ key: 'k', memory: 1e9 }], { top: 0 });
    expect([tally.topMemory.sorted, tally.topElements.sorted, tally.topLargest.sorted]).toEqual([[], [], []]);
  });
});

describe('delimiters that are found out', () => {
  test('from the first batch that has keys', () => {
    const tally = tallied([[{ key: 'a:b', dropped: true }], [{ key: 'x/y' }, { key: 'x/z' }]], { delimiters: undefined }, true);
    expect(Buffer.from(tally.prefixes.delimiters).toString()).toBe('/');
    expect(tally.prefixes.nodes).toBe(2);
  });
});
