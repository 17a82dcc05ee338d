/*
 * Decimal text to double (bytes/double.ts, parseDouble, is the reference). The digits, as an integer w, times a power of ten
 * from the table of numbers.ts, rounded up to 128 bits: the exact product lies at most w below theirs, and unless the middle
 * between two doubles is there too, both round to the same one. (The idea is Daniel Lemire's, "Number parsing at a gigabyte
 * per second", 2021; the proof is shorter since doubtful cases are left to the host.)
 */
import { multiply, multipliedHigh, powerHigh, powerLow } from './numbers';

/** 10^18 still takes another digit. */
const MOST_DIGITS = 19;

/** What `parse` read. */
export let parsed: f64 = 0;

/** Reads the decimal text [start, end) to `parsed`; returns false where it is none, or the answer takes more than this. */
export function parse(start: usize, end: usize): bool {
  let p = start;
  const first = p < end ? load<u8>(p) : 0;
  const negative = first == 0x2d;
  if (negative || first == 0x2b) p++;
  let w: u64 = 0;
  let significant = 0;
  let scale = 0;
  let any = false;
  let point = false;
  for (; p < end; p++) {
    const byte = load<u8>(p);
    const digit = byte - 0x30;
    if (digit < 10) {
      any = true;
      if (point) scale--;
      if (w != 0 || digit != 0) significant++;
      if (significant > MOST_DIGITS) return false;
      w = w * 10 + digit;
    } else if (byte == 0x2e && !point) point = true;
    else break;
  }
  if (!any) return false;
  if (p < end) {
    const written = exponent(p, end);
    if (written == BAD) return false;
    scale += written;
  }
  parsed = w == 0 ? 0 : scaled(w, scale);
  if (parsed != parsed) return false;
  if (negative) parsed = -parsed;
  return true;
}

const BAD = i32.MAX_VALUE;

/** The exponent written at `p`, to the end of the text. */
function exponent(p: usize, end: usize): i32 {
  if ((load<u8>(p) | 0x20) != 0x65) return BAD;
  p++;
  const sign = p < end ? load<u8>(p) : 0;
  if (sign == 0x2d || sign == 0x2b) p++;
  if (p == end || end - p > 3) return BAD;
  let value = 0;
  for (; p < end; p++) {
    const digit = load<u8>(p) - 0x30;
    if (digit > 9) return BAD;
    value = value * 10 + digit;
  }
  return sign == 0x2d ? -value : value;
}

/** w times ten to the power of `scale`; NaN where that is in doubt. */
function scaled(w: u64, scale: i32): f64 {
  if (scale < -292 || scale > 324) return NaN;
  const zeros = clz(w) as i32;
  const factor = w << zeros;
  multiply(powerLow(scale), factor);
  const carry = multipliedHigh();
  const low = multiply(powerHigh(scale), factor);
  let high = multipliedHigh();
  let middle = low + carry;
  if (middle < low) high++;
  const shift: u64 = high >> 63 != 0 ? 11 : 10;
  // what is cut off, against half of a unit
  const cut = high & ((1 << shift) - 1);
  const half: u64 = 1 << (shift - 1);
  if ((cut == half && middle < 2) || (cut == half - 1 && middle > 0xfffffffffffffffd)) return NaN;
  let mantissa = (high >> shift) + (cut >= half ? 1 : 0);
  let biased = 1 + (shift as i32) - zeros + ((scale * 1741647) >> 19) + 1075;
  if (mantissa >> 53 != 0) {
    mantissa >>= 1;
    biased++;
  }
  if (biased < 1 || biased > 2046) return NaN;
  return reinterpret<f64>((mantissa & 0x000fffffffffffff) | ((biased as u64) << 52));
}
