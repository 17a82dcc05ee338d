/* Redis 8.12 and Valkey 9.2: no such server could be had, so all files here are built by hand from the servers' sources and documentation. */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePayload } from '../../src/rdb/payload.js';
import { Folder, rdbkit } from '../support/cli-support.js';
import { bytes, le, type Part, rdb, str } from '../support/support.js';

const lz4js = createRequire(import.meta.url)('lz4js') as { compress(bytes: Uint8Array): Uint8Array };
const fixtures = join(import.meta.dirname, '../../fixtures');
const folder = new Folder();
afterAll(() => folder.remove());

const contains = (text: string): string => expect.stringContaining(text) as string;
const dripped = (content: Uint8Array): { stdin: Readable } => ({ stdin: Readable.from([...content].map((byte) => Buffer.of(byte))) });

describe('an RDB that Valkey 9.2 compressed as a whole', () => {
  const plain = readFileSync(join(fixtures, 'example.rdb'));
  const lines = readFileSync(join(fixtures, 'example.jsonl'), 'utf8');
  const lz4 = lz4js.compress(plain);
  const vcs = (header: readonly number[], frame: Uint8Array): Buffer => Buffer.concat([Buffer.from('VCS'), Buffer.from(header), frame]);

  test.each<[string, Uint8Array]>([
    ['LZ4', vcs([1, 1, 0, 1], lz4)],
    ['LZ4, for a replica', vcs([1, 1, 0, 2], lz4)],
  ])('%s', async (_, content) => {
    const file = folder.file('vcs.rdb', content);
    expect(await rdbkit(['decode', file])).toMatchObject({ code: 0, out: lines });
    expect(await rdbkit(['decode', '-'], dripped(content))).toMatchObject({ code: 0, out: lines });
    expect(await rdbkit(['decode', folder.file('vcs.rdb.gz', gzipSync(content))])).toMatchObject({ code: 0, out: lines });
    expect(await rdbkit(['dump', file, '--format', 'rdb', '-o', folder.at('plain.rdb')])).toMatchObject({ code: 0 });
    expect((await rdbkit(['decode', folder.at('plain.rdb')])).out).toBe(lines);
  });

  const frame = readFileSync(join(fixtures, 'compressed/valkey-vcs-zstd.rdb')).subarray(7);
  const WHAT = 'expected the VCS header of an RDB that Valkey compressed';
  test.each<[string, Uint8Array]>([
    [`${WHAT} in version 1, got version 2.`, vcs([2, 1, 0, 1], lz4)],
    [`${WHAT} with codec 1 (LZ4) or 2 (zstd), got codec 3.`, vcs([1, 3, 0, 1], lz4)],
    [`${WHAT} with a reserved byte of 0, got 9.`, vcs([1, 1, 9, 1], lz4)],
    [`${WHAT} of kind 1 (a file) or 2 (a replica), got kind 0.`, vcs([1, 1, 0, 0], lz4)],
    ['expected an LZ4 frame after the VCS header of an RDB that Valkey compressed, got other bytes.', vcs([1, 1, 0, 1], frame)],
    ['expected a zstd frame after the VCS header of an RDB that Valkey compressed, got other bytes.', vcs([1, 2, 0, 1], lz4)],
    [`${WHAT}, got the compressed data ends early.`, Buffer.from('VCS\u0001')],
    ['got the compressed data ends early.', vcs([1, 1, 0, 1], lz4.subarray(0, lz4.length - 9))],
  ])('%s', async (message, content) => {
    const { code, err } = await rdbkit(['decode', folder.file('bad.rdb', content)]);
    expect([code, err]).toEqual([3, contains(message)]);
    expect(err).toContain('BAD_COMPRESSION: ');
  });
});

describe('versions and types', () => {
  const key = bytes(0, str('a'), str('1'));

  test.each(['REDIS0016', 'REDIS0017', 'VALKEY081'])('%s is known', async (magic) => {
    const file = folder.file('known.rdb', rdb(magic, [key]));
    expect(await rdbkit(['decode', file, '--strict', '--quiet'])).toEqual({ code: 0, err: '', out: '{"db":0,"key":"a","type":"string","value":"1"}\n' });
  });

  test('REDIS0018 is newer', async () => {
    expect((await rdbkit(['decode', folder.file('newer.rdb', rdb('REDIS0018', [key]))])).err).toContain('RDB version 18 is newer than 17');
  });

  test.each<[string, string, number, Part]>([
    ['34, SET_LISTPACK_EX of Redis 8.12', 'REDIS0017', 34, str('x')],
    ['35, SET_METADATA of Redis 8.12', 'REDIS0017', 35, str('x')],
    ['23, PATH_HASH of Valkey 9.2', 'VALKEY081', 23, [1, str('path'), 1, str('f'), str('v')]],
    ['6, a module value of Redis 4.0 release candidates', 'REDIS0008', 6, str('x')],
  ])('type %s', async (name, magic, type, value) => {
    const file = rdb(magic, [key, 254, 3, 252, le(2_000_000_000_000, 8), type, str('what'), value]);
    const message = `UNSUPPORTED_TYPE: ${folder.at('type.rdb')}, offset ${file.indexOf(type, 9 + key.length + 11)}, db 3, key "what": expected a type that rdbkit reads, got type ${name}.`;
    const { code, err, out } = await rdbkit(['decode', folder.file('type.rdb', file)]);
    expect([code, out]).toEqual([3, '{"db":0,"key":"a","type":"string","value":"1"}\n']);
    expect(err).toContain(message);
    expect((await rdbkit(['decode', '-'], dripped(file))).err).toContain(message.replace(folder.at('type.rdb'), 'standard input'));
  });

  test('the opcode UPDATE of a live transfer', async () => {
    const { code, err } = await rdbkit(['decode', folder.file('live.rdb', rdb('VALKEY081', [key, 242, '*1\r\n$4\r\nPING\r\n']))]);
    expect([code, err]).toEqual([3, contains('opcode 242, UPDATE of Valkey 9.2: a live transfer with commands between the keys')]);
  });
});

describe('what is written for them', () => {
  const source = join(fixtures, 'servers/redis-7.4.1.rdb');

  test.each([['redis-8.12', 'REDIS0017'], ['valkey-9.2', 'VALKEY081']])('%s', async (target, magic) => {
    const to = folder.at(`${target}.rdb`);
    expect(await rdbkit(['dump', source, '--format', 'rdb', '--target-version', target, '-o', to])).toMatchObject({ code: 0 });
    expect(readFileSync(to).subarray(0, 9).toString()).toBe(magic);
    expect((await rdbkit(['decode', to, '--strict', '--json', '-o', folder.at('lines')])).code).toBe(0);
  });

  test('payload check names types that are not read', async () => {
    const check = (payload: Uint8Array): ReturnType<typeof rdbkit> => rdbkit(['payload', 'check', Buffer.from(payload).toString('hex')]);
    expect(await check(encodePayload(34, str('x'), 17))).toMatchObject({ code: 3, out: contains('UNSUPPORTED_TYPE: offset 0: expected a type that rdbkit reads, got type 34, SET_LISTPACK_EX of Redis 8.12.') });
    expect((await check(encodePayload(0, str('v'), 17))).out).toContain('servers   Redis 8.12\n');
    expect((await check(encodePayload(0, str('v'), 81))).out).toContain('servers   Valkey 9.2\n');
  });
});
