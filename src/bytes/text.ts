/**
 * The text form of a byte string, as in JSON lines and on the command line: bytes that are valid UTF-8 are that
 * text; any others, and text that itself begins with `base64:`, are `base64:` and the standard base64 of the bytes
 * (RFC 4648, with padding). Nothing is normalized, a BOM is kept, so the bytes come back exactly.
 */
import { claimsBase64, utf8Length, writeBase64, writeBase64Prefix } from './json.js';

export const PREFIX = 'base64:';
const PAD = '=';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** By character code: the six bits of a base64 letter, 255 for any other. */
const SEXTET = new Uint8Array(128).fill(255);
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let bits = 0; bits < 64; bits++) SEXTET[LETTERS.charCodeAt(bits)] = bits;

/** The bytes `bytes[start, end)` in text form. */
export function formatText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  const text = claimsBase64(bytes, start, end) ? undefined : decodeUtf8(bytes, start, end);
  if (text !== undefined) return text;
  const out = new Uint8Array(PREFIX.length + Math.ceil((end - start) / 3) * 4);
  return decoder.decode(out.subarray(0, writeBase64(bytes, start, end, out, writeBase64Prefix(out, 0))));
}

/**
 * The bytes that a text form stands for, in a new array. TypeError for a lone surrogate, which no UTF-8 has, and for base64
 * that is not exactly what the bytes would be written as: white space, missing padding, bits set after the last byte.
 */
export function parseText(text: string): Uint8Array {
  if (text.startsWith(PREFIX)) return parseBase64(text.slice(PREFIX.length));
  const lone = text.search(/\p{Surrogate}/u);
  if (lone >= 0) {
    const code = text.charCodeAt(lone).toString(16).toUpperCase();
    throw new TypeError(`text with a lone surrogate, U+${code} at character ${lone + 1}: write the bytes as base64:…`);
  }
  return encoder.encode(text);
}

/** The text that `bytes[start, end)` are in UTF-8; undefined where they are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string | undefined {
  for (let i = start; i < end; ) {
    const length = utf8Length(bytes, i, end);
    if (length === 0) return undefined;
    i += length;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** Each byte as the character of that number, U+0000 to U+00FF. */
export function decodeLatin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** The bytes of base64 text, without its prefix. TypeError as `parseText`. */
export function parseBase64(letters: string): Uint8Array {
  if (letters.length % 4 !== 0) {
    throw new TypeError(`base64 with ${letters.length} characters: they come in fours, with "=" to fill up`);
  }
  const padding = letters.endsWith('==') ? 2 : letters.endsWith(PAD) ? 1 : 0;
  const length = letters.length - padding;
  const out = new Uint8Array((letters.length / 4) * 3 - padding);
  let o = 0;
  let bits = 0;
  let held = 0;
  for (let i = 0; i < length; i++) {
    bits = ((bits << 6) | sextet(letters, i)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[o++] = bits >> held;
    }
  }
  if ((bits & ((1 << held) - 1)) !== 0) {
    throw new TypeError(`base64 with bits set after its last byte, in "${letters[length - 1]}" before the padding`);
  }
  return out;
}

function sextet(letters: string, i: number): number {
  const code = letters.charCodeAt(i);
  const bits = code < 128 ? SEXTET[code] : 255;
  if (bits === 255) {
    const letter = String.fromCodePoint(letters.codePointAt(i) ?? 0);
    throw new TypeError(
      `base64 with ${JSON.stringify(letter)}, character ${i + 1}, which is not in its alphabet (A-Z a-z 0-9 + / and = at the end)`,
    );
  }
  return bits;
}
