import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const code = (name: string, returns = 1): string => `#!lua name=${name}\nredis.register_function("${name}_f", function() return ${returns} end)`;
const library = (text: string): (number | Uint8Array)[] => [0xf5, str(text)];
const KEYS = [0, str('user:1'), str('1'), 0, str('b'), str('1')];
const two = folder.file('two.rdb', rdb('REDIS0010', [...library(code('one')), ...library(code('two')), ...KEYS]));
const other = folder.file('other.rdb', rdb('REDIS0010', [...library(code('one', 2)), 0, str('c'), str('1')]));

const KEY_FILTERS = [['--prefix', 'user:'], ['--not-prefix', 'x'], ['--match', 'user*'], ['--not-match', 'x'], ['--regex', '^user'], ['--not-regex', 'x'], ['--type', 'string'], ['--not-type', 'hash'], ['--slot', '0-16383'], ['--ttl', 'none'], ['--min-size', '1'], ['--max-size', '1mb'], ['--limit', '1']];

describe('dump', () => {
  const functionsOf = async (file: string): Promise<number> => (await rdbkit(['decode', file, '--meta'])).out.split('\n').filter((line) => line.startsWith('{"type":"function"')).length;

  test.each(KEY_FILTERS)('writes no function libraries where %s %s chooses keys', async (...filter) => {
    const out = folder.at('some.rdb');
    const { err } = await rdbkit(['dump', two, '--format', 'rdb', '-o', out, ...filter]);
    expect(err).toContain('rdbkit: function libraries: "one", "two" left out, since only some keys are chosen (--functions includes them)\n');
    expect(await functionsOf(out)).toBe(0);
    expect((await rdbkit(['dump', two, '--format', 'rdb', '-o', out, ...filter, '--functions'])).err).toContain('function libraries: "one", "two" written\n');
    expect(await functionsOf(out)).toBe(2);
  });

  test('says what became of each', async () => {
    const out = folder.at('all.rdb');
    const argv = ['dump', two, two, other, '--format', 'rdb', '-o', out, '--on-conflict', 'first'];
    const { err } = await rdbkit([...argv, '--json']);
    expect(JSON.parse(err)).toMatchObject({ functions: [{ name: 'one', outcome: 'written' }, { name: 'two', outcome: 'written' }, { file: other, name: 'one', outcome: 'kept' }] });
    expect((await rdbkit(['dump', two, '--format', 'resp', '--no-functions'])).out).not.toContain('FUNCTION');
    expect((await rdbkit(['dump', two, '--format', 'resp', '--prefix', 'user:'])).out).not.toContain('FUNCTION');
    expect((await rdbkit(['dump', two, '--format', 'resp', '--db', '0'])).out).toContain('FUNCTION');
    const usage = await rdbkit(['dump', two, '--format', 'payload', '--functions']);
    expect([usage.code, usage.err]).toEqual([2, expect.stringContaining('--functions is for --format rdb and resp')]);
  });
});
