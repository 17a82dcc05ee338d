import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocks } from '../src/bytes/blocks.js';
import { ByteBuilder } from '../src/bytes/builder.js';
import { lzfDecompress } from '../src/bytes/lzf.js';
import { lzfCompress } from '../src/bytes/lzf-compress.js';
import { compressed as compressedInBlocks } from '../src/values/writers/compressed.js';
import { Element, LZF } from '../src/encodings/element.js';
import { encodePayload } from '../src/rdb/payload.js';
import { readString } from '../src/rdb/string.js';
import { addBytes } from '../src/rdb/write-string.js';
import { missingServer, SERVER, TestServer } from './redis-server.js';
import { bytes, lzf, noise, str } from './support.js';

/** Texts with much, little and nothing in common; runs of one byte; and the same again from near and far. */
const plains = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(fc.constantFrom('ab', 'aaa', 'xyz', '{"id":', 'some longer words '), { maxLength: 300 }).map((list) => bytes(list)),
  fc.tuple(fc.nat(255), fc.integer({ min: 0, max: 20_000 })).map(([byte, size]) => new Uint8Array(size).fill(byte)),
  fc.tuple(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(0, 1, 31, 32, 33, 7900, 8191, 8192, 8193)).map(([again, between]) => bytes(again, noise(between), again)),
);

function inflated(packed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  lzfDecompress(packed, 0, packed.length, out, 0, length);
  return out;
}

const compressed = (plain: Uint8Array): Uint8Array => {
  const out = new Uint8Array(plain.length * 2 + 10);
  return out.slice(0, lzfCompress(plain, 0, plain.length, out));
};

describe('the LZF compressor', () => {
  test('what it makes stands for the same bytes, wherever they stand and whatever came before', () => {
    fc.assert(
      fc.property(plains, plains, (plain, other) => {
        const packed = compressed(plain);
        expect(Buffer.compare(inflated(packed, plain.length), plain)).toBe(0);
        compressed(other);
        const moved = bytes([1, 2, 3], plain, [4, 5, 6]);
        const out = new Uint8Array(packed.length);
        expect(lzfCompress(moved, 3, 3 + plain.length, out)).toBe(packed.length);
        expect(Buffer.compare(out, packed)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test('fits into what it is given, or says that it does not', () => {
    fc.assert(
      fc.property(plains, fc.double({ min: 0, max: 1, noNaN: true }), (plain, share) => {
        const needed = compressed(plain).length;
        const room = Math.floor(needed * share);
        const guarded = new Uint8Array(needed + 40).fill(0xee);
        expect(lzfCompress(plain, 0, plain.length, guarded.subarray(0, room))).toBe(room < needed ? 0 : needed);
        expect(guarded.subarray(room).every((byte) => byte === 0xee) || room >= needed).toBe(true);
        expect(lzfCompress(plain, 0, plain.length, new Uint8Array(needed))).toBe(needed);
      }),
      { numRuns: 500 },
    );
  });

  test('in blocks, behind one another: the same bytes', () => {
    const small = fc.uint8Array({ maxLength: 9 });
    fc.assert(
      fc.property(fc.array(small), fc.integer({ min: 1, max: 20 }), (pieces, size) => {
        const cut = Array.from(blocks(pieces, size), (block) => block.slice());
        expect(bytes(...cut)).toEqual(bytes(...pieces));
        expect(cut.every((block, i) => block.length === size || (i === cut.length - 1 && block.length > 0))).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.array(plains, { minLength: 1 }), fc.constantFrom(0, 300_000, 700_000), (pieces, zeros) => {
        const plain = bytes(...pieces, new Uint8Array(zeros));
        const packed = compressedInBlocks([...pieces, new Uint8Array(zeros)], plain.length);
        const saving = bytes(...Array.from(blocks([plain], 1 << 18), (block) => compressed(block))).length;
        expect(packed?.size ?? 0).toBe(saving <= plain.length - 4 ? saving : 0);
        if (packed !== undefined) expect(Buffer.compare(inflated(bytes(...packed.drain()), plain.length), plain)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('makes 3 bytes of 264 at best, and is no worse than the compressor of these tests', () => {
    expect(compressed(new Uint8Array(1 + 264 * 50)).length).toBe(2 + 3 * 50);
    fc.assert(
      fc.property(plains, (plain) => {
        expect(compressed(plain).length).toBeLessThanOrEqual(lzf(plain).length * 1.02 + 8);
      }),
      { numRuns: 300 },
    );
  });
});

describe('strings are compressed as servers do', () => {
  const out = new ByteBuilder();
  const added = (plain: Uint8Array): Uint8Array => {
    out.clear();
    addBytes(out, plain, 0, plain.length);
    return out.view().slice();
  };

  test('from 21 bytes on, where it saves 4', () => {
    const text = 'abcdefghijklmnop';
    expect(added(new Uint8Array(20))).toEqual(str(new Uint8Array(20)));
    expect(added(new Uint8Array(21))).toEqual(bytes(0xc3, 5, 21, [0, 0, 0xe0, 11, 0]));
    expect(added(bytes(text, 'ABCDE', 'abcdef'))).toEqual(str(text, 'ABCDE', 'abcdef')); // 24 bytes for 27
    expect(added(bytes(text, 'ABCDE', 'abcdefg'))).toEqual(bytes(0xc3, 24, 28, 20, text, 'ABCDE', 0xa0, 20)); // 24 for 28
    expect(added(noise(500))).toEqual(str(noise(500)));
  });

  test('and come back', () => {
    fc.assert(
      fc.property(plains, (plain) => {
        const packed = added(plain);
        const element = new Element();
        expect(readString(packed, 0, packed.length, element)).toBe(packed.length);
        const size = element.end - element.start;
        const got = element.kind === LZF ? inflated(packed.subarray(element.start, element.end), element.num) : packed.subarray(element.start, element.end);
        expect(Buffer.compare(got, plain)).toBe(0);
        expect(size).toBeLessThanOrEqual(element.kind === LZF ? plain.length - 4 : plain.length);
      }),
    );
  });
});

const missing = missingServer();
describe.skipIf(missing !== undefined)(`${SERVER} reads`, () => {
  test('what is compressed here', { timeout: 60_000 }, async () => {
    const server = await TestServer.start();
    try {
      const out = new ByteBuilder();
      await fc.assert(
        fc.asyncProperty(plains, async (plain) => {
          out.clear();
          addBytes(out, plain, 0, plain.length);
          await server.client.call('RESTORE', 'k', '0', Buffer.from(encodePayload(0, out.view(), 9)), 'REPLACE');
          expect(Buffer.compare((await server.client.getBuffer('k')) ?? Buffer.alloc(0), plain)).toBe(0);
        }),
        { numRuns: 300 },
      );
    } finally {
      await server.stop();
    }
  });
});
