/* Integers and doubles as text (bytes/decimal.ts and bytes/double.ts are the references). */

const EIGHT_DIGITS: u64 = 100000000;

/**
 * Writes an unsigned integer; returns the position after it. Division by a constant is a multiplication for 32 bits only, so
 * longer numbers are taken apart by eight digits.
 */
export function unsigned(value: u64, at: usize): usize {
  if (value <= 0xffffffff) return unsigned32(value as u32, at);
  const rest = value / EIGHT_DIGITS;
  const o = unsigned(rest, at);
  let last = (value - rest * EIGHT_DIGITS) as u32;
  for (let p = o + 6; p >= o; p -= 2) {
    const left = last / 100;
    pair(p, last - left * 100);
    last = left;
  }
  return o + 8;
}

function unsigned32(value: u32, at: usize): usize {
  if (value < 10) {
    store<u8>(at, 0x30 + value);
    return at + 1;
  }
  const end = at + digits32(value);
  let o = end;
  while (value >= 10) {
    const rest = value / 100;
    o -= 2;
    pair(o, value - rest * 100);
    value = rest;
  }
  if (o > at) store<u8>(at, 0x30 + value);
  return end;
}

export function signed(value: i64, at: usize): usize {
  if (value >= 0) return unsigned(value as u64, at);
  store<u8>(at, 0x2d);
  return unsigned((0 - value) as u64, at + 1);
}

/** Two digits of a number below 100. */
@inline
function pair(at: usize, value: u32): void {
  const tens = (value * 103) >> 10;
  store<u16>(at, (0x3030 + tens + ((value - tens * 10) << 8)) as u16);
}

export function digits(value: u64): usize {
  return value <= 0xffffffff ? digits32(value as u32) : 8 + digits(value / EIGHT_DIGITS);
}

function digits32(value: u32): usize {
  if (value < 10000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
  if (value < 100000000) return value < 1000000 ? (value < 100000 ? 5 : 6) : value < 10000000 ? 7 : 8;
  return value < 1000000000 ? 9 : 10;
}

/*
 * Doubles: Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020), the shortest decimal that reads back
 * as the same double, and of those the nearest. It needs the powers of ten from 10^-292 to 10^324 as 128-bit numbers,
 * rounded up: the host computes them (kernels.ts) when the first double asks.
 */
const POWER_MIN = -292;
let powers: usize = 0;

/** Says where the table is; the host fills it. */
export function powersTable(at: usize): void {
  powers = at;
}

let highProduct: u64 = 0;

/** Returns the low half of the 128-bit product, the high half is in `highProduct`. */
@inline
export function multiply(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >> 32);
  const other = a0 * b1 + (middle & 0xffffffff);
  highProduct = a1 * b1 + (middle >> 32) + (other >> 32);
  return (other << 32) | (low & 0xffffffff);
}

@inline
export function multipliedHigh(): u64 {
  return highProduct;
}

/** A power of ten as a 128-bit number with the highest bit set, rounded up: its halves. */
@inline
export function powerHigh(exponent: i32): u64 {
  return load<u64>(powers + (((exponent - POWER_MIN) as usize) << 4));
}

@inline
export function powerLow(exponent: i32): u64 {
  return load<u64>(powers + (((exponent - POWER_MIN) as usize) << 4), 8);
}

/** The upper part of g * factor / 2^128, with the last bit set where anything was lost. */
@inline
function roundToOdd(gHigh: u64, gLow: u64, factor: u64): u64 {
  multiply(gLow, factor);
  const carryIn = highProduct;
  const low = multiply(gHigh, factor);
  const sum = low + carryIn;
  return (highProduct + (sum < low ? 1 : 0)) | (sum > 1 ? 1 : 0);
}

/** The decimal digits and the exponent of the last one. */
let decimal: u64 = 0;
let exponent: i32 = 0;

function shortest(bits: u64): void {
  const fraction = bits & 0x000fffffffffffff;
  const biased = ((bits >> 52) & 0x7ff) as i32;
  const c = biased == 0 ? fraction : fraction | 0x0010000000000000;
  const q = (biased == 0 ? 1 : biased) - 1075;
  const irregular = fraction == 0 && biased > 1;
  const odd: u64 = c & 1;
  const cb = c << 2;
  // floor(log10(2^q)), or of 3/4 of it where the double below is nearer than the one above
  const k = irregular ? (q * 1262611 - 524031) >> 22 : (q * 1262611) >> 22;
  const h = (q + ((-k * 1741647) >> 19) + 1) as u64;
  const gHigh = powerHigh(-k);
  const gLow = powerLow(-k);
  const lower = roundToOdd(gHigh, gLow, (cb - 2 + (irregular ? 1 : 0)) << h) + odd;
  const middle = roundToOdd(gHigh, gLow, cb << h);
  const upper = roundToOdd(gHigh, gLow, (cb + 2) << h) - odd;
  const s = middle >> 2;
  if (s >= 10) {
    const tenth = s / 10;
    const below = lower <= 40 * tenth;
    const above = 40 * tenth + 40 <= upper;
    if (below != above) {
      decimal = tenth + (above ? 1 : 0);
      exponent = k + 1;
      return;
    }
  }
  const below = lower <= 4 * s;
  const above = 4 * s + 4 <= upper;
  if (below != above) {
    decimal = s + (above ? 1 : 0);
  } else {
    const half = 4 * s + 2;
    decimal = s + (middle > half || (middle == half && (s & 1) != 0) ? 1 : 0);
  }
  exponent = k;
}

/** Writes a double as a JSON number; returns the position after it. At most 26 bytes, 48 may change. */
export function double(value: f64, at: usize): usize {
  if (value == nearest(value) && abs(value) < 1e15) {
    if (value == 0 && reinterpret<u64>(value) != 0) store<u8>(at++, 0x2d);
    return signed(value as i64, at);
  }
  if (value != value) return special(at, 0x226e616e22, 5); // "nan"
  if (value == Infinity) return special(at, 0x22666e6922, 5); // "inf"
  if (value == -Infinity) return special(at, 0x22666e692d22, 6); // "-inf"
  const bits = reinterpret<u64>(value);
  let o = at;
  if (bits >> 63 != 0) store<u8>(o++, 0x2d);
  shortest(bits & 0x7fffffffffffffff);
  while (decimal % 10 == 0) {
    decimal /= 10;
    exponent++;
  }
  return layOut(o);
}

@inline
function special(at: usize, letters: u64, length: usize): usize {
  store<u64>(at, letters);
  return at + length;
}

/** The digits with a point or an exponent, as JavaScript prints numbers (ECMA-262, Number::toString). */
function layOut(at: usize): usize {
  const count = digits(decimal) as i32;
  const point = count + exponent; // digits before the point
  if (exponent >= 0 && point <= 21) {
    return zeros(unsigned(decimal, at), exponent);
  }
  if (point > 0 && point <= 21) {
    const end = unsigned(decimal, at);
    insertPoint(at + point);
    return end + 1;
  }
  if (point > -6 && point <= 0) {
    store<u16>(at, 0x2e30);
    return unsigned(decimal, zeros(at + 2, -point));
  }
  let o = unsigned(decimal, at);
  if (count > 1) {
    insertPoint(at + 1);
    o++;
  }
  store<u8>(o++, 0x65);
  const power = point - 1;
  store<u8>(o++, power < 0 ? 0x2d : 0x2b);
  return unsigned(abs(power) as u64, o);
}

/** At most 16 digits follow. Copies and fills of the runtime are calls, and slow for so little. */
@inline
function insertPoint(at: usize): void {
  v128.store(at + 1, v128.load(at));
  store<u8>(at, 0x2e);
}

@inline
function zeros(at: usize, count: i32): usize {
  for (const end = at + count; at < end; at++) store<u8>(at, 0x30);
  return at;
}
