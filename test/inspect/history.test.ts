import { expect, test } from 'vitest';
import { historyEntry, historyLine, historyOf } from '../../src/inspect/history.js';
import type { HistoryEntry } from '../../src/inspect/report.js';
import { reportOfKeys } from '../support/inspect-support.js';

const entry: HistoryEntry = {
  at: 5,
  sources: ['a.rdb'],
  keys: 1,
  bytes: 2,
  memory: 3,
  withExpiry: 0,
  types: { string: 3 },
  prefixes: { 'a:': 3 },
};

test('lines come back as entries', () => {
  let text = '';
  for (let i = 0; i < 3; i++) text += historyLine(text, { ...entry, at: i });
  expect(historyOf(text).map(({ at }) => at)).toEqual([0, 1, 2]);
  expect(text.endsWith('\n')).toBe(true);
});

test('what was cut before ends at the next line, and is passed over', () => {
  const cut = historyLine('', entry).slice(0, -9);
  const text = cut + historyLine(cut, { ...entry, at: 6 });
  expect(historyOf(text)).toEqual([{ ...entry, at: 6 }]);
});

test.each([
  '',
  'null',
  '1',
  '[]',
  '{}',
  '"x"',
  '{"at":1}',
  JSON.stringify({ ...entry, types: { string: 'x' } }),
  JSON.stringify({ ...entry, types: [] }),
  JSON.stringify({ ...entry, prefixes: null }),
  JSON.stringify({ ...entry, sources: [1] }),
  JSON.stringify({ ...entry, savedAt: 'x' }),
  JSON.stringify({ ...entry, keys: null }),
])('no entry: %s', (line) => {
  expect(historyOf(`${line}\n${JSON.stringify(entry)}\n`)).toEqual([entry]);
});

test('an entry has totals, types, and the heaviest top-level prefixes', () => {
  const report = reportOfKeys(
    Array.from({ length: 40 }, (_, i) => ({ key: `${String.fromCharCode(97 + (i % 26))}${i > 25 ? 'x' : ''}:y`, memory: 100 + i })),
  );
  const made = historyEntry(report);
  expect(made).toMatchObject({ at: report.at, keys: 40, memory: report.memory.dataset, types: { string: report.totals.memory } });
  expect(Object.keys(made.prefixes)).toHaveLength(20);
  expect(Object.values(made.prefixes)[0]).toBe(139);
});
