import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonTextSize, writeJsonText } from '../../src/bytes/json.js';
import { decodeLatin1, decodeUtf8, formatText, parseText } from '../../src/bytes/text.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** Bytes of all kinds: any, UTF-8, UTF-8 with a byte changed, and what begins like base64 text. */
const anyBytes = fc.oneof(
  fc.uint8Array(),
  fc.string({ unit: 'binary' }).map(utf8),
  fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
    const out = utf8(text);
    out[at % out.length] = byte;
    return out;
  }),
  fc.uint8Array().map((rest) => bytes(...utf8('base64:'), ...rest)),
);

test('text that is UTF-8 is itself', () => {
  for (const text of ['', 'key', 'base64', 'BASE64:', ' base64:', 'é€😀', '\0\n"\\', '\ufeffbom', '\u{10ffff}', '\ufffd']) {
    expect(formatText(utf8(text))).toBe(text);
    expect(parseText(text)).toEqual(utf8(text));
  }
});

test('other bytes, and text that begins with base64:, are base64', () => {
  expect(formatText(bytes(0xff))).toBe('base64:/w==');
  expect(formatText(bytes(0x61, 0x80))).toBe('base64:YYA=');
  expect(formatText(bytes(0xfb, 0xef, 0xff))).toBe('base64:++//');
  expect(formatText(utf8('base64:'))).toBe('base64:YmFzZTY0Og==');
});

test.each([
  ['overlong', bytes(0xc0, 0x80)],
  ['overlong in three', bytes(0xe0, 0x9f, 0xbf)],
  ['overlong in four', bytes(0xf0, 0x8f, 0xbf, 0xbf)],
  ['a surrogate', bytes(0xed, 0xa0, 0x80)],
  ['past 10FFFF', bytes(0xf4, 0x90, 0x80, 0x80)],
  ['cut short', bytes(0xe2, 0x82)],
  ['a lone continuation', bytes(0xbf)],
])('not UTF-8: %s', (_, invalid) => {
  expect(decodeUtf8(invalid)).toBeUndefined();
  expect(parseText(formatText(invalid))).toEqual(invalid);
});

test.each([
  ['base64:YQ', /2 characters/],
  ['base64:YQ=', /3 characters/],
  ['base64:YQ==\n', /5 characters/],
  ['base64:YR==', /bits set after its last byte, in "R"/],
  ['base64:YWF=', /bits set after its last byte, in "F"/],
  ['base64:Y-_=', /"-", character 2/],
  ['base64:YQ==YQ==', /"=", character 3/],
  ['base64:Y===', /"=", character 2/],
  ['base64:====', /"=", character 1/],
  ['base64: YQ=', /" ", character 1/],
  ['base64:YQ😀', /"😀", character 3/],
  ['a\ud800b', /U\+D800 at character 2/],
  ['\udc00', /U\+DC00 at character 1/],
])('%j is refused', (text, reason) => {
  expect(() => parseText(text)).toThrow(TypeError);
  expect(() => parseText(text)).toThrow(reason);
});

test('base64 of nothing is nothing', () => {
  expect(parseText('base64:')).toEqual(bytes());
});

test('any bytes come back', () => {
  fc.assert(fc.property(anyBytes, (given) => {
    expect(parseText(formatText(given))).toEqual(given);
  }), { numRuns: 1000 });
});

test('any well-formed text comes back', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }).filter((text) => !text.startsWith('base64:')), (text) => {
    expect(formatText(parseText(text))).toBe(text);
  }));
});

test('agrees with the JSON writer, with TextDecoder and with Buffer', () => {
  fc.assert(fc.property(anyBytes, (given) => {
    const json = new Uint8Array(jsonTextSize(given.length));
    const end = writeJsonText(given, 0, given.length, json, 0);
    expect(JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(json.subarray(0, end)))).toBe(formatText(given));
    expect(decodeUtf8(given)).toBe(decodeFatal(given));
    expect(decodeLatin1(given)).toBe(Buffer.from(given).toString('latin1'));
    const base64 = Buffer.from(given).toString('base64');
    expect(parseText(`base64:${base64}`)).toEqual(given);
  }), { numRuns: 1000 });
});

test('only the given range is read', () => {
  fc.assert(fc.property(anyBytes, anyBytes, anyBytes, (before, given, after) => {
    const all = bytes(...before, ...given, ...after);
    const [start, end] = [before.length, before.length + given.length];
    expect(formatText(all, start, end)).toBe(formatText(given));
    expect(decodeLatin1(all, start, end)).toBe(decodeLatin1(given));
  }));
});

function decodeFatal(given: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(given);
  } catch {
    return undefined;
  }
}
