import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reportText } from '../../src/cli/report-text.js';
import { width } from '../../src/cli/text-table.js';
import { baselineReport } from '../../src/inspect/baseline.js';
import type { Report, SourceReport } from '../../src/inspect/report.js';
import { parseTarget } from '../../src/values/targets.js';
import { type MadeKey, numbers, redisType, reportOfKeys } from '../support/inspect-support.js';

const source: SourceReport = {
  ...{
    name: 'dump.rdb',
    vendor: 'redis',
    server: '7.0.15',
    rdbVersion: 10,
    savedAt: 1_699_900_000_000,
    usedMemory: 5e6,
    checksum: 'ok',
    size: 1000,
    complete: true,
  },
  ...{ warnings: [], keys: 1, bytes: 1, memory: 1, elements: 1, withExpiry: 0, expired: 0 },
};
const text = (report: Report, more: Partial<Parameters<typeof reportText>[1]> = {}): string =>
  reportText(report, { columns: 80, colour: false, ...more });

/** No line is too long, and nothing but line ends controls the terminal. */
function expectSafe(written: string, columns = 80): void {
  for (const line of written.split('\n')) {
    expect(width(line), line).toBeLessThanOrEqual(columns);
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    expect(line).not.toMatch(/ $/);
  }
  expect(written).toMatch(/[^\n]\n$/);
}

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(
    '\u001b[31m:\r\n:x',
    '\u202e:\u200b:x',
    '日本語:'.repeat(40),
    '😀'.repeat(200),
    `${'x'.repeat(2000)}:y`,
    'a'.repeat(3000),
    ':'.repeat(100),
    'ก็็็็็:x',
    '',
  ),
);

describe('no line is over the width, whatever the keys are', () => {
  test('hostile names', () => {
    const key = fc.record({
      key: hostile,
      type: fc.constantFrom(...[0, 1, 2, 4, 5, 15, 33].map(redisType)),
      db: fc.constantFrom(0, 2 ** 31 - 1),
      encoding: fc.nat(16),
      memory: fc.oneof(fc.nat(1000), fc.maxSafeInteger().map(Math.abs)),
      elements: fc.oneof(fc.nat(1000), fc.nat(2 ** 40)),
      largest: fc.nat(2 ** 40),
      expireAt: fc.option(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 }).map((by) => 1_700_000_000_000 + by * 1000),
        { nil: undefined },
      ),
      idle: fc.nat(1e9),
      freq: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(key, { maxLength: 30 }), fc.boolean(), (keys, isSample) => {
        const report = reportOfKeys(keys, { shards: 3, target: parseTarget('6.2'), ...(isSample ? { share: 0.001 } : {}) });
        expectSafe(text(report));
        expectSafe(text({ ...report, baseline: baselineReport(['old.rdb'], reportOfKeys(keys.slice(5)), report) }));
      }),
      { numRuns: 60 },
    );
  });

  test('names of files, warnings, errors, functions and modules', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (names, complete) => {
          const report = reportOfKeys([{ key: 'a:b' }], {
            sources: names.map((name) => ({
              ...source,
              name,
              server: name,
              complete,
              warnings: [name],
              ...(complete ? {} : { error: name }),
            })),
            functions: names.map((name) => ({ name, source: name, bytes: 1 })),
          });
          expectSafe(text({ ...report, modules: names.map((module) => ({ module, keys: 1, bytes: 1, memory: 1, elements: 1 })) }));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('hundreds of prefixes, sources and warnings, of which some are shown', () => {
    const next = numbers(5);
    const keys: MadeKey[] = Array.from({ length: 2000 }, () => ({
      key: `${String.fromCharCode(97 + next(26), 97 + next(26))}:${String.fromCharCode(97 + next(26))}:x`,
      memory: next(1000),
    }));
    const sources = Array.from({ length: 300 }, (_, i) => ({ ...source, name: `${i}.rdb`, complete: i !== 200, warnings: ['odd'] }));
    const written = text(reportOfKeys(keys, { sources }));
    expectSafe(written);
    expect(written).toContain('200.rdb: Redis 7.0.15, RDB 10');
    expect(written).toContain('NOT READ TO THE END');
    expect(written).toContain('… and 297 more files\n');
    expect(written).toMatch(/! and \d+ more warnings\n/);
    expect(written).toMatch(/\n\d+ others +[\d,]+/);
  });
});

test('one key', () => {
  const written = text(reportOfKeys([{ key: 'user:7', memory: 100 }], { sources: [source] }));
  expectSafe(written);
  expect(written).toMatch(/^dump\.rdb: Redis 7\.0\.15, RDB 10, [^\n]*checksum ok[^]*?\n1 key, 196 B in memory, 46 B in the file\n/);
  expect(written).toContain('user:*     1   100 B  100 %');
});

test('no key, and no source', () => {
  const written = text(reportOfKeys([]));
  expectSafe(written);
  expect(written).not.toContain('Types');
  expect(text(reportOfKeys([], { sources: [{ ...source, rdbVersion: 0, complete: false, error: 'no such file' }] }))).toContain(
    'dump.rdb: not read: no such file\n',
  );
});

test('key names that were cut say so', () => {
  const written = text(reportOfKeys([{ key: 'x'.repeat(2000) }]), { columns: 2000 });
  expect(written).toContain(`"${'x'.repeat(1024)}"…`);
});

test('colours only if asked for', () => {
  const report = reportOfKeys([{ key: 'a', memory: 2 ** 21 }], { sources: [source] });
  expect(text(report)).not.toContain('\u001b');
  const coloured = text(report, { colour: true });
  expect(coloured).toContain('\u001b[33m!\u001b[0m 1 key with more than 1 MiB of memory\n');
  expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(text(report));
});
