import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differences } from '../support/compare.js';
import { SINGLE_BYTES } from '../support/factor.js';
import { decodeBytes } from '../support/support.js';

const folder = new URL('../../fixtures/servers/', import.meta.url);
const files = readdirSync(folder);
const GOLDEN = /\.jsonl(\.gz)?$/;
const names = files.filter((file) => file.endsWith('.rdb')).map((file) => file.slice(0, -4));
const goldens = new Map(files.filter((file) => GOLDEN.test(file)).map((file) => [file.replace(GOLDEN, ''), file]));

const load = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, folder)));
const golden = (name: string): string => {
  const file = goldens.get(name) as string;
  return Buffer.from(file.endsWith('.gz') ? gunzipSync(load(file)) : load(file)).toString();
};

/** SHA-256 of the lines that each file comes to. A change here is a change of what other people's scripts read. */
const OUTPUT: Readonly<Record<string, string>> = {
  'redis-2.8.24': '1ce687601d4e52c6b54f2a91a3d37fb3e1396c081fc13987d7d7062266a4725f',
  'redis-3.2.13': 'f3385224dbcf48e91041a8fabdd70c1af96767f591d04b0355425e0635f7328d',
  'redis-4.0.14-lfu': 'ad1e952d32fd4bd949d5b49f9ace1f0c547655b59df8d1f4b5a3706ea50a8b9c',
  'redis-5.0.14': '4c98306f3ff6237b65094349e9079f5956a2c0b4000d83765eff625846d40aaa',
  'redis-6.2.14-lru': 'ffd4c8f13d0f5cddde353ccae7ac8ab2298fe6ad385b7b8af6c9ffc107aa1e7c',
  'redis-7.0.15': '623888df725f60bd0f321d90a1a357fe859a9642a237db7d0103d7ed4ca39121',
  'redis-7.2.6-nochecksum': 'd8b88caf124b5065c953ddf79b8adee2a87f87f514b557bd17abb9edb9fce907',
  'redis-7.2.6': '3f10c72ba2ba3521f4a27e6487bd1b05b1a3e82fe5fc7cbca55f04e934ca8c07',
  'redis-7.4.1-modules': 'e2e65d2871e6529208681692f80914164b5796272ecba75cf9770e7159480cfe',
  'redis-7.4.1': 'f70442b1109232cd6f1495117a5a73c70fb02f0007b0fbda3eb790b756d394d6',
  'redis-8.0.6': '90225e2ca8639b83103851f3a5c39d20c1034b2bd984b1d4b0d57e28ade0d103',
  'valkey-8.1.1': 'f544bf6ebc5b0241fa4da56d0d68ba4c73511920e4a969a0da74e061a50db23c',
  'valkey-9.1.2': '494b6795b1b16b5524165e21cbe6b293f01d287ae3701e5af981d8f32d4b15b6',
};

test('every fixture has a golden and a hash, and every golden and hash a fixture', () => {
  expect(files.filter((file) => !file.endsWith('.rdb') && !GOLDEN.test(file))).toEqual([]);
  expect([...goldens.keys()].sort()).toEqual([...names].sort());
  expect(Object.keys(OUTPUT).sort()).toEqual([...names].sort());
});

describe.each(names)('%s', (name) => {
  const rdb = load(`${name}.rdb`);
  const whole = decodeBytes(rdb);

  test('says what the server said', async () => {
    const { lines, warnings } = await whole;
    expect(differences(golden(name), lines)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test('comes to the same bytes as ever', async () => {
    expect(createHash('sha256').update((await whole).bytes).digest('hex')).toBe(OUTPUT[name]);
  });

  if ((goldens.get(name) as string).endsWith('.jsonl')) {
    test('is the golden, byte for byte', async () => {
      expect((await whole).lines).toBe(golden(name));
    });
  }

  test('has a good checksum, unless its server made none', async () => {
    expect((await whole).framer.checksum).toBe(name.endsWith('-nochecksum') ? 'none' : 'ok');
  });

  test('comes to the same bytes through WebAssembly', async () => {
    expect(same((await whole).bytes, (await decodeBytes(rdb, { codec: true })).bytes)).toBe(true);
    expect(same((await whole).bytes, (await decodeBytes(rdb, { codec: true, chunks: 60_000, limit: 3000 })).bytes)).toBe(true);
  });

  test('comes to the same bytes in single bytes and the smallest parts', async () => {
    expect(same((await whole).bytes, (await decodeBytes(rdb, { chunks: SINGLE_BYTES, limit: 64 })).bytes)).toBe(true);
  });

  test('comes to the same bytes in any chunks and parts', async () => {
    const want = (await whole).bytes;
    const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 200_000 }));
    const sizes = fc.array(size, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 64, max: 4096 }), fc.boolean(), fc.boolean(), async (chunks, limit, meta, codec) => {
        const { lines, bytes } = await decodeBytes(rdb, { chunks, limit, meta, codec });
        return same(want, meta ? Buffer.from(keysOnly(lines)) : bytes);
      }),
      { numRuns: 6 },
    );
  });
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function keysOnly(lines: string): string {
  return lines.replace(/^\{"type":.*\n/gm, '');
}

describe('the comparison', () => {
  const line = (type: string, value: unknown, more: object = {}): string => `${JSON.stringify({ db: 0, key: 'k', type, value, ...more })}\n`;
  const entry = (fields: string[]): object => ({ entries: [{ id: '1-1', fields }], groups: [] });

  test.each([
    ['a set in another order', line('set', ['a', 'b']), line('set', ['b', 'a'])],
    ['a hash in another order', line('hash', { a: '1', b: '2' }), line('hash', { b: '2', a: '1' })],
    ['more about a stream than the truth has', line('stream', entry(['f', 'v'])), line('stream', { ...entry(['f', 'v']), entriesAdded: 1 })],
    ['an idle time', line('string', 'v'), line('string', 'v', { idle: 3 })],
  ])('allows %s', (_, truth, lines) => {
    expect(differences(truth, lines)).toEqual([]);
  });

  test.each([
    ['missing', line('string', 'v'), ''],
    ['extra', '', line('string', 'v')],
    ['twice', line('string', 'v'), line('string', 'v').repeat(2)],
    ['type', line('set', ['a']), line('list', ['a'])],
    ['expireAt', line('string', 'v', { expireAt: 1 }), line('string', 'v')],
    ['expireAt', line('string', 'v'), line('string', 'v', { expireAt: 1 })],
    ['value', line('string', 'v'), line('string', 'w')],
    ['value', line('list', ['a', 'b']), line('list', ['b', 'a'])],
    ['value', line('set', ['a', 'a']), line('set', ['a', 'b'])],
    ['value', line('hash', { a: '1' }), line('hash', { a: '1', b: '2' })],
    ['value', line('hash', JSON.parse('{"__proto__":"1"}')), line('hash', { a: '1' })],
    ['value', line('zset', { a: 1 }), line('zset', { a: '1' })],
    ['value', line('stream', entry(['f', 'v'])), line('stream', entry(['v', 'f']))],
  ])('finds a difference: %s', (kind, truth, lines) => {
    expect(differences(truth, lines)).toHaveLength(1);
    expect(differences(truth, lines)[0]).toMatch(`${kind}: 0 "k"`);
  });
});
