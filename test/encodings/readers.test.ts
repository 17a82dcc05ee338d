import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BYTES, Element, INT64 } from '../../src/encodings/element.js';
import { INTSET_HEADER, openIntset, readIntset } from '../../src/encodings/intset.js';
import { LISTPACK_HEADER, openListpack, readListpack } from '../../src/encodings/listpack.js';
import { openZiplist, readZiplist, ZIPLIST_HEADER } from '../../src/encodings/ziplist.js';
import { openZipmap, readZipmap, ZIPMAP_HEADER } from '../../src/encodings/zipmap.js';
import { readLength } from '../../src/rdb/length.js';
import { readString } from '../../src/rdb/string.js';
import { be, bytes, intset, intStr, le, len, listpack, lzfStr, type Packable, str, ziplist, zipmap } from '../support/support.js';

type Read = (bytes: Uint8Array, pos: number, end: number, element: Element) => number;

/** A value as text, for quick comparison: integers and strings that look like them are not the same here. */
const shown = (item: Packable): string => (typeof item === 'bigint' ? `integer ${item}` : `string ${Buffer.from(item).toString('latin1')}`);

function said(element: Element): string {
  if (element.kind === BYTES) return shown(element.bytes.subarray(element.start, element.end));
  return shown(element.kind === INT64 ? (BigInt(element.hi) << 32n) | BigInt(element.lo) : BigInt(element.num));
}

/** Reads from `start` to `end`; the bytes stand inside others, which must not matter. */
function walk(read: Read, packed: Uint8Array, header: number, footer: number): string[] {
  const inside = bytes([7, 7, 7], packed, [0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const end = 3 + packed.length - footer;
  const element = new Element();
  const found: string[] = [];
  for (let pos = 3 + header; pos < end; ) {
    pos = read(inside, pos, end, element);
    if (pos < 0) throw new Error('cut');
    found.push(said(element));
  }
  return found;
}

const borders = (bits: number[]): bigint[] => bits.flatMap((n) => [2n ** BigInt(n) - 1n, 2n ** BigInt(n), -(2n ** BigInt(n)), -(2n ** BigInt(n)) - 1n]);
const integers = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-70_000n, 70_000n), fc.constantFrom(...borders([7, 12, 15, 23, 31, 53]), -(2n ** 63n), 2n ** 63n - 1n));
const blobs = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.constantFrom(0, 63, 64, 253, 254, 255, 4095, 4096, 16383, 16384, 70_000).map((size) => new Uint8Array(size).fill(0xff)),
);
const items = fc.array(fc.oneof(integers, blobs), { maxLength: 40 });

describe('listpack', () => {
  const readAll = (packed: Uint8Array): string[] => walk(readListpack, packed, LISTPACK_HEADER, 1);

  test('gives back any strings and integers', () => {
    fc.assert(
      fc.property(items, fc.boolean(), (list, valkey) => {
        const packed = listpack(list, valkey);
        expect(openListpack(packed, 0, packed.length)).toBe(list.length);
        expect(readAll(packed)).toEqual(list.map(shown));
      }),
    );
  });

  test.each<[name: string, entry: Uint8Array, want: Packable]>([
    ['7 bits, least', bytes(0, 1), 0n],
    ['7 bits, greatest', bytes(0x7f, 1), 127n],
    ['6-bit string, empty', bytes(0x80, 1), bytes()],
    ['6-bit string', bytes(0x82, 'ab', 3), bytes('ab')],
    ['13 bits, least', bytes(0xd0, 0, 2), -4096n],
    ['13 bits, greatest', bytes(0xcf, 0xff, 2), 4095n],
    ['13 bits, -1', bytes(0xdf, 0xff, 2), -1n],
    ['12-bit string', bytes(0xe0, 1, 'x', 3), bytes('x')],
    ['32-bit string', bytes(0xf0, 1, 0, 0, 0, 'x', 6), bytes('x')],
    ['16 bits', bytes(0xf1, 0, 0x80, 3), -32768n],
    ['24 bits', bytes(0xf2, 0, 0, 0x80, 4), -8388608n],
    ['24 bits, positive', bytes(0xf2, 0xff, 0xff, 0x7f, 4), 8388607n],
    ['32 bits', bytes(0xf3, 0, 0, 0, 0x80, 5), -2147483648n],
    ['64 bits', bytes(0xf4, 1, 0, 0, 0, 0, 0, 0, 0x80, 9), -(2n ** 63n) + 1n],
    ['64 bits that a double holds', bytes(0xf4, le(-(2n ** 53n), 8), 9), -(2n ** 53n)],
  ])('%s', (_, entry, want) => {
    const packed = bytes(le(entry.length + 9, 4), 2, 0, entry, 0x81, 'z', 2, 0xff);
    expect(walk(readListpack, packed.subarray(0, -4), LISTPACK_HEADER, 0)).toEqual([shown(want)]);
    expect(readAll(packed).slice(1)).toEqual(['string z']);
  });

  // Lengths of a whole entry on both sides of every border of its backward length; 2^28 would take 268 MB.
  test.each([126, 127, 128, 16382, 16383, 16384, 2097150, 2097151, 2097152])('the backward length of an entry of %d bytes, by Redis and by Valkey', (length) => {
    const header = length <= 64 ? 1 : length <= 4097 ? 2 : 5;
    const text = new Uint8Array(length - header).fill(0x78);
    for (const valkey of [false, true]) {
      const packed = listpack([text, 5n, text, 'end'], valkey);
      expect(readAll(packed)).toEqual([text, 5n, text, 'end'].map(shown));
    }
    const sizes = [false, true].map((valkey) => listpack([text], valkey).length);
    expect(sizes[0] === sizes[1]).toBe(length !== 16383 && length !== 2097151);
  });

  test('a count of 65535 stands for any number', () => {
    const packed = listpack(['a'], false, 65535);
    expect(openListpack(packed, 0, packed.length)).toBe(-1);
  });

  test.each([0xf5, 0xf6, 0xfe, 0xff])('refuses an entry that begins with %d', (first) => {
    expect(() => readListpack(bytes(first, 0, 0), 0, 3, new Element())).toThrow(expect.objectContaining({ code: 'BAD_LISTPACK' }));
  });
});

describe('ziplist', () => {
  test('gives back any strings and integers', () => {
    fc.assert(
      fc.property(items, fc.boolean(), (list, longLinks) => {
        const packed = ziplist(list, longLinks);
        expect(openZiplist(packed, 0, packed.length)).toBe(list.length);
        expect(walk(readZiplist, packed, ZIPLIST_HEADER, 1)).toEqual(list.map(shown));
      }),
    );
  });

  test.each<[name: string, entry: Uint8Array, want: Packable]>([
    ['6-bit string', bytes(2, 'ab'), bytes('ab')],
    ['14-bit string', bytes(0x40, 2, 'ab'), bytes('ab')],
    ['32-bit string', bytes(0x80, 0, 0, 0, 2, 'ab'), bytes('ab')],
    ['32-bit string with set low bits', bytes(0xbf, 0, 0, 0, 2, 'ab'), bytes('ab')],
    ['0', bytes(0xf1), 0n],
    ['12', bytes(0xfd), 12n],
    ['8 bits', bytes(0xfe, 0x80), -128n],
    ['16 bits', bytes(0xc0, 0, 0x80), -32768n],
    ['24 bits', bytes(0xf0, 0, 0, 0x80), -8388608n],
    ['32 bits', bytes(0xd0, 0, 0, 0, 0x80), -2147483648n],
    ['64 bits', bytes(0xe0, 1, 0, 0, 0, 0, 0, 0, 0x80), -(2n ** 63n) + 1n],
  ])('%s', (_, entry, want) => {
    for (const link of [bytes(0), bytes(0xfe, 0, 0, 0, 0), bytes(0xfe, le(300, 4))]) {
      expect(walk(readZiplist, bytes(link, entry), 0, 0)).toEqual([shown(want)]);
    }
  });

  test('a count of 65535 stands for any number', () => {
    const packed = ziplist(['a'], false, 65535);
    expect(openZiplist(packed, 0, packed.length)).toBe(-1);
  });

  test.each([0xc1, 0xd1, 0xe1, 0xef, 0xff])('refuses an entry of encoding %d', (encoding) => {
    expect(() => readZiplist(bytes(0, encoding, 0, 0), 0, 4, new Element())).toThrow(expect.objectContaining({ code: 'BAD_ZIPLIST' }));
  });
});

describe('zipmap', () => {
  const readAll = (packed: Uint8Array): string[] => {
    let phase = 1;
    return walk((source, pos, end, element) => readZipmap(source, pos, end, (phase ^= 1), element), packed, ZIPMAP_HEADER, 1);
  };

  test('gives back any fields and values, whatever stands unused behind them', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(blobs, blobs), { maxLength: 20 }), fc.integer({ min: 0, max: 255 }), (pairs, free) => {
        const packed = zipmap(pairs, free);
        expect(openZipmap(packed, 0, packed.length)).toBe(pairs.length * 2);
        expect(readAll(packed)).toEqual(pairs.flat().map(shown));
      }),
    );
  });

  test('254 pairs or more are not counted', () => {
    const pairs = Array.from({ length: 300 }, (_, i) => [`f${i}`, ''] as const);
    const packed = zipmap(pairs);
    expect(openZipmap(packed, 0, packed.length)).toBe(-1);
    expect(readAll(packed)).toHaveLength(600);
  });
});

describe('intset', () => {
  test.each([2, 4, 8] as const)('gives back integers of %d bytes', (width) => {
    fc.assert(
      fc.property(fc.array(integers), (list) => {
        const want = list.map((item) => BigInt.asIntN(8 * width, item));
        const packed = intset(width, want);
        expect(openIntset(packed, 0, packed.length)).toBe(width);
        expect(walk((source, pos, end, element) => readIntset(source, pos, end, width, element), packed, INTSET_HEADER, 0)).toEqual(want.map(shown));
      }),
    );
  });
});

describe('every reader', () => {
  const cases: [name: string, packed: Uint8Array, read: Read, header: number][] = [
    ['listpack', listpack([5n, 'a', -3000n, 'b'.repeat(70), 'c'.repeat(5000), 2n ** 15n, 2n ** 22n, 2n ** 30n, 2n ** 60n]), readListpack, LISTPACK_HEADER],
    ['ziplist', ziplist([5n, 'a', -3000n, 'b'.repeat(300), 'c'.repeat(20_000), 100n, 2n ** 22n, 2n ** 30n, 2n ** 60n]), readZiplist, ZIPLIST_HEADER],
    ['zipmap field', bytes(0xfe, le(300, 4), 'a'.repeat(300)), (source, pos, end, element) => readZipmap(source, pos, end, 0, element), 0],
    ['zipmap value', bytes(0xfe, le(300, 4), 7, 'a'.repeat(307)), (source, pos, end, element) => readZipmap(source, pos, end, 1, element), 0],
    ['intset', le(5, 8), (source, pos, end, element) => readIntset(source, pos, end, 8, element), 0],
    ['string', bytes(str('a'.repeat(100))), readString, 0],
    ['integer string', intStr(-5, 4), readString, 0],
    ['LZF string', lzfStr('ab'.repeat(100)), readString, 0],
    ['length of 9 bytes', len(5, 9), (source, pos, end) => readLength(source, pos, end, { value: 0, hi: 0, lo: 0 }), 0],
    ['length of 5 bytes', len(5, 5), (source, pos, end) => readLength(source, pos, end, { value: 0, hi: 0, lo: 0 }), 0],
    ['length of 2 bytes', len(5, 2), (source, pos, end) => readLength(source, pos, end, { value: 0, hi: 0, lo: 0 }), 0],
  ];

  test.each(cases)('of a %s says of a cut element that it is cut, wherever that is', (_, packed, read, header) => {
    const element = new Element();
    const end = read === readListpack || read === readZiplist ? packed.length - 1 : packed.length;
    for (let pos = header; pos < end; ) {
      const next = read(packed, pos, end, element);
      expect(next).toBeGreaterThan(pos);
      for (let cut = pos; cut < next; cut++) {
        expect(read(packed, pos, cut, element), `cut at ${cut - pos} of ${next - pos}`).toBe(-1);
        expect(read(packed.subarray(0, cut), pos, cut, element), `ended at ${cut - pos} of ${next - pos}`).toBe(-1);
      }
      pos = next;
    }
  });
});

test('stream IDs and lengths are big-endian, packed integers little-endian', () => {
  expect([be(1, 2), le(1, 2)]).toEqual([Uint8Array.of(0, 1), Uint8Array.of(1, 0)]);
});
