/**
 * Segments of keys that are ids become one: `user:123:` and `user:124:` are both `user:*:`. A segment is an id as a whole (digits, a
 * UUID, a hash, a ULID), or it is a name with a number at its end (`item0012`, `shard-7` has a delimiter).
 */

/** Bits by character class. */
const DIGIT = 1;
const HEX_LETTER = 2;
/** Letters and digits of a ULID (Crockford's base 32), upper case. */
const CROCKFORD = 4;

const CLASSES = new Uint8Array(256);
for (let c = 0x30; c <= 0x39; c++) CLASSES[c] = DIGIT | CROCKFORD;
for (let c = 0x61; c <= 0x66; c++) CLASSES[c] = HEX_LETTER;
for (let c = 0x41; c <= 0x46; c++) CLASSES[c] = HEX_LETTER;
for (let c = 0x41; c <= 0x5a; c++) if (!'ILOU'.includes(String.fromCharCode(c))) CLASSES[c] |= CROCKFORD;

const DASH = 0x2d;
export const UUID_LENGTH = 36;
const ULID_LENGTH = 26;
/** Hex texts from this length on are hashes or ids, if they have a digit; shorter ones may be words. */
const SHORTEST_HASH = 12;

/** Whether the 36 bytes at `pos` are a UUID (8-4-4-4-12 hex digits). */
export function isUuid(bytes: Uint8Array, pos: number, end: number): boolean {
  if (pos + UUID_LENGTH > end || bytes[pos + 8] !== DASH || bytes[pos + 13] !== DASH) return false;
  for (let i = 0; i < UUID_LENGTH; i++) {
    const isDash = i === 8 || i === 13 || i === 18 || i === 23;
    if (isDash ? bytes[pos + i] !== DASH : (CLASSES[bytes[pos + i]] & (DIGIT | HEX_LETTER)) === 0) return false;
  }
  return true;
}

/**
 * Where what is an id begins in the segment [start, end): `start` if it is one as a whole, the first digit of the number at its end
 * if that has two digits or more, `end` if it has none.
 */
export function idStart(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let digits = end;
  while (digits > start && (CLASSES[bytes[digits - 1]] & DIGIT) !== 0) digits--;
  if (digits === start) return length === 0 ? end : start;
  if (length >= SHORTEST_HASH && (isHex(bytes, start, end) || (length === ULID_LENGTH && isUlid(bytes, start, end)))) return start;
  return end - digits >= 2 ? digits : end;
}

function isHex(bytes: Uint8Array, start: number, end: number): boolean {
  let digits = 0;
  for (let i = start; i < end; i++) {
    const found = CLASSES[bytes[i]] & (DIGIT | HEX_LETTER);
    if (found === 0) return false;
    digits |= found & DIGIT;
  }
  return digits !== 0;
}

function isUlid(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((CLASSES[bytes[i]] & CROCKFORD) === 0) return false;
  return true;
}
