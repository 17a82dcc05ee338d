import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Murmur3, type Words128 } from '../../src/bytes/murmur3.js';
import { KeySet } from '../../src/values/key-set.js';

const hex = (text: string, seed = 0): string => {
  const out: Words128 = [0, 0, 0, 0];
  const bytes = new TextEncoder().encode(text);
  new Murmur3().begin(seed, seed, seed, seed).add(bytes, 0, bytes.length).end(out);
  return out.map((word) => word.toString(16).padStart(8, '0')).join('');
};

test('MurmurHash3_x86_128 of known texts', () => {
  expect(hex('')).toBe('00000000000000000000000000000000');
  // as mmh3 for Python says
  expect(hex('The quick brown fox jumps over the lazy dog')).toBe('2f1583c3ecee2c675d7bf66ce5e91d2c');
  expect(hex('I will not buy this record, it is scratched.')).toBe('a0a9683b25ac5e40d9af2895890dddf5');
});

test('a key set knows what a set of strings knows', () => {
  const key = fc.tuple(fc.nat(3), fc.uint8Array({ maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 200 }), (keys) => {
      const [set, model] = [new KeySet(), new Set<string>()];
      for (const [db, bytes] of keys) {
        const id = `${db} ${Buffer.from(bytes).toString('hex')}`;
        expect(set.add(db, bytes, 0, bytes.length)).toBe(!model.has(id));
        model.add(id);
      }
    }),
  );
});

test('it grows', () => {
  const set = new KeySet();
  const bytes = new Uint8Array(4);
  const add = (i: number): boolean => {
    new DataView(bytes.buffer).setUint32(0, i);
    return set.add(0, bytes, 0, 4);
  };
  const added = (): number => Array.from({ length: 20_000 }, (_, i) => add(i)).filter(Boolean).length;
  expect(added()).toBe(20_000);
  expect(added()).toBe(0);
});

test('a set that is full knows what it has, and says so when more comes', () => {
  const keys = new KeySet(2);
  const add = (name: string): boolean => keys.add(0, Buffer.from(name), 0, name.length);
  expect([add('a'), add('b'), add('a'), keys.full]).toEqual([true, true, false, false]);
  expect([add('c'), add('c'), add('b'), keys.full]).toEqual([true, true, false, true]);
});
