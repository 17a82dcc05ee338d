/*
 * The slot of a key in a cluster: CRC-16/XMODEM of its hash tag, modulo 16384 (bytes/crc16.ts is the reference).
 */

const POLY: u32 = 0x1021;
/** 256 words of 16 bits. */
const TABLE: usize = memory.data(512, 16);
const BRACE: u8 = 0x7b;
const END_BRACE: u8 = 0x7d;

export function slotsInit(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let value = byte << 8;
    for (let bit = 0; bit < 8; bit++) value = (value & 0x8000) != 0 ? (value << 1) ^ POLY : value << 1;
    store<u16>(TABLE + (byte << 1), value as u16);
  }
}

export function keySlot(start: usize, size: usize): usize {
  const end = start + size;
  for (let open = start; open < end; open++) {
    if (load<u8>(open) != BRACE) continue;
    for (let close = open + 1; close < end; close++) {
      if (load<u8>(close) != END_BRACE) continue;
      return close > open + 1 ? slot(open + 1, close) : slot(start, end);
    }
    break;
  }
  return slot(start, end);
}

function slot(start: usize, end: usize): usize {
  let crc: u32 = 0;
  for (let p = start; p < end; p++) crc = ((crc << 8) & 0xffff) ^ (load<u16>(TABLE + ((((crc >> 8) ^ load<u8>(p)) & 255) << 1)) as u32);
  return crc & 16383;
}
