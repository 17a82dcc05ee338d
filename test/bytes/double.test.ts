import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DOUBLE_SIZE, doubleText, parseDouble, writeDouble } from '../../src/bytes/double.js';
import { bytes, f64, le } from '../support/support.js';
import { written } from '../support/written.js';

describe('doubles', () => {
  const bits = fc.bigInt(0n, 2n ** 64n - 1n).map((n) => new Float64Array(le(n, 8).slice().buffer)[0]);
  const short = fc.tuple(fc.integer(), fc.integer({ min: 0, max: 12 }), fc.integer({ min: -3, max: 3 })).map(([m, k, step]) => {
    const value = f64(m / 10 ** k);
    return new Float64Array(le(BigInt.asUintN(64, new BigInt64Array(value.buffer)[0]) + BigInt(Math.max(step, 0)), 8).slice().buffer)[0];
  });
  const any = fc.oneof(bits, short, fc.double(), fc.bigInt(-(2n ** 70n), 2n ** 70n).map(Number), fc.constantFrom(0, -0, 5e-324, Number.MAX_VALUE, 1e15, 1e15 - 0.125, 1e21, 0.001, 0.0005, 999999999999.999, 2 ** 53, NaN, Infinity, -Infinity));

  test('come back exactly, and in no more letters than JavaScript takes', () => {
    fc.assert(
      fc.property(any, (value) => {
        const text = written(DOUBLE_SIZE, (out, o) => writeDouble(value, out, o));
        if (!Number.isFinite(value)) expect(JSON.parse(text)).toBe(Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');
        else {
          expect(Object.is(JSON.parse(text), value), text).toBe(true);
          expect(text.length).toBeLessThanOrEqual(Object.is(value, -0) ? 2 : String(value).length);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    ['1.5', 1.5],
    ['-0', -0],
    ['1e-7', 1e-7],
    ['+3.', 3],
    ['.5', 0.5],
    ['1.7976931348623157e+308', Number.MAX_VALUE],
    ['4.9406564584124654e-324', 5e-324],
    ['inf', Infinity],
    ['-inf', -Infinity],
    ['nan', NaN],
    ['-nan', NaN],
    ['', undefined],
    ['1x', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['1e', undefined],
    ['.', undefined],
  ])('are read from %j', (text, want) => {
    expect(parseDouble(bytes(9, text, 9), 1, 1 + text.length)).toBe(want);
  });

  // redis 8.8 sparsearray.c, arFormatFloat: d2string, which writes integers up to 2^62 in full, and `.0` where it looks like one.
  test.each([
    [3, '3.0'],
    [-3, '-3.0'],
    [1.25, '1.25'],
    [-0.000001, '-0.000001'],
    [1e15, '1000000000000000.0'],
    [12345678901234567000, '12345678901234567000.0'],
    [-0, '-0.0'],
    [2 ** 60, '1152921504606846976.0'],
  ])('of an array print as Redis prints them: %d', (value, want) => {
    expect(written(40, (out, o) => doubleText(value, out, o))).toBe(want);
  });
});
