import { writeAscii, writeInt } from './decimal.js';

/**
 * Doubles as the shortest JSON number that reads back the same double; infinities and nan, for which JSON has none, as the
 * strings "inf", "-inf" and "nan".
 *
 * String(value) gives just that, but makes a string each time. Most scores are integers or have a few decimals: for
 * value = m / 10^k with m below 2^53 the division is exact to the last bit, and a decimal of up to 15 digits is the only
 * one that short which reads as this double, so its digits can be written from the integer m.
 */
export function writeDouble(value: number, out: Uint8Array, o: number): number {
  if (Number.isInteger(value) && value < 1e15 && value > -1e15) {
    if (value === 0 && 1 / value < 0) out[o++] = 0x2d;
    return writeInt(value, out, o);
  }
  const scaled = value * 1000;
  if (scaled < 1e15 && scaled > -1e15) {
    const m = Math.round(scaled);
    if (m / 1000 === value) return writeThousandths(m, out, o);
  }
  if (value !== value) return writeAscii('"nan"', out, o);
  if (value === Infinity) return writeAscii('"inf"', out, o);
  if (value === -Infinity) return writeAscii('"-inf"', out, o);
  return writeAscii(String(value), out, o);
}

/** m / 1000 for an m that is no multiple of 1000, without trailing zeros. */
function writeThousandths(m: number, out: Uint8Array, o: number): number {
  let rest = m;
  if (rest < 0) {
    out[o++] = 0x2d;
    rest = -rest;
  }
  const whole = Math.floor(rest / 1000);
  const decimals = rest - whole * 1000;
  o = writeInt(whole, out, o);
  out[o++] = 0x2e;
  const tenths = (decimals / 100) | 0;
  out[o++] = 0x30 + tenths;
  const last = decimals - tenths * 100;
  if (last === 0) return o;
  const hundredths = (last / 10) | 0;
  out[o++] = 0x30 + hundredths;
  if (last !== hundredths * 10) out[o++] = 0x30 + last - hundredths * 10;
  return o;
}

/** Longest text that `writeDouble` writes. */
export const DOUBLE_SIZE = 32;

/**
 * Reads a double from ASCII text as Redis stores scores in packed values (redis util.c, d2string; t_zset.c,
 * zzlStrtod): decimal, `inf`, `-inf` or `nan`. Undefined where it is none of these.
 */
export function parseDouble(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (end - start > 128) return undefined;
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  if (DECIMAL.test(text)) return Number(text);
  switch (text.toLowerCase()) {
    case 'inf':
    case '+inf':
    case 'infinity':
      return Infinity;
    case '-inf':
    case '-infinity':
      return -Infinity;
    case 'nan':
    case '-nan':
      return NaN;
    default:
      return undefined;
  }
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Up to here Redis prints integers digit by digit (util.c, d2string, double2ll). */
const GREATEST_INTEGER = 2 ** 62;

/** A double as Redis 8.8 prints one that an array holds (sparsearray.c, arFormatFloat): shortest, and never like an integer. */
export function doubleText(value: number, out: Uint8Array, o: number): number {
  if (Object.is(value, -0)) return writeAscii('-0.0', out, o);
  const whole = Number.isInteger(value) && Math.abs(value) <= GREATEST_INTEGER;
  const text = whole ? BigInt(value).toString() : String(value);
  return writeAscii(/[.e]/.test(text) ? text : `${text}.0`, out, o);
}
