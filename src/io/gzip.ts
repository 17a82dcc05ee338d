import * as zlib from 'node:zlib';
import { createInflateRaw } from 'node:zlib';
import { NATIVE_OPTIONS, runNative } from './native.js';
import { type ByteReader, readU32 } from './reader.js';

/** CRC-32 as gzip has it: zlib's where this Node has it (20.15, 22.2), else a table. Both continue from an earlier value. */

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

/**
 * gzip (RFC 1952): members one after another, then perhaps zeros as padding.
 *
 *     1f 8b 08 flags mtime(4) xfl os
 *     [flag 4: length (2), extra field] [flag 8: name, 0] [flag 16: comment, 0] [flag 2: header CRC (2)]
 *     deflate data, CRC-32 (4), length modulo 2^32 (4)
 *
 * The frame is read here and the deflate data by zlib: zlib's own gunzip throws away the last output when something other than
 * a member follows, and stops without a word at zeros. As in gzip(1), padding must be zeros to the end of the file.
 */

const HEADER_CRC = 2;
const EXTRA = 4;
const NAME = 8;
const COMMENT = 16;
const RESERVED = 0xe0;
const WHAT = 'a whole gzip member';

const hex = (n: number): string => `0x${n.toString(16).padStart(8, '0')}`;

async function skipText(reader: ByteReader): Promise<void> {
  while ((await reader.take(1, WHAT))[0] !== 0);
}

async function readHeader(reader: ByteReader): Promise<void> {
  const fixed = await reader.take(10, 'a gzip header');
  if (fixed[0] !== 0x1f || fixed[1] !== 0x8b) {
    throw reader.damage('a gzip member or the end of the file', 'other bytes after a gzip member');
  }
  if (fixed[2] !== 8) throw reader.damage('gzip compression method 8 (deflate)', `method ${fixed[2]}`);
  const flags = fixed[3];
  if (flags & RESERVED) throw reader.damage('no reserved gzip flags', hex(flags));
  if (flags & EXTRA) {
    const length = await reader.take(2, WHAT);
    await reader.skip(length[0] | (length[1] << 8), WHAT);
  }
  if (flags & NAME) await skipText(reader);
  if (flags & COMMENT) await skipText(reader);
  if (flags & HEADER_CRC) await reader.take(2, WHAT);
}

async function* member(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  await readHeader(reader);
  let crc = 0;
  let length = 0;
  for await (const bytes of runNative(createInflateRaw(NATIVE_OPTIONS), reader, WHAT)) {
    crc = crc32(bytes, crc);
    length = (length + bytes.length) >>> 0;
    yield bytes;
  }
  const trailer = await reader.take(8, WHAT);
  if (readU32(trailer) !== crc) throw reader.damage(`data with the CRC-32 ${hex(readU32(trailer))}`, hex(crc));
  if (readU32(trailer, 4) !== length) throw reader.damage(`${readU32(trailer, 4)} bytes (modulo 2^32)`, `${length} bytes`);
}

async function skipPadding(reader: ByteReader): Promise<void> {
  for (;;) {
    const bytes = await reader.available();
    if (bytes === undefined) return;
    if (bytes.some((byte) => byte !== 0)) {
      throw reader.damage('zeros to the end of the file, after the padding of a gzip member', 'other bytes');
    }
    reader.consume(bytes.length);
  }
}

/** The plain bytes of all members, in chunks of at most OUTPUT_CHUNK bytes. Damage is BAD_COMPRESSION. */
export async function* gunzip(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  let next = await reader.peek(1);
  while (next.length > 0) {
    if (next[0] === 0) return skipPadding(reader);
    yield* member(reader);
    next = await reader.peek(1);
  }
}
