import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addToHistogram, percentilesOf } from '../../src/inspect/histogram.js';
import { HISTOGRAM } from '../../src/kernels/layout.js';

const percentiles = (values: readonly number[]): ReturnType<typeof percentilesOf> => {
  const doubles = new Float64Array(HISTOGRAM + 5);
  for (const value of values) addToHistogram(doubles, 5, value);
  return percentilesOf(doubles, 5, values.reduce((sum, value) => sum + value, 0));
};

test('percentiles within 1/64 of those of the sorted values, and exact below 64', () => {
  const value = fc.oneof(fc.nat(100), fc.nat(100_000), fc.nat(2 ** 31 - 1), fc.maxSafeInteger().map(Math.abs), fc.constant(Number.MAX_SAFE_INTEGER));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), (values) => {
      const sorted = [...values].sort((a, b) => a - b);
      const found = percentiles(values);
      for (const [name, share] of [['p50', 0.5], ['p90', 0.9], ['p99', 0.99], ['p999', 0.999], ['max', 1]] as const) {
        const truth = sorted[Math.ceil(sorted.length * share) - 1];
        if (truth < 64 || name === 'max') expect(found[name]).toBe(truth);
        expect(Math.abs(found[name] - truth)).toBeLessThanOrEqual(truth / 64);
        expect(found[name]).toBeLessThanOrEqual(sorted[sorted.length - 1]);
      }
      expect(found.mean).toBe(Math.round(values.reduce((sum, one) => sum + one, 0) / values.length));
    }),
  );
});

test('of nothing, of fractions, and of more than numbers are exact for', () => {
  expect(percentiles([])).toEqual({ mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  expect(percentiles([2.5])).toMatchObject({ p50: 2.5, max: 2.5 });
  expect(percentiles([1e300])).toMatchObject({ p50: 1e300, max: 1e300 });
});
