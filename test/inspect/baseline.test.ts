import { expect, test } from 'vitest';
import { baselineReport } from '../../src/inspect/baseline.js';
import { redisType, reportOfKeys } from '../support/inspect-support.js';

const NOTHING = { keys: 0, bytes: 0, memory: 0, elements: 0 };

test('what grew, came and went, by type and prefix, the greatest changes first', () => {
  const before = reportOfKeys([
    { key: 'same:x', memory: 5 },
    { key: 'gone:x', memory: 50, type: redisType(4) },
    { key: 'grown:x', memory: 1 },
  ]);
  const after = reportOfKeys([
    { key: 'same:x', memory: 5 },
    { key: 'new:x', memory: 7, type: redisType(2) },
    { key: 'grown:x', memory: 100 },
  ]);
  const { complete, prefixes, sources, totals, types } = baselineReport(['old.rdb'], before, after);
  expect([complete, sources]).toEqual([true, ['old.rdb']]);
  expect([totals.before.memory, totals.after.memory]).toEqual([56, 112]);
  expect(types.map(({ after: now, before: then, type }) => [type, then.memory, now.memory])).toEqual([
    ['string', 6, 105],
    ['hash', 50, 0],
    ['set', 0, 7],
  ]);
  expect(prefixes.map(({ prefix }) => prefix)).toEqual(['grown:', 'gone:', 'new:']);
  expect([prefixes[1].after, prefixes[2].before]).toEqual([NOTHING, NOTHING]);
});
