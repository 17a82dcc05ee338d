import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/values/targets.js';
import type { Amount, PrefixNode } from '../../src/inspect/report.js';
import { type MadeKey, redisType, reportOfKeys } from '../support/inspect-support.js';

const NOW = 1_700_000_000_000;
const sum = (amounts: readonly Amount[]): Amount =>
  amounts.reduce(
    (a, b) => ({ keys: a.keys + b.keys, bytes: a.bytes + b.bytes, memory: a.memory + b.memory, elements: a.elements + b.elements }),
    { keys: 0, bytes: 0, memory: 0, elements: 0 },
  );
const amount = ({ bytes, elements, keys, memory }: Amount): Amount => ({ keys, bytes, memory, elements });

const madeKey: fc.Arbitrary<MadeKey> = fc.record({
  key: fc.oneof(fc.string({ maxLength: 8 }), fc.stringMatching(/^[abc]:[ab]:\d{0,2}$/)),
  type: fc.constantFrom(...[0, 1, 2, 4, 5, 15, 16].map(redisType)),
  db: fc.constantFrom(0, 1, 300),
  encoding: fc.nat(5),
  memory: fc.nat(10_000),
  elements: fc.nat(1000),
  size: fc.nat(1000),
  expireAt: fc.option(
    fc.integer({ min: -5, max: 5 }).map((by) => NOW + by),
    { nil: undefined },
  ),
});

describe('any keys', () => {
  test('all parts add up to the whole', () => {
    fc.assert(
      fc.property(fc.array(madeKey, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (keys, shards) => {
        const { databases, encodings, expiry, memory, prefixes, slots, totals, types } = reportOfKeys(keys, { shards });
        expect(totals.keys).toBe(keys.length);
        for (const parts of [databases, types, encodings, slots.shards ?? []]) expect(sum(parts)).toEqual(amount(totals));
        expect(expiry.none.keys + expiry.expired.keys + expiry.left.reduce((all, bucket) => all + bucket.keys, 0)).toBe(totals.keys);
        expect(expiry.none.memory + expiry.expired.memory + expiry.left.reduce((all, bucket) => all + bucket.memory, 0)).toBe(
          totals.memory,
        );
        expect([expiry.expired.keys, totals.keys - expiry.none.keys]).toEqual([totals.expired, totals.withExpiry]);
        expect(slots.slots.reduce((all, [, count]) => all + count, 0)).toBe(totals.keys);
        expect(memory.dataset).toBe(totals.memory + memory.tables + memory.functions + memory.other);
        const visit = (node: PrefixNode): void => {
          const { children = [], rest } = node;
          const below = sum([...children, ...(rest === undefined ? [] : [rest])]);
          if (children.length > 0) expect(below).toEqual(rest === undefined ? amount(sum(children)) : amount(node));
          expect(Object.values(node.types).reduce((all, one) => all + one, 0)).toBe(node.memory);
          children.forEach(visit);
        };
        visit(prefixes.root);
      }),
      { numRuns: 30 },
    );
  });

  test('of a sample: scaled up, and nothing below 0', () => {
    fc.assert(
      fc.property(fc.array(madeKey, { maxLength: 60 }), fc.double({ min: 0.001, max: 0.999, noNaN: true }), (keys, share) => {
        const report = reportOfKeys(keys, { share });
        expect(report.sample).toEqual({ share, keys: keys.length });
        expect(report.totals.keys).toBe(Math.round(keys.length / share));
        const visit = ({ children = [], rest }: PrefixNode): void => {
          if (rest !== undefined) for (const value of Object.values(rest)) expect(value).toBeGreaterThanOrEqual(0);
          children.forEach(visit);
        };
        visit(report.prefixes.root);
      }),
      { numRuns: 30 },
    );
  });
});

test('the heaviest prefixes, and what is under none of them', () => {
  const letters = (i: number): string =>
    [i % 26, Math.floor(i / 26) % 26, Math.floor(i / 676)].map((n) => String.fromCharCode(97 + n)).join('');
  const { prefixes } = reportOfKeys(
    Array.from({ length: 12_000 }, (_, i) => ({ key: `${letters(i)}:x`, memory: i + 1 })),
    { capacity: 1 << 14 },
  );
  expect(prefixes.nodes).toBe(12_000);
  expect(prefixes.root.children).toHaveLength(10_000);
  expect(prefixes.root.children?.[0].memory).toBe(12_000);
  expect(prefixes.root.rest).toMatchObject({ keys: 2000, prefixes: 2000, memory: (2000 * 2001) / 2 });
  expect(prefixes.error).toEqual({ keys: 0, memory: 0 });
});

test('for a target: types that it reads otherwise, each once, and those that it cannot hold', () => {
  const keys: MadeKey[] = [
    { key: 'h', type: redisType(16) },
    { key: 'i', type: redisType(16) },
    { key: 's', type: redisType(0) },
    { key: 'a', type: redisType(28) },
  ];
  const { target } = reportOfKeys(keys, { target: parseTarget('6.2') });
  expect(target?.rewritten.map(({ keys: count, type }) => [type, count])).toEqual([['HASH_LISTPACK', 2]]);
  expect(target?.impossible.map(({ reason, type }) => [type, reason])).toEqual([['ARRAY', 'Redis 6.2 has no values of type array']]);
});

test('no keys', () => {
  const report = reportOfKeys([]);
  expect(report).toMatchObject({
    complete: true,
    types: [],
    encodings: [],
    databases: [],
    warnings: [],
    advice: [],
    totals: { keys: 0 },
    prefixes: { nodes: 0 },
  });
  expect(report.prefixes.root.children).toBeUndefined();
});
