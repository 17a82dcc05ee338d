/** CRC-32 as gzip has it: zlib's where this Node has it (20.15, 22.2), else a table. Both continue from an earlier value. */
import * as zlib from 'node:zlib';

const POLYNOMIAL = 0xedb88320;

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    table[n] = c;
  }
  return table;
}

let table: Uint32Array | undefined;

export function tableCrc32(bytes: Uint8Array, crc = 0): number {
  const t = (table ??= makeTable());
  let c = ~crc;
  for (let i = 0; i < bytes.length; i++) c = t[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return ~c >>> 0;
}

/** The namespace is asked, not a named import: that would not even load on a Node without it. */
const native = (zlib as { crc32?: (bytes: Uint8Array, crc: number) => number }).crc32;

export const crc32: (bytes: Uint8Array, crc: number) => number = native ?? tableCrc32;
