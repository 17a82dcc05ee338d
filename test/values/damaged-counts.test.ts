import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { FIXTURE, Folder, rdb as fixture, rdbkit } from '../support/cli-support.js';
import { bytes, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const root = fileURLToPath(new URL('../..', import.meta.url));
const SPARSE = join(root, 'fixtures', 'cases', 'sparse-tail.rdb');

interface Counts {
  keys: number;
  keysRead: number;
  keysFiltered: number;
  keysDamaged: number;
  keysRefused?: number;
  keysDuplicate?: number;
}

async function counted(argv: readonly string[], stdin?: Buffer): Promise<Counts & { code: number | null; errors: number }> {
  const { code, err } = await rdbkit([...argv, '--json'], stdin === undefined ? {} : { stdin: Readable.from([stdin]) });
  if (!err.startsWith('{')) throw new Error(err);
  const { errors, ...counts } = JSON.parse(err) as Counts & { errors: unknown[] };
  return { ...counts, code, errors: errors.length };
}

const sumOf = ({ keys, keysDamaged, keysDuplicate = 0, keysFiltered, keysRefused = 0 }: Counts): number => keys + keysFiltered + keysDamaged + keysRefused + keysDuplicate;

const COMMANDS: readonly string[][] = [
  ['decode'],
  ['dump', '--format', 'payload', '--target-version', '6.2'],
  ['dump', '--format', 'resp', '--target-version', '6.2'],
  ['dump', '--format', 'rdb', '--target-version', '6.2'],
];

describe.each(COMMANDS)('%s %s %s', (...command) => {
  test('a damaged key is not filtered out', async () => {
    expect(await counted([...command, SPARSE])).toMatchObject({ code: 3, keys: 200, keysRead: 201, keysFiltered: 0, keysDamaged: 1 });
    const { err } = await rdbkit([...command, SPARSE]);
    expect(err).toMatch(/\n?rdbkit: 200 keys, .*; 1 damaged/);
    expect(err).not.toContain('filtered out');
  });

  test('both are counted, each on its own', async () => {
    const counts = await counted([...command, SPARSE, '--match', 'l:*']);
    expect(counts).toMatchObject({ keysRead: 201, keysDamaged: 1 });
    expect(counts.keysFiltered).toBeGreaterThan(100);
    expect(sumOf(counts)).toBe(201);
  });

  test('the sources behind it are counted on', async () => {
    const counts = await counted([...command, SPARSE, FIXTURE, '--keep-going']);
    expect(counts).toMatchObject({ errors: 1, keysDamaged: 1 });
    expect(sumOf(counts)).toBe(counts.keysRead);
  });

  test('wherever a file ends', async () => {
    const whole = fixture();
    for (let cut = 300; cut < whole.length; cut += 30_011) {
      const counts = await counted([...command, '-'], whole.subarray(0, cut));
      expect([cut, sumOf(counts), counts.keysFiltered]).toEqual([cut, counts.keysRead, 0]);
    }
  });
});

test('nothing is damaged in a file that is whole', async () => {
  expect(await counted(['decode', folder.file('whole.rdb', bytes(rdb('REDIS0010', [0, str('a'), str('1')])))])).toMatchObject({ keysRead: 1, keysDamaged: 0 });
});
