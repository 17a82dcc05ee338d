import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocks } from '../../src/bytes/blocks.js';
import { lzfCompress } from '../../src/bytes/lzf-compress.js';
import { compressed as compressedInBlocks } from '../../src/values/types/body.js';
import { inflated, plains } from '../support/lzf-texts.js';
import { bytes, lzf } from '../support/support.js';

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
