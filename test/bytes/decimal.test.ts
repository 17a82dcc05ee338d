import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeInt, writeInt64, writeUint64 } from '../../src/bytes/decimal.js';
import { written } from '../support/written.js';

const borders = (bits: number[]): bigint[] => bits.flatMap((n) => [2n ** BigInt(n) - 1n, 2n ** BigInt(n), -(2n ** BigInt(n)), -(2n ** BigInt(n)) - 1n]);

const halves = (value: bigint): [hi: number, lo: number] => [Number(BigInt.asIntN(32, value >> 32n)), Number(value & 0xffffffffn)];

describe('decimal', () => {
  const powers = Array.from({ length: 20 }, (_, n) => [10n ** BigInt(n) - 1n, 10n ** BigInt(n), 10n ** BigInt(n) + 1n]).flat();
  const any = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.constantFrom(...powers.filter((n) => n < 2n ** 63n), ...borders([8, 16, 31, 32, 52]), -(2n ** 63n)));

  test('integers', () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 60 }), (large, shift) => {
        const value = large >> BigInt(shift);
        expect(written(20, (out, o) => writeInt64(...halves(value), out, o))).toBe(value.toString());
        const safe = BigInt.asIntN(54, value);
        expect(written(17, (out, o) => writeInt(Number(safe), out, o))).toBe(safe.toString());
        const unsigned = BigInt.asUintN(64, value);
        expect(written(20, (out, o) => writeUint64(Number(unsigned >> 32n), Number(unsigned & 0xffffffffn), out, o))).toBe(unsigned.toString());
      }),
      { numRuns: 2000 },
    );
  });
});
