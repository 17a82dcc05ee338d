import { BYTES, type Element, INT } from './element.js';

const ZERO = 0x30;
const MINUS = 0x2d;
/** Digits up to which a double holds every integer. */
const EXACT_DIGITS = 15;
/** Characters of the longest 64-bit integer. */
const LONGEST = 20;

/**
 * Makes an integer of an element with the text of one, as servers do wherever an encoding has integers (redis util.c,
 * string2ll; listpack.c, lpStringToInt64): 64 bits, decimal, and only the form that is printed for it, so no `+1`, `01`,
 * `-0` or ` 1`. Returns whether the element is an integer now.
 */
export function toInteger(element: Element): boolean {
  if (element.kind !== BYTES) return true;
  const { bytes, end, start } = element;
  const size = end - start;
  if (size === 0 || size > LONGEST) return false;
  const digits = bytes[start] === MINUS ? start + 1 : start;
  const first = bytes[digits];
  if (digits === end || (first === ZERO && size > 1)) return false;
  let value = 0;
  for (let i = digits; i < end; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  if (end - digits > EXACT_DIGITS) return long(element);
  element.setInt(digits > start ? -value : value);
  return true;
}

function long(element: Element): boolean {
  const text = String.fromCharCode(...element.bytes.subarray(element.start, element.end));
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) !== value) return false;
  element.setInt64(Number(value >> 32n), Number(value & 0xffffffffn));
  return true;
}

/** How many of 1, 2, 3, 4 or 8 bytes an integer needs as two's complement. */
export function integerWidth({ kind, num }: Element): number {
  if (kind !== INT || num !== (num | 0)) return 8;
  if (num === (num << 24) >> 24) return 1;
  if (num === (num << 16) >> 16) return 2;
  return num === (num << 8) >> 8 ? 3 : 4;
}

/** Halves of an integer element as 64 bits. */
export function highHalf(element: Element): number {
  return element.kind === INT ? Math.floor(element.num / 0x100000000) : element.hi;
}

export function lowHalf(element: Element): number {
  return element.kind === INT ? element.num >>> 0 : element.lo;
}
