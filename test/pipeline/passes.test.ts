import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { DROPPED, FILTERED } from '../../src/kernels/layout.js';
import { sampleKeys } from '../../src/pipeline/passes.js';
import { batchOf, type MadeKey } from '../support/inspect-support.js';

const kept = (keys: readonly MadeKey[], share: number): boolean[] => {
  const batch = batchOf(TS_CODEC, keys);
  sampleKeys(share)(batch);
  return keys.map((_, row) => {
    if (batch.table.has(row, DROPPED) && keys[row].dropped !== true) expect(batch.table.has(row, FILTERED)).toBe(true);
    return !batch.table.has(row, DROPPED);
  });
};

describe('sampleKeys', () => {
  test.each([0.5, 0.1, 0.01])('keeps about this share, whatever the names have in common: %d', (share) => {
    for (const name of [(i: number) => String(i), (i: number) => `user:${i}:name`, (i: number) => Buffer.from([i, i >> 8, i >> 16]), (i: number) => 'x'.repeat(i % 3000) + String(i)]) {
      const count = kept(Array.from({ length: 20_000 }, (_, i) => ({ key: name(i) })), share).filter(Boolean).length;
      expect(Math.abs(count - 20_000 * share)).toBeLessThan(5 * Math.sqrt(20_000 * share * (1 - share)));
    }
  });

  test('the same keys in every batch and place, and those of a smaller share are among those of a greater one', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 100 }), (names) => {
        const keys = names.map((key) => ({ key }));
        const half = kept(keys, 0.5);
        expect(kept(names.map((key) => ({ key, apart: true, db: 7 })), 0.5)).toEqual(half);
        expect(kept([...keys].reverse(), 0.5).reverse()).toEqual(half);
        kept(keys, 0.25).forEach((isKept, i) => expect(!isKept || half[i]).toBe(true));
      }),
    );
  });

  test('what is dropped stays dropped', () => {
    expect(kept(Array.from({ length: 100 }, (_, i) => ({ key: `${i}`, dropped: true })), 0.9)).not.toContain(true);
  });
});
