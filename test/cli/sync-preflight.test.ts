import { describe, expect, test } from 'vitest';
import { planChecks, stoppedText, stopping, tableLines } from '../../src/cli/sync-preflight.js';
import type { Finding } from '../../src/commands/preflight.js';

const finding = (name: string, outcome: Finding['outcome'], more: Partial<Finding> = {}): Finding => ({
  ...{ name, title: `the ${name}`, side: 'both', source: 'https://example.org', inPlan: false, outcome, found: `${name} was found` },
  ...more,
});

const FINDINGS = [
  finding('version', 'ok'),
  finding('eviction', 'warning', { advice: 'Set noeviction', server: 'b:1' }),
  finding('databases', 'stops', { inPlan: true, advice: 'Map it' }),
  finding('empty', 'stops', { inPlan: true }),
  finding('modules', 'unknown'),
];

const checked = (findings: readonly Finding[]): Parameters<typeof tableLines>[0] => ({
  target: 'new:6379',
  sources: [{ source: 'redis://old', findings, service: [], title: '', instead: {} }],
  meetings: [],
});

describe('the table of a check', () => {
  test('a rule on a line, and what to do below it', () => {
    expect(tableLines(checked(FINDINGS), 'redis://new', Infinity)).toEqual([
      'redis://old into redis://new',
      'ok       version    the version: version was found',
      'warning  eviction   the eviction (b:1): eviction was found',
      '                    > Set noeviction.',
      'stops    databases  the databases: databases was found',
      '                    > Map it.',
      'stops    empty      the empty: empty was found',
      'unknown  modules    the modules: modules was found',
    ]);
  });

  test('on a terminal it is wrapped, and what servers say cannot steer it', () => {
    const long = finding('a', 'ok', { found: `x${' word'.repeat(8)} \u001b[2J` });
    const lines = tableLines(checked([long]), 'redis://new', 40);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.filter((line) => line.length > 40 || line.includes('\u001b'))).toEqual([]);
  });
});

describe('the checks of a plan', () => {
  test('warnings that the plan does not have, and what is not known', () => {
    expect(planChecks(FINDINGS)).toEqual([
      'warning: eviction, the eviction (b:1): eviction was found. Set noeviction.',
      'not checked, since a server does not tell: modules; --check says more',
    ]);
    expect(planChecks([finding('version', 'ok')])).toEqual([]);
  });

  test('what ends a sync, unless it is ignored', () => {
    expect(stopping(FINDINGS).map(({ name }) => name)).toEqual(['databases']); // empty has an error of its own
    expect(stopping(FINDINGS, ['databases'])).toEqual([]);
    expect(stoppedText(stopping(FINDINGS))).toBe(
      'the copy would fail or lose keys: databases: databases was found. Map it. --ignore-check databases makes it all the same.',
    );
  });
});
