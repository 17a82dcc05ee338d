import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addToBuckets, bucketsOf, FREQUENCIES, IDLE_TIMES, startBuckets, TIMES_LEFT } from '../../src/inspect/buckets.js';
import { BUCKETS, BUCKETS_MOST } from '../../src/kernels/layout.js';

test('a value is in the first bucket whose end it does not exceed', () => {
  fc.assert(
    fc.property(fc.constantFrom(TIMES_LEFT, IDLE_TIMES, FREQUENCIES), fc.array(fc.tuple(fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1).map((n) => n * 100)), fc.nat(1000))), (ends, values) => {
      const doubles = new Float64Array(BUCKETS);
      startBuckets(doubles, ends);
      for (const [value, memory] of values) addToBuckets(doubles, value, memory);
      let from = -Infinity;
      for (const { keys, memory, upTo } of bucketsOf(doubles, 1)) {
        const inside = values.filter(([value]) => value > from && value <= (upTo ?? Infinity));
        expect([keys, memory]).toEqual([inside.length, inside.reduce((sum, [, one]) => sum + one, 0)]);
        from = upTo ?? Infinity;
      }
    }),
  );
});

test('scaled up, and no more than there is room for', () => {
  const doubles = new Float64Array(BUCKETS);
  startBuckets(doubles, [1]);
  addToBuckets(doubles, 1, 10);
  expect(bucketsOf(doubles, 100)).toEqual([{ upTo: 1, keys: 100, memory: 1000 }, { upTo: null, keys: 0, memory: 0 }]);
  expect(() => startBuckets(doubles, Array<number>(BUCKETS_MOST + 1).fill(0))).toThrow(TypeError);
});
