import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { casePath } from '../support/restore-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const healthy = readFileSync(casePath('base.rdb'));
const LFS =
  'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n';
const latin = healthy.toString('latin1');

/** Given as a file, compressed, and from a pipe byte by byte. */
async function errors(content: Uint8Array, command = 'decode'): Promise<string[]> {
  const bytes = Array.from(content.subarray(0, 300), (byte) => Uint8Array.of(byte));
  const dripped = Readable.from(command === 'encode' ? [content] : bytes); // where lines begin, one byte is a line already
  const all = [
    await rdbkit([command, folder.file('wrong', content), '-q']),
    await rdbkit([command, folder.file('wrong.gz', gzipSync(content)), '-q']),
    await rdbkit([command, '-', '-q'], { stdin: dripped }),
  ];
  expect(all.map(({ code, out }) => [code, out])).toEqual(Array(3).fill([3, '']));
  return all.map(({ err }) => err);
}

describe('a file that is no RDB any more is told as what it is', () => {
  test.each<[string, Uint8Array, string]>([
    [
      'read as UTF-8',
      readFileSync(casePath('utf8.rdb')),
      'offset 9: expected an RDB file, got one that was copied as text (what stood here is a letter now).',
    ],
    [
      'read as Latin-1, written as UTF-8',
      Buffer.from(latin, 'utf8'),
      'offset 9: expected an RDB file, got one that was copied as text (what stood here is a letter now).',
    ],
    [
      'written as UTF-16',
      Buffer.from(`\ufeff${latin}`, 'utf16le'),
      'offset 0: expected an RDB file, got one that was copied as text (as UTF-16).',
    ],
    [
      'with a byte order mark',
      Buffer.concat([Buffer.from('\ufeff'), healthy]),
      'got one that was copied as text (with a byte order mark before it).',
    ],
    ['a pointer of Git LFS', Buffer.from(LFS), 'expected an RDB file, got a pointer of Git LFS to a file: git lfs pull fetches that.'],
  ])('%s', async (_, content, text) => {
    for (const err of await errors(content)) {
      expect(err).toContain('rdbkit: NOT_RDB: ');
      expect(err).toContain(text);
      expect(err).toContain('RDB files are copied in binary mode.');
    }
  });

  test('a pointer of Git LFS to JSON lines', async () => {
    for (const err of await errors(Buffer.from(LFS), 'encode'))
      expect(err).toContain('expected lines of JSON, got a pointer of Git LFS to a file: git lfs pull fetches that.');
  });

  test('a file that ends within the letter is damaged', async () => {
    expect(await rdbkit(['decode', folder.file('cut', readFileSync(casePath('utf8.rdb')).subarray(0, 11))])).toMatchObject({
      code: 3,
      err: expect.stringContaining('UNKNOWN_OPCODE') as string,
    });
  });
});

test('lines of decode given as payloads: rdbkit encode', async () => {
  const line = (await rdbkit(['decode', casePath('base.rdb'), '--limit', '1'])).out;
  const got = 'got a line as rdbkit decode writes it: rdbkit encode makes an RDB file of those.';
  for (const err of await errors(Buffer.from(line))) expect(err).toContain(got);
  for (const command of ['check', 'decode']) {
    const { code, err, out } = await rdbkit(['payload', command, line.trim()]);
    expect([code, `${err}${out}`]).toEqual([3, expect.stringContaining(got)]);
  }
  expect((await errors(Buffer.from('{"a":1}\n')))[0]).toContain('got another line.');
});

test.each<[string, string]>([
  ['(nil)', 'the answer for a key that does not exist'],
  ['$-1', 'the answer for a key that does not exist'],
  ['(error) ERR wrong number of arguments', 'an error of the server: ERR wrong number'],
  ['-ERR unknown command', 'an error of the server: '],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', 'an error of the server: WRONGTYPE'],
  [readFileSync(casePath('diskless.rdb')).toString('base64'), 'bytes'],
  [healthy.toString('base64'), 'got an RDB file: rdbkit decode reads it'],
  [healthy.toString('hex'), 'got an RDB file: rdbkit decode reads it'],
])('what is no payload is told as what it is (%#)', async (given, text) => {
  for (const command of ['check', 'decode']) {
    const { code, err, out } = await rdbkit(['payload', command], { stdin: Readable.from([Buffer.from(`${given}\n`)]) });
    expect([code, `${err}${out}`]).toEqual([3, expect.stringContaining(text)]);
  }
});
