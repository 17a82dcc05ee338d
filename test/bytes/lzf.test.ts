import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lzfDecompress, lzfMaxLength, LzfStream } from '../../src/bytes/lzf.js';
import { BYTES, Element, INT64 } from '../../src/encodings/element.js';
import { readString, Scratch } from '../../src/rdb/string.js';
import { bytes, lzf, lzfStr, type Packable } from '../support/support.js';

/** A value as text, for quick comparison: integers and strings that look like them are not the same here. */
const shown = (item: Packable): string => (typeof item === 'bigint' ? `integer ${item}` : `string ${Buffer.from(item).toString('latin1')}`);

function said(element: Element): string {
  if (element.kind === BYTES) return shown(element.bytes.subarray(element.start, element.end));
  return shown(element.kind === INT64 ? (BigInt(element.hi) << 32n) | BigInt(element.lo) : BigInt(element.num));
}

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
