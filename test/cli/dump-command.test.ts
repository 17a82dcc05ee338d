import { afterAll, describe, expect, test } from 'vitest';
import { readdirSync, readFileSync } from 'node:fs';
import { Collector, FIXTURE, Folder, lines, rdbkit } from '../support/cli-support.js';
import { rdb, recordsOf, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const dump = (...argv: string[]) => rdbkit(['dump', ...argv]);
const file = (name: string, ...records: Parameters<typeof rdb>[1][number][]) => folder.file(name, rdb('REDIS0011', records));
const a = file('a.rdb', 0xfe, 0, 0, str('both'), str('of a'), 0, str('a'), str('1'), 0xfe, 3, 0, str('a'), str('3'));
const b = file('b.rdb', 0xfe, 0, 0, str('both'), str('of b'), 0xfc, new Uint8Array(8).fill(1), 0, str('b'), str('2'));

const keys = (out: string): string[] => lines(out).map(({ db, key }) => `${db} ${key}`);

describe('rdbkit dump --format payload', () => {
  test('says what it is about', async () => {
    const { code, err, out } = await dump(FIXTURE, '--format', 'payload', '--type', 'hash', '--limit', '3');
    expect(code).toBe(0);
    expect(lines(out)).toHaveLength(3);
    expect(err).toMatch(/^rdbkit: 3 keys, .* filtered out; stopped at --limit\n$/);
  });

  test.each([
    ['--format xml: expected one of', ['a.rdb', '--format', 'xml']],
    ['--db-map 3: expected two database numbers', ['a.rdb', '--format', 'payload', '--db-map', '3']],
    ['database 3 is mapped already', ['a.rdb', '--format', 'payload', '--db-map', '3:0,3:1']],
    ['--on-conflict newest: expected one of error, first, last', ['a.rdb', '--format', 'payload', '--on-conflict', 'newest']],
    ['{shard} in --output stands for a server that is read, and the source a.rdb is none', ['a.rdb', '-o', 'x-{shard}.rdb']],
    ['stands for a server that is read, and the source a.rdb is none', ['redis://127.0.0.1:1', 'a.rdb', '-o', 'x-{shard}.rdb']],
    ['{shard} in --output and --split-slots exclude each other', ['redis://127.0.0.1:1', '-o', 'x-{shard}.rdb', '--split-slots', '2']],
    ['--manifest is for --format rdb, not for resp', ['redis://127.0.0.1:1', '-o', 'x', '--manifest', 'm', '--format', 'resp']],
    ['--manifest describes files: name them with --output', ['redis://127.0.0.1:1', '--manifest', 'm']],
    ['--manifest describes files, and --output /dev/null is none', ['redis://127.0.0.1:1', '--manifest', 'm', '-o', '/dev/null']],
    ['--manifest and --split-slots exclude each other', ['redis://127.0.0.1:1', '--manifest', 'm', '-o', 'x', '--split-slots', '2']],
    ['--manifest is for servers that are read, and the source a.rdb is none', ['a.rdb', '--manifest', 'm', '-o', 'x']],
    ['--manifest describes one server or cluster', ['redis://127.0.0.1:1', 'redis://127.0.0.1:2', '--manifest', 'm', '-o', 'x']],
    ['--output and --manifest name the same file, x: each needs its own', ['redis://127.0.0.1:1', '--manifest', 'x', '-o', 'x']],
    ['decides between files', ['a.rdb', '--format', 'payload', '--on-conflict', 'last', '--db-map', '3:0']],
  ])('refuses: %s', async (message, argv) => {
    const { code, err } = await dump(...argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('See rdbkit dump --help');
  });

  test('a key that two files have is named, and the first one stays', async () => {
    const { code, err, out } = await dump(a, b, '--format', 'payload');
    expect(code).toBe(1);
    expect(keys(out)).toEqual(['0 both', '0 a', '3 a', '0 b']);
    expect(err).toContain(`rdbkit: NOT_WRITTEN: ${b}, db 0, key "both": the key was there before.\n`);
    expect(err).toContain('; 1 key not written\n');
  });

  test('--on-conflict first and last choose', async () => {
    const first = await dump(a, b, '--format', 'payload', '--on-conflict', 'first');
    expect(first.code).toBe(0);
    expect(first.err).toContain('; 1 left out, as the key was there before\n');
    expect(keys(first.out)).toEqual(['0 both', '0 a', '3 a', '0 b']);
    const last = await dump(a, b, '--format', 'payload', '--on-conflict', 'last');
    expect(keys(last.out)).toEqual(['0 both', '0 b', '0 a', '3 a']);
    const chosen = (out: string): string => Buffer.from((JSON.parse(out.split('\n')[0]) as { payload: string }).payload, 'base64').toString('latin1');
    expect(chosen(first.out)).toContain('of a');
    expect(chosen(last.out)).toContain('of b');
  });

  test('--db-map moves databases, and joining them may meet a key twice', async () => {
    expect(keys((await dump(a, '--format', 'payload', '--db-map', '3:7,0:3')).out)).toEqual(['3 both', '3 a', '7 a']);
    const { code, err, out } = await dump(a, '--format', 'payload', '--db-map', '3:0');
    expect(code).toBe(1);
    expect(keys(out)).toEqual(['0 both', '0 a']);
    expect(err).toContain('db 3, key "a": the key was there before in database 0.');
  });

  test('--strip-ttl leaves expiries out', async () => {
    expect(lines((await dump(b, '--format', 'payload')).out)[1].expireAt).toBeDefined();
    expect(lines((await dump(b, '--format', 'payload', '--strip-ttl')).out)[1].expireAt).toBeUndefined();
  });

  test('--json counts and names', async () => {
    const { code, err } = await dump(a, b, '--format', 'payload', '--json', '--not-prefix', 'b');
    expect(code).toBe(0);
    expect(JSON.parse(err)).toMatchObject({ command: 'dump', keys: 2, keysFiltered: 3, keysRefused: 0, keysDuplicate: 0, refused: [] });
    const conflict = JSON.parse((await dump(a, b, '--format', 'payload', '--json')).err) as object;
    expect(conflict).toMatchObject({ exitCode: 1, keys: 4, keysRefused: 1, refused: [{ file: b, db: 0, key: 'both' }] });
  });
});

describe('rdbkit dump --format rdb', () => {
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

  test('writes a file', async () => {
    const { code, err } = await dump(FIXTURE, '--format', 'rdb', '-o', folder.at('copy.rdb'));
    expect(code).toBe(0);
    expect(err).toMatch(/^rdbkit: function libraries: "second_lib", "corpus_lib" written\nrdbkit: 250 keys, 513 kB in, 513 kB out/);
    expect(recordsOf(read(folder.at('copy.rdb')))).toEqual(recordsOf(read(FIXTURE)));
  });

  test('merges files into the highest of their versions', async () => {
    const old = folder.file('old.rdb', rdb('REDIS0006', [0xfe, 0, 0, str('old'), str('1')]));
    expect((await dump(old, a, '--format', 'rdb', '-o', folder.at('merged.rdb'))).code).toBe(0);
    expect(Buffer.from(read(folder.at('merged.rdb'))).toString('latin1', 0, 9)).toBe('REDIS0011');
    expect(recordsOf(read(folder.at('merged.rdb')))).toHaveLength(4);
  });

  test('--split-slots writes as many files', async () => {
    const split = new Folder();
    try {
      expect((await dump(FIXTURE, '--format', 'rdb', '--split-slots', '3', '-o', split.at('shard.rdb'))).code).toBe(0);
      const names = readdirSync(split.path).sort();
      expect(names).toEqual(['shard.0-5460.rdb', 'shard.10923-16383.rdb', 'shard.5461-10922.rdb']);
      expect(names.flatMap((name) => recordsOf(read(split.at(name)))).sort()).toEqual(recordsOf(read(FIXTURE)).sort());
    } finally {
      split.remove();
    }
  });

  test('a damaged source leaves a file that can be loaded', async () => {
    const damaged = folder.file('damaged.rdb', read(FIXTURE).subarray(0, 300_000));
    const { code, err } = await dump(damaged, '--format', 'rdb', '-o', folder.at('saved.rdb'));
    expect(code).toBe(3);
    expect(err).toContain('What was written before is in');
    const saved = recordsOf(read(folder.at('saved.rdb.partial')));
    expect(saved.length).toBeGreaterThan(50);
    expect(saved).toEqual(recordsOf(read(FIXTURE)).slice(0, saved.length));
  });

  test.each([
    ['--split-slots writes files', ['a.rdb', '--format', 'rdb', '--split-slots', '3']],
    ['--split-slots 1: expected a number from 2 to 128', ['a.rdb', '--format', 'rdb', '--split-slots', '1', '-o', 'x.rdb']],
    ['--split-slots is for --format rdb', ['a.rdb', '--format', 'payload', '--split-slots', '3', '-o', 'x.rdb']],
  ])('refuses: %s', async (message, argv) => {
    const { code, err } = await dump(...argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test('a file that it reads is not written over, and a terminal gets no binary data', async () => {
    const source = folder.file('s.0-8191.rdb', read(a));
    const over = await dump(source, '--format', 'rdb', '--split-slots', '2', '-o', folder.at('s.rdb'));
    expect(over.err).toContain('would overwrite the source');
    const terminal = new Collector();
    terminal.isTTY = true;
    const { code, err } = await rdbkit(['dump', a, '--format', 'rdb'], { stdout: terminal });
    expect(code).toBe(2);
    expect(err).toContain('is binary and standard output is a terminal');
  });
});
