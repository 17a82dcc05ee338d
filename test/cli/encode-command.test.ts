import { readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { decode, FIXTURE, Folder, lines, rdbkit, type Result } from '../support/cli-support.js';

const folder = new Folder();
afterAll(() => folder.remove());

const out = folder.at('out.rdb');
const encode = (...argv: string[]): Promise<Result> => rdbkit(['encode', ...argv]);
const line = (key: string, value: string, more = ''): string => `{"key":"${key}","type":"string",${more}"value":"${value}"}\n`;
const a = folder.file('a.jsonl', line('both', 'of a') + line('a', '1') + line('a', '3', '"db":3,'));
const b = folder.file('b.jsonl.gz', gzipSync(line('both', 'of b') + line('b', '2', '"expireAt":5,')));
const bad = folder.file('bad.jsonl', `${line('first', '1')}{"key":"second","type":"string","value":5}\nx\n${line('last', '2')}`);

async function written(path = out): Promise<string[]> {
  return (await decode(path)).out.split('\n').slice(0, -1).map((text) => {
    const { db, key, value } = JSON.parse(text) as { db: number; key: string; value: string };
    return `${db} ${key} ${value}`;
  });
}

describe('rdbkit encode', () => {
  test('makes of what decode wrote the same again, through a pipe, too', async () => {
    const decoded = await decode(FIXTURE);
    writeFileSync(folder.at('all.jsonl'), decoded.out);
    expect(await encode(folder.at('all.jsonl'), '-o', out)).toMatchObject({ code: 0, out: '' });
    expect((await decode(out)).out.length).toBe(decoded.out.length);
    const { code, err } = await rdbkit(['encode', '-', '-o', out, '--json'], { stdin: Readable.from([Buffer.from(decoded.out)]) });
    expect(code).toBe(0);
    expect(JSON.parse(err)).toMatchObject({ command: 'encode', exitCode: 0, keys: 250, keysRead: 250, keysRefused: 0, bytesIn: Buffer.byteLength(decoded.out), linesWrong: 0 });
    expect(Buffer.from(readFileSync(out)).subarray(0, 9).toString()).toBe('REDIS0011');
  });

  test('--on-conflict, over files and in one', async () => {
    const error = await encode(a, b, '-o', out);
    expect(error.code).toBe(1);
    expect(error.err).toContain(`rdbkit: NOT_WRITTEN: ${b}, db 0, key "both": the key was there before.\n`);
    expect(await written()).toEqual(['0 both of a', '0 a 1', '3 a 3', '0 b 2']);
    expect((await encode(a, b, '-o', out, '--on-conflict', 'first')).code).toBe(0);
    expect(await written()).toEqual(['0 both of a', '0 a 1', '3 a 3', '0 b 2']);
    expect((await encode(a, b, '-o', out, '--on-conflict', 'last')).code).toBe(0);
    expect(await written()).toEqual(['0 both of b', '0 b 2', '0 a 1', '3 a 3']);
    const twice = folder.file('twice.jsonl', line('k', '1') + line('k', '2'));
    const inOne = await encode(twice, '-o', out, '--on-conflict', 'last');
    expect(inOne.code).toBe(1);
    expect(inOne.err).toContain('key "k": the key was there before in the same file');
  });

  test('filters', async () => {
    await encode(a, b, '-o', out, '--db', '0', '--not-prefix', 'both', '--ttl', 'none');
    expect(await written()).toEqual(['0 a 1']);
    const { err } = await encode(a, '-o', out, '--limit', '2');
    expect(err).toMatch(/^rdbkit: 2 keys, .*; stopped at --limit\n$/);
    const expiring = folder.file('hash.jsonl', '{"key":"h","type":"hash","value":{"f":{"value":"v","expireAt":5}}}\n');
    expect((await encode(expiring, '-o', out)).code).toBe(1);
    expect((await encode(expiring, '-o', out, '--not-type', 'hash')).code).toBe(0);
  });

  test('a wrong line is told, and what came before it is there', async () => {
    const { code, err } = await encode(bad, '-o', out);
    expect(code).toBe(3);
    expect(err).toContain(`rdbkit: BAD_LINE: ${bad}, line 2, offset ${line('first', '1').length}, db 0, key "second", value: expected a string, got 5. `);
    expect(err).toContain(`What was written before is in ${out}.partial.`);
    expect(await written(`${out}.partial`)).toEqual(['0 first 1']);
  });

  test('--keep-going writes the others', async () => {
    const { code, err } = await encode(bad, '-o', out, '--keep-going');
    expect(code).toBe(3);
    expect(err).toContain('BAD_JSON');
    expect(err).toContain('rdbkit: 2 lines were wrong. What was written before is in');
    expect(await written(`${out}.partial`)).toEqual(['0 first 1', '0 last 2']);
  });

  test('--lenient counts what it leaves out', async () => {
    const odd = folder.file('odd.jsonl', line('k', 'v', '"note":"x",'));
    expect((await encode(odd, '-o', out)).err).toContain('note: expected one of the fields');
    const { code, err } = await encode(odd, '-o', out, '--lenient');
    expect(code).toBe(0);
    expect(err).toContain('1 unknown field was left out');
  });

  test('wrong usage', async () => {
    expect(await encode(a, '--target-version', '5.5')).toMatchObject({ code: 2 });
    expect(await encode(a, '--on-conflict', 'x')).toMatchObject({ code: 2 });
    expect((await encode(folder.at('none.jsonl'), '-o', out)).code).toBe(2);
    expect((await encode(a, '-o', a)).err).toContain('would overwrite the source');
  });

  test('nothing becomes a file without keys', async () => {
    expect((await encode(folder.file('empty.jsonl', ''), '-o', out)).code).toBe(0);
    expect(lines((await decode(out)).out)).toEqual([]);
  });
});
