import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedHash } from '../../src/bytes/keyed-hash.js';
import type { Words128 } from '../../src/bytes/murmur3.js';

const hex = (words: readonly number[]): string => words.map((word) => Buffer.from(Uint32Array.of(word).buffer).toString('hex')).join('');

test('is HalfSipHash: the vectors of its authors for 64 bits, with 2 and 4 rounds', () => {
  const key = [0x03020100, 0x07060504];
  const hash = new KeyedHash([...key, ...key], { each: 2, end: 4 });
  const out: Words128 = [0, 0, 0, 0];
  const of = (length: number): string => {
    hash.of(
      Uint8Array.from({ length }, (_, i) => i),
      0,
      length,
      out,
    );
    return hex(out).slice(0, 16);
  };
  expect([0, 1].map(of)).toEqual(['218d1f59b9b83cc8', 'be552412f8387315']);
});

test('depends on all bytes, their number, the number beside them and the key', () => {
  const hash = new KeyedHash();
  const other = new KeyedHash();
  const of = (use: KeyedHash, bytes: Uint8Array, number: number): string => {
    const out: Words128 = [0, 0, 0, 0];
    use.of(bytes, 0, bytes.length, out, number);
    return hex(out);
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), fc.nat(20), (a, b, number) => {
      const same = Buffer.compare(a, b) === 0;
      expect(of(hash, a, number) === of(hash, b, number)).toBe(same);
      expect(of(hash, a, number)).not.toBe(of(hash, a, number + 1));
      expect(of(hash, a, number)).not.toBe(of(other, a, number));
      expect(of(hash, Uint8Array.of(...a, 0), number)).not.toBe(of(hash, a, number));
    }),
  );
});
