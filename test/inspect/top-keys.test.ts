import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TopKeys } from '../../src/inspect/top-keys.js';

test('the greatest values, of equal ones those that came first, in that order', () => {
  fc.assert(
    fc.property(fc.nat(12), fc.array(fc.nat(20), { maxLength: 200 }), (size, values) => {
      const top = new TopKeys<number>(size);
      values.forEach((value, i) => top.add(value, i));
      const sorted = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
      expect(top.sorted).toEqual(sorted.slice(0, size));
      expect(top.least).toBe(size === 0 ? Infinity : values.length < size ? -1 : values[sorted[size - 1]]);
    }),
  );
});
