import { claimsBase64, utf8Length, writeBase64, writeBase64Prefix } from '../bytes/json.js';
import { viewOf } from '../bytes/view.js';

/** Bytes that become base64 at once: a multiple of 3, so that only the last piece is padded; a JavaScript string can hold it. */
const PIECE = 3 << 20;

/** The most bytes that the text of a key of `length` bytes takes. */
export function keyTextSize(length: number): number {
  return length * 2 + 12;
}

/** Writes a key in text form (bytes/text.ts); `out` has room. Returns the position after it. */
export function writeKeyText(src: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  if (claimsBase64(src, start, end)) return writeKeyBase64(src, start, end, out, at);
  const from = viewOf(src);
  const into = viewOf(out);
  const wordEnd = end - 3;
  let o = at;
  let i = start;
  for (;;) {
    for (; i < wordEnd; i += 4, o += 4) {
      const word = from.getInt32(i, true);
      if ((word & 0x80808080) !== 0) break;
      into.setInt32(o, word, true);
    }
    if (i >= end) break;
    if (src[i] < 0x80) {
      out[o++] = src[i++];
      continue;
    }
    const next = i + utf8Length(src, i, end);
    if (next === i) return writeKeyBase64(src, start, end, out, at);
    while (i < next) out[o++] = src[i++];
  }
  return o;
}

function writeKeyBase64(src: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let o = writeBase64Prefix(out, at);
  for (let i = start; i < end; i += PIECE) o = writeBase64(src, i, Math.min(end, i + PIECE), out, o);
  return o;
}
