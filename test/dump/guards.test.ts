import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePayload } from '../../src/rdb/payload.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { bytes, decodeBytes, le, len, listpack, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const aux = (name: string, value: Part): Part => [0xfa, str(name), str(value)];
const key = (name: string, value = 'v'): Part => [0, str(name), str(value)];

interface Told {
  code: number | null;
  file: Uint8Array;
  refused: { db?: number; key?: string; reason: string }[];
  summary: Record<string, unknown>;
}

async function dumped(sources: readonly string[], format: string, ...more: string[]): Promise<Told> {
  const out = folder.at('out');
  const { code, err } = await rdbkit(['dump', ...sources, '--format', format, '-o', out, '--json', ...more]);
  const summary = JSON.parse(err.trim().split('\n').at(-1) as string) as Record<string, unknown>;
  return { code, file: new Uint8Array(readFileSync(out)), refused: summary.refused as Told['refused'], summary };
}

const keysOf = async (file: Uint8Array): Promise<unknown[]> => lines((await decodeBytes(file)).lines);
const head = (file: Uint8Array): string => Buffer.from(file.subarray(0, 9)).toString();

describe('files of Redis and Valkey in one', () => {
  const hfe = [24, str('redis hash'), le(9e12, 8), 1, 1, str('f'), str('v')];
  const hash2 = [22, str('valkey hash'), 1, str('f'), str('v'), le(9e12, 8)];
  const redis = folder.file('redis.rdb', rdb('REDIS0012', [aux('redis-ver', '7.4.0'), hfe, key('a')]));
  const valkey = folder.file('valkey.rdb', rdb('VALKEY080', [aux('valkey-ver', '9.0.0'), hash2, key('b')]));
  const older = folder.file('older.rdb', rdb('REDIS0011', [aux('valkey-ver', '8.1.0'), key('c')]));

  test('keys whose type byte means something else in the other are named and left out', async () => {
    const one = await dumped([redis, valkey], 'rdb');
    expect(one.code).toBe(1);
    expect(one.refused).toEqual([expect.objectContaining({ key: 'valkey hash', reason: expect.stringMatching(/HASH_2.*a Redis file of version 12.*--target-version/) as string })]);
    expect(head(one.file)).toBe('REDIS0012');
    expect(await keysOf(one.file)).toMatchObject([{ key: 'redis hash' }, { key: 'a' }, { key: 'b' }]);

    const other = await dumped([valkey, redis], 'rdb');
    expect(other.refused).toMatchObject([{ key: 'redis hash' }]);
    expect(head(other.file)).toBe('VALKEY080');
    expect(await keysOf(other.file)).toMatchObject([{ key: 'valkey hash' }, { key: 'b' }, { key: 'a' }]);
  });

  test('with a target all of them are there', async () => {
    const { code, file } = await dumped([redis, valkey], 'rdb', '--target-version', 'valkey-9.0');
    expect(code).toBe(0);
    expect(await keysOf(file)).toHaveLength(4);
  });

  test('a file that both read becomes either, and does not say that it is the other', async () => {
    const first = await dumped([older, redis], 'rdb');
    expect([first.code, head(first.file)]).toEqual([0, 'REDIS0012']);
    const { lines: all } = await decodeBytes(first.file, { meta: true });
    expect(all).not.toContain('valkey-ver');
    expect(await keysOf(first.file)).toMatchObject([{ key: 'c' }, { key: 'redis hash', value: { f: { value: 'v' } } }, { key: 'a' }]);
    const second = await dumped([older, valkey], 'rdb');
    expect([second.code, head(second.file)]).toEqual([0, 'VALKEY080']);
  });

  test('one of Valkey before 9.0 keeps the header of Redis', async () => {
    expect(head((await dumped([older], 'rdb')).file)).toBe('REDIS0011');
    expect(head((await dumped([fileURLToPath(new URL('../../fixtures/servers/valkey-8.1.1.rdb', import.meta.url))], 'rdb')).file)).toBe('REDIS0011');
  });

  test('module metadata of keys has no place in a file of Valkey', async () => {
    const meta = folder.file('meta.rdb', rdb('REDIS0013', [0xf3, 1, le(0x12345619, 4), 2, 5, 0, key('m'), key('n')]));
    const { refused } = await dumped([valkey, meta], 'rdb');
    expect(refused).toMatchObject([{ key: 'm' }]);
  });
});

describe('hashes with a template of their file', () => {
  const template = (number: number, ...names: string[]): Part => [0xf2, number, len(names.length), names.map((name) => str(name))];
  const packed = (name: string, number: number, ...values: string[]): Part => [30, str(name), str(listpack([BigInt(number), ...values]))];
  const array = (name: string, number: number, ...values: string[]): Part => [32, str(name), number, values.map((value) => str(value))];
  const large = 'x'.repeat(1_200_000);
  const a = folder.file('a.rdb', rdb('REDIS0015', [template(3, 'f', 'g'), packed('p', 3, '1', '2'), array('q', 3, '3', large)]));
  const b = folder.file('b.rdb', rdb('REDIS0015', [template(3, 'other', 'names'), packed('r', 3, '5', '6')]));
  const values = [{ key: 'p', value: { f: '1', g: '2' } }, { key: 'q', value: { f: '3', g: large } }];

  test('leave it in payloads and commands as hashes of their own', async () => {
    const { code, file } = await dumped([a], 'payload');
    expect(code).toBe(0);
    const payloads = Buffer.from(file).toString().trim().split('\n').map((line) => parsePayload(Buffer.from((JSON.parse(line) as { payload: string }).payload, 'base64')));
    expect(payloads).toMatchObject([{ type: 16, version: 15, checksum: 'ok' }, { type: 4, version: 15, checksum: 'ok' }]);
    expect(await keysOf(rdb('REDIS0015', payloads.map(({ type, value }, i): Part => [type, str('pq'[i]), value])))).toMatchObject(values);
    const commands = Buffer.from((await dumped([a], 'resp')).file);
    expect(commands.includes(Buffer.from(bytes('$', `${payloads[0].value.length + 11}`, '\r\n', 16)))).toBe(true);
    expect(commands.includes(Buffer.from(bytes('\r\n', 30)))).toBe(false);
  });

  test('stay as they are in a file of one source, and are told apart in one of several', async () => {
    const one = await dumped([a], 'rdb');
    expect(Buffer.from(one.file).includes(Buffer.from(bytes(30, str('p'))))).toBe(true);
    expect(await keysOf(one.file)).toMatchObject(values);
    const two = await dumped([a, b, folder.file('c.rdb', rdb('REDIS0015', [template(3, 'f', 'g'), packed('s', 3, '7', '8')]))], 'rdb');
    expect(await keysOf(two.file)).toMatchObject([...values, { key: 'r', value: { other: '5', names: '6' } }, { key: 's', value: { f: '7', g: '8' } }]);
  });
});

describe('what KeyDB says of keys in AUX fields', () => {
  const keydb = folder.file('keydb.rdb', rdb('REDIS0009', [
    [aux('redis-ver', '6.3.4'), 0xfe, 0],
    [aux('mvcc-tstamp', '111'), key('a')],
    [0xfc, le(9e12, 8), aux('mvcc-tstamp', '222'), 2, str('set'), 1, str('m'), aux('keydb-subexpire-key', 'm'), aux('keydb-subexpire-when', '9000000000000')],
    [aux('mvcc-tstamp', '333'), key('c')],
  ]));
  const shown = async (file: Uint8Array): Promise<string[]> =>
    (lines((await decodeBytes(file, { meta: true })).lines) as { type: string; db?: number; key?: string; value: unknown }[]).flatMap(({ db, key: name, type, value }) =>
      type === 'aux' && name !== 'redis-ver' ? [`${name} ${String(value)}`] : db === undefined || name === undefined ? [] : [name],
    );

  test('stays with its key in an RDB', async () => {
    const all = await dumped([keydb], 'rdb');
    expect(all.code).toBe(0);
    expect(await shown(all.file)).toEqual(['mvcc-tstamp 111', 'a', 'mvcc-tstamp 222', 'set', 'keydb-subexpire-key m', 'keydb-subexpire-when 9000000000000', 'mvcc-tstamp 333', 'c']);
    expect((await decodeBytes(all.file)).lines).toContain('"expireAt":9000000000000');
    expect(await shown((await dumped([keydb], 'rdb', '--type', 'string')).file)).toEqual(['mvcc-tstamp 111', 'a', 'mvcc-tstamp 333', 'c']);
    expect(await shown((await dumped([keydb], 'rdb', '--match', 'set')).file)).toEqual(['mvcc-tstamp 222', 'set', 'keydb-subexpire-key m', 'keydb-subexpire-when 9000000000000']);
  });

  test.each([['rdb', '--target-version', '6.2'], ['payload'], ['resp']])('is told where it has no place: %s', async (format, ...more) => {
    const { code, refused, summary } = await dumped([keydb], format, ...more);
    expect(code).toBe(1);
    expect(refused).toMatchObject([{ reason: '1 member expiry of KeyDB is not kept; --format rdb without --target-version keeps them' }]);
    expect(summary).toMatchObject({ keys: 3, keysAdapted: 3 });
    expect((await dumped([keydb], format, '--type', 'string', ...more)).code).toBe(0);
  });
});

test('functions and keys that are not written are counted apart', async () => {
  const source = folder.file('functions.rdb', rdb('REDIS0012', [0xf5, str('#!lua name=lib\n'), [24, str('h'), le(9e12, 8), 1, 1, str('f'), str('v')], key('s')]));
  const { code, summary } = await dumped([source], 'rdb', '--target-version', '6.2');
  expect([code, summary]).toMatchObject([1, { keys: 1, keysRead: 2, keysFiltered: 0, keysRefused: 1, othersRefused: 1 }]);
  const { err } = await rdbkit(['dump', source, '--format', 'rdb', '--target-version', '6.2', '-o', folder.at('functions')]);
  expect(err).toContain('; 1 key not written; 1 other records not written (functions, module data, expiries of members)\n');
});

describe('a source torn inside a value over a mebibyte', () => {
  const whole = rdb('REDIS0011', [key('first'), [2, str('torn'), len(90_000), Array.from({ length: 90_000 }, (_, i) => str(`member number ${i}`))]]);
  const torn = folder.file('torn.rdb', whole.slice(0, whole.length - 200_000));
  const good = folder.file('good.rdb', rdb('REDIS0011', [key('second')]));

  test.each(['rdb', 'resp', 'payload'])('leaves no file that says it is complete: %s', async (format) => {
    for (const more of [[], ['--keep-going'], ['--target-version', '7.0', '--keep-going']]) {
      const out = folder.at(`torn-${format}-${more.length}`);
      const { code, err } = await rdbkit(['dump', torn, good, '--format', format, '-o', out, ...more]);
      expect(code).toBe(3);
      expect(err).toContain('TRUNCATED');
      const made = readdirSync(dirname(out)).filter((name) => out.endsWith(name) || `${out}.partial`.endsWith(name));
      expect(made).toEqual([`torn-${format}-${more.length}.partial`]);
      const partial = readFileSync(`${out}.partial`);
      // RESTORE is written when the value is whole; what is torn is the end of the output, and the second file is not behind it
      if (format === 'resp') expect(partial.includes('torn')).toBe(false);
      else if (partial.includes('torn') && format === 'rdb') expect(partial.includes('second')).toBe(false);
    }
  });
});
