import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Folder, rdbkit } from '../support/cli-support.js';
import { TestServer } from '../support/redis-server.js';
import { bytes, decodeBytes, len, type Part, rdb, str } from '../support/support.js';

/* No server of Redis 8.12 could be had: files are built by hand, around sets that CRoaring serialised. */

const folder = new Folder();
afterAll(() => folder.remove());

const cases = JSON.parse(readFileSync('fixtures/cases/roaring.json', 'utf8')) as Record<string, { hex: string; runs: [string, string][] }>;
cases['a bitset'].runs = Array.from({ length: 6667 }, (_, i) => [`${3 * i}`, `${3 * i}`]);

const bitmap = (length: number | bigint, hex: string): Uint8Array => bytes(len(length), str(Buffer.from(hex, 'hex')));
const lengthOf = (runs: [string, string][]): bigint => (runs.length === 0 ? 0n : BigInt(runs[runs.length - 1][1]) / 8n + 3n);
const record = (name: string, value: Part): Part => [33, str(name), value];
const file = (...records: Part[]): Uint8Array => rdb('REDIS0017', records);

const known = Object.entries(cases).filter(([, { runs }]) => lengthOf(runs) < 2n ** 60n);
const all = file(...known.map(([name, { hex, runs }]) => record(name, bitmap(lengthOf(runs), hex))));
const lines = known
  .map(([name, { runs }]) => {
    const bits = runs.map(([first, last]) => (first === last ? first : `[${first},${last}]`)).join(',');
    return `{"db":0,"key":${JSON.stringify(name)},"type":"bitmap","value":{"length":${lengthOf(runs)},"bits":[${bits}]}}\n`;
  })
  .join('');

test('decoded, whole and in parts of any size', async () => {
  expect((await decodeBytes(all)).lines).toBe(lines);
  for (const limit of [1, 20, 100]) expect((await decodeBytes(all, { limit })).lines, `${limit}`).toBe(lines);
});

test('encoded again, the same lines come of it', async () => {
  const out = folder.at('again.rdb');
  expect(await rdbkit(['encode', folder.file('b.jsonl', lines), '--target-version', '8.12', '-o', out])).toMatchObject({ code: 0 });
  expect((await rdbkit(['decode', out])).out).toBe(lines);
});

test.each([
  ['a bit beyond the length', bitmap(1, '010000000000000000000000' + '3a300000' + '01000000' + '00000000' + '10000000' + '0900'), /BAD_BITMAP.*bits below 8.*bit 9/],
  ['a length of 2^60', bitmap(2n ** 60n, '0000000000000000'), /BAD_BITMAP.*below 2\^60/],
  ['bytes after it', bitmap(0, '000000000000000000'), /BAD_BITMAP.*1 more byte/],
  ['none at all', bitmap(0, ''), /BAD_BITMAP/],
])('damage: %s', async (_, value, message) => {
  expect(await rdbkit(['decode', folder.file('bad.rdb', file(record('k', value)))])).toMatchObject({ code: 3, err: expect.stringMatching(message) as string });
});

describe('as a string of a server without bitmaps', () => {
  test('GETBIT and BITCOUNT of it say the same', async () => {
    const server = await TestServer.start();
    try {
      const { port } = server.client.options;
      const result = await rdbkit(['restore', folder.file('all.rdb', all), `redis://127.0.0.1:${port}`]);
      expect(result.err).toContain('no bitmaps, and no string of more than 512 MiB');
      for (const [name, { runs }] of known) {
        if (lengthOf(runs) > 2n ** 29n) continue;
        const count = runs.reduce((sum, [first, last]) => sum + Number(last) - Number(first) + 1, 0);
        expect(await server.client.strlen(name), name).toBe(Number(lengthOf(runs)));
        expect(await server.client.bitcount(name), name).toBe(count);
        for (const [first, last] of runs.slice(0, 20)) expect([await server.client.getbit(name, Number(first)), await server.client.getbit(name, Number(last))], name).toEqual([1, 1]);
      }
    } finally {
      await server.stop();
    }
  });

  test('a bitmap of a few bytes becomes a large string', async () => {
    const server = await TestServer.start('--enable-debug-command', 'yes');
    try {
      const line = '{"db":0,"key":"b","type":"bitmap","value":{"length":40000000,"bits":[5,[8000000,8000009],319999999]}}\n';
      const small = folder.at('small.rdb');
      expect(await rdbkit(['encode', folder.file('s.jsonl', line), '--target-version', '8.12', '-o', small])).toMatchObject({ code: 0 });
      const older = folder.at('older.rdb');
      expect(await rdbkit(['dump', small, '--format', 'rdb', '--target-version', '7.0', '-o', older])).toMatchObject({ code: 0 });
      await server.load(readFileSync(older));
      expect([await server.client.strlen('b'), await server.client.bitcount('b'), await server.client.getbit('b', 319_999_999)]).toEqual([40_000_000, 12, 1]);
    } finally {
      await server.stop();
    }
  });
});

test('a serialisation over a mebibyte is read and written in parts', async () => {
  const bits = Array.from({ length: 700_000 }, (_, i) => 24 * i + (i % 5));
  const line = `{"db":0,"key":"b","type":"bitmap","value":{"length":${24 * 700_000},"bits":[${bits.join(',')}]}}\n`;
  const out = folder.at('large.rdb');
  expect(await rdbkit(['encode', folder.file('l.jsonl', line), '--target-version', '8.12', '-o', out])).toMatchObject({ code: 0 });
  expect((await rdbkit(['decode', out])).out === line).toBe(true);
  const older = folder.at('large-older.rdb');
  expect(await rdbkit(['dump', out, '--format', 'rdb', '--target-version', '7.0', '-o', older])).toMatchObject({ code: 0 });
  const [{ value }] = [JSON.parse((await rdbkit(['decode', older])).out) as { value: string }];
  const plain = Buffer.from(value.slice('base64:'.length), 'base64');
  expect(plain.length).toBe(24 * 700_000);
  for (const bit of [0, 25, 24 * 699_999 + 4]) expect((plain[bit >> 3] >> (7 - (bit & 7))) & 1, `${bit}`).toBe(1);
});
