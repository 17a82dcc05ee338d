/* CRC-64 of Redis (bytes/crc64.ts is the reference), sixteen bytes a step. */

const POLY: u64 = 0x95ac9329ac4bc9b5;
const SLICES = 16;

/** Address of the table, `SLICES` times 256 words of 64 bits. */
let table: usize = 0;

let crc: u64 = 0;

export function crcInit(at: usize): void {
  table = at;
  for (let byte = 0; byte < 256; byte++) {
    let value: u64 = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >> 1) ^ POLY : value >> 1;
    store<u64>(table + (byte << 3), value);
  }
  for (let i = 256; i < SLICES * 256; i++) {
    const before = load<u64>(table + ((i - 256) << 3));
    store<u64>(table + (i << 3), (before >> 8) ^ entry(0, before));
  }
}

@inline
function entry(slice: u32, word: u64): u64 {
  return load<u64>(table + (((slice << 8) + ((word as u32) & 255)) << 3));
}

export function crcSet(hi: u32, lo: u32): void {
  crc = ((hi as u64) << 32) | (lo as u64);
}

export function crcHi(): u32 {
  return (crc >> 32) as u32;
}

export function crcLo(): u32 {
  return crc as u32;
}

export function crcUpdate(start: usize, end: usize): void {
  let c = crc;
  let p = start;
  for (; p + 16 <= end; p += 16) {
    const x = load<u64>(p) ^ c;
    const y = load<u64>(p + 8);
    c =
      entry(15, x) ^ entry(14, x >> 8) ^ entry(13, x >> 16) ^ entry(12, x >> 24) ^
      entry(11, x >> 32) ^ entry(10, x >> 40) ^ entry(9, x >> 48) ^ entry(8, x >> 56) ^
      entry(7, y) ^ entry(6, y >> 8) ^ entry(5, y >> 16) ^ entry(4, y >> 24) ^
      entry(3, y >> 32) ^ entry(2, y >> 40) ^ entry(1, y >> 48) ^ entry(0, y >> 56);
  }
  for (; p < end; p++) c = (c >> 8) ^ entry(0, c ^ (load<u8>(p) as u64));
  crc = c;
}
