import { linkSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { Interruption } from '../../src/cli/exit.js';
import { Measurer } from '../../src/inspect/measures.js';
import { FIXTURE, Folder, lines, rdb, rdbkit } from '../support/cli-support.js';
import { parseCsv } from '../support/csv.js';

let folder: Folder;
const folders: Folder[] = [];
beforeEach(() => void folders.push((folder = new Folder())));
afterAll(() => folders.forEach((each) => each.remove()));

const csvKeys = (path: string): string[] =>
  parseCsv(readFileSync(path, 'utf8'))
    .slice(1)
    .map(([, , key]) => key);
const decodedKeys = async (...argv: string[]): Promise<string[]> =>
  lines((await rdbkit(['decode', ...argv, '-q'])).out).map(({ key }) => key);

test.each(['--csv', '--parquet', '--html', '--history', '--output'])('%s does not overwrite a source, by whatever name', async (option) => {
  const source = folder.file('dump.rdb', rdb());
  linkSync(source, folder.at('hard.rdb'));
  symlinkSync(source, folder.at('soft.rdb'));
  const older = folder.file('older.rdb', rdb());
  for (const path of [source, folder.at('hard.rdb'), folder.at('soft.rdb'), `${folder.path}/./dump.rdb`]) {
    const { code, err } = await rdbkit(['inspect', source, option, path]);
    expect([code, err]).toEqual([2, expect.stringContaining(`${option} ${path} would overwrite the source`)]);
  }
  const baseline = await rdbkit(['inspect', source, '--baseline', older, option, older]);
  expect([baseline.code, baseline.err]).toEqual([2, expect.stringContaining(`would overwrite the source ${older}`)]);
  expect(readFileSync(source).equals(rdb())).toBe(true);
});

test('what is left after an error does not overwrite a source either', async () => {
  const source = folder.file('keys.csv.partial', rdb());
  const { code, err } = await rdbkit(['inspect', source, '--csv', folder.at('keys.csv')]);
  expect([code, err]).toEqual([2, expect.stringContaining('would overwrite the source')]);
});

test('outputs have files of their own', async () => {
  symlinkSync(folder.path, folder.at('here'));
  const refused: readonly (readonly string[])[] = [
    ['--csv', folder.at('a'), '--parquet', folder.at('a')],
    ['--csv', folder.at('a'), '--parquet', `${folder.path}/./a`],
    ['--csv', folder.at('a'), '--parquet', folder.at('here/a')],
    ['--parquet', folder.at('a'), '--html', folder.at('a')],
    ['--output', folder.at('a'), '--csv', folder.at('a')],
    ['--history', folder.file('h', ''), '--csv', folder.at('here/h')],
  ];
  for (const argv of refused) {
    const { code, err } = await rdbkit(['inspect', FIXTURE, ...argv]);
    expect([code, err]).toEqual([2, expect.stringMatching(/rdbkit: --\w+ and --\w+ name the same file, .*: each needs its own/)]);
  }
  expect(readdirSync(folder.path).sort()).toEqual(['h', 'here']);
  const { code } = await rdbkit(['inspect', FIXTURE, '--csv', '/dev/null', '--parquet', '/dev/null', '-q']);
  expect(code).toBe(0);
});

test('a table takes the place of an older file once it is whole', async () => {
  const path = folder.file('keys.csv', 'older');
  await rdbkit(['inspect', FIXTURE, '--csv', path, '-q']);
  expect(csvKeys(path)).toEqual(await decodedKeys(FIXTURE));
  expect(readdirSync(folder.path)).toEqual(['keys.csv']);
});

test('filters, the limit and the sample apply to tables, and a baseline is not in them', async () => {
  const path = folder.at('keys.csv');
  await rdbkit(['inspect', FIXTURE, '--csv', path, '--type', 'hash', '--limit', '7', '--baseline', FIXTURE, '-q']);
  expect(csvKeys(path)).toEqual(await decodedKeys(FIXTURE, '--type', 'hash', '--limit', '7'));
  const { out } = await rdbkit(['inspect', FIXTURE, '--csv', path, '--sample', '20%', '--format', 'json', '-q']);
  const sampled = csvKeys(path).length;
  expect(sampled).toBeGreaterThan(10);
  expect((JSON.parse(out) as { totals: { keys: number } }).totals.keys).toBe(sampled * 5);
});

test('when one of the outputs cannot be opened, nothing is left of the others', async () => {
  const nowhere = folder.at('nowhere/keys.parquet');
  const { code, err } = await rdbkit([
    'inspect',
    FIXTURE,
    '--csv',
    folder.at('keys.csv'),
    '--output',
    folder.at('report'),
    '--parquet',
    nowhere,
  ]);
  expect([code, err]).toEqual([4, expect.stringContaining(`cannot write ${nowhere}: its folder does not exist`)]);
  expect(readdirSync(folder.path)).toEqual([]);
});

test.each(['--csv', '--parquet'])('%s on a full disk', async (option) => {
  const { code, err, out } = await rdbkit(['inspect', FIXTURE, option, '/dev/full']);
  expect([code, err, out]).toEqual([4, expect.stringContaining('cannot write /dev/full: no space is left on the device. Make room'), '']);
});

test('the keys before damage are in .partial, and an older file stays', async () => {
  const path = folder.file('keys.csv', 'older');
  const cut = folder.file('cut.rdb', rdb().subarray(0, 300_000));
  const { code, err } = await rdbkit(['inspect', cut, '--csv', path, '--parquet', folder.at('keys.parquet')]);
  expect([code, err]).toEqual([3, expect.stringContaining(`What was reported before is in ${path}.partial`)]);
  expect(csvKeys(`${path}.partial`)).toEqual(await decodedKeys(cut));
  expect(readFileSync(path, 'utf8')).toBe('older');
  expect(readdirSync(folder.path).sort()).toEqual(['cut.rdb', 'keys.csv', 'keys.csv.partial', 'keys.parquet.partial']);
});

test('keys before one whose value is damaged count, though they are in the same batch', async () => {
  const path = folder.at('keys.csv');
  const rows = vi.spyOn(Measurer.prototype, 'rows').mockImplementation((batch) => {
    batch.row = batch.to - 3;
    throw new RdbError('BAD_LENGTH');
  });
  const { code, out } = await rdbkit(['inspect', FIXTURE, '--csv', path, '--format', 'json', '-q']);
  rows.mockRestore();
  const keys = csvKeys(`${path}.partial`);
  expect(keys.length).toBeGreaterThan(0);
  expect(keys).toEqual((await decodedKeys(FIXTURE)).slice(0, keys.length));
  expect([code, (JSON.parse(out) as { totals: { keys: number } }).totals.keys]).toEqual([3, keys.length]);
});

test('Ctrl-C leaves the keys before it in .partial', async () => {
  const path = folder.at('keys.csv');
  const controller = new AbortController();
  const stdin = Readable.from(
    (async function* () {
      yield rdb().subarray(0, 250_000);
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.abort(new Interruption('SIGINT'));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      yield rdb().subarray(250_000);
    })(),
  );
  const { code, err } = await rdbkit(['inspect', '-', '--csv', path], { stdin, signal: controller.signal });
  expect([code, err]).toEqual([130, expect.stringContaining(`interrupted by SIGINT. What was reported before is in ${path}.partial.`)]);
  const keys = csvKeys(`${path}.partial`);
  expect(keys.length).toBeGreaterThan(10);
  expect(keys).toEqual((await decodedKeys(FIXTURE)).slice(0, keys.length));
});
