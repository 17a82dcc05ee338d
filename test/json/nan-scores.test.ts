import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { decodeBytes, le, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const NAN = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
const one = le(0x3ff0000000000000n, 8);
/** Sorted sets as Redis 5 writes them, and as the first versions did. */
const zset2 = (key: string, ...scores: readonly Part[]): Part => [
  5,
  str(key),
  scores.length,
  scores.map((score, i) => [str(`m${i}`), score]),
];
const zset = (key: string, ...scores: readonly Part[]): Part => [
  3,
  str(key),
  scores.length,
  scores.map((score, i) => [str(`m${i}`), score]),
];

const decoded = async (
  name: string,
  file: Uint8Array,
  ...argv: string[]
): Promise<{ code: number | null; warnings: string[]; out: string }> => {
  const { code, err, out } = await rdbkit(['decode', folder.file(name, file), '--json', ...argv]);
  const { warnings } = JSON.parse(err) as { warnings: { text: string }[] };
  return { code, warnings: warnings.map(({ text }) => text), out };
};

describe('decode tells of scores that are not numbers', () => {
  test.each([[[]], [['--threads', '1']]])('one warning for each file: how many, the first, what follows from it %j', async (argv) => {
    const { code, err, out } = await rdbkit(['decode', join(import.meta.dirname, '../../fixtures/cases/nan-zset.rdb'), ...argv]);
    expect(code).toBe(0);
    expect(out).toContain('{"db":0,"key":"znan","type":"zset","value":{"m":"nan"}}\n');
    expect(err).toMatch(
      /^rdbkit: warning: \S*nan-zset\.rdb: 2 sorted sets have scores that are not numbers \(NaN\), the first is key "znan-old" of database 0: no server loads that; rdbkit check lists them\nrdbkit: 4 keys, [^\n]*; 1 warning\n$/,
    );
  });

  test('a set counts once, whatever its encoding; others do not count', async () => {
    const file = rdb('REDIS0011', [0xfe, 3, zset2('good', one), zset2('z\n', NAN, one, NAN), zset('old', 253), zset2('last', one)]);
    const { code, warnings } = await decoded('some.rdb', file);
    expect([code, warnings]).toEqual([
      0,
      [
        '2 sorted sets have scores that are not numbers (NaN), the first is key "z\\n" of database 3: no server loads that; rdbkit check lists them',
      ],
    ]);
    expect((await decoded('none.rdb', rdb('REDIS0011', [zset2('good', one)]))).warnings).toEqual([]);
  });

  test('of a key that is left out, nothing is said', async () => {
    const file = rdb('REDIS0011', [zset2('a', NAN), zset2('b', one)]);
    expect((await decoded('filtered.rdb', file, '--not-prefix', 'a')).warnings).toEqual([]);
  });

  test('before damage, too', async () => {
    const file = rdb('REDIS0011', [zset2('a', NAN), 16, str('bad'), str('no listpack')]);
    const { code, warnings } = await decoded('damaged.rdb', file);
    expect([code, warnings]).toEqual([
      3,
      ['a sorted set has a score that is not a number (NaN), key "a" of database 0: no server loads that; rdbkit check lists them'],
    ]);
  });

  test('the kernels write the same lines', async () => {
    const file = rdb('REDIS0011', [zset2('a', one, NAN), zset2('b', one), zset('c', 253, 254)]);
    expect((await decodeBytes(file, { codec: true })).lines).toBe((await decodeBytes(file)).lines);
  });

  test('payload decode says that no RESTORE takes it', async () => {
    const { out } = await rdbkit(['dump', '--format', 'payload', folder.file('payload.rdb', rdb('REDIS0011', [zset2('a', NAN)]))]);
    const { code, err } = await rdbkit(['payload', 'decode', (JSON.parse(out) as { payload: string }).payload]);
    expect([code, err]).toEqual([0, expect.stringContaining('it has a score that is not a number (NaN): no RESTORE takes it') as string]);
  });
});
