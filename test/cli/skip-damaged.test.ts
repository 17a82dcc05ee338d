import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { le, listpack, noise, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const cases = join(import.meta.dirname, '../../fixtures/cases');
const spoilt = (name: string): string => join(cases, name);
const keysOf = (out: string): string[] => out.split('\n').slice(0, -1).map((line) => (JSON.parse(line) as { key: string }).key);

const key = (type: number, name: string, ...value: readonly Part[]): Part => [type, str(name), ...value];
const good = (name: string): Part => key(0, name, str('value'));
/** LZF of 4 bytes that is said to be 100 bytes long, and points before its beginning. */
const badLzf: Part = [0xc3, 4, 0x40, 100, 0xff, 0xff, 0xff, 0xff];

/** A damaged value of each kind, whose end is known. */
const DAMAGE: Readonly<Record<string, Part>> = {
  'a string': key(0, 'bad', badLzf),
  'a list': key(1, 'bad', 1, badLzf),
  'a set': key(2, 'bad', 2, str('a'), badLzf),
  'a hash': key(4, 'bad', 1, str('f'), badLzf),
  'a sorted set': key(5, 'bad', 1, badLzf, le(0, 8)),
  'a zipmap': key(9, 'bad', str([2, 1, 0x61])),
  'a ziplist': key(10, 'bad', str('no ziplist at all')),
  'an intset': key(11, 'bad', str(le(3, 4), le(1, 4), [1])),
  'a quicklist of ziplists': key(14, 'bad', 1, str('no ziplist at all')),
  'a listpack': key(16, 'bad', str('no listpack')),
  'a listpack that is compressed': key(17, 'bad', badLzf),
  'a quicklist': key(18, 'bad', 1, 2, str('no listpack')),
  'a module': key(7, 'bad', 0x81, le(0x1234567800n, 8), 5, badLzf, 0),
  'a stream': key(21, 'bad', 1, str(noise(16)), str('no listpack'), 0, 0, 0, 0, 0, 0, 0, 0, 0),
  'a bitmap': key(33, 'bad', 1, str('no bitmap')),
};
const typesOf = (name: string): string => (name === 'a bitmap' ? 'REDIS0017' : 'REDIS0011');

describe.each(['decode', 'dump --format rdb', 'dump --format resp', 'dump --format payload'])('%s', (command) => {
  test.each([
    ['bad-lzf.rdb', 'badlzf', 'BAD_LZF'],
    ['bad-listpack.rdb', 'badkey-x', 'BAD_LISTPACK'],
  ])('%s: goes past it, names and counts it, exit code 3', async (name, bad, code) => {
    const to = folder.at(`${name}.out`);
    const ran = await rdbkit([...command.split(' '), spoilt(name), '--skip-damaged', '-o', to]);
    expect(ran.code).toBe(3);
    const [named, closing, ...rest] = ran.err.split('\n');
    expect(named).toMatch(
      new RegExp(
        `^rdbkit: ${code}: \\S*${name}, offset \\d+, byte \\d+ of the packed value there, db 0, key "${bad}": expected .* It is left out\\.$`,
      ),
    );
    expect([closing, rest]).toEqual([expect.stringMatching(/^rdbkit: 51 keys, .*; 1 damaged$/) as string, ['']]);
    const read = command.endsWith('resp')
      ? [...readFileSync(to, 'latin1').matchAll(/RESTORE\r\n\$\d+\r\n(.*)\r\n/g)].map((match) => match[1])
      : keysOf((await rdbkit(['decode', to, '-q'])).out || readFileSync(to, 'utf8'));
    expect([read.length, read.includes(bad)]).toEqual([51, false]);
  });

  test.each(Object.entries(DAMAGE))('%s', async (name, bad) => {
    const file = folder.file('damage.rdb', rdb(typesOf(name), [good('before'), bad, good('after')], 0));
    const { code, err, out } = await rdbkit([...command.split(' '), file, '--skip-damaged', '--json']);
    expect([name, code, JSON.parse(err)]).toEqual([
      name,
      3,
      expect.objectContaining({
        exitCode: 3,
        keys: 2,
        keysRead: 3,
        keysDamaged: 1,
        errors: [],
        damaged: [expect.objectContaining({ key: 'bad', db: 0, file }) as object],
      }) as object,
    ]);
    expect([out.includes('before'), out.includes('after'), out.includes('bad')]).toEqual([true, true, false]);
  });
});

describe('decode', () => {
  test('without it the message names the option', async () => {
    const { code, err } = await rdbkit(['decode', spoilt('bad-lzf.rdb')]);
    expect([code, err]).toEqual([3, expect.stringMatching(/^rdbkit: BAD_LZF: .* --skip-damaged goes past such values\.\n/) as string]);
  });

  test('damage whose end is not known still ends it, and the message does not name the option', async () => {
    const file = folder.file('cut.rdb', rdb('REDIS0011', [good('before'), key(0, 'cut', 0x40, 200)]).subarray(0, -1));
    const { code, err, out } = await rdbkit(['decode', file, '--skip-damaged']);
    expect([code, keysOf(out)]).toEqual([3, ['before']]);
    expect(err).toContain('TRUNCATED');
    expect(err).not.toContain('--skip-damaged');
  });

  test('many damaged values: the first hundred are named, all are counted', async () => {
    const file = folder.file(
      'many.rdb',
      rdb('REDIS0011', [Array.from({ length: 150 }, (_, i) => key(16, `bad${i}`, str('no listpack'))), good('after')]),
    );
    const { code, err, out } = await rdbkit(['decode', file, '--skip-damaged']);
    expect([code, keysOf(out), err.match(/BAD_LISTPACK/g)?.length]).toEqual([3, ['after'], 100]);
    expect(err).toContain('rdbkit: 150 values are damaged and left out, the first 100 named above.\nrdbkit: 1 key, ');
    expect(err).toMatch(/; 150 damaged\n$/);
  });

  const large = Array.from({ length: 40_000 }, (_, i): Part => str(`${i}`.padStart(60, 'x')));
  const count = (items: number): Part => [0x80, ...[24, 16, 8, 0].map((bits) => (items >> bits) & 255)];

  test('a large value: its line is ended where a part of it is out, and the message says so', async () => {
    const bad = key(1, 'bad', count(large.length + 1), ...large, badLzf);
    const file = folder.file('large.rdb', rdb('REDIS0011', [good('before'), bad, good('after')], 0));
    const { code, err, out } = await rdbkit(['decode', file, '--skip-damaged', '--threads', '1']);
    expect(code).toBe(3);
    const lines = out.split('\n');
    expect([lines.length, lines[0].includes('"before"'), lines[1].startsWith('{"db":0,"key":"bad"'), lines[2].includes('"after"')]).toEqual(
      [4, true, true, true],
    );
    expect(err).toMatch(
      /key "bad": expected .* A line of the output is torn: it has only the beginning of its key\.\nrdbkit: 2 keys, .*; 1 damaged\n$/,
    );
  });

  test('and is taken back where none is', async () => {
    const bad = key(16, 'bad', [0x80, 0, 0x20, 0, 0], Buffer.alloc(0x200000, 'no listpack'));
    const file = folder.file('packed.rdb', rdb('REDIS0011', [good('before'), bad, good('after')], 0));
    const { code, err, out } = await rdbkit(['decode', file, '--skip-damaged']);
    expect([code, keysOf(out)]).toEqual([3, ['before', 'after']]);
    expect(err).toMatch(/key "bad": expected .* It is left out\.\n/);
  });

  test.each(['rdb', 'resp', 'payload'])('dump --format %s writes nothing of a large one', async (format) => {
    const bad = key(1, 'bad', count(large.length + 1), ...large, badLzf);
    const file = folder.file(
      'large.rdb',
      rdb('REDIS0011', [good('before'), bad, key(1, 'fine', count(large.length), ...large), good('after')], 0),
    );
    const to = folder.at('large.out');
    const { code, err } = await rdbkit(['dump', '--format', format, file, '--skip-damaged', '-o', to]);
    expect([code, err]).toEqual([3, expect.stringMatching(/key "bad": .* It is left out\.\nrdbkit: 3 keys, .*; 1 damaged\n$/) as string]);
    const text = readFileSync(to, 'latin1');
    expect(['before', 'bad', 'fine', 'after'].map((name) => text.includes(name))).toEqual([true, false, true, true]);
  });
});

test('dump --target-version: what cannot be written again is gone past, and those after it are no repetitions', async () => {
  const file = folder.file(
    'old.rdb',
    rdb('REDIS0011', [good('a'), key(16, 'bad', str('no listpack')), key(16, 'h', str(listpack(['f', 'v']))), good('b')], 0),
  );
  const { code, err, out } = await rdbkit([
    'dump',
    '--format',
    'payload',
    '--target-version',
    '6.2',
    '--db-map',
    '1:0',
    file,
    '--skip-damaged',
  ]);
  expect([code, keysOf(out), err]).toEqual([3, ['a', 'h', 'b'], expect.stringMatching(/; 1 damaged\n$/) as string]);
});
