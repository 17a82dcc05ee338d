/* Redis strings as JSON text (bytes/json.ts is the reference). */

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
/** "base64:" as a little-endian word, and the seven bytes that count. */
const PREFIX: u64 = 0x003a343665736162;
const PREFIX_MASK: u64 = 0x00ffffffffffffff;

const BASE64: usize = memory.data<u8>([
  0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
  0x57, 0x58, 0x59, 0x5a, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72,
  0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x2b, 0x2f,
]);

/** The most bytes that the text of `length` bytes takes, including the overrun of writes of 16 bytes. */
@inline
export function textSize(length: usize): usize {
  return length * 6 + 64;
}

/**
 * Writes the JSON string of `[start, end)` at `at`; returns the position after it. Sixteen bytes at a time are copied, up
 * to the first that does not stand for itself. Reads up to 16 bytes past `end`.
 */
export function text(start: usize, end: usize, at: usize): usize {
  if (end - start >= 7 && (load<u64>(start) & PREFIX_MASK) == PREFIX) return base64Text(start, end, at);
  const space = v128.splat<i8>(0x20);
  const quote = v128.splat<i8>(0x22);
  const backslash = v128.splat<i8>(0x5c);
  let i = start;
  let o = at;
  store<u8>(o++, QUOTE);
  while (i < end) {
    const bytes = v128.load(i);
    v128.store(o, bytes);
    // as signed numbers, bytes from 80 up are below 20 too
    const special = v128.or(v128.or(i8x16.lt_s(bytes, space), i8x16.eq(bytes, quote)), i8x16.eq(bytes, backslash));
    const mask: u32 = i8x16.bitmask(special) | 0x10000;
    const plain = ctz(mask) as usize;
    if (i + plain >= end) {
      o += end - i;
      break;
    }
    i += plain;
    o += plain;
    if (plain == 16) continue;
    const byte = load<u8>(i);
    if (byte < 0x80) {
      o = escape(byte, o);
      i++;
      continue;
    }
    do {
      const size = utf8Length(i, end);
      if (size == 0) return base64Text(start, end, at);
      store<u32>(o, load<u32>(i));
      i += size;
      o += size;
    } while (i < end && load<u8>(i) >= 0x80);
  }
  store<u8>(o, QUOTE);
  return o + 1;
}

@inline
function escape(byte: u8, at: usize): usize {
  store<u8>(at, BACKSLASH);
  let letter: u8 = 0x75;
  if (byte == QUOTE || byte == BACKSLASH) letter = byte;
  else if (byte == 0x0a) letter = 0x6e;
  else if (byte == 0x09) letter = 0x74;
  else if (byte == 0x0d) letter = 0x72;
  else if (byte == 0x08) letter = 0x62;
  else if (byte == 0x0c) letter = 0x66;
  store<u8>(at, letter, 1);
  if (letter != 0x75) return at + 2;
  store<u16>(at, 0x3030, 2);
  store<u8>(at, 0x30 + (byte >> 4), 4);
  const low = byte & 15;
  store<u8>(at, low < 10 ? 0x30 + low : 0x57 + low, 5);
  return at + 6;
}

/** Length of the UTF-8 character at `i`, 0 where there is none (Unicode 15, table 3-7). */
function utf8Length(i: usize, end: usize): usize {
  const first = load<u8>(i);
  if (first < 0xc2 || first > 0xf4) return 0;
  const size: usize = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (i + size > end) return 0;
  const second = load<u8>(i, 1);
  const least: u8 = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const greatest: u8 = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > greatest) return 0;
  for (let k: usize = 2; k < size; k++) {
    if ((load<u8>(i + k) & 0xc0) != 0x80) return 0;
  }
  return size;
}

function base64Text(start: usize, end: usize, at: usize): usize {
  store<u8>(at, QUOTE);
  store<u64>(at + 1, PREFIX);
  let o = at + 8;
  let i = start;
  for (; i + 3 <= end; i += 3) {
    const bits = ((load<u8>(i) as u32) << 16) | ((load<u8>(i, 1) as u32) << 8) | (load<u8>(i, 2) as u32);
    store<u8>(o, digit(bits >> 18));
    store<u8>(o, digit((bits >> 12) & 63), 1);
    store<u8>(o, digit((bits >> 6) & 63), 2);
    store<u8>(o, digit(bits & 63), 3);
    o += 4;
  }
  if (i < end) {
    const two = i + 1 < end;
    const bits = ((load<u8>(i) as u32) << 16) | (two ? (load<u8>(i, 1) as u32) << 8 : 0);
    store<u8>(o, digit(bits >> 18));
    store<u8>(o, digit((bits >> 12) & 63), 1);
    store<u8>(o, two ? digit((bits >> 6) & 63) : 0x3d, 2);
    store<u8>(o, 0x3d, 3);
    o += 4;
  }
  store<u8>(o, QUOTE);
  return o + 1;
}

@inline
function digit(value: u32): u8 {
  return load<u8>(BASE64 + value);
}
