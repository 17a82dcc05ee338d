import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase64, decodeHex, decodeQuoted } from '../../src/bytes/byte-forms.js';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const data = fc.uint8Array({ maxLength: 200 });

/** What sds.c, sdscatrepr does. */
function repr(bytes: Uint8Array): string {
  const short: Readonly<Record<number, string>> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 13: '\\r', 0x22: '\\"', 0x5c: '\\\\' };
  const one = (byte: number): string => short[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`);
  return `"${[...bytes].map(one).join('')}"`;
}

describe('bytes come back from', () => {
  test('hex', () => {
    fc.assert(
      fc.property(data, (bytes) => {
        expect(decodeHex(ascii(Buffer.from(bytes).toString('hex')))).toEqual(bytes);
      }),
    );
    expect(decodeHex(ascii('DEad be\nEF\n'))).toEqual(Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
  });

  test('base64, folded or not, with or without padding', () => {
    fc.assert(
      fc.property(data, fc.integer({ min: 1, max: 80 }), (bytes, width) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(decodeBase64(ascii(text.replace(new RegExp(`.{${width}}`, 'g'), '$&\n')))).toEqual(bytes);
        expect(decodeBase64(ascii(text.replace(/=+$/, '')))).toEqual(bytes);
      }),
    );
  });

  test('what redis-cli shows, with its quotes and without', () => {
    fc.assert(
      fc.property(data, (bytes) => {
        expect(decodeQuoted(ascii(`${repr(bytes)}\n`))).toEqual(bytes);
        if (!/^b?[\s'"]|\s$/.test(repr(bytes).slice(1, -1))) expect(decodeQuoted(ascii(repr(bytes).slice(1, -1)))).toEqual(bytes);
      }),
    );
  });

  test('what Python shows', () => {
    expect(decodeQuoted(ascii(String.raw`b'\x00\'"\n'`))).toEqual(Uint8Array.of(0, 0x27, 0x22, 10));
  });
});

test.each([
  [decodeHex, '0', 1],
  [decodeHex, '0g', 1],
  [decodeHex, '00 x', 3],
  [decodeBase64, 'AA=A', 3],
  [decodeBase64, 'AA===', 4],
  [decodeBase64, 'AAAA=', 4],
  [decodeBase64, 'AA=', 1],
  [decodeBase64, 'AAAAA', 4],
  [decodeBase64, 'AB==', 1],
  [decodeBase64, 'AA_A', 2],
  [decodeQuoted, '"abc', 3],
  [decodeQuoted, '"', 1],
  [decodeQuoted, 'a\\', 1],
  [decodeQuoted, 'a\\x0', 1],
  [decodeQuoted, '"\\x0"', 1],
  [decodeQuoted, 'a\\q', 1],
  [decodeQuoted, 'a\nb', 1],
  [decodeQuoted, 'ä\\x00', 0],
] as const)('%p of %j: the place that does not fit', (decode, text, place) => {
  expect(decode(ascii(text))).toBe(place);
});
