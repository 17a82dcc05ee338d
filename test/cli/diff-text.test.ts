import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DiffSummary } from '../../src/commands/diff.js';
import { percentText, verdictText } from '../../src/cli/diff-text.js';
import { rdbkit } from '../support/cli-support.js';

const EXAMPLE = join(import.meta.dirname, '../../fixtures/example.rdb');
const NONE = { missing: 0, extra: 0, type: 0, expiry: 0, value: 0 };

const verdict = (found: Partial<DiffSummary>, isWhole = true): string =>
  verdictText({ complete: true, different: 0, kinds: NONE, level: 'keys', ...found } as DiffSummary, { isWhole });

describe('the verdict', () => {
  test('is the same only where all keys were read', () => {
    expect(verdict({})).toBe('the same');
    expect(verdict({}, false)).toBe('no difference found, but not everything was read');
    expect(verdict({ complete: false })).toBe('not compared to the end');
  });

  test('has the kinds of differences', () => {
    expect(verdict({ different: 1, kinds: { ...NONE, extra: 1 } })).toBe('1 key differs (1 extra)');
    expect(verdict({ different: 2, kinds: { ...NONE, type: 1, expiry: 2 } })).toBe('2 keys differ (1 another type, 2 another expiry)');
    expect(verdict({ different: 1200, level: 'counts' })).toBe('1,200 numbers differ');
  });
});

test('a sample is named, in the last line and the object', async () => {
  const { err, out } = await rdbkit(['diff', EXAMPLE, EXAMPLE, '--sample', '29%']);
  expect(out).toBe('');
  expect(err).toMatch(/the same: .*compared by key, a sample of 29 %;/);
  expect(JSON.parse((await rdbkit(['diff', EXAMPLE, EXAMPLE, '--sample', '29%', '--json'])).err)).toMatchObject({
    sample: 0.29,
    same: true,
  });
});

test.each([
  [0.29, '29 %'],
  [0.001, '0.1 %'],
  [1, '100 %'],
  [1e-6, '0.0001 %'],
])('%s is %s', (share, text) => {
  expect(percentText(share)).toBe(text);
});
