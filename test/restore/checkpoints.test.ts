import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { Crc64 } from '../../src/bytes/crc64.js';
import { type Checkpoint, checkCheckpoint, Checkpoints, readCheckpoint, sourceIdentity } from '../../src/restore/checkpoint.js';
import { unreadSource } from '../../src/restore/source-progress.js';
import { writeCrc } from '../../src/rdb/payload.js';
import type { Servers } from '../../src/redis/servers.js';
import { parseServerUrl } from '../../src/redis/url.js';
import { KeyCounts } from '../../src/restore/outcomes.js';
import { Folder } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

test('two whole files of the same size are told from one another', async () => {
  const rdb = new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/three-keys.rdb')));
  const other = rdb.slice();
  other[other.length - 10] ^= 1; // the last letter of a value
  writeCrc(other, other.length - 8, new Crc64().update(other, 0, other.length - 8));
  const [a, b] = [await sourceIdentity(folder.file('a.rdb', rdb)), await sourceIdentity(folder.file('b.rdb', other))];
  expect(a.bytes).toBe(b.bytes);
  expect(a.digest).not.toBe(b.digest);
});

test('counts are written as they were when that was asked for, beside the offset of that moment', async () => {
  const path = folder.file('source.rdb', readFileSync(join(import.meta.dirname, '../../fixtures/three-keys.rdb')));
  const file = folder.at('checkpoint.json');
  const [source, ledger] = [unreadSource(path), new KeyCounts()];
  const url = parseServerUrl('redis://127.0.0.1:1');
  const checkpoints = new Checkpoints(
    { sources: [path], url, checkpoint: file, stdin: process.stdin, stdout: process.stdout },
    { masters: [] } as unknown as Servers,
    () => undefined,
  );
  await checkpoints.read();
  const save = (): void =>
    checkpoints.save([source], {
      counts: ledger.entries(),
      told: 0,
      libraries: [],
      rejectsBytes: 0,
      countReplaced: false,
      custody: [],
      again: false,
      passes: 1,
      finished: false,
    });
  save();
  source.done = 100;
  ledger.at(0, 'a').restored = 7;
  await checkpoints.saved();
  const { counts, sources } = JSON.parse(readFileSync(file, 'utf8')) as Checkpoint;
  expect(sources.map(({ done }) => done)).toEqual([0]);
  expect(counts).toEqual([]);
  save();
  source.done = 200;
  ledger.at(0, 'a').restored = 14;
  await checkpoints.saved();
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ counts: [{ counts: { restored: 7 } }], sources: [{ done: 100 }] });
});

test('what is no whole checkpoint is refused, and not taken for one', async () => {
  const counts = { restored: 1, replaced: 0, uncounted: 0, skipped: 0, rejected: 0, damaged: 0, expired: 0, transcoded: 0 };
  const whole: Checkpoint = {
    rdbkit: 'restore checkpoint',
    version: 1,
    target: { url: 'redis://127.0.0.1:1', nodes: [] },
    options: {},
    sources: [{ path: 'a.rdb', bytes: 100, digest: '', done: 100 }],
    counts: [{ db: 0, server: 'a', counts }],
    told: 0,
    libraries: [{ file: 'a.rdb', name: 'lib', outcomes: [{ server: 'a', outcome: 'loaded' }] }],
    rejectsBytes: 0,
    countReplaced: false,
    custody: [{ name: 'a', runId: '', since: 1, bare: true }],
    again: false,
    passes: 1,
    finished: false,
  };
  const read = (changed: object): ReturnType<typeof readCheckpoint> =>
    readCheckpoint(folder.file('edited.json', JSON.stringify({ ...whole, ...changed })));
  expect(await read({})).toEqual(whole);
  const [source] = whole.sources;
  const wrong: object[] = [
    ...Object.keys(whole).map((name) => ({ [name]: undefined })),
    ...[-1, 1.5, 101, '7', null].map((done) => ({ sources: [{ ...source, done }] })),
    ...[[null], ['a'], {}].flatMap((list) => [{ sources: list }, { counts: list }, { custody: list }, { libraries: list }]),
    { target: { url: 'redis://127.0.0.1:1' } },
    { counts: [{ db: 0, server: 'a', counts: { ...counts, restored: '7' } }] },
    { rejectsBytes: -1 },
    { again: 'yes' },
  ];
  for (const changed of wrong) await expect(read(changed), JSON.stringify(changed)).rejects.toThrow('it is not a restore checkpoint');
});

test.each<[string, object, object]>([
  ['with another --prefix', { filter: { prefix: ['YQ=='] } }, { filter: { prefix: ['Yg=='] } }],
  ['with --prefix, which is not given now', { filter: { prefix: ['YQ=='] } }, { filter: {} }],
  ['without --not-match', { filter: { match: ['YQ=='] } }, { filter: { match: ['YQ=='], notMatch: ['YQ=='] } }],
  ['with --min-size 10, which is 11 now', { filter: { minSize: 10 } }, { filter: { minSize: 11 } }],
  ['with --on-conflict skip, which is replace now', { conflict: 'skip' }, { conflict: 'replace' }],
  ['without --strip-ttl', { stripTtl: false }, { stripTtl: true }],
  ['without --prefix', { functions: true }, { functions: false, filter: { prefix: ['YQ=='] } }],
  ['with --functions, which is not given now', { functions: true }, { functions: false }],
  ['with another --db-map', { dbMap: [[1, 0]] }, { dbMap: [[1, 2]] }],
  ['with a database in the target URL, or -n, 3, which is not given now', { intoDb: 3 }, {}],
])('made with other options: %s', (text, then, now) => {
  const target = { url: 'redis://127.0.0.1:1', nodes: [] };
  const check = (options: object): void =>
    checkCheckpoint({ target, options: then, sources: [] } as unknown as Checkpoint, target, options as Record<string, unknown>, []);
  expect(() => check(now)).toThrow(`it was made ${text}: use the same options, or remove the file to start over`);
  expect(() => check(then)).not.toThrow();
});
