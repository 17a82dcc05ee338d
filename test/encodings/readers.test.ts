import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Crc64 } from '../../src/bytes/crc64.js';
import { writeInt, writeInt64, writeUint64 } from '../../src/bytes/decimal.js';
import { DOUBLE_SIZE, doubleText, parseDouble, writeDouble } from '../../src/bytes/double.js';
import { jsonTextSize, writeJsonText } from '../../src/bytes/json.js';
import { lzfDecompress, lzfMaxLength, LzfStream } from '../../src/bytes/lzf.js';
import { Utf8Checker } from '../../src/bytes/utf8.js';
import { BYTES, Element, INT64 } from '../../src/encodings/element.js';
import { INTSET_HEADER, openIntset, readIntset } from '../../src/encodings/intset.js';
import { LISTPACK_HEADER, openListpack, readListpack } from '../../src/encodings/listpack.js';
import { openZiplist, readZiplist, ZIPLIST_HEADER } from '../../src/encodings/ziplist.js';
import { openZipmap, readZipmap, ZIPMAP_HEADER } from '../../src/encodings/zipmap.js';
import { readLength } from '../../src/rdb/length.js';
import { readString, Scratch } from '../../src/rdb/string.js';
import { be, bytes, f64, intset, intStr, jsonText, le, len, listpack, lzf, lzfStr, type Packable, str, ziplist, zipmap } from '../support/support.js';

type Read = (bytes: Uint8Array, pos: number, end: number, element: Element) => number;

const decoder = new TextDecoder();

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

test('lengths give back any number in any form that holds it', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 0, max: 63 }), fc.constantFrom(1, 2, 5, 9), (any, shift, form) => {
      const value = BigInt.asUintN({ 1: 6, 2: 14, 5: 32, 9: 64 }[form], any >> BigInt(shift));
      const read = { value: 0, hi: 0, lo: 0 };
      expect(readLength(bytes(9, len(value, form)), 1, 1 + form, read)).toBe(1 + form);
      expect((BigInt(read.hi) << 32n) | BigInt(read.lo)).toBe(value);
      expect(read.value).toBe(Number(value));
    }),
  );
});

/** LZF that uses every instruction, together with what it stands for. */
const instructions = fc
  .array(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 32 }), fc.tuple(fc.integer({ min: 3, max: 264 }), fc.nat(), fc.boolean())), { maxLength: 200 })
  .map((list) => {
    const packed: number[] = [];
    const plain: number[] = [];
    for (const entry of list) {
      if (entry instanceof Uint8Array) {
        packed.push(entry.length - 1, ...entry);
        plain.push(...entry);
      } else if (plain.length > 0) {
        const [run, any, near] = entry;
        const distance = 1 + (any % Math.min(near ? 4 : 8192, plain.length));
        const high = (distance - 1) >> 8;
        if (run < 9) packed.push(((run - 2) << 5) | high, (distance - 1) & 255);
        else packed.push(0xe0 | high, run - 9, (distance - 1) & 255);
        for (let i = 0; i < run; i++) plain.push(plain[plain.length - distance]);
      }
    }
    return { packed: Uint8Array.from(packed), plain: Uint8Array.from(plain) };
  });

describe('LZF', () => {
  const inflate = (packed: Uint8Array, length: number): Uint8Array => {
    const out = new Uint8Array(length + 20).fill(0xaa);
    const end = lzfDecompress(bytes(1, 2, packed, 3), 2, 2 + packed.length, out, 5, length);
    expect(end).toBe(5 + length);
    expect(out.subarray(0, 5).every((byte) => byte === 0xaa)).toBe(true);
    return out.slice(5, end);
  };

  test('gives back what any instructions stand for, whole and in pieces', () => {
    fc.assert(
      fc.property(instructions, fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }), fc.integer({ min: 1, max: 5000 }), ({ packed, plain }, sizes, room) => {
        expect(inflate(packed, plain.length)).toEqual(plain);
        const got: Uint8Array[] = [];
        const stream = new LzfStream(plain.length, (out, start, end) => void got.push(out.slice(start, end)), room);
        for (let at = 0, i = 0; at < packed.length; i++) {
          const size = sizes[i % sizes.length];
          stream.push(bytes(0xff, packed.subarray(at, at + size), 0xff), 1, 1 + Math.min(size, packed.length - at));
          at += size;
        }
        stream.finish();
        expect(bytes(got)).toEqual(plain);
      }),
    );
  });

  test('reaches back 8192 bytes, also through a stream of one byte at a time', () => {
    const noise = Uint8Array.from({ length: 8192 }, (_, i) => (i * 167 + (i >> 8) * 31) & 255);
    const plain = bytes(noise, noise, noise, noise);
    const packed = bytes(...Array.from({ length: 256 }, (_, i) => bytes(31, noise.subarray(i * 32, i * 32 + 32))), ...Array.from({ length: 96 }, () => [0xff, 247, 0xff]));
    const length = 8192 + 96 * 256;
    expect(inflate(packed, length)).toEqual(plain);
    const got: Uint8Array[] = [];
    const stream = new LzfStream(length, (out, start, end) => void got.push(out.slice(start, end)), 1);
    for (const byte of packed) stream.push(Uint8Array.of(byte), 0, 1);
    stream.finish();
    expect(bytes(got)).toEqual(plain);
  });

  test.each<[name: string, packed: Uint8Array, length: number]>([
    ['a copy from before the beginning', bytes(0, 'a', 0x20, 1), 4],
    ['a copy at the very beginning', bytes(0x20, 0), 3],
    ['more than stated', bytes(2, 'abc'), 2],
    ['a copy of more than stated', bytes(0, 'a', 0xe0, 255, 0), 100],
    ['less than stated', bytes(2, 'abc'), 4],
    ['a literal run cut short', bytes(5, 'abc'), 6],
    ['a copy cut before its distance', bytes(0, 'a', 0x20), 4],
    ['a long copy cut before its length', bytes(0, 'a', 0xe0), 20],
    ['a long copy cut before its distance', bytes(0, 'a', 0xe0, 1), 11],
    ['nothing', bytes(), 1],
  ])('refuses %s', (_, packed, length) => {
    const bad: unknown = expect.objectContaining({ code: 'BAD_LZF' });
    expect(() => inflate(packed, length)).toThrow(bad);
    const stream = new LzfStream(length, () => undefined);
    expect(() => {
      stream.push(packed, 0, packed.length);
      stream.finish();
    }).toThrow(bad);
  });

  test('never makes more of its bytes than the bound says', () => {
    const best = bytes(0, 'a', ...Array.from({ length: 50 }, () => [0xe0, 255, 0]));
    expect(lzfMaxLength(best.length)).toBeGreaterThanOrEqual(inflate(best, 1 + 50 * 264).length);
  });

  test('strings come back through the compressor of these tests', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.array(fc.constantFrom('ab', 'aaa', 'xyz'), { maxLength: 300 }).map((list) => bytes(list))), (plain) => {
        const element = new Element();
        const packed = lzfStr(plain);
        expect(readString(packed, 0, packed.length, element)).toBe(packed.length);
        new Scratch().inflate(element);
        expect(said(element)).toBe(shown(plain));
        expect(inflate(lzf(plain), plain.length)).toEqual(plain);
      }),
    );
  });
});

describe('CRC-64', () => {
  /** One bit at a time, from the polynomial. */
  const slow = (source: Uint8Array): string => {
    let crc = 0n;
    for (const byte of source) {
      crc ^= BigInt(byte);
      for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n;
    }
    return crc.toString(16).padStart(16, '0');
  };

  test.each([
    ['', '0000000000000000'],
    ['123456789', 'e9c6d914c4b8d9ca'],
    ['This is a test of the emergency broadcast system.', slow(bytes('This is a test of the emergency broadcast system.'))],
  ])('of %j', (text, want) => {
    expect(new Crc64().update(bytes(text)).toString()).toBe(want);
  });

  test('is the same at any split and alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 20 }), fc.integer({ min: 0, max: 9 }), (source, sizes, shift) => {
        const held = bytes(new Uint8Array(shift), source, 0xff);
        const crc = new Crc64();
        let at = shift;
        for (const size of sizes) {
          const end = Math.min(at + size, shift + source.length);
          crc.update(held, at, end);
          at = end;
        }
        expect(crc.update(held, at, shift + source.length).toString()).toBe(slow(source));
      }),
    );
  });

  test('is the same for much at once as for a little at a time', () => {
    const much = Uint8Array.from({ length: 300_001 }, (_, i) => (i * 2654435761) >>> 11);
    const little = new Crc64();
    for (let at = 0; at < much.length; at += 7) little.update(much, at, Math.min(at + 7, much.length));
    expect(new Crc64().update(much).toString()).toBe(little.toString());
  });
});

/** What a writer writes, and that it stays where it was told to. */
function written(size: number, write: (out: Uint8Array, o: number) => number): string {
  const out = new Uint8Array(size + 16).fill(0xaa);
  const end = write(out, 8);
  expect(end - 8).toBeLessThanOrEqual(size);
  expect(out.subarray(0, 8).every((byte) => byte === 0xaa)).toBe(true);
  expect(out.subarray(8 + size).every((byte) => byte === 0xaa)).toBe(true);
  return decoder.decode(out.subarray(8, end));
}

const halves = (value: bigint): [hi: number, lo: number] => [Number(BigInt.asIntN(32, value >> 32n)), Number(value & 0xffffffffn)];

describe('decimal', () => {
  const powers = Array.from({ length: 20 }, (_, n) => [10n ** BigInt(n) - 1n, 10n ** BigInt(n), 10n ** BigInt(n) + 1n]).flat();
  const any = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.constantFrom(...powers.filter((n) => n < 2n ** 63n), ...borders([8, 16, 31, 32, 52]), -(2n ** 63n)));

  test('integers', () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 60 }), (large, shift) => {
        const value = large >> BigInt(shift);
        expect(written(20, (out, o) => writeInt64(...halves(value), out, o))).toBe(value.toString());
        const safe = BigInt.asIntN(54, value);
        expect(written(17, (out, o) => writeInt(Number(safe), out, o))).toBe(safe.toString());
        const unsigned = BigInt.asUintN(64, value);
        expect(written(20, (out, o) => writeUint64(Number(unsigned >> 32n), Number(unsigned & 0xffffffffn), out, o))).toBe(unsigned.toString());
      }),
      { numRuns: 2000 },
    );
  });
});

describe('doubles', () => {
  const bits = fc.bigInt(0n, 2n ** 64n - 1n).map((n) => new Float64Array(le(n, 8).slice().buffer)[0]);
  const short = fc.tuple(fc.integer(), fc.integer({ min: 0, max: 12 }), fc.integer({ min: -3, max: 3 })).map(([m, k, step]) => {
    const value = f64(m / 10 ** k);
    return new Float64Array(le(BigInt.asUintN(64, new BigInt64Array(value.buffer)[0]) + BigInt(Math.max(step, 0)), 8).slice().buffer)[0];
  });
  const any = fc.oneof(bits, short, fc.double(), fc.bigInt(-(2n ** 70n), 2n ** 70n).map(Number), fc.constantFrom(0, -0, 5e-324, Number.MAX_VALUE, 1e15, 1e15 - 0.125, 1e21, 0.001, 0.0005, 999999999999.999, 2 ** 53, NaN, Infinity, -Infinity));

  test('come back exactly, and in no more letters than JavaScript takes', () => {
    fc.assert(
      fc.property(any, (value) => {
        const text = written(DOUBLE_SIZE, (out, o) => writeDouble(value, out, o));
        if (!Number.isFinite(value)) expect(JSON.parse(text)).toBe(Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');
        else {
          expect(Object.is(JSON.parse(text), value), text).toBe(true);
          expect(text.length).toBeLessThanOrEqual(Object.is(value, -0) ? 2 : String(value).length);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    ['1.5', 1.5],
    ['-0', -0],
    ['1e-7', 1e-7],
    ['+3.', 3],
    ['.5', 0.5],
    ['1.7976931348623157e+308', Number.MAX_VALUE],
    ['4.9406564584124654e-324', 5e-324],
    ['inf', Infinity],
    ['-inf', -Infinity],
    ['nan', NaN],
    ['-nan', NaN],
    ['', undefined],
    ['1x', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['1e', undefined],
    ['.', undefined],
  ])('are read from %j', (text, want) => {
    expect(parseDouble(bytes(9, text, 9), 1, 1 + text.length)).toBe(want);
  });

  // redis 8.8 sparsearray.c, arFormatFloat: d2string, which writes integers up to 2^62 in full, and `.0` where it looks like one.
  test.each([
    [3, '3.0'],
    [-3, '-3.0'],
    [1.25, '1.25'],
    [-0.000001, '-0.000001'],
    [1e15, '1000000000000000.0'],
    [12345678901234567000, '12345678901234567000.0'],
    [-0, '-0.0'],
    [2 ** 60, '1152921504606846976.0'],
  ])('of an array print as Redis prints them: %d', (value, want) => {
    expect(written(40, (out, o) => doubleText(value, out, o))).toBe(want);
  });
});

describe('JSON text', () => {
  const utf8 = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => bytes(text));
  const pieces = fc.constantFrom(
    bytes('base64:'), bytes('base64'), bytes('a'), bytes('"\\/\b\f\n\r\t'), bytes(0, 1, 0x1f, 0x7f), bytes('\u2028\ufeff\uffff'),
    bytes(0xc0, 0x80), bytes(0xc1, 0xbf), bytes(0xe0, 0x80, 0x80), bytes(0xe0, 0x9f, 0xbf), bytes(0xf0, 0x8f, 0xbf, 0xbf), // overlong
    bytes(0xed, 0xa0, 0x80), bytes(0xed, 0xbf, 0xbf), bytes(0xed, 0x9f, 0xbf), bytes(0xee, 0x80, 0x80), // surrogates and their neighbours
    bytes(0xf4, 0x8f, 0xbf, 0xbf), bytes(0xf4, 0x90, 0x80, 0x80), bytes(0xf5, 0x80, 0x80, 0x80), bytes(0xff), bytes(0x80), bytes(0xc3), bytes(0xe2, 0x82), bytes(0xf0, 0x9f, 0x98),
    bytes('\u00e9'), bytes('\u20ac'), bytes('\u{1f600}'),
  );
  const any = fc.oneof(fc.uint8Array({ maxLength: 60 }), utf8, fc.array(fc.oneof(pieces, utf8), { maxLength: 8 }).map((list) => bytes(list)));

  test('is what the contract says, for any bytes', () => {
    fc.assert(
      fc.property(any, (raw) => {
        const text = written(jsonTextSize(raw.length), (out, o) => writeJsonText(bytes(0x80, raw, 0xbf), 1, 1 + raw.length, out, o));
        expect(text).toBe(jsonText(raw));
      }),
      { numRuns: 5000 },
    );
  });

  test('of every byte alone and behind each other byte', () => {
    for (let first = 0; first < 256; first++) {
      for (let second = -1; second < 256; second++) {
        const raw = second < 0 ? bytes(first) : bytes(first, second);
        const out = new Uint8Array(jsonTextSize(2));
        const end = writeJsonText(raw, 0, raw.length, out, 0);
        if (decoder.decode(out.subarray(0, end)) !== jsonText(raw)) expect(decoder.decode(out.subarray(0, end))).toBe(jsonText(raw));
      }
    }
  });

  test('of long strings with one odd byte anywhere', () => {
    for (const odd of [0x00, 0x22, 0x5c, 0x7f, 0x80, 0xff]) {
      for (let at = 0; at < 70; at++) {
        const raw = new Uint8Array(70).fill(0x61);
        raw[at] = odd;
        const text = written(jsonTextSize(70), (out, o) => writeJsonText(raw, 0, 70, out, o));
        expect(text).toBe(jsonText(raw));
      }
    }
  });

  test('bytes that come in pieces are as valid as the whole', () => {
    fc.assert(
      fc.property(any, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (raw, sizes) => {
        const checker = new Utf8Checker();
        for (let at = 0, i = 0; at < raw.length; i++) {
          const end = Math.min(raw.length, at + (sizes[i % sizes.length]));
          checker.push(bytes(0xff, raw.subarray(at, end), 0xbf), 1, 1 + end - at);
          at = end;
        }
        let valid = true;
        try {
          new TextDecoder('utf-8', { fatal: true }).decode(raw);
        } catch {
          valid = false;
        }
        expect(checker.finish()).toBe(valid);
      }),
      { numRuns: 2000 },
    );
  });
});

test('stream IDs and lengths are big-endian, packed integers little-endian', () => {
  expect([be(1, 2), le(1, 2)]).toEqual([Uint8Array.of(0, 1), Uint8Array.of(1, 0)]);
});
