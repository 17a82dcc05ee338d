import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { SERVERS } from '../support/dump-support.js';
import { listpack, type Packable, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const root = join(import.meta.dirname, '../..');
const spoilt = (name: string): string => join(root, 'fixtures/cases', name);
const n = (value: number): bigint => BigInt(value);

interface Line {
  readonly key: string;
  readonly code: string;
  readonly part?: string;
  readonly more?: number;
}

const findings = (out: string): Line[] => out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
const json = async (...argv: string[]): Promise<{ code: number | null; lines: Line[] }> => {
  const { code, out } = await rdbkit(['check', ...argv, '--format', 'json', '--quiet']);
  return { code, lines: findings(out) };
};

describe('spoilt files', () => {
  test.each([
    ['dup-hash.rdb', 'DUPLICATE', ['h', 'ph', 'ps', 'z']],
    ['nan-zset.rdb', 'BAD_ZSET', ['znan', 'znan-old']],
    ['bad-lzf.rdb', 'BAD_LZF', ['badlzf']],
    ['bad-listpack.rdb', 'BAD_LISTPACK', ['badkey-x']],
  ])('%s: %s', async (name, error, keys) => {
    const { code, lines } = await json(spoilt(name));
    expect(code).toBe(1);
    expect([...new Set(lines.map((line) => line.key))].sort()).toEqual(keys);
    expect(new Set(lines.map((line) => line.code))).toEqual(new Set([error]));
  });

  test('duplicates belong to --level all', async () => {
    expect(await json(spoilt('dup-hash.rdb'), '--level', 'structure')).toEqual({ code: 0, lines: [] });
  });

  test('as text: the code, the place, and what is wrong, safe for a terminal', async () => {
    const key = 'k\u001b[31m\n';
    const file = folder.file('escape.rdb', rdb('REDIS0011', [[2, str(key), 2, str('a\u001b'), str('a\u001b')]]));
    const { code, err, out } = await rdbkit(['check', file]);
    expect(code).toBe(1);
    expect(out).toMatch(
      /^DUPLICATE: [^\n]*escape\.rdb, offset \d+, db 0, key "k\\u001b\[31m\\n": expected every member once, got [^\n]* again, at member 1\.\n$/,
    );
    expect(out).not.toMatch(/\u001b/);
    expect(err).toMatch(/^rdbkit: 1 key checked, \d+ B, [^\n]*; 1 finding in 1 key\n$/);
  });

  test('many findings of one key: the first are listed, the rest are counted', async () => {
    const members = Array.from({ length: 40 }, () => str('same'));
    const file = folder.file('many.rdb', rdb('REDIS0011', [[2, str('s'), members.length, ...members]]));
    const { lines } = await json(file);
    expect(lines).toHaveLength(16);
    expect(lines.map(({ more }) => more)).toEqual([...Array<undefined>(15).fill(undefined), 23]);
    const { err, out } = await rdbkit(['check', file]);
    expect(out).toContain('And 23 more in this key.\n');
    expect(err).toContain('39 findings in 1 key');
  });
});

test('no finding in what real servers wrote', async () => {
  const files = SERVERS.map((name) => join(root, 'fixtures/servers', `${name}.rdb`));
  const { code, err, out } = await rdbkit(['check', ...files]);
  expect([code, out]).toEqual([0, '']);
  expect(err).toContain('no findings\n');
});

test('filters, limit, summary and the output file are those of other commands', async () => {
  const file = spoilt('dup-hash.rdb');
  expect((await json(file, '--type', 'zset')).lines.map(({ key }) => key)).toEqual(['z']);
  expect((await json(file, '--limit', '3')).lines.length).toBeLessThan(4);
  const path = folder.at('findings.txt');
  const { code, err, out } = await rdbkit(['check', file, '-o', path, '--json']);
  expect([code, out]).toEqual([1, '']);
  expect(JSON.parse(err)).toMatchObject({ command: 'check', exitCode: 1, keys: 6, findings: 4, keysFound: 4, output: path });
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(5);
  expect((await rdbkit(['check', file, '--prefix', 'nobody'])).err).toContain('no key was checked: all 6 are left out by --prefix.');
});

test('a file that cannot be read on is an error, after the findings before the damage', async () => {
  const damaged = rdb('REDIS0011', [[2, str('twice'), 2, str('a'), str('a')], [99, str('k')]]);
  const { code, err, out } = await rdbkit(['check', folder.file('damaged.rdb', damaged), '--format', 'json']);
  expect(code).toBe(3);
  expect(findings(out).map(({ key }) => key)).toEqual(['twice']);
  expect(err).toContain('UNKNOWN_OPCODE');
});

test('values in parts are checked, too', async () => {
  const large = Array.from({ length: 300_000 }, (_, i) => str(`member-${i}`));
  const body = [str('large'), [0x80, 0x00, 0x04, 0x93, 0xe1], ...large, str('member-7')];
  const file = folder.file(
    'large.rdb',
    rdb('REDIS0011', [
      [2, ...body],
      [18, str('list'), 1, 2, str(listpack([n(1), 'a', n(2)] as Packable[]).with(8, 0x7f))],
    ]),
  );
  const { code, lines } = await json(file);
  expect(code).toBe(1);
  expect(lines[0]).toMatchObject({ key: 'large', code: 'DUPLICATE', part: 'member 300000' });
  expect(lines.slice(1).map(({ key }) => key)).toContain('list');
});

test('every spoilt file of the fixtures has a finding or an error, every whole one has none', async () => {
  const healthy = new Set([
    'base.rdb',
    'bulk.rdb',
    'diskless.rdb',
    'keydb_subexpire.rdb',
    'multidb.rdb',
    'redis-stack-7.4.1.rdb',
    'sess.rdb',
  ]);
  for (const name of readdirSync(join(root, 'fixtures/cases')).filter((file) => file.endsWith('.rdb'))) {
    const { code } = await json(spoilt(name));
    expect([name, code !== 0]).toEqual([name, !healthy.has(name)]);
  }
});
