/*
 * The slot of a key in a cluster: CRC-16/XMODEM of its hash tag, modulo 16384 (bytes/crc16.ts is the reference).
 */
import { scratch, SLOT_TABLES } from './scratch';

const POLY: u32 = 0x1021;
/** Four tables of 256 words of 16 bits: what a byte becomes with 0, 1, 2 and 3 bytes after it. */
let tables: usize = 0;
const BRACE: u8 = 0x7b;
const END_BRACE: u8 = 0x7d;

export function slotsInit(): void {
  tables = scratch + SLOT_TABLES;
  for (let byte: u32 = 0; byte < 256; byte++) {
    let value = byte << 8;
    for (let bit = 0; bit < 8; bit++) value = (value & 0x8000) != 0 ? (value << 1) ^ POLY : value << 1;
    store<u16>(tables + (byte << 1), value as u16);
  }
  for (let at: u32 = 256; at < 1024; at++) {
    const before = load<u16>(tables + ((at - 256) << 1)) as u32;
    store<u16>(tables + (at << 1), ((before << 8) ^ after(before >> 8, 0)) as u16);
  }
}

@inline
function after(byte: u32, count: u32): u32 {
  return load<u16>(tables + ((byte & 255) << 1) + (count << 9)) as u32;
}

export function keySlot(start: usize, size: usize): usize {
  const end = start + size;
  const open = find(BRACE, start, end);
  if (open < end) {
    const close = find(END_BRACE, open + 1, end);
    if (close < end && close > open + 1) return slot(open + 1, close);
  }
  return slot(start, end);
}

/** The first place of a byte; `end` or more if there is none. */
@inline
function find(byte: u8, start: usize, end: usize): usize {
  const bytes = i8x16.splat(byte);
  let p = start;
  for (; p < end; p += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(p), bytes));
    if (found != 0) return p + ctz(found);
  }
  return p;
}

function slot(start: usize, end: usize): usize {
  let crc: u32 = 0;
  let p = start;
  for (; p + 4 <= end; p += 4) {
    const bytes = load<u32>(p);
    crc = after((crc >> 8) ^ bytes, 3) ^ after(crc ^ (bytes >> 8), 2) ^ after(bytes >> 16, 1) ^ after(bytes >> 24, 0);
  }
  for (; p < end; p++) crc = ((crc << 8) & 0xffff) ^ after((crc >> 8) ^ load<u8>(p), 0);
  return crc & 16383;
}
