import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, RdbError } from '../src/bytes/errors.js';
import {
  be,
  bytes,
  type DecodeOptions,
  decodeBytes,
  f64,
  intset,
  intStr,
  le,
  len,
  listpack,
  lzfStr,
  type Part,
  rdb,
  resealed,
  str,
  ziplist,
  zipmap,
} from './support.js';

const loop = (...items: Part[]): Part => [len(items.length), items];
const id = (ms: number, seq: number): Part => [be(ms, 8), be(seq, 8)];
const nodes = loop([str(id(5, 1)), lzfStr(listpack([2n, 1n, 1n, 'f', 0n, 2n, 0n, 0n, 'v'.repeat(40), 4n, 3n, 0n, 1n, 'w', 4n, 0n, 1n, 0n, 1n, 'g', 7n, 6n]))]);
const pel = loop([id(5, 1), le(1, 8), 3], [id(6, 1), le(2, 8), 1]);
const tail: Part = [5, 1, 5, 2, 3, loop([str('g'), 6, 0, 0x81, be(2n ** 64n - 1n, 8), pel, loop([str('c'), le(1, 8), le(-1, 8), loop(id(5, 1))]), loop(id(6, 1))])];
const idempotence: Part = [len(600), len(100), loop([str('p'), loop([str('i'), 5, 1])]), 1, 2];
const moduleValue: Part = [0x81, be(0xb5eb2dffffddb401n, 8), 2, 42, 3, le(1, 4), 4, f64(2), 5, str('part'), 0];
const mixed = ['a', 5n, 'b'.repeat(70), -3000n, 2n ** 40n, 7n];

/** Small files with every type and opcode. */
const FILES: Readonly<Record<string, Uint8Array>> = {
  plain: rdb('REDIS0012', [
    [0xfa, str('redis-ver'), str('8.0.0'), 0xf5, str('#!lua name=x'), 0xf7, moduleValue, 0xfe, 3, 0xfb, 3, 1, 0xf4, 5, 1, 0],
    [0xfc, le(1_700_000_000_123, 8), 0xf8, len(300), 0, str('s'), intStr(-300, 2)],
    [0xfd, le(1_700_000_000, 4), 0xf9, 7, 0, lzfStr('k'.repeat(40)), lzfStr('v'.repeat(400))],
    [1, str('l'), loop(str('a'), intStr(1, 1)), 2, str('e'), loop(str('a'.repeat(70)))],
    [3, str('z'), loop([str('m'), 3, '1.5'], [str('n'), 254]), 5, str('y'), loop([str('m'), f64(1.5)])],
    [4, str('h'), loop([str('f'), str('v'.repeat(100))], [str('g'), str()])],
  ]),
  packed: rdb('REDIS0012', [
    [9, str('m'), str(zipmap([['f', 'v'], ['g', 'w'.repeat(260)]], 2))],
    [10, str('l'), str(ziplist(mixed)), 12, str('z'), str(ziplist(['a', '1.5', 'b', 2n])), 13, str('h'), lzfStr(ziplist(['f', 'v'.repeat(300)]))],
    [11, str('i'), str(intset(4, [-5n, 70_000n])), 14, str('q'), loop(str(ziplist(mixed)), str(ziplist(['x'])))],
    [16, str('h'), str(listpack(mixed)), 17, str('z'), str(listpack(['a', '1.5', 'b', 2n])), 20, str('s'), lzfStr(listpack(mixed))],
    [18, str('q'), loop([2, str(listpack(mixed))], [1, str('p'.repeat(80))])],
  ]),
  recent: rdb('REDIS0015', [
    [0xf2, 3, loop(str('a'), str('b')), 0xf3, 1, le(0x12345619, 4), 2, 5, 0, 30, str('t'), str(listpack([3n, 'v', 'w']))],
    [29, str('t'), 0, str(listpack(['a', 'b'])), str(listpack([0n, 'v', 'w'])), 31, str('t'), 1, loop(str('a')), str('v'), 32, str('t'), 3, str('v'), str('w')],
    [22, str('h'), loop([0, str('f'), str('v')], [len(1_700_000_000_000), str('g'), str('w')]), 23, str('h'), str(listpack(['f', 'v', 0n]))],
    [24, str('h'), le(1_700_000_000_000, 8), loop([1, str('f'), str('v')]), 25, str('h'), le(0, 8), str(listpack(['f', 'v', 1_700_000_000_000n]))],
    [28, str('r'), 4, 1, 9, [0, 0, str('s')], [1, 1, le(-7, 8)], [len(300), 2, f64(3)], [len(2 ** 40), 3, str('t')]],
    [7, str('mod'), moduleValue],
  ]),
  streams: rdb('REDIS0015', [
    [27, str('s5'), nodes, 2, 6, 1, tail, idempotence],
    [15, str('s1'), nodes, 2, 6, 1, loop([str('g'), 0, 0, 0, loop([str('c'), le(1, 8), 0])])],
  ]),
  valkey: rdb('VALKEY080', [
    [0xfa, str('valkey-ver'), str('9.0.0'), 0xf3, str('j'.repeat(40)), loop([0, 5], [len(100), len(200)])],
    [22, str('h'), loop([str('f'), str('v'.repeat(100)), le(-1, 8)], [str('g'), str('w'), le(1_700_000_000_000, 8)])],
  ]),
};

/** Milliseconds that a test may take on a busy machine. */
const SLOW = 60_000;

const folder = new URL('../fixtures/servers/', import.meta.url);
const corpus = readdirSync(folder).filter((file) => file.endsWith('.rdb'));

/** Decodes; says the code, or what came out. Anything thrown but a proper RdbError, and lines that are no JSON, fail. */
async function fate(file: Uint8Array, options: DecodeOptions): Promise<{ code: string; lines?: string; offset?: number | undefined }> {
  try {
    const { lines } = await decodeBytes(file, options);
    for (const line of lines.split('\n')) if (line !== '') JSON.parse(line);
    return { code: 'ok', lines };
  } catch (error) {
    if (!(error instanceof RdbError)) throw error;
    expect(ERROR_CODES).toHaveProperty(error.code);
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(file.length);
    expect(error.within ?? 0).toBeGreaterThanOrEqual(0);
    return { code: error.code, offset: error.offset };
  }
}

test('the files are good', async () => {
  for (const [name, file] of Object.entries(FILES)) expect((await fate(file, {})).code, name).toBe('ok');
});

describe('a file that ends too early', () => {
  const WAYS: readonly DecodeOptions[] = [{}, { chunks: 11 }, { chunks: 5, limit: 64, meta: true }];

  test.each(Object.entries(FILES))('%s, at every byte', async (_, file) => {
    for (let end = 0; end < file.length; end++) {
      for (const way of WAYS) {
        const { code, offset } = await fate(file.subarray(0, end), way);
        expect([code, offset], `${end} bytes, ${JSON.stringify(way)}`).toEqual(
          end === 0 ? ['EMPTY_INPUT', 0] : end < 9 ? ['NOT_RDB', 0] : ['TRUNCATED', end],
        );
      }
    }
  }, SLOW);

  test.each(corpus)('%s', async (name) => {
    const file = new Uint8Array(readFileSync(new URL(name, folder)));
    const step = Math.ceil(file.length / 8);
    for (let end = file.length - 1; end > 0; end -= step) {
      for (const way of [{}, { chunks: 4096, limit: 1000 }]) {
        const { code, offset } = await fate(file.subarray(0, end), way);
        expect([code, offset]).toEqual(end < 9 ? ['NOT_RDB', 0] : ['TRUNCATED', end]);
      }
    }
  }, SLOW);

  test('is known at once where the length of the input is', async () => {
    const file = bytes('REDIS0012', 0, str('k'), len(2 ** 40), 'x');
    await expect(decodeBytes(file, { size: file.length })).rejects.toMatchObject({ code: 'TRUNCATED', key: 'k', db: 0 });
  });
});

/** One change to a file: at a place (in thousandths of it), of a kind, with a number. */
type Change = readonly [place: number, kind: number, number: number];
const BORDERS = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc3, 0xe0, 0xf0, 0xf4, 0xfe, 0xff];

function changed(file: Uint8Array, changes: readonly Change[]): Uint8Array {
  let out: Uint8Array = file.slice();
  for (const [place, kind, number] of changes) {
    const at = 9 + Math.floor((place / 100_000) * (out.length - 18));
    if (kind === 0) out[at] = (out[at]) ^ (1 << (number & 7));
    else if (kind === 1) out[at] = number & 255;
    else if (kind === 2) out[at] = BORDERS[number % BORDERS.length];
    else if (kind === 3) out = bytes(out.subarray(0, at), 0x80, be(number, 4), out.subarray(at + (number & 1)));
    else if (kind === 4) out = bytes(out.subarray(0, at), 0x81, be(BigInt(number) << 20n, 8), out.subarray(at + (number & 1)));
    else if (kind === 5) out = bytes(out.subarray(0, at), 0xc3, be((number & 0x3fff) | 0x4000, 2), 0x80, be(number, 4), out.subarray(at));
    else if (kind === 6) out = bytes(out.subarray(0, at), out.subarray(Math.min(out.length - 8, at + 1 + (number & 15))));
    else out = bytes(out.subarray(0, at), le(number, 1 + (number & 7)), out.subarray(at));
  }
  return out;
}

const change = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const changes = fc.array(change, { minLength: 1, maxLength: 4 });

test.each(Object.keys(FILES))('%s, damaged: lines or an RdbError, the same in any chunks and parts, and soon', async (name) => {
  const began = performance.now();
  await fc.assert(
    fc.asyncProperty(changes, fc.boolean(), fc.integer({ min: 1, max: 100 }), async (list, sealed, chunks) => {
      const damaged = changed(FILES[name], list);
      const file = sealed ? resealed(damaged) : damaged;
      const whole = await fate(file, { limit: Infinity, meta: true });
      expect(await fate(file, { limit: Infinity, chunks, meta: true })).toEqual(whole);
      if (chunks % 4 === 0) expect(await fate(file, { limit: Infinity, hot: true, chunks: chunks * 10, meta: true })).toEqual(whole);
      // In parts damage can show itself earlier, under another name.
      expect((await fate(file, { limit: 64, chunks, meta: true })).lines).toBe(whole.lines);
    }),
    { numRuns: 250 },
  );
  expect(performance.now() - began).toBeLessThan(SLOW / 2);
}, SLOW);

test.each<[name: string, record: Part]>([
  ['a string of 2^39 bytes', [0, str('k'), len(2 ** 39), 'x']],
  ['a string of 2^63 bytes', [0, str('k'), len(2n ** 63n), 'x']],
  ['a key of 2^39 bytes', [0, len(2 ** 39), 'x']],
  ['LZF of 2^39 bytes to 2^39', [0, str('k'), 0xc3, len(2 ** 39), len(2 ** 39), 'x']],
  ['LZF of 4 bytes to 2^31', [0, str('k'), 0xc3, 4, len(2 ** 31), 'xxxx']],
  ['a list of 2^39 items', [1, str('k'), len(2 ** 39), 'x']],
  ['a list of 2^63 items', [1, str('k'), len(2n ** 63n), 'x']],
  ['a listpack of 2^32 - 1 bytes', [20, str('k'), str(bytes(le(2 ** 32 - 1, 4), 1, 0, 5, 1, 0xff))]],
  ['an intset of 2^32 - 1 integers', [11, str('k'), str(bytes(le(8, 4), le(2 ** 32 - 1, 4), le(0, 8)))]],
  ['a stream of 2^39 nodes', [15, str('k'), len(2 ** 39), 'x']],
  ['a stream entry of 2^31 fields', [15, str('k'), loop([str(id(1, 1)), str(listpack([1n, 0n, 2n ** 31n, 'f', 0n]))]), 1, 1, 1, 0]],
  ['2^39 pending entries', [15, str('k'), 0, 0, 0, 0, 1, str('g'), 0, 0, len(2 ** 39)]],
  ['2^39 template names', [0xf2, 0, len(2 ** 39), 'x']],
  ['2^39 array elements', [28, str('k'), len(2 ** 39), 0, 0, 0, str('x')]],
])('%s are not asked for', async (_, record) => {
  const file = rdb('REDIS0015', [record]);
  const before = process.memoryUsage().arrayBuffers;
  for (const limit of [64, 1 << 20]) expect((await fate(file, { limit, chunks: 5 })).code).not.toBe('ok');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
});
