import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

/** Who may import whom: the folders of src/ follow the data's journey, and imports go one way (docs/architecture.md). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  bytes: [],
  kernels: ['bytes'],
  encodings: ['bytes'],
  rdb: ['bytes', 'kernels', 'encodings'],
  values: ['bytes', 'kernels', 'encodings', 'rdb', 'io'],
  io: ['bytes', 'kernels', 'rdb'],
  check: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io'],
  redis: ['bytes'],
  pipeline: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io'],
  json: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline'],
  dump: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline', 'json'],
  workers: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline', 'json'],
  live: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'redis', 'pipeline'],
  inspect: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline', 'workers'],
  diff: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline'],
  restore: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'redis', 'pipeline', 'json', 'dump'],
  sync: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'redis', 'pipeline', 'json', 'dump', 'restore', 'live'],
  status: [],
  preflight: ['bytes', 'values', 'redis', 'restore', 'live'],
  commands: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'redis', 'pipeline', 'json', 'dump', 'workers', 'restore', 'inspect', 'live', 'diff', 'sync', 'status', 'preflight'],
  page: ['inspect', 'status'],
  library: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'pipeline', 'json'],
  cli: ['pipeline', 'commands'],
  '.': ['bytes', 'rdb', 'values', 'library'],
};

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.startsWith('kernels/assembly'),
);

const room = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '.');

function imports(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8');
  const paths = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => match[1]);
  return paths.map((path) => relative(src, normalize(join(src, dirname(file), path))).replace(/\.js$/, '.ts'));
}

test('imports go from later rooms to earlier ones only', () => {
  const wrong = files.flatMap((file) =>
    imports(file)
      .filter((imported) => room(imported) !== room(file) && !(MAY_IMPORT[room(file)] ?? []).includes(room(imported)))
      .map((imported) => `${file} imports ${imported}`),
  );
  expect(wrong).toEqual([]);
});

test('no file imports itself by way of others', () => {
  const graph = new Map(files.map((file) => [file, imports(file)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' > '));
    if (done.has(file) || path.includes(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test('every room is in the table', () => {
  expect([...new Set(files.map(room))].filter((name) => !(name in MAY_IMPORT))).toEqual([]);
});

test('a Redis type stands in as many files as CONTRIBUTING.md says', () => {
  const text = readFileSync(join(src, '../CONTRIBUTING.md'), 'utf8');
  const part = text.slice(text.indexOf('**A new Redis type**'), text.indexOf('| as commands, if there are any |'));
  const listed = [...part.slice(part.indexOf('|---')).matchAll(/`(\w+\/[^`]+\.ts)`/g)].map(([, file]) => file.replace('<name>', 'bitmaps'));
  const mention = files.filter((file) => /bitmap/i.test(readFileSync(join(src, file), 'utf8')) && !/^(?:bytes|encodings|cli|page)\/|^inspect\/(?:encodings|memory)/.test(file));
  expect(mention.sort()).toEqual(listed.filter((file) => file !== 'rdb/shapes.ts').sort());
  expect(part).toContain(`**${mention.length} files**`);
});

test('every folder of tests is a room, but for helpers, tests with servers, processes or a browser, and packages that only tests need', () => {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders.filter((name) => !(name in MAY_IMPORT) && !['support', 'servers', 'processes', 'browser', 'nodes', 'duckdb'].includes(name))).toEqual([]);
});

const all = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.test.ts') && !file.includes('node_modules'),
);
const tests = all.filter((file) => !file.startsWith('servers'));

/** Those of test:unit. */
const units = tests.filter((file) => !file.startsWith('processes'));

const config = readFileSync(join(import.meta.dirname, '../vitest.config.ts'), 'utf8');

test('tests that replace modules do not share them with others', () => {
  const [, mocks = ''] = /^const MOCKS = \[([^\]]*)\]/m.exec(config) ?? [];
  const sharing = all.filter((file) => !file.startsWith('processes') && !file.startsWith('browser'));
  const mocking = sharing.filter((file) => /^ *vi\.(?:do)?mock\(/im.test(readFileSync(join(import.meta.dirname, file), 'utf8')));
  expect(mocking.length).toBeGreaterThan(0);
  expect(mocking.filter((file) => !mocks.includes(`'test/${file}'`))).toEqual([]);
});

test('files that vitest.config.ts names are there', () => {
  const named = [...config.matchAll(/'(test\/[^'*]*\.test\.ts)'/g)].map(([, file]) => file);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((file) => !existsSync(join(import.meta.dirname, '..', file)))).toEqual([]);
});

test('only the tests in test/servers start a server', () => {
  expect(
    tests.filter((file) =>
      /TestServer\.start|RedisNode\.start|TestCluster\.start|DocsServers\.start/.test(
        readFileSync(join(import.meta.dirname, file), 'utf8'),
      ),
    ),
  ).toEqual([]);
});

/** What each script imports; types are nothing that runs. */
const imported = new Map<string, readonly string[]>();

function importsOf(file: string): readonly string[] {
  const known = imported.get(file);
  if (known !== undefined) return known;
  const all = readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type\b)(?:[^;']*\bfrom )?'([^']+)'|\bimport\('([^']+)'\)/gm);
  const paths = [...all].map((match) => match.slice(1).join(''));
  const found = paths.map((path) => (path.startsWith('.') ? join(dirname(file), path).replace(/\.js$/, '.ts') : path));
  imported.set(file, found);
  return found;
}

/** With all that is imported by way of others. */
function reached(file: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(file)) return found;
  found.add(file);
  if (file.endsWith('.ts')) for (const path of importsOf(file)) reached(path, found);
  return found;
}

test('only the tests in test/servers and test/processes start processes', () => {
  const starts = (file: string): boolean => reached(join(import.meta.dirname, file)).has('node:child_process');
  expect(units.filter(starts)).toEqual([]);
  expect(tests.filter((file) => file.startsWith('processes') && !starts(file))).toEqual([]);
});
