import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { htmlReport, MOST_BYTES } from '../../src/inspect/html.js';
import type { PrefixNode, Report } from '../../src/inspect/report.js';
import { LIMITS, trimmed, type PageData } from '../../src/inspect/trim.js';
import { emptyReport, HOSTILE, makeReport, oneKeyReport } from '../support/report.js';

const dataOf = (html: string): string => /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? '';
const parsed = (html: string): PageData => JSON.parse(dataOf(html)) as PageData;

const countNodes = (node: PrefixNode): number => (node.children ?? []).reduce((sum, child) => sum + countNodes(child), 1);

/** Memory of leaves and rests: what a treemap shows of a tree without keys between its levels. */
const shown = (node: PrefixNode): number =>
  node.children === undefined && node.rest === undefined
    ? node.memory
    : (node.children ?? []).reduce((sum, child) => sum + shown(child), node.rest?.memory ?? 0);

test('a small report is in it as it is', () => {
  for (const report of [makeReport(), makeReport({ history: true, baseline: true, shards: 6 }), emptyReport(), oneKeyReport()]) {
    expect(parsed(htmlReport(report))).toEqual({ report: JSON.parse(JSON.stringify(report)) as Report, cut: { lists: {}, texts: 0 } });
  }
});

test('names end no script, and are the same when parsed', () => {
  const html = htmlReport(makeReport({ hostile: true }));
  expect(dataOf(html)).not.toMatch(/[<>&\u2028\u2029\u202e\n]/);
  const names = parsed(html).report.prefixes.root.children?.map(({ name }) => name);
  for (const name of HOSTILE.filter(({ length }) => length < 500)) expect(names).toContain(name);
  const separators = htmlReport(oneKeyReport('a\u2028b\u2029c\ud800d\u{e0041}$& $1 $`'));
  expect(dataOf(separators)).not.toMatch(/[\u2028\u2029\u{e0041}]/u);
  expect(parsed(separators).report.top.memory[0].key).toBe('a\u2028b\u2029c\ud800d\u{e0041}$& $1 $`');
});

test('its policy allows its own script and style, by their hashes, and nothing else', () => {
  const html = htmlReport(makeReport());
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
  const hash = (tag: string) =>
    `'sha256-${createHash('sha256')
      .update(new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(html)?.[1] ?? '')
      .digest('base64')}'`;
  expect(policy).toBe(
    `default-src 'none'; script-src ${hash('script')}; style-src ${hash('style')}; img-src data:; base-uri 'none'; form-action 'none'`,
  );
  expect(html).not.toMatch(/(?:src|href)="?(?:https?:|\/\/)/);
  expect(html.match(/<!--(?:policy|style|script|licences|data)-->/)).toBeNull();
});

test('the licences of what is bundled are in it', () => {
  const html = htmlReport(emptyReport());
  for (const holder of ['Copyright 2010-2026 Mike Bostock', 'Copyright (c) 2022 Leon Sorokin']) expect(html.includes(holder)).toBe(true);
});

test('less than 2 MB, whatever the report has', () => {
  const tree = (breadth: number, depth: number, prefix: string): readonly PrefixNode[] =>
    Array.from({ length: breadth }, (_, i) => {
      const name = `${String(i).repeat(40)}:`;
      const memory = Math.round(1e9 / (i + 1) ** 1.2 / 8 ** (prefix.length / 40));
      const children = depth > 1 ? tree(breadth, depth - 1, prefix + name) : undefined;
      return {
        name,
        prefix: prefix + name,
        types: { string: 1 },
        keys: memory / 100,
        bytes: memory / 2,
        memory,
        elements: memory,
        withExpiry: 0,
        expired: 0,
        ...(children && { children }),
      };
    });
  const base = makeReport({ top: 2000 });
  const many: Report = {
    ...base,
    prefixes: { ...base.prefixes, root: { ...base.prefixes.root, memory: 1e11, children: tree(36, 3, '') } },
  };
  expect(countNodes(many.prefixes.root)).toBeGreaterThan(47_000);
  const html = htmlReport(many);
  expect(Buffer.byteLength(html)).toBeLessThan(MOST_BYTES);
  const { report, cut } = parsed(html);
  expect(countNodes(report.prefixes.root)).toBe(LIMITS.nodes);
  expect(cut.lists['top.memory']).toBe(2000 - LIMITS.list);

  const long = '\u0000<\u202e'.repeat(300_000);
  const hostile: Report = {
    ...many,
    top: { memory: base.top.memory.map((key) => ({ ...key, key: long })), elements: base.top.memory, largest: base.top.memory },
    warnings: Array.from({ length: 100_000 }, () => ({ kind: 'bigKey' as const, text: long })),
    sources: Array.from({ length: 5000 }, () => ({ ...base.sources[0], name: long, warnings: Array.from({ length: 50 }, () => long) })),
    history: Array.from({ length: 300 }, (_, at) => ({
      ...base.totals,
      at,
      sources: [long],
      types: {},
      prefixes: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}${long.slice(0, 5000)}`, i])),
    })),
  };
  const largest = htmlReport(hostile);
  expect(Buffer.byteLength(largest)).toBeLessThan(MOST_BYTES);
  expect(parsed(largest).report.history?.at(-1)?.at).toBe(299);
  expect(parsed(largest).cut.lists['warnings']).toBeGreaterThan(99_000);
  expect(parsed(largest).report.top.memory[0].key).toMatch(/… \(900000 characters\)$/);
});

test('prefixes that are left out are in the rest of their parent: nothing is lost', () => {
  const report = makeReport({ prefixes: 5000 });
  const small = trimmed(report, { ...LIMITS, nodes: 60 }).report.prefixes.root;
  expect(countNodes(small)).toBe(60);
  expect(Math.round(shown(small) / 1e4)).toBe(Math.round(shown(report.prefixes.root) / 1e4));
  const listed = (node: PrefixNode): number =>
    (node.children ?? []).reduce((sum, child) => sum + listed(child), 1 + (node.rest?.prefixes ?? 0));
  expect(small.rest?.prefixes).toBeGreaterThan(4900);
  expect(small.children?.find(({ name }) => name === 'cache:')?.rest?.prefixes).toBeGreaterThanOrEqual(412);
  expect(listed(small)).toBeGreaterThan(5000);
});

test('a prefix with many small keys stays, though it has little memory', () => {
  const report = makeReport({ prefixes: 5000 });
  const children = report.prefixes.root.children ?? [];
  const flags: PrefixNode = {
    ...children[0],
    name: 'flag:',
    prefix: 'flag:',
    memory: 10,
    bytes: 10,
    elements: 10,
    keys: report.totals.keys / 2,
    children: [],
  };
  const root = { ...report.prefixes.root, children: [...children, flags] };
  const names = trimmed({ ...report, prefixes: { ...report.prefixes, root } }, { ...LIMITS, nodes: 60 }).report.prefixes.root.children?.map(
    ({ name }) => name,
  );
  expect(names).toContain('flag:');
});
