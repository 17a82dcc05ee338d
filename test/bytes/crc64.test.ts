import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Crc64, crc64Shift } from '../../src/bytes/crc64.js';
import { bytes } from '../support/support.js';

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

test('a CRC-64 with zeros after the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3000), (data, zeros) => {
      const { hi, lo } = new Crc64().update(data).update(new Uint8Array(zeros));
      expect(crc64Shift(new Crc64().update(data), zeros)).toMatchObject({ hi, lo });
    }),
  );
});
