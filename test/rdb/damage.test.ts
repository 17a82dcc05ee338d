import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, RdbError } from '../../src/bytes/errors.js';
import { inTurn, STRIDE } from '../support/factor.js';
import { changed, changes, FILES, id, loop } from '../support/samples.js';
import { bytes, type DecodeOptions, decodeBytes, le, len, listpack, type Part, rdb, resealed, str } from '../support/support.js';

const folder = new URL('../../fixtures/servers/', import.meta.url);
const corpus = readdirSync(folder).filter((file) => file.endsWith('.rdb'));

/** Decodes; says the code, or what came out. Anything thrown but a proper RdbError, and lines that are no JSON, fail. */
async function fate(file: Uint8Array, options: DecodeOptions): Promise<{ code: string; lines?: string; offset?: number | undefined }> {
  try {
    const { lines } = await decodeBytes(file, options);
    for (const line of lines.split('\n')) if (line !== '') JSON.parse(line);
    return { code: 'ok', lines };
  } catch (error) {
    if (!(error instanceof RdbError)) throw error;
    const { code, offset = -1, within = 0 } = error;
    if (!(Object.hasOwn(ERROR_CODES, code) && offset >= 0 && offset <= file.length && within >= 0))
      throw new Error(`${code} at ${offset}, within ${within}`, { cause: error });
    return { code, offset };
  }
}

test('the files are good', async () => {
  for (const [name, file] of Object.entries(FILES)) expect((await fate(file, {})).code, name).toBe('ok');
});

describe('a file that ends too early', () => {
  const WAYS: readonly DecodeOptions[] = [{}, { chunks: 11 }, { chunks: 5, limit: 64, meta: true }];

  test.each(Object.entries(FILES))('%s, at every byte', async (_, file) => {
    const wrong: object[] = [];
    for (let end = 0; end < file.length; end += end < 20 ? 1 : STRIDE) {
      const [code, offset] = end === 0 ? ['EMPTY_INPUT', 0] : end < 9 ? ['NOT_RDB', 0] : ['TRUNCATED', end];
      for (const way of WAYS) {
        const found = await fate(file.subarray(0, end), way);
        if (found.code !== code || found.offset !== offset) wrong.push({ end, way, found });
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(corpus)('%s', async (name) => {
    const file = new Uint8Array(readFileSync(new URL(name, folder)));
    const step = Math.ceil(file.length / 8);
    for (let end = file.length - 1, turn = 0; end > 0; end -= step, turn++) {
      for (const way of inTurn([{}, { chunks: 4096, limit: 1000 }], turn)) {
        const { code, offset } = await fate(file.subarray(0, end), way);
        expect([code, offset]).toEqual(end < 9 ? ['NOT_RDB', 0] : ['TRUNCATED', end]);
      }
    }
  });

  test('is known at once where the length of the input is', async () => {
    const file = bytes('REDIS0012', 0, str('k'), len(2 ** 40), 'x');
    await expect(decodeBytes(file, { size: file.length })).rejects.toMatchObject({ code: 'TRUNCATED', key: 'k', db: 0 });
  });
});

test.each(Object.keys(FILES))('%s, damaged: lines or an RdbError, the same in any chunks and parts', async (name) => {
  await fc.assert(
    fc.asyncProperty(changes, fc.boolean(), fc.integer({ min: 1, max: 100 }), async (list, sealed, chunks) => {
      const damaged = changed(FILES[name], list);
      const file = sealed ? resealed(damaged) : damaged;
      const whole = await fate(file, { limit: Infinity, meta: true });
      expect(await fate(file, { limit: Infinity, chunks, meta: true })).toEqual(whole);
      if (chunks % 4 === 0) expect(await fate(file, { limit: Infinity, codec: true, chunks: chunks * 10, meta: true })).toEqual(whole);
      // In parts damage can show itself earlier, under another name.
      expect((await fate(file, { limit: 64, chunks, meta: true })).lines).toBe(whole.lines);
    }),
    { numRuns: 250 },
  );
});

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
