import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import {
  checkFiles,
  doubtsOf,
  fileEnds,
  type Manifest,
  ManifestError,
  readManifest,
  slotsMissing,
  writeManifest,
} from '../../src/pipeline/manifest.js';
import { Folder } from '../support/cli-support.js';
import { strings } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const shard = {
  node: '127.0.0.1:7001',
  nodeId: 'a'.repeat(40),
  slots: [[0, 5460]] as [number, number][],
  replicationId: 'b'.repeat(40),
  replicationOffset: 12,
  streamDb: 0,
};
const path = folder.file('a.rdb', strings({ a: '1' }));
const manifest: Manifest = {
  created: '2026-11-29T12:00:00.000Z',
  source: 'redis://127.0.0.1:7001',
  server: 'Redis 7.0.15',
  clustered: true,
  via: 'replication',
  files: [{ file: path, ...(await fileEnds(path)), keys: 1, shards: [shard] }],
};

test('is read as it was written, with the paths of its files', async () => {
  await writeManifest(folder.at('m.json'), manifest);
  const read = await readManifest(folder.at('m.json'));
  expect(read).toEqual(manifest);
  await checkFiles({ path: folder.at('m.json'), manifest: read });
});

test.each([
  ['-', './-'],
  ['unix:/x', './unix:/x'],
  ['redis://a', './redis:/a'],
  ['/a/b.rdb', '/a/b.rdb'],
  ['../b.rdb', '../b.rdb'],
])('the file %s is %s', async (file, expected) => {
  const name = `manifest-${process.pid}.json`;
  const content = { rdbkit: 'backup manifest', version: 1, ...manifest, files: [{ ...manifest.files[0], file }] };
  writeFileSync(name, JSON.stringify(content));
  try {
    expect((await readManifest(name)).files[0].file).toBe(expected);
  } finally {
    rmSync(name);
  }
});

test('what identifies a file', async () => {
  const { bytes, crc64, rdbVersion } = await fileEnds(path);
  const content = strings({ a: '1' });
  expect([bytes, crc64, rdbVersion]).toEqual([content.length, Buffer.from(content.subarray(-8)).toString('hex'), expect.any(Number)]);
  expect((await fileEnds(folder.file('valkey', 'VALKEY080'))).rdbVersion).toBe(80);
  expect(await fileEnds(folder.file('empty', ''))).toEqual({ bytes: 0, crc64: '', rdbVersion: 0 });
  await expect(fileEnds(folder.path)).rejects.toThrow('it is not a regular file');
});

describe('a manifest that makes no sense', () => {
  const [file] = manifest.files;
  const changed = (change: object): object => ({ rdbkit: 'backup manifest', version: 1, ...manifest, ...change });
  const ofFile = (change: object): object => changed({ files: [{ ...file, ...change }] });
  const ofShard = (change: object): object => ofFile({ shards: [{ ...shard, ...change }] });
  test.each<[string, unknown]>([
    ['it: expected an object, got 7', 7],
    ['it: expected an object, got [1]', [1]],
    ['it is not the manifest of a backup', { rdbkit: 'restore checkpoint', version: 1 }],
    ['rdbkit is missing', {}],
    ['it is of version 2, and this rdbkit reads version 1', changed({ version: 2 })],
    ['version: expected a whole number, got "1"', changed({ version: '1' })],
    ['via: expected replication or scan, got null', changed({ via: null })],
    ['created: expected a time, got "soon"', changed({ created: 'soon' })],
    ['files: expected a list, got {}', changed({ files: {} })],
    ['files: expected at least one file, got []', changed({ files: [] })],
    ['it names the file ', changed({ files: [file, file] })],
    ['filtered: expected true or false, got 1', changed({ filtered: 1 })],
    ['options[1]: expected a text, got 2', changed({ options: ['--db', 2] })],
    ['files[0].file: expected a path, got ""', ofFile({ file: '' })],
    ['files[0].file: expected a path, got "a\\u0000b"', ofFile({ file: 'a\0b' })],
    ['files[0].bytes: expected a whole number, got -1', ofFile({ bytes: -1 })],
    ['files[0].bytes: expected a whole number, got 1e+300', ofFile({ bytes: 1e300 })],
    ['files[0].keys is missing', ofFile({ keys: undefined })],
    ['files[0].crc64: expected 16 hex digits, got "0F"', ofFile({ crc64: '0F' })],
    ['files[0].shards: expected a list, got null', ofFile({ shards: null })],
    ['files[0].shards[0].slots[0]: expected the first and last of slots 0 to 16383, got [2,1]', ofShard({ slots: [[2, 1]] })],
    ['got [0,16384]', ofShard({ slots: [[0, 16384]] })],
    ['got [1]', ofShard({ slots: [[1]] })],
    ['got [1,2,3]', ofShard({ slots: [[1, 2, 3]] })],
    ['files[0].shards[0].replicationOffset: expected a whole number', ofShard({ replicationOffset: 'x' })],
    [`got "${'x'.repeat(59)}…`, changed({ clustered: 'x'.repeat(1000) })],
  ])('%s', async (message, content) => {
    const name = folder.file('bad.json', JSON.stringify(content));
    await expect(readManifest(name)).rejects.toThrow(message);
    await expect(readManifest(name)).rejects.toBeInstanceOf(ManifestError);
  });

  test('no file, a folder, half a file', async () => {
    await expect(readManifest(folder.at('none'))).rejects.toThrow('no such file');
    await expect(readManifest(folder.path)).rejects.toThrow('it is not a regular file');
    await expect(readManifest(folder.file('half.json', '{"rdbkit":"backup man'))).rejects.toThrow('it is not JSON, or was cut off');
  });
});

test('files that are wrong are named, the first five of them', async () => {
  const [file] = manifest.files;
  const wrong = Array.from({ length: 7 }, (_, i) => ({ ...file, file: folder.at(`gone-${i}`) }));
  const check = checkFiles({ path: 'm.json', manifest: { ...manifest, files: wrong } });
  await expect(check).rejects.toThrow(/^(?:\S+gone-\d is missing; ){5}and 2 more$/);
  await expect(check).rejects.toMatchObject({ path: 'm.json' });
  writeFileSync(folder.at('gone-0'), new Uint8Array(file.bytes));
  await expect(checkFiles({ path: 'm.json', manifest: { ...manifest, files: wrong.slice(0, 1) } })).rejects.toThrow(
    `ends with the checksum ${'0'.repeat(16)} instead of ${file.crc64}`,
  );
});

test('slots that no shard has', () => {
  const of = (...slots: [number, number][]): [number, number][] =>
    slotsMissing({ files: [{ ...manifest.files[0], shards: slots.map((range) => ({ ...shard, slots: [range] })) }] });
  expect(of([0, 16383])).toEqual([]);
  expect(of([8192, 16383], [0, 8191])).toEqual([]);
  expect(of([0, 16383], [5, 6])).toEqual([]);
  expect(of([1, 5], [7, 7], [9, 16382])).toEqual([
    [0, 0],
    [6, 6],
    [8, 8],
    [16383, 16383],
  ]);
  expect(of()).toEqual([[0, 16383]]);
});

test('why it may not have everything', () => {
  expect(doubtsOf({ ...manifest, clustered: false })).toEqual([]);
  const [file] = manifest.files;
  const doubtful = { filtered: true, options: ['--db'], gaps: ['slot 7 moved'], files: [{ ...file, refused: 2, damaged: 1 }] };
  expect(doubtsOf({ ...manifest, ...doubtful })).toEqual([
    'the backup is partial: it was made with --db',
    'keys that could not be written to the backup: 2',
    'damaged keys that were left out of the backup: 1',
    'the backup has no shard for the slots 5461-16383',
    'when the backup was made: slot 7 moved',
  ]);
});
