import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { pages, root } from '../support/docs-pages.js';

interface Package {
  readonly scripts: Readonly<Record<string, string>>;
  readonly exports: { readonly '.': { readonly types: string; readonly default: string } };
  readonly main: string;
  readonly types: string;
}

const described = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Package;
const packed = (
  JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' })) as {
    files: { path: string }[];
  }[]
)[0].files.map(({ path }) => path);

test('the fixtures that the docs name are in the package', () => {
  const shipped = pages.filter((page) => packed.includes(page));
  expect(shipped).toContain('docs/decode.md');
  const named = new Set(
    shipped.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\bfixtures\/[\w./-]+\.(?:rdb|aof|jsonl)\b/g)].map(([name]) => name),
    ),
  );
  expect(named.size).toBeGreaterThan(5);
  expect([...named].filter((name) => !packed.includes(name))).toEqual([]);
});

test('the pages of inspect --html and sync --status are in it, beside the command; their sources and the pictures of the docs are not', () => {
  expect(packed).toEqual(expect.arrayContaining(['dist/bin/page.html', 'dist/bin/status-page.html']));
  expect(packed.filter((name) => /(?:^|\/)page\/|\.png$/.test(name))).toEqual([]);
});

test('maps of sources are in it with their sources, or not at all', () => {
  expect(packed.filter((name) => name.endsWith('.map'))).toEqual([]);
  const scripts = packed.filter((name) => /\.(?:js|d\.ts)$/.test(name));
  expect(scripts.length).toBeGreaterThan(10);
  expect(scripts.filter((name) => readFileSync(join(root, name), 'utf8').includes('sourceMappingURL='))).toEqual([]);
});

test('its types are for TypeScript from 4.8 on, where Uint8Array takes no parameter', () => {
  const program = ts.createProgram([join(root, described.types)], { noLib: true, types: [] });
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(join(root, 'dist')));
  expect(ours.length).toBeGreaterThan(10);
  expect(ours.filter(({ text }) => /\bUint8Array</.test(text)).map(({ fileName }) => fileName)).toEqual([]);
});

test('it runs no script when it is installed', () => {
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) expect(described.scripts).not.toHaveProperty(name);
});

test('programs that do not read exports find it', () => {
  expect([described.main, described.types]).toEqual([described.exports['.'].default, described.exports['.'].types]);
});
