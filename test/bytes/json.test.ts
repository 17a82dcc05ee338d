import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonTextSize, writeJsonText, writeBase64 } from '../../src/bytes/json.js';
import { Utf8Checker } from '../../src/bytes/utf8.js';
import { bytes, jsonText } from '../support/support.js';
import { written } from '../support/written.js';

const decoder = new TextDecoder();

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

test('base64 of any length, anywhere', () => {
  const src = new Uint8Array(new SharedArrayBuffer(5000)).map((_, i) => (i * 7919) >>> 3);
  const out = new Uint8Array(7000);
  for (const size of [...Array(70).keys(), ...Array.from({ length: 12 }, (_, i) => 250 + i), 1000, 1001, 4999]) {
    out.fill(0x21);
    const end = writeBase64(src, 1, Math.min(1 + size, 5000), out, 3);
    const text = Buffer.from(src.slice(1, 1 + size)).toString('base64');
    expect([size, Buffer.from(out.subarray(0, end + 1)).toString('latin1')]).toEqual([size, `!!!${text}!`]);
  }
});
