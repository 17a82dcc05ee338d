import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const ONE = join(fileURLToPath(new URL('../..', import.meta.url)), 'fixtures', 'cases', 'keydb_subexpire.rdb');
const member = (name: string): Part => [0xfa, str('keydb-subexpire-key'), str(name), 0xfa, str('keydb-subexpire-when'), str('4102444800000')];
const set = (name: string): Part => [2, str(name), 2, str('m1'), str('m2'), member('m1'), member('m2')];
const MANY = folder.file('many.rdb', rdb('REDIS0009', [set('p'), set('q'), 0, str('s'), str('v')]));
const NOTHING = folder.file('nothing.rdb', rdb('REDIS0009', [0, str('s'), str('v')]));

const summary = async (...argv: string[]): Promise<Record<string, unknown>> => JSON.parse((await rdbkit([...argv, '--json', '-o', folder.at('out')])).err) as Record<string, unknown>;

describe('decode', () => {
  const HELP = '--meta writes them as aux records after their key, and dump --format rdb copies them';

  test('warns once a file, of how many there are', async () => {
    const { code, err } = await rdbkit(['decode', ONE, MANY, NOTHING]);
    expect(code).toBe(0);
    expect(err.match(/rdbkit: warning: .*/g)).toEqual([
      `rdbkit: warning: ${ONE}: 1 member expiry of KeyDB is not kept; ${HELP}`,
      `rdbkit: warning: ${MANY}: 4 member expiries of KeyDB are not kept; ${HELP}`,
    ]);
    expect(await summary('decode', ONE, MANY)).toMatchObject({ memberExpiriesLost: 5, warnings: [{}, {}] });
  });

  test('counts those of keys that are written', async () => {
    expect(await summary('decode', MANY, '--match', 'q')).toMatchObject({ keys: 1, memberExpiriesLost: 2 });
    expect(await summary('decode', MANY, '--type', 'string')).toMatchObject({ keys: 1, memberExpiriesLost: 0, warnings: [] });
    expect(await summary('decode', MANY, '--limit', '1')).toMatchObject({ keys: 1 });
  });

  test('does not warn where they are written', async () => {
    expect(await summary('decode', MANY, '--meta')).toMatchObject({ memberExpiriesLost: 0, warnings: [] });
    expect(readFileSync(folder.at('out'), 'utf8').match(/keydb-subexpire-key/g)).toHaveLength(4);
  });
});

describe('dump', () => {
  test.each([['resp'], ['payload'], ['rdb', '--target-version', '6.2']])('tells once a file how many are not kept: %s', async (format, ...more) => {
    const argv = ['dump', ONE, MANY, '--format', format, '--on-conflict', 'first', ...more];
    const { code, err } = await rdbkit([...argv, '-o', folder.at('out')]);
    expect(code).toBe(1);
    expect(err.match(/NOT_WRITTEN.*/g)).toEqual([
      `NOT_WRITTEN: ${ONE}: 1 member expiry of KeyDB is not kept; --format rdb without --target-version keeps them.`,
      `NOT_WRITTEN: ${MANY}: 4 member expiries of KeyDB are not kept; --format rdb without --target-version keeps them.`,
    ]);
    expect(await summary(...argv)).toMatchObject({ memberExpiriesLost: 5, othersRefused: 5, refused: [{ file: ONE }, { file: MANY }] });
  });

  test('an RDB keeps them', async () => {
    expect(await summary('dump', MANY, '--format', 'rdb')).toMatchObject({ exitCode: 0, memberExpiriesLost: 0 });
    expect(readFileSync(folder.at('out'), 'latin1').match(/keydb-subexpire-key/g)).toHaveLength(4);
  });
});
