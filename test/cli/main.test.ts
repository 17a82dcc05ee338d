import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { parseText } from '../../src/bytes/text.js';
import { COMMANDS } from '../../src/cli/commands.js';
import { aborted, Collector, decode, FIXTURE, Folder, type Line, lines, rdb, rdbkit } from '../support/cli-support.js';
import { intStr, listpack, rdb as rdbFile, str } from '../support/support.js';

const folder = new Folder();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
let all: Line[] = [];
let whole = '';

beforeAll(async () => {
  whole = (await decode(FIXTURE)).out;
  all = lines(whole);
});
afterAll(() => folder.remove());

describe('help', () => {
  test.each([['--version'], ['-V']])('%s', async (flag) => {
    expect(await rdbkit([flag])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test.each([[['--help']], [['help']], [['decode', '--help']], [['help', 'decode']]])('%j is data', async (argv) => {
    const { code, err, out } = await rdbkit(argv);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^Usage: rdbkit /);
    expect(out).toContain('Examples:');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('every filter of the program is in it, and every command', async () => {
    const { out } = await rdbkit(['decode', '--help']);
    for (const name of ['db', 'prefix', 'match', 'regex', 'type']) expect(out).toMatch(new RegExp(`--${name} <`));
    for (const name of ['prefix', 'match', 'regex', 'type']) expect(out).toMatch(new RegExp(`--not-${name} <`));
    for (const name of ['slot', 'ttl', 'min-size', 'max-size', 'limit']) expect(out).toMatch(new RegExp(`--${name} <`));
    for (const { name } of COMMANDS) expect((await rdbkit(['--help'])).out).toMatch(new RegExp(`^ +${name.split(' ')[0]} `, 'm'));
  });

  test('without arguments it is an error', async () => {
    const { code, err, out } = await rdbkit([]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^Usage: rdbkit <command>/);
  });
});

describe('wrong usage is one line with a hint and exits 2', () => {
  test.each<[string[], string]>([
    [['decod', 'x'], "unknown command 'decod' (did you mean decode?). See rdbkit --help"],
    [
      ['memory', 'x'],
      "unknown command 'memory' (did you mean inspect? It has the keys with the most memory). See rdbkit --help",
    ],
    [['info', 'x'], "unknown command 'info' (did you mean rdbkit decode FILE --meta? "],
    [['stats', 'x'], "unknown command 'stats' (did you mean inspect?)"],
    [['version'], "unknown command 'version' (did you mean rdbkit --version?). See rdbkit --help"],
    [['constructor'], "unknown command 'constructor'. See rdbkit --help"],
    [
      ['--command', 'json', 'x'],
      "unknown option '--command' (did you mean a command: rdbkit decode for JSON lines, or rdbkit dump --format resp?). See rdbkit --help",
    ],
    [['decode', '-k', 'a*', FIXTURE], "unknown option '-k' (did you mean --match, --prefix or --regex?). See rdbkit decode --help"],
    [['check', '--key', 'a*', FIXTURE], "unknown option '--key' (did you mean --match, --prefix or --regex?). See rdbkit check --help"],
    [['dump', '--keys=a*', FIXTURE], "unknown option '--keys' (did you mean --match, --prefix or --regex?). See rdbkit dump --help"],
    [['restore', '-t', 'hash', FIXTURE], "unknown option '-t' (did you mean --type?). See rdbkit restore --help"],
    [['decode', '--format', 'csv', FIXTURE], "unknown option '--format' (rdbkit decode writes JSON lines, and jq makes CSV of them: "],
    [['decode', '--format', 'json', FIXTURE], "unknown option '--format' (rdbkit decode writes JSON lines, without an option)"],
    [
      ['dump', FIXTURE, '--format', 'csv'],
      '--format csv: expected one of rdb, resp, payload (rdbkit decode writes JSON lines, and jq makes CSV of them: ',
    ],
    [
      ['decode', '-asecret', FIXTURE],
      "unknown option '-a' (a server is named by its URL, redis://host:port, and RDBKIT_SOURCE_AUTH has its password). See rdbkit decode --help",
    ],
    [['payload', 'check', '-k', 'a'], "unknown option '-k'. See rdbkit payload --help"],
    [['watch', 'x'], "unknown command 'watch'. See rdbkit --help"],
    [['dump.rdb'], "unknown command 'dump.rdb' (did you mean rdbkit decode dump.rdb?). See rdbkit --help"],
    [['redis://:secret@host/'], "unknown command 'redis://***@host/'. See rdbkit --help"],
    [['--verison'], "unknown option '--verison' (did you mean --version?). See rdbkit --help"],
    [['decode', '--prefx', 'a', FIXTURE], "unknown option '--prefx' (did you mean --prefix?). See rdbkit decode --help"],
    [['decode', FIXTURE, '--pasword=secret'], "unknown option '--pasword'. See rdbkit decode --help"],
    [['decode', '\u001b[2J'], 'READ_FAILED: "\\u001b[2J": no such file.'],
    [['\u001b[2J'], "unknown command '\\u001b[2J'. See rdbkit --help"],
    [['decode'], 'no source given: name an RDB file, or - for standard input. See rdbkit decode --help'],
    [['decode', ''], 'a source is an empty word'],
    [['encode', 'redis://:secret@host'], 'a source is a URL'],
    [['decode', 'redis://:secret@host/x'], 'the source: what follows the host is not a database number'],
    [['decode', 'redis://:secret@host', 'redis://host'], 'the source redis://host:6379 is given twice'],
    [['decode', FIXTURE, '--via', 'scan'], '--via is for sources that are servers, and none is given'],
    [['decode', '-', '-'], 'standard input (-) is given twice'],
    [['decode', FIXTURE, '--limit'], "option '--limit <n>' needs a value"],
    [['decode', FIXTURE, '--limit', '0'], '--limit 0: expected a whole number of keys, at least 1'],
    [['decode', FIXTURE, '--db', 'x'], '--db x: expected database numbers'],
    [['decode', FIXTURE, '--type', 'hsah'], '--type hsah: expected one of string'],
    [['decode', FIXTURE, '--slot', '16384'], '--slot 16384: expected slots'],
    [['decode', FIXTURE, '--ttl', 'old'], '--ttl old: expected one of none'],
    [['decode', FIXTURE, '--regex', '('], '--regex (: not a JavaScript regular expression'],
    [['decode', FIXTURE, '--prefix', 'base64:!'], '--prefix base64:!: base64 with'],
    [['decode', FIXTURE, '--min-size', '1eb'], '--min-size 1eb: expected a number of bytes'],
    [['decode', FIXTURE, '--min-size', '2kb', '--max-size', '1kb'], '--min-size 2kb is above --max-size 1kb'],
    [['decode', FIXTURE, '--progress', 'bar'], '--progress bar: expected one of auto, plain, none'],
    [['decode', FIXTURE, '-o', ''], '--output "": expected'],
    [['decode', FIXTURE, '-o', 'redis://:secret@host'], '--output is a URL'],
    [['decode', FIXTURE, '-o', FIXTURE], 'would overwrite the source'],
  ])('%j', async (argv, text) => {
    const { code, err, out } = await rdbkit(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^rdbkit: [^\n]*\n$/);
    expect(err).toContain(text);
    expect(err).not.toContain('secret');
  });

  test('standard input that is a terminal', async () => {
    const stdin = Object.assign(Readable.from([]), { isTTY: true });
    const { code, err } = await rdbkit(['decode', '-'], { stdin });
    expect([code, err]).toEqual([2, expect.stringContaining('is a terminal: pipe an RDB into it')]);
  });
});

describe('filters', () => {
  const slot = ({ key }: Line): number => keySlot(parseText(key));
  const starts = (...prefixes: string[]) => ({ key }: Line) => prefixes.some((prefix) => key.startsWith(prefix));

  test.each<[string, string[], (line: Line) => boolean]>([
    ['one database', ['--db', '1'], ({ db }) => db === 1],
    ['a list and a range', ['--db=15,1-2'], ({ db }) => db > 0],
    ['an option again', ['--db', '0', '--db', '15'], ({ db }) => db === 0 || db === 15],
    ['--prefix', ['--prefix', 'beta:'], starts('beta:')],
    ['--prefix again', ['--prefix', 'beta:', '--prefix=dog'], starts('beta:', 'dog')],
    ['--prefix in base64', ['--prefix', 'base64:YmV0YTo='], starts('beta:')],
    ['--prefix that looks like an option', ['--prefix', '-'], starts('-')],
    ['--not-prefix', ['--not-prefix', 'beta:', '--not-prefix', 'dog'], (line) => !starts('beta:', 'dog')(line)],
    ['--match', ['--match', 'b[er]*:*'], starts('beta:', 'brown:')],
    ['--not-match', ['--not-match', '*:*'], ({ key }) => !Buffer.from(parseText(key)).includes(':')],
    ['--regex', ['--regex', '^dog:\\d+$'], ({ key }) => /^dog:\d+$/.test(key)],
    ['--not-regex', ['--not-regex', '.'], ({ key }) => key === ''],
    ['--type', ['--type', 'hash,zset', '--type', 'stream'], ({ type }) => ['hash', 'zset', 'stream'].includes(type)],
    ['--not-type', ['--not-type', 'string,list'], ({ type }) => !['string', 'list'].includes(type)],
    ['--slot', ['--slot', '0-5460,16383'], (line) => slot(line) <= 5460 || slot(line) === 16383],
    ['--ttl any', ['--ttl', 'any'], ({ expireAt }) => expireAt !== undefined],
    ['--ttl none', ['--ttl', 'none'], ({ expireAt }) => expireAt === undefined],
    ['--ttl expired', ['--ttl', 'expired'], () => false],
    ['--ttl live', ['--ttl', 'live'], () => true],
    [
      'several options',
      ['--db', '0', '--type', 'string', '--ttl', 'any'],
      ({ db, type, expireAt }) => db === 0 && type === 'string' && expireAt !== undefined,
    ],
  ])('%s', async (_, flags, fits) => {
    const { code, out } = await decode(...flags, FIXTURE);
    expect(code).toBe(0);
    expect(lines(out)).toEqual(all.filter(fits));
  });

  test('sizes divide the keys', async () => {
    const small = lines((await decode(FIXTURE, '--max-size', '1kb')).out);
    const large = lines((await decode(FIXTURE, '--min-size', '1025')).out);
    expect(small.length).toBeGreaterThan(0);
    expect(large.length).toBeGreaterThan(0);
    expect(small.length + large.length).toBe(all.length);
  });

  test('a word behind the value of an option is a source; where it does not exist, the error explains', async () => {
    const { code, err } = await decode(FIXTURE, '--prefix', 'a:', 'b:');
    expect(code).toBe(2);
    expect(err).toContain('If it is meant as another value of --prefix, give the option again: --prefix b:.');
    expect((await decode('--db=0', '1')).err).toContain('--db 1.');
    expect((await decode('nowhere.rdb')).err).not.toContain('another value');
  });

  test('--limit', async () => {
    const { err, out } = await decode(FIXTURE, '--type', 'hash', '--limit', '3');
    expect(lines(out)).toEqual(all.filter(({ type }) => type === 'hash').slice(0, 3));
    expect(err).toMatch(/^rdbkit: 3 keys, .*; stopped at --limit\n$/);
    expect(lines((await decode(FIXTURE, FIXTURE, '--limit', '300')).out)).toHaveLength(300);
  });
});

describe('sources', () => {
  test('standard input, compressed and several', async () => {
    const plain = await rdbkit(['decode', '-'], { stdin: Readable.from([rdb()]) });
    expect(plain.out).toBe(whole);
    const gzip = await rdbkit(['decode', '-', FIXTURE], { stdin: Readable.from([gzipSync(rdb())]) });
    expect(gzip.out).toBe(whole + whole);
    expect((await decode('--', FIXTURE)).out).toBe(whole);
  });

  test('--meta', async () => {
    const records = lines((await decode(FIXTURE, '--meta')).out);
    expect(records[0]).toMatchObject({ type: 'aux', key: 'redis-ver', value: '7.0.15' });
    expect(records.at(-1)).toEqual({ type: 'end', version: 10, checksum: 'ok', keys: 250 });
  });
});

describe('damage', () => {
  const damaged = (name: string, change: (bytes: Buffer) => Uint8Array): string => folder.file(name, change(rdb()));
  const flip = (bytes: Buffer): Buffer => {
    bytes[bytes.length - 3] ^= 1;
    return bytes;
  };

  test.each<[string, () => string, number, RegExp]>([
    ['missing', () => folder.at('none.rdb'), 2, /^rdbkit: READ_FAILED: \S+none\.rdb: no such file\. /],
    ['a folder', () => folder.path, 2, /^rdbkit: READ_FAILED: \S+: a directory\. /],
    [
      'empty',
      () => folder.file('empty.rdb', ''),
      3,
      /^rdbkit: EMPTY_INPUT: \S+empty\.rdb, offset 0: expected an RDB file, got no bytes\. /,
    ],
    [
      'a web page',
      () => folder.file('page.rdb', '<!DOCTYPE html>\n<html>'),
      3,
      /^rdbkit: NOT_RDB: .*<!DOCTYPE html>.*may be an error page/,
    ],
    [
      'truncated',
      () => damaged('cut.rdb', (bytes) => bytes.subarray(0, 300_000)),
      3,
      /^rdbkit: TRUNCATED: \S+cut\.rdb, offset 300000, db 1, key "[^"]+": expected the rest of a value, got the end of the input\. /,
    ],
    [
      'a changed checksum',
      () => damaged('flip.rdb', flip),
      3,
      /^rdbkit: CHECKSUM: \S+flip\.rdb, offset \d+: expected [0-9a-f]{16}, .*--no-checksum/,
    ],
    ['a damaged gzip', () => folder.file('bad.gz', gzipSync(rdb()).subarray(0, 9000)), 3, /^rdbkit: BAD_COMPRESSION: .*gzip -t/],
  ])('%s', async (_, file, code, text) => {
    const result = await decode(file(), '--quiet');
    expect(result.code).toBe(code);
    expect(result.err).toMatch(text);
    expect(result.err.match(/\n/g)).toHaveLength(1);
  });

  test.skipIf(process.getuid?.() === 0)('a file that may not be read', async () => {
    const file = damaged('secret.rdb', (bytes) => bytes);
    chmodSync(file, 0);
    expect(await decode(file)).toMatchObject({ code: 2, err: expect.stringContaining('permission denied') as string });
  });

  test('--no-checksum', async () => {
    expect(await decode(damaged('flip.rdb', flip), '--no-checksum')).toMatchObject({ code: 0, out: whole });
  });

  test('a newer version is a warning, said once, and with --strict an error', async () => {
    const newer = damaged('newer.rdb', (bytes) => Buffer.concat([Buffer.from('REDIS0999'), bytes.subarray(9, -8), Buffer.alloc(8)]));
    const { code, err, out } = await decode(newer, newer);
    expect([code, out]).toEqual([0, whole + whole]);
    expect(err.match(/^rdbkit: warning: .*version 999.*$/gm)).toHaveLength(1);
    expect((await decode(newer, '--quiet')).err).toBe('');
    expect(await decode(newer, '--strict')).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringContaining('UNSUPPORTED_VERSION') as string,
    });
  });

  test('--keep-going decodes the rest and still fails', async () => {
    const cut = damaged('cut.rdb', (bytes) => bytes.subarray(0, 1000));
    expect((await decode(cut, FIXTURE)).out).not.toContain(whole);
    const { code, err, out } = await decode(cut, folder.at('none.rdb'), FIXTURE, '--keep-going');
    expect(code).toBe(3);
    expect(out.endsWith(whole)).toBe(true);
    expect(err).toMatch(/^rdbkit: TRUNCATED: .*\nrdbkit: READ_FAILED: .*\nrdbkit: 2 of 3 sources had errors\.\nrdbkit: 2\d\d keys, .*\n$/);
    expect(await decode(folder.at('none.rdb'), FIXTURE, '--keep-going')).toMatchObject({ code: 2 });
  });

  test('hostile keys and names come out harmless', async () => {
    const key = 'a\u001b[2J\nrdbkit: 5 keys\u202e';
    const broken = rdbFile('REDIS0011', [16, str(key), str(listpack(['one field']))]);
    const { code, err } = await decode(folder.file('bad\u001b[31m\n.rdb', broken), '--quiet');
    expect(code).toBe(3);
    expect(err).toContain(`bad\\u001b[31m\\n.rdb"`);
    expect(err).toContain('key "a\\u001b[2J\\nrdbkit: 5 keys\\u202e"');
    expect(err.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('DEBUG=rdbkit shows where', async () => {
    const argv = ['decode', folder.at('none.rdb')];
    expect((await rdbkit(argv, { env: { DEBUG: 'other' } })).err).not.toMatch(/^ +at /m);
    const { err } = await rdbkit(argv, { env: { DEBUG: 'other,rdbkit' } });
    expect(err).toMatch(/^rdbkit: READ_FAILED.*\n {2}RdbError: .*\n {6}at /);
    expect(err).toContain('caused by Error: ENOENT');
  });
});

describe('-o', () => {
  test('the file is complete and the temporary one gone', async () => {
    const file = folder.at('out.jsonl');
    const { code, out } = await decode(FIXTURE, '-o', file);
    expect([code, out, readFileSync(file, 'utf8')]).toEqual([0, '', whole]);
    expect(existsSync(`${file}.partial`)).toBe(false);
  });

  test('an error leaves what was there, and whole lines beside it', async () => {
    const file = folder.file('kept.jsonl', 'before');
    const cut = folder.file('cut.rdb', rdb().subarray(0, 300_000));
    const { code, err } = await decode(cut, '-o', file);
    expect([code, readFileSync(file, 'utf8')]).toEqual([3, 'before']);
    const partial = readFileSync(`${file}.partial`, 'utf8');
    expect(partial.length).toBeGreaterThan(1000);
    expect(whole.startsWith(partial) && partial.endsWith('\n')).toBe(true);
    expect(err.split('\n')[0]).toContain(` What was decoded before is in ${file}.partial.`);
  });

  test('nothing is left where nothing was written', async () => {
    const file = folder.at('never.jsonl');
    expect((await decode(folder.at('none.rdb'), '-o', file)).err).not.toContain('.partial');
    expect([existsSync(file), existsSync(`${file}.partial`)]).toEqual([false, false]);
  });

  test('- is standard output', async () => {
    expect(await decode(FIXTURE, '-o', '-')).toMatchObject({ code: 0, out: whole });
  });

  test('an output that cannot be written exits 4', async () => {
    expect(await decode(FIXTURE, '-o', folder.at('no/such/x'))).toMatchObject({
      code: 4,
      err: `rdbkit: cannot write ${folder.at('no/such/x')}: its folder does not exist.\n`,
    });
    mkdirSync(folder.at('dir'), { recursive: true });
    expect(await decode(FIXTURE, '-o', folder.at('dir'))).toMatchObject({
      code: 4,
      err: expect.stringContaining('it is a directory.') as string,
    });
  });
});

describe('standard output that fails', () => {
  const failing = (code: string): Writable => new Writable({ write: (_, __, done) => done(Object.assign(new Error(code), { code })) });

  test('a reader that has gone is no error', async () => {
    expect(await rdbkit(['decode', FIXTURE], { stdout: failing('EPIPE') })).toMatchObject({ code: 0, err: '' });
  });

  test('but what was wrong before it went is', async () => {
    const cut = folder.file('cut.rdb', rdb().subarray(0, 30_000));
    const { code, err } = await rdbkit(['decode', cut], { stdout: failing('EPIPE') });
    expect([code, err]).toEqual([3, expect.stringMatching(/^rdbkit: TRUNCATED: [^\n]*\n$/)]);
  });

  test('anything else exits 4', async () => {
    const { code, err } = await rdbkit(['decode', FIXTURE], { stdout: failing('ENOSPC') });
    expect([code, err]).toEqual([
      4,
      'rdbkit: cannot write standard output: no space is left on the device. Make room, or write to another place, and run it again.\n',
    ]);
    const json = await rdbkit(['decode', FIXTURE, '--json'], { stdout: failing('ENOSPC') });
    expect(JSON.parse(json.err)).toMatchObject({ exitCode: 4, errors: [{ code: 'OUTPUT', file: 'standard output' }] });
  });
});

describe('the summary', () => {
  test('is one line', async () => {
    const old = rdbFile('REDIS0011', [
      0xfc,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      str('gone'),
      intStr(7, 1),
      0,
      str('here'),
      str('x'),
      0,
      str('not'),
      str('x'),
    ]);
    const { err } = await decode(folder.file('old.rdb', old), '--not-prefix', 'n');
    expect(err).toMatch(/^rdbkit: 2 keys, \d+ B in, \d+ B out, 0\.\d\d s, [\d.]+ k?B\/s; 1 of them expired; 1 filtered out\n$/);
  });

  test('--quiet', async () => {
    expect(await decode(FIXTURE, '--quiet')).toEqual({ code: 0, out: whole, err: '' });
    expect(JSON.parse((await decode(FIXTURE, '--quiet', '--json')).err)).toMatchObject({ exitCode: 0, keys: 250 });
  });

  test('--json', async () => {
    const { err } = await decode(FIXTURE, '--json', '--type', 'hash', '--limit', '2');
    const read = all.findIndex((line) => line === all.filter(({ type }) => type === 'hash')[1]) + 1;
    expect(JSON.parse(err)).toEqual({
      command: 'decode',
      exitCode: 0,
      sources: 1,
      keys: 2,
      keysRead: read,
      keysFiltered: read - 2,
      keysDamaged: 0,
      keysExpired: 0,
      memberExpiriesLost: 0,
      bytesIn: expect.any(Number) as number,
      bytesOut: expect.any(Number) as number,
      seconds: expect.any(Number) as number,
      limited: true,
      torn: false,
      interrupted: null,
      warnings: [],
      aofTails: [],
      errors: [],
    });
  });

  test('--json with errors, safe on a terminal', async () => {
    const file = folder.file('cut\u009b.rdb', rdb().subarray(0, 300_000));
    const { code, err } = await decode(file, '--json', '--quiet', '-o', folder.at('json.jsonl'));
    expect(code).toBe(3);
    expect(err).not.toContain('\u009b');
    expect(JSON.parse(err)).toMatchObject({
      exitCode: 3, partial: folder.at('json.jsonl.partial'), output: folder.at('json.jsonl'),
      errors: [{ code: 'TRUNCATED', file, offset: 300_000, db: 1, expected: 'the rest of a value', hint: expect.any(String) as string }],
    });
  });
});

describe('interruption', () => {
  test.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s', async (by, code) => {
    const result = await rdbkit(['decode', FIXTURE], { signal: aborted(by) });
    expect(result).toEqual({ code, out: '', err: `rdbkit: interrupted by ${by}.\n` });
    const json = await rdbkit(['decode', FIXTURE, '--json'], { signal: aborted(by) });
    expect(JSON.parse(json.err)).toMatchObject({ exitCode: code, interrupted: by, errors: [] });
  });

  test('an end of standard input that comes with the signal is no damage', async () => {
    const controller = new AbortController();
    const stdin = Readable.from((function* () {
      yield rdb().subarray(0, 300_000);
      setTimeout(() => controller.abort(), 5);
    })());
    const { code, err } = await rdbkit(['decode', '-'], { stdin, signal: controller.signal });
    expect([code, err]).toEqual([130, expect.stringMatching(/^rdbkit: interrupted by SIGINT\.\nrdbkit: 165 keys/)]);
  });
});

test('progress: no bar where the data goes to the same terminal', async () => {
  const terminal = (): Collector => Object.assign(new Collector(), { isTTY: true, columns: 80 });
  const stderr = terminal();
  await rdbkit(['decode', FIXTURE], { stdout: terminal(), stderr });
  expect(stderr.text).not.toContain('\u001b');
});
