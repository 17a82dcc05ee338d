import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { bytes, rdb, str } from '../support/support.js';

const cases = fileURLToPath(new URL('../../fixtures/cases/', import.meta.url));
const AOF = join(cases, 'old-style.aof');
const TAIL = 'AOF: 94 bytes of newer commands follow the RDB and are not read';

const folder = new Folder();
afterAll(() => folder.remove());

const key = bytes(0, str('a'), str('1'));
const aux = (name: string, value: number): Uint8Array => bytes(0xfa, str(name), 0xc0, value);
const joined = (...parts: (string | Uint8Array)[]): Buffer => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
const piped = (content: Uint8Array): { stdin: Readable } => ({ stdin: Readable.from([Buffer.from(content)]) });
/** One byte after another. */
const dripped = (content: Uint8Array): { stdin: Readable } => ({ stdin: Readable.from([...content].map((byte) => Buffer.of(byte))) });

describe('commands of an AOF after the RDB', () => {
  const compressed = folder.file('old-style.aof.gz', gzipSync(readFileSync(AOF)));

  test.each([
    ['a file', AOF, undefined],
    ['a pipe', '-', piped(readFileSync(AOF))],
    ['a compressed file', compressed, undefined],
  ])('decode, %s', async (_, source, world) => {
    const { code, err, out } = await rdbkit(['decode', source], world);
    expect(code).toBe(1);
    expect(out.split('\n')).toHaveLength(507);
    expect(err).toContain(`: ${TAIL}. To keep them, load the AOF`);
  });

  test.each(['rdb', 'resp', 'payload'])('dump --format %s writes what the RDB has', async (format) => {
    const { code, err } = await rdbkit(['dump', AOF, '--format', format, '-o', folder.at(`out.${format}`)]);
    expect([code, err]).toEqual([1, expect.stringContaining(TAIL)]);
    expect(readFileSync(folder.at(`out.${format}`)).length).toBeGreaterThan(10_000);
  });

  test('--quiet says it, and --ignore-aof-tail is content', async () => {
    const out = folder.at('quiet');
    expect(await rdbkit(['decode', AOF, '--quiet', '-o', out])).toMatchObject({ code: 1, err: expect.stringContaining(TAIL) as string });
    expect(await rdbkit(['decode', AOF, '--ignore-aof-tail', '-o', out])).toMatchObject({ code: 0, err: expect.stringContaining(`warning: ${AOF}: ${TAIL}\n`) as string });
    expect(await rdbkit(['decode', AOF, '--ignore-aof-tail', '--quiet', '-o', out])).toMatchObject({ code: 0, err: '' });
  });

  test('--json, of several sources', async () => {
    const { code, err } = await rdbkit(['decode', AOF, join(cases, 'base.rdb'), '--json', '-o', folder.at('json')]);
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ exitCode: 1, keys: 1012, aofTails: [{ file: AOF, bytes: 94 }], errors: [] });
  });

  test('an error of another source comes before', async () => {
    const { code, err } = await rdbkit(['decode', AOF, folder.file('empty', ''), '--keep-going', '-o', folder.at('x')]);
    expect(code).toBe(3);
    expect(err).toContain(TAIL);
  });

  test('--strict refuses it as it refuses all that follows', async () => {
    expect(await rdbkit(['decode', AOF, '--strict', '-o', folder.at('strict')])).toMatchObject({ code: 3, err: expect.stringContaining('TRAILING_DATA') as string });
  });

  test.each([
    ['*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n', true],
    ['#TS:1700000000\r\n*1\r\n$4\r\nPING\r\n', true],
    ['*3\r\n', true],
    ['\0'.repeat(40), false],
    ['hello\r\n', false],
  ])('%j after an RDB', async (text, isAof) => {
    const { code, err } = await rdbkit(['decode', folder.file('tail', joined(rdb('REDIS0009', [key]), text)), '--json']);
    expect(code).toBe(isAof ? 1 : 0);
    const { aofTails, warnings } = JSON.parse(err) as { aofTails: unknown[]; warnings: unknown[] };
    expect(aofTails).toEqual(isAof ? [{ file: folder.at('tail'), bytes: text.length }] : []);
    expect(warnings).toHaveLength(isAof ? 0 : 1);
  });
});

describe('the base of an AOF without commands', () => {
  test('those of Redis 4 to 6, and since 7 with its increments', async () => {
    const preamble = folder.file('preamble.aof', rdb('REDIS0009', [aux('aof-preamble', 1), key]));
    const { code, err } = await rdbkit(['decode', preamble]);
    expect([code, err]).toEqual([0, expect.stringContaining(`warning: ${preamble}: this is the beginning of an AOF (aof-preamble 1), but no commands follow: newer ones may be missing\n`)]);

    mkdirSync(folder.at('dir'));
    const base = folder.file('dir/appendonly.aof.2.base.rdb', rdb('REDIS0010', [aux('aof-base', 1), key]));
    const warning = 'this is the base of an AOF (aof-base 1): newer commands are in its .incr.aof files and are not read';
    expect((await rdbkit(['decode', base])).err).toContain(`${base}: ${warning}; none is beside it\n`);
    folder.file('dir/appendonly.aof.2.incr.aof', '*1\r\n$4\r\nPING\r\n');
    expect(await rdbkit(['decode', base])).toMatchObject({ code: 0, err: expect.stringContaining(`${warning}; beside it: appendonly.aof.2.incr.aof (14 bytes)\n`) as string });
    expect((await rdbkit(['decode', '-'], piped(readFileSync(base)))).err).toContain(`standard input: ${warning}\n`);
  });

  test('an RDB that says that it is none has no warning', async () => {
    const plain = folder.file('plain.rdb', rdb('REDIS0010', [aux('aof-base', 0), aux('aof-preamble', 0), key]));
    const { code, err } = await rdbkit(['decode', plain, '--json']);
    expect([code, (JSON.parse(err) as { warnings: unknown[] }).warnings]).toEqual([0, []]);
  });
});

describe('what is an AOF, and no RDB', () => {
  const dir = folder.at('appendonlydir');
  mkdirSync(dir);
  const manifest = join(dir, 'appendonly.aof.manifest');
  writeFileSync(manifest, 'file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n');
  const increment = join(dir, 'appendonly.aof.2.incr.aof');
  writeFileSync(increment, '*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n');
  copyFileSync(join(cases, 'base.rdb'), join(dir, 'appendonly.aof.2.base.rdb'));

  test.each([
    [dir, 'the folder of an AOF'],
    [manifest, 'the manifest of an AOF'],
    [increment, 'an AOF without an RDB in front'],
  ])('%s', async (source, what) => {
    for (const argv of [['decode', source], ['dump', source, '--format', 'rdb', '-o', folder.at('none')]]) {
      const { code, err, out } = await rdbkit(argv);
      expect([code, out]).toEqual([3, '']);
      expect(err).toMatch(new RegExp(`^rdbkit: AOF: .*expected an RDB file, got ${what}\\. Name the \\.base\\.rdb file .* server: rdbkit dump redis://host:port\\.\n`));
    }
  });

  test('from a pipe, byte by byte', async () => {
    for (const path of [manifest, increment]) expect(await rdbkit(['decode', '-'], dripped(readFileSync(path)))).toMatchObject({ code: 3, err: expect.stringContaining('AOF: standard input') as string });
  });

  test('another folder, and a text', async () => {
    mkdirSync(folder.at('other'));
    expect(await rdbkit(['decode', folder.at('other')])).toMatchObject({ code: 2, err: expect.stringContaining('READ_FAILED') as string });
    expect(await rdbkit(['decode', folder.file('text', 'file a letter to somebody\n')])).toMatchObject({ code: 3, err: expect.stringContaining('NOT_RDB') as string });
  });
});

describe('an RDB as a replication link sends it', () => {
  const mark = 'a'.repeat(40);
  const plain = rdb('REDIS0009', [key]);
  const LINE = '{"db":0,"key":"a","type":"string","value":"1"}\n';
  const fixture = (name: string): Buffer => readFileSync(join(cases, name));

  test.each<[string, Uint8Array]>([
    ['diskless.rdb', fixture('diskless.rdb')],
    ['bulk.rdb', fixture('bulk.rdb')],
    ['with a checksum', joined(`$EOF:${mark}\r\n`, plain, mark)],
    ['with the reply to PSYNC and newlines', joined(`+FULLRESYNC ${mark} 14\r\n\n\n$${plain.length}\r\n`, plain)],
    ['redis-cli --rdb -', joined(plain, '0123456789abcdef0123456789abcdef01234567')],
  ])('%s', async (_, content) => {
    for (const [source, world] of [
      [folder.file('link.rdb', content), undefined],
      [folder.file('link.rdb.gz', gzipSync(content)), undefined],
      ['-', piped(content)],
      ['-', dripped(content)],
    ] as const) {
      const { code, err, out } = await rdbkit(['decode', source, '--strict', '--json'], world);
      expect([code, out, (JSON.parse(err) as { warnings: unknown[] }).warnings]).toEqual([0, LINE, []]);
    }
    await rdbkit(['dump', folder.at('link.rdb'), '--format', 'rdb', '-o', folder.at('copy.rdb')]);
    expect(readFileSync(folder.at('copy.rdb')).subarray(0, 9).toString()).toBe('REDIS0009');
  });

  test('commands after it are told, and another mark is not passed over', async () => {
    const ping = '*1\r\n$4\r\nPING\r\n';
    expect(await rdbkit(['decode', folder.file('stream', joined(`$EOF:${mark}\r\n`, plain, mark, ping))])).toMatchObject({ code: 1, err: expect.stringContaining('AOF: 14 bytes of newer commands') as string });
    expect((await rdbkit(['decode', folder.file('mark', joined(`$EOF:${mark}\r\n`, plain, 'b'.repeat(40)))])).err).toContain('warning: ');
  });

  test('places in errors are those in the file', async () => {
    const damaged = joined(`$EOF:${mark}\r\n`, 'REDIS0009', key, Uint8Array.of(200));
    const { code, err } = await rdbkit(['decode', folder.file('damaged', damaged)]);
    expect([code, err]).toEqual([3, expect.stringContaining(`offset ${damaged.length - 1}: expected an opcode`)]);
    const wrong = joined(`$${plain.length}\r\n`, plain.subarray(0, -1), Uint8Array.of(plain[plain.length - 1] ^ 1));
    expect((await rdbkit(['decode', folder.file('wrong', wrong)])).err).toContain(`CHECKSUM: ${folder.at('wrong')}, offset ${wrong.length - 8}:`);
  });
});

describe('an RDB given to a command that takes none', () => {
  test('encode and payload say so', async () => {
    expect(await rdbkit(['encode', AOF, '-o', folder.at('encoded')])).toMatchObject({ code: 3, err: expect.stringContaining(`BAD_JSON: ${AOF}, offset 0: expected lines of JSON, got an RDB file: rdbkit decode makes lines of it.`) as string });
    expect(await rdbkit(['payload', 'check'], piped(readFileSync(join(cases, 'base.rdb'))))).toMatchObject({ code: 3, err: expect.stringContaining('got an RDB file: rdbkit decode reads it.') as string });
  });
});
