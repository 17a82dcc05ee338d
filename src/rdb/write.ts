import type { Frame } from './frame.js';
import { FIRST_KEY_META_VERSION, KEY_META, VALKEY_VERSION } from './payload.js';
import type { Vendor } from './types.js';

/*
 * What stands around values, into arrays at a position: lengths, modifiers of keys, opcodes. What values are made of, strings and
 * counts, is put together in write-string.ts.
 */
/** The most bytes that a length takes. */
export const LENGTH_SIZE = 9;

/** Writes a length (redis rdb.c, rdbSaveLen; the forms are told in length.ts). Returns the position after it. */
export function writeLength(out: Uint8Array, at: number, value: number): number {
  if (value < 0x40) {
    out[at] = value;
    return at + 1;
  }
  if (value < 0x4000) {
    out[at] = 0x40 | (value >> 8);
    out[at + 1] = value & 0xff;
    return at + 2;
  }
  if (value <= 0xffffffff) return writeLength32(out, at, value);
  out[at] = 0x81;
  writeUint32(out, at + 1, Math.floor(value / 0x100000000));
  return writeUint32(out, at + 5, value >>> 0);
}

/** The form of 5 bytes, whatever the value: for one that is written before it is known. Greater ones become the greatest. */
export function writeLength32(out: Uint8Array, at: number, value: number): number {
  out[at] = 0x80;
  return writeUint32(out, at + 1, Math.min(value, 0xffffffff));
}

/** Big-endian. */
function writeUint32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

/** Writes 64 bits, little-endian. Returns the position after them. */
export function writeUint64LE(out: Uint8Array, at: number, hi: number, lo: number): number {
  for (let i = 0; i < 4; i++) {
    out[at + i] = lo >>> (8 * i);
    out[at + 4 + i] = hi >>> (8 * i);
  }
  return at + 8;
}

/** What a node of a list says of itself (redis quicklist.h, since 7.0): one element as it is, or a listpack. */
export const PLAIN_NODE = 1;
export const PACKED_NODE = 2;

/** Opcodes. */
export const EOF = 255;
export const SELECTDB = 254;
export const EXPIRETIME_MS = 252;
export const RESIZEDB = 251;
export const AUX = 250;
export const FREQ = 249;
export const IDLE = 248;

/** What a file begins with: REDIS and four digits, or VALKEY and three. */
export function magicOf(vendor: Vendor, version: number): Uint8Array {
  const magic =
    vendor === 'valkey' && version >= VALKEY_VERSION
      ? `VALKEY${String(version).padStart(3, '0')}`
      : `REDIS${String(version).padStart(4, '0')}`;
  return Uint8Array.from(magic, (letter) => letter.charCodeAt(0));
}

/** Versions that have them. */
export const AUX_SINCE = 7;
export const IDLE_SINCE = 9;

/** What stands before the type byte of a key, in the order of servers (redis rdb.c, rdbSaveKeyValuePair). */
export function modifiersOf(frame: Frame, version: number): Uint8Array {
  const { expireHi, expireLo, freq, hasExpire, idle, metaBytes } = frame;
  const out = new Uint8Array(9 + 1 + LENGTH_SIZE + 2 + 1 + (metaBytes?.length ?? 0));
  let at = 0;
  if (hasExpire) {
    out[at] = EXPIRETIME_MS;
    at = writeUint64LE(out, at + 1, expireHi, expireLo);
  }
  if (idle >= 0 && version >= IDLE_SINCE) {
    out[at] = IDLE;
    at = writeLength(out, at + 1, idle);
  } else if (freq >= 0 && version >= IDLE_SINCE) {
    out[at] = FREQ;
    out[at + 1] = freq;
    at += 2;
  }
  if (metaBytes !== undefined && version >= FIRST_KEY_META_VERSION) {
    out[at] = KEY_META;
    out.set(metaBytes, at + 1);
    at += 1 + metaBytes.length;
  }
  return out.subarray(0, at);
}

/** Whether a file of this version has all that stands before the type byte. */
export function fitsModifiers({ freq, idle, metaBytes }: Frame, version: number): boolean {
  return version >= IDLE_SINCE
    ? metaBytes === undefined || version >= FIRST_KEY_META_VERSION
    : freq < 0 && idle < 0 && metaBytes === undefined;
}
