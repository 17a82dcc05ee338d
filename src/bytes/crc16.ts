/**
 * CRC-16/XMODEM (polynomial 1021, start 0, nothing reflected, no final xor) and the cluster's key → slot rule.
 * Source: Redis Cluster specification, "Key distribution model"; redis crc16.c, cluster.c (keyHashSlot).
 * Check value for "123456789": 31c3.
 */
const POLY = 0x1021;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** A cluster has this many slots, numbered from 0. */
export const SLOTS = 16384;

const TABLE = new Uint16Array(256);

for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLY;
  TABLE[byte] = crc;
}

export function crc16(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >>> 8) ^ bytes[i]];
  return crc;
}

/**
 * The slot of the key `bytes[start, end)`, 0 to 16383. Only the hash tag counts where the key has one: what is between the
 * first `{` and the first `}` after it, if that is not empty.
 */
export function keySlot(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let open = start;
  while (open < end && bytes[open] !== OPEN) open++;
  let close = open + 1;
  while (close < end && bytes[close] !== CLOSE) close++;
  const tagged = close < end && close > open + 1;
  return (tagged ? crc16(bytes, open + 1, close) : crc16(bytes, start, end)) & (SLOTS - 1);
}

/** The ranges of slots, first and last, that the nodes of a cluster of this size have. */
export function slotRanges(count: number): [from: number, to: number][] {
  const from = (i: number): number => Math.max(0, Math.ceil((i * SLOTS) / count - 0.5));
  return Array.from({ length: count }, (_, i) => [from(i), from(i + 1) - 1]);
}
