import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Digest, digestOf, LEAST_DIGESTED, nameHash } from '../../src/bytes/digest.js';
import { Kernels } from '../../src/kernels/kernels.js';

const data = fc.uint8Array({ maxLength: 400 });

test('a digest does not depend on how the bytes come', () => {
  fc.assert(
    fc.property(data, fc.array(fc.nat(90), { minLength: 1 }), fc.nat(511), (bytes, cuts, seed) => {
      const digest = new Digest().begin(seed);
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const next = Math.min(bytes.length, at + 1 + cuts[i % cuts.length]);
        digest.add(bytes, at, next);
        at = next;
      }
      expect(digest.end()).toBe(digestOf(seed, bytes, 0, bytes.length));
    }),
  );
});

test('the kernel has the same', () => {
  const kernels = Kernels.create();
  const room = kernels?.allocate(500) ?? new Uint8Array();
  fc.assert(
    fc.property(data, fc.nat(40), fc.nat(511), (bytes, at, seed) => {
      room.fill(0xff).set(bytes, at);
      expect(kernels?.digest(seed, room, at, at + bytes.length)).toBe(digestOf(seed, bytes, 0, bytes.length));
    }),
  );
});

test('a bit, a byte at the end and the seed make another digest, which is an integer below 2^53', () => {
  const digests = new Set<number>();
  let count = 0;
  const add = (bytes: Uint8Array, seed = 1): void => {
    const digest = digestOf(seed, bytes, 0, bytes.length);
    expect(Number.isSafeInteger(digest) && digest > 0).toBe(true);
    digests.add(digest);
    count++;
  };
  for (let bit = 0; bit < 8 * 100; bit++) {
    const bytes = new Uint8Array(100);
    bytes[bit >> 3] = 1 << (bit & 7);
    add(bytes);
  }
  for (let size = LEAST_DIGESTED; size < 200; size++) add(new Uint8Array(size));
  for (let seed = 2; seed < 200; seed++) add(new Uint8Array(100), seed);
  for (let i = 0; i < 50_000; i++) add(new TextEncoder().encode(`{"id": ${i}, "name": "user ${i}", "e-mail": "user${i}@example.com", "visits": ${i % 7}}`));
  expect(digests.size).toBe(count);
});

test('short values have none', () => {
  expect(digestOf(1, new Uint8Array(LEAST_DIGESTED - 1).fill(7), 0, LEAST_DIGESTED - 1)).toBe(0);
});

test('hashes of names differ', () => {
  const names = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const name = Buffer.from(`field${i}`);
    names.add(nameHash(name, 0, name.length));
  }
  for (let size = 0; size < 8; size++) names.add(nameHash(new Uint8Array(8), 0, size));
  expect(names.size).toBe(10_008);
});

test('of long names the beginning and the length count', () => {
  const long = (last: number, length = 300): Uint8Array => new Uint8Array(length).fill(7).fill(last, 299);
  const hash = (bytes: Uint8Array): number => nameHash(bytes, 0, bytes.length);
  expect(hash(long(1))).toBe(hash(long(2)));
  expect(hash(long(1))).not.toBe(hash(long(1, 301)));
  expect(hash(long(1))).not.toBe(hash(long(1).fill(8, 200, 201)));
});
