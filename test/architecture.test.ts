import { readdirSync, readFileSync } from 'node:fs';
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
  restore: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'redis', 'pipeline', 'json', 'dump'],
  commands: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'redis', 'pipeline', 'json', 'dump', 'workers', 'restore'],
  inspect: ['bytes', 'kernels', 'encodings', 'rdb', 'values', 'io', 'check', 'pipeline'],
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

test('every folder of tests is a room, but for helpers, tests with servers, and binaries of Node', () => {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders.filter((name) => !(name in MAY_IMPORT) && !['support', 'servers', 'nodes'].includes(name))).toEqual([]);
});

const tests = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.test.ts') && !file.startsWith('servers') && !file.includes('node_modules'),
);

test('tests that replace modules do not share them with others', () => {
  const config = readFileSync(join(import.meta.dirname, '../vitest.config.ts'), 'utf8');
  expect(
    tests.filter(
      (file) => /^ *vi\.(?:do)?mock\(/im.test(readFileSync(join(import.meta.dirname, file), 'utf8')) && !config.includes(`'test/${file}'`),
    ),
  ).toEqual([]);
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
