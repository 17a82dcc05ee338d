import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { Folder, lines, rdbkit } from '../support/cli-support.js';
import { bytes, intset, le, type Part, rdb, str } from '../support/support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const CASES = join(fileURLToPath(new URL('../..', import.meta.url)), 'fixtures', 'cases');
const key = (name: string): Part => [0, str(name), str('v')];
const aux = (name: string, value: string): Part => [0xfa, str(name), str(value)];
let files = 0;
const file = (magic: string, ...parts: Part[]): string => folder.file(`${files++}.rdb`, rdb(magic, parts));

const COMMANDS: readonly string[][] = [['decode'], ['dump', '--format', 'rdb'], ['dump', '--format', 'payload'], ['dump', '--format', 'resp']];

describe.each(COMMANDS)('%s %s %s', (...command) => {
  const run = (source: string): ReturnType<typeof rdbkit> => rdbkit([...command, source]);

  test.each([
    ['json30.rdb', 'offset 68, db 0, key "j"', 'type 30, JSON of Dragonfly; the file was written by Dragonfly v1.27.1, whose own types are not read.'],
    ['hash31.rdb', 'offset 63, db 0, key "h"', 'type 31, HASH_WITH_EXPIRY of Dragonfly; the file was written by Dragonfly v1.27.1, whose own types are not read.'],
    ['keydb_cron.rdb', 'offset 51, db 0, key "job"', 'type 64, CRON of KeyDB.'],
  ])('refuses what other servers added: %s', async (name, place, what) => {
    const { code, err } = await run(join(CASES, name));
    expect(code).toBe(3);
    expect(err).toContain(`UNSUPPORTED_TYPE: ${join(CASES, name)}, ${place}: expected a type that rdbkit reads, got ${what}`);
  });

  test.each<[magic: string, part: Part, what: string]>([
    ['REDIS0009', [18, str('k'), 1, 2, str('x')], 'type 18, LIST_QUICKLIST_2, which Redis has from RDB version 10 on'],
    ['REDIS0010', [20, str('k'), str('x')], 'type 20, SET_LISTPACK, which Redis has from RDB version 11 on'],
    ['REDIS0011', [24, str('k'), le(0, 8), 0], 'type 24, HASH_METADATA, which Redis has from RDB version 12 on'],
    ['VALKEY080', [24, str('k'), le(0, 8), 0], 'type 24, HASH_METADATA, which Redis has from RDB version 12 on'],
    ['REDIS0014', [31, str('k'), 1, 0], 'type 31, HASH_TMPL_ARRAY, which Redis has from RDB version 15 on'],
  ])('refuses types that the version %s does not have', async (magic, part, what) => {
    const source = file(magic, key('before'), part);
    const { code, err, out } = await run(source);
    expect(code).toBe(3);
    expect(out).toContain('before');
    expect(err).toContain(`UNKNOWN_OPCODE: ${source}, offset 19, db 0, key "k": expected an opcode or value type of ${magic.startsWith('R') ? 'redis' : 'valkey'} RDB version ${Number(magic.replace(/\D/g, ''))}, got ${what}.`);
  });

  test.each<[magic: string, opcode: Part, what: string]>([
    ['REDIS0008', [249, 7], 'opcode 249, FREQ, which Redis has from RDB version 9 on'],
    ['REDIS0008', [248, 7], 'opcode 248, IDLE, which Redis has from RDB version 9 on'],
    ['REDIS0002', [252, le(9e12, 8)], 'opcode 252, EXPIRETIME_MS, which Redis has from RDB version 3 on'],
    ['REDIS0009', [245, str('#!lua name=l\n')], 'opcode 245, FUNCTION2, which Redis has from RDB version 10 on'],
    ['REDIS0012', [243, 0], 'opcode 243, KEY_META, which Redis has from RDB version 13 on'],
  ])('refuses opcodes that the version %s does not have', async (magic, opcode, what) => {
    const source = file(magic, key('before'), opcode, key('k'));
    const { code, err } = await run(source);
    expect(code).toBe(3);
    expect(err).toContain(`UNKNOWN_OPCODE: ${source}, offset 19: expected an opcode or value type of redis RDB version ${Number(magic.slice(5))}, got ${what}.`);
  });

  test('takes the lists and streams of Dragonfly, newer than the version that its files say', async () => {
    const head = aux('df-ver', 'df-v1.27.1');
    const { code, out } = await run(file('REDIS0009', head, [18, str('list'), 1, 1, str('x')], key('s'), [11, str('set'), str(intset(2, [1n, 2n]))]));
    expect(code).toBe(0);
    if (command[0] === 'decode') expect(lines(out)).toMatchObject([{ key: 'list', value: ['x'] }, { key: 's' }, { key: 'set', value: ['1', '2'] }]);
  });
});

test('a copy of a Dragonfly file is read again', async () => {
  const source = file('REDIS0009', aux('df-ver', 'df-v1.27.1'), [18, str('list'), 1, 1, str('x')]);
  const copy = folder.at('copy.rdb');
  expect((await rdbkit(['dump', source, '--format', 'rdb', '-o', copy])).code).toBe(0);
  expect(lines((await rdbkit(['decode', copy])).out)).toMatchObject([{ key: 'list', value: ['x'] }]);
});

test('a key that the input ends in is no excuse', async () => {
  const source = folder.file('cut.rdb', bytes('REDIS0009', 24, 5, 'ab'));
  const { code, err } = await rdbkit(['decode', source]);
  expect(code).toBe(3);
  expect(err).toContain('type 24, HASH_METADATA');
});

test('payloads are taken whatever version their footer says, as servers do, and are told apart', async () => {
  const payload = encodePayload(18, bytes(1, 1, str('x')), 9);
  const checked = await rdbkit(['payload', 'check', Buffer.from(payload).toString('hex')]);
  expect(checked.code).toBe(0);
  expect(checked.out).toContain('version   RDB 9; its type came with 10, but servers restore it all the same\n');
  const line = `${JSON.stringify({ db: 0, key: 'l', payload: Buffer.from(payload).toString('base64') })}\n`;
  const source = folder.file('payloads.jsonl', line);
  expect(lines((await rdbkit(['decode', source])).out)).toMatchObject([{ key: 'l', value: ['x'] }]);
});
