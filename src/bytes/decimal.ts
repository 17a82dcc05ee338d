/** Integers as decimal text, from numbers to bytes. */
const ZERO = 0x30;
const MINUS = 0x2d;

/** Writes the integer `value` (exact in a double) at `o`: at most 17 bytes. Returns the position after it. */
export function writeInt(value: number, out: Uint8Array, o: number): number {
  let rest = value;
  if (rest < 0) {
    out[o++] = MINUS;
    rest = -rest;
  }
  if (rest < 1e9) return writeSmall(rest, out, o);
  const high = Math.floor(rest / 1e9);
  return writeNine(rest - high * 1e9, out, writeSmall(high, out, o));
}

/** Writes a 64-bit integer, given as two's complement halves: at most 20 bytes. Returns the position after it. */
export function writeInt64(hi: number, lo: number, out: Uint8Array, o: number): number {
  if (hi >= -0x200000 && hi < 0x200000) return writeInt(hi * 0x100000000 + lo, out, o);
  return writeAscii(((BigInt(hi) << 32n) | BigInt(lo)).toString(), out, o);
}

/** The same for an unsigned one. */
export function writeUint64(hi: number, lo: number, out: Uint8Array, o: number): number {
  if (hi >= 0 && hi < 0x200000) return writeInt(hi * 0x100000000 + lo, out, o);
  return writeAscii(((BigInt(hi >>> 0) << 32n) | BigInt(lo)).toString(), out, o);
}

/** Writes a string of ASCII characters. Returns the position after it. */
export function writeAscii(text: string, out: Uint8Array, o: number): number {
  for (let i = 0; i < text.length; i++) out[o++] = text.charCodeAt(i);
  return o;
}

/** 0 ≤ value < 1e9, no leading zeros. */
function writeSmall(value: number, out: Uint8Array, o: number): number {
  let rest = value | 0;
  let end = o + digits(rest);
  const next = end;
  while (rest > 9) {
    const tenth = (rest / 10) | 0;
    out[--end] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  out[--end] = ZERO + rest;
  return next;
}

/** Exactly nine digits. */
function writeNine(value: number, out: Uint8Array, o: number): number {
  let rest = value | 0;
  for (let i = o + 8; i >= o; i--) {
    const tenth = (rest / 10) | 0;
    out[i] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return o + 9;
}

function digits(value: number): number {
  if (value < 1e4) return value < 1e2 ? (value < 10 ? 1 : 2) : value < 1e3 ? 3 : 4;
  if (value < 1e6) return value < 1e5 ? 5 : 6;
  return value < 1e8 ? (value < 1e7 ? 7 : 8) : 9;
}
