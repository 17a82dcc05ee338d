import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KeyPlace, startsWith } from '../../src/values/filters.js';
import { KeyPrefixes } from '../../src/values/key-prefixes.js';

/** A key with other bytes around it. */
const place = (key: string): KeyPlace => ({ keyBytes: Buffer.from(`x${key}y`), keyStart: 1, keyEnd: 1 + key.length });
const text = ({ keyBytes, keyEnd, keyStart }: KeyPlace): string => Buffer.from(keyBytes.subarray(keyStart, keyEnd)).toString();

type Pairs = readonly (readonly [from: string, to: string])[];

const prefixes = (pairs: Pairs): KeyPrefixes =>
  new KeyPrefixes(pairs.map(([from, to]) => ({ from: Buffer.from(from), to: Buffer.from(to) })));

function renamed(pairs: Pairs, key: string): string {
  const pair = pairs.find(([from]) => key.startsWith(from));
  return pair === undefined ? key : pair[1] + key.slice(pair[0].length);
}

const word = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength });
const somePairs = fc.array(fc.tuple(word(3), word(3)), { maxLength: 4 });

/** All keys of up to five letters. */
const KEYS = ['', ...['a', 'b', ':']];
for (let from = 1; KEYS.length < 364; from++) KEYS.push(...['a', 'b', ':'].map((letter) => KEYS[from] + letter));

describe('KeyPrefixes', () => {
  test('the first pair that fits counts', () => {
    fc.assert(
      fc.property(somePairs, fc.array(word(6), { maxLength: 20 }), (pairs, keys) => {
        const map = prefixes(pairs);
        for (const key of keys) {
          expect(map.pairOf(place(key))).toBe(pairs.findIndex(([from]) => key.startsWith(from)));
          expect(text(map.nameOf(place(key)))).toBe(renamed(pairs, key));
        }
      }),
    );
  });

  test('a name is tested by all names that it may have been', () => {
    expect(KEYS).toHaveLength(364);
    fc.assert(
      fc.property(somePairs, word(5), (pairs, name) => {
        const tested: string[] = [];
        expect(prefixes(pairs).hadName(place(name), (key) => tested.push(text(key)) === 0)).toBe(false);
        const were = KEYS.filter((key) => renamed(pairs, key) === name);
        const own = tested.length === 1 && tested[0] === name;
        for (const key of tested) expect(own || renamed(pairs, key) === name).toBe(true);
        const short = tested.filter((key) => key.length <= 5); // KEYS has no longer ones
        expect(short.sort()).toEqual(were.length === 0 && own ? [name] : were.sort());
        const likely = text(prefixes(pairs).wasName(place(name)));
        expect(tested).toContain(likely);
        const keeps = renamed(pairs, name) === name;
        expect(likely !== name || keeps || !tested.some((key) => key !== name && pairs.find(([from]) => key.startsWith(from)))).toBe(true);
        for (const key of tested) expect(prefixes(pairs).hadName(place(name), (one) => text(one) === key)).toBe(true);
      }),
    );
  });

  test('keys meet only where it says so', () => {
    fc.assert(
      fc.property(somePairs, fc.array(word(2), { maxLength: 2 }), (pairs, starts) => {
        const meetings = prefixes(pairs).meetings(starts.map((start) => Buffer.from(start)));
        const names = new Set<string>();
        for (const key of KEYS) {
          if (starts.length > 0 && !starts.some((start) => key.startsWith(start))) continue;
          const name = renamed(pairs, key);
          if (names.has(name))
            expect([name, meetings.some((start) => startsWith(Buffer.from(name), 0, name.length, start))]).toEqual([name, true]);
          names.add(name);
        }
      }),
      { numRuns: 300 },
    );
  });

  test.each<[pairs: Pairs, starts: string[], meetings: string[]]>([
    [[['a:', 'b:']], [], ['b:']],
    [[['a:', 'b:']], ['a:'], []],
    [[['a:', 'b:']], ['a:1', 'c'], []],
    [[['a:', 'b:']], ['a'], []],
    [[['a:', 'ab:']], ['a'], ['ab:']],
    [[['', 'new:']], [], []],
    [
      [
        ['a:', 'b:'],
        ['b:', 'a:'],
      ],
      [],
      [],
    ],
    [
      [
        ['a:', 'c:'],
        ['b:', 'c:d:'],
      ],
      ['a:', 'b:'],
      ['c:d:'],
    ],
    [
      [
        ['a:keep:', 'a:keep:'],
        ['a:', ''],
      ],
      ['a:'],
      ['a:keep:'],
    ],
  ])('%j of keys %j meet at %j', (pairs, starts, meetings) => {
    const found = prefixes(pairs).meetings(starts.map((start) => Buffer.from(start)));
    expect(found.map((start) => Buffer.from(start).toString())).toEqual(meetings);
  });

  test('a pair that never counts is told', () => {
    expect(
      prefixes([
        ['a:', 'x'],
        ['b:', 'x'],
        ['b:c', 'y'],
      ]).useless,
    ).toEqual({ pair: 2, before: 1 });
    expect(
      prefixes([
        ['', 'x'],
        ['b:', 'x'],
      ]).useless,
    ).toEqual({ pair: 1, before: 0 });
    expect(
      prefixes([
        ['a:', 'x'],
        ['a:', 'x'],
      ]).useless,
    ).toEqual({ pair: 1, before: 0 });
    expect(
      prefixes([
        ['a:b', 'x'],
        ['a:', 'x'],
        ['', 'x'],
      ]).useless,
    ).toBeUndefined();
  });
});
