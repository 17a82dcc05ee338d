import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Duplicates, FieldSets } from '../../src/inspect/repeats.js';
import { numbers } from '../support/inspect-support.js';

describe('sets of field names', () => {
  test('few of them are counted exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 })), (hashes) => {
        const sets = new FieldSets();
        for (const set of hashes) sets.add(set, set * 10);
        const several = [...new Set(hashes)].map((set) => hashes.filter((other) => other === set)).filter(({ length }) => length > 1);
        const all = several.flat();
        expect(sets.shared).toEqual({ sets: several.length, hashes: all.length, bytes: all.reduce((sum, set) => sum + set * 10, 0) - several.reduce((sum, [set]) => sum + set * 10, 0) });
        expect(sets.dropped).toBe(0);
      }),
    );
  });

  test('of too many, those that hashes share stay, and what is told is too low by `dropped` at most', () => {
    const sets = new FieldSets();
    for (let i = 1; i <= 50_000; i++) {
      sets.add(i, 20);
      sets.add(100_000 + (i % 10), 20);
    }
    const { hashes, sets: shared } = sets.shared;
    expect(shared).toBe(10);
    expect(hashes).toBeLessThanOrEqual(50_000);
    expect(hashes).toBeGreaterThanOrEqual(50_000 - sets.dropped);
    expect(sets.dropped).toBeGreaterThan(0);
  });
});

describe('equal values', () => {
  test('few of them are counted exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 })), (digests) => {
        const duplicates = new Duplicates();
        for (const digest of digests) duplicates.add(digest, digest);
        const later = digests.filter((digest, i) => digests.indexOf(digest) < i);
        expect(duplicates.found).toEqual({ keys: later.length, memory: later.reduce((sum, digest) => sum + digest, 0), exact: true });
      }),
    );
  });

  test('of many, estimated from a sample', () => {
    const next = numbers(3);
    const duplicates = new Duplicates();
    const digests = Array.from({ length: 150_000 }, () => next(2 ** 32) * 2 ** 20 + next(2 ** 20) + 1);
    for (const digest of digests) duplicates.add(digest, 100);
    for (const digest of digests.slice(0, 60_000)) duplicates.add(digest, 100);
    const { exact, keys, memory } = duplicates.found;
    expect(exact).toBe(false);
    expect(Math.abs(keys - 60_000)).toBeLessThan(3000);
    expect(memory).toBe(keys * 100);
  });

  test('digests that are no accident do not take more memory', () => {
    const duplicates = new Duplicates();
    for (let i = 1; i <= 100_000; i++) duplicates.add(i * 4096, 1);
    expect((duplicates as unknown as { values: Map<number, unknown> }).values.size).toBeLessThanOrEqual(1 << 15);
  });
});
