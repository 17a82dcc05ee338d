import fc from 'fast-check';
import { lzfDecompress } from '../../src/bytes/lzf.js';
import { bytes, noise } from './support.js';

/** Texts with much, little and nothing in common; runs of one byte; and the same again from near and far. */
export const plains = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(fc.constantFrom('ab', 'aaa', 'xyz', '{"id":', 'some longer words '), { maxLength: 300 }).map((list) => bytes(list)),
  fc.tuple(fc.nat(255), fc.integer({ min: 0, max: 20_000 })).map(([byte, size]) => new Uint8Array(size).fill(byte)),
  fc.tuple(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(0, 1, 31, 32, 33, 7900, 8191, 8192, 8193)).map(([again, between]) => bytes(again, noise(between), again)),
);

export function inflated(packed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  lzfDecompress(packed, 0, packed.length, out, 0, length);
  return out;
}
