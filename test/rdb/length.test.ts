import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLength } from '../../src/rdb/length.js';
import { bytes, len } from '../support/support.js';

test('lengths give back any number in any form that holds it', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 0, max: 63 }), fc.constantFrom(1, 2, 5, 9), (any, shift, form) => {
      const value = BigInt.asUintN({ 1: 6, 2: 14, 5: 32, 9: 64 }[form], any >> BigInt(shift));
      const read = { value: 0, hi: 0, lo: 0 };
      expect(readLength(bytes(9, len(value, form)), 1, 1 + form, read)).toBe(1 + form);
      expect((BigInt(read.hi) << 32n) | BigInt(read.lo)).toBe(value);
      expect(read.value).toBe(Number(value));
    }),
  );
});
