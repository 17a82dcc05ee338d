/**
 * Byte strings in the forms that people paste: hex, base64, and the quoted form of redis-cli. All take ASCII text as bytes, of any
 * size, and return the bytes that it stands for or the position of the first character that does not fit.
 */
export type Decoded = Uint8Array | number;

const OTHER = 255;

function table(letters: string): Uint8Array {
  const values = new Uint8Array(256).fill(OTHER);
  for (let value = 0; value < letters.length; value++) values[letters.charCodeAt(value)] = value;
  return values;
}

const SEXTETS = table('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const DIGITS = table('0123456789abcdef');
for (const letter of 'ABCDEF') DIGITS[letter.charCodeAt(0)] = DIGITS[letter.toLowerCase().charCodeAt(0)];

/** White space of ASCII. */
export const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** Hexadecimal digits in pairs, in either case; white space anywhere between pairs. */
export function decodeHex(text: Uint8Array): Decoded {
  const out = new Uint8Array(text.length >> 1);
  let o = 0;
  for (let i = 0; i < text.length; i++) {
    if (isSpace(text[i])) continue;
    const [high, low] = [DIGITS[text[i]], i + 1 < text.length ? DIGITS[text[i + 1]] : OTHER];
    if (high === OTHER) return i;
    if (low === OTHER) return i + 1;
    out[o++] = (high << 4) | low;
    i++;
  }
  return out.subarray(0, o);
}

const PAD = 0x3d;

/** Standard base64 (RFC 4648) with or without its padding; white space anywhere. */
export function decodeBase64(text: Uint8Array): Decoded {
  const out = new Uint8Array(Math.ceil(text.length / 4) * 3);
  let o = 0;
  let bits = 0;
  let held = 0;
  let pads = 0;
  let last = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (isSpace(byte)) continue;
    if (byte === PAD && held > 0 && pads < 2) {
      pads++;
      continue;
    }
    const sextet = SEXTETS[byte];
    if (sextet === OTHER || pads > 0) return i;
    last = i;
    bits = ((bits << 6) | sextet) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[o++] = bits >> held;
    }
  }
  const left = bits & ((1 << held) - 1);
  if (held === 6 || left !== 0 || (pads > 0 && pads !== held / 2)) return last; // half a byte, leftover bits, wrong padding
  return out.subarray(0, o);
}

const BACKSLASH = 0x5c;
const X = 0x78;
/** What follows a backslash, but for x: sdscatrepr of the servers; the single quote for those of Python. */
const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, a: 0x07, b: 0x08, '"': 0x22, "'": 0x27, '\\': 0x5c };

/**
 * What `redis-cli` prints for a string on a terminal (sds.c, sdscatrepr): printable ASCII, `\xHH` and the escapes
 * `\n \r \t \a \b \" \\`; with or without the quotes around it. Python's `b'…'` is taken, too.
 */
export function decodeQuoted(text: Uint8Array): Decoded {
  let [i, end] = [0, text.length];
  while (i < end && isSpace(text[i])) i++;
  while (end > i && isSpace(text[end - 1])) end--;
  const prefixed = text[i] === 0x62 && (text[i + 1] === 0x27 || text[i + 1] === 0x22); // b' or b"
  const quote = text[prefixed ? i + 1 : i];
  if (quote === 0x22 || quote === 0x27) {
    i += prefixed ? 2 : 1;
    if (end <= i || text[--end] !== quote) return end;
  }
  const out = new Uint8Array(end - i);
  let o = 0;
  while (i < end) {
    const byte = text[i];
    if (byte !== BACKSLASH) {
      if (byte < 0x20 || byte > 0x7e) return i;
      out[o++] = byte;
      i++;
    } else if (text[i + 1] === X) {
      const [high, low] = [DIGITS[text[i + 2]], DIGITS[text[i + 3]]];
      if (i + 4 > end || high === OTHER || low === OTHER) return i;
      out[o++] = (high << 4) | low;
      i += 4;
    } else {
      const escaped = i + 1 < end ? ESCAPES[String.fromCharCode(text[i + 1])] : undefined;
      if (escaped === undefined) return i;
      out[o++] = escaped;
      i += 2;
    }
  }
  return out.subarray(0, o);
}
