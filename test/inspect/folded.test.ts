import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldedStacks } from '../../src/inspect/folded.js';
import { reportOfKeys } from '../support/inspect-support.js';

test('a line for each prefix, with the memory that no longer prefix has', () => {
  const report = reportOfKeys([{ key: 'a:b:x', memory: 10 }, { key: 'a:c', memory: 5 }, { key: 'x', memory: 3 }]);
  expect(foldedStacks(report)).toBe('all 3\nall;a: 5\nall;a:;b: 10\n');
});

test('any keys: the lines add up, and names break none', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a;b:c', 'a\n:b', 'a :b', 'é:\u202e:x')), fc.integer({ min: 1, max: 1000 }))), (keys) => {
      const report = reportOfKeys(keys.map(([key, memory]) => ({ key, memory })));
      const lines = foldedStacks(report).split('\n').slice(0, -1);
      const found = lines.map((line) => /^all(;[^;\n\r]*)* (\d+)$/.exec(line)?.[2]);
      expect(found.reduce((sum, memory) => sum + Number(memory), 0)).toBe(report.totals.memory);
    }),
    { numRuns: 30 },
  );
});
