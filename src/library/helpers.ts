import * as crc16 from '../bytes/crc16.js';
import { Crc64 } from '../bytes/crc64.js';
import { parseText } from '../bytes/text.js';
import { kindOf } from './source.js';

/**
 * The CRC-64 that ends RDB files and DUMP payloads (polynomial ad93d23594c935a9, reflected). `before` goes on from the CRC of
 * the bytes before these. Files and payloads hold it in 8 bytes, little-endian.
 */
export function crc64(bytes: Uint8Array, before = 0n): bigint {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`crc64: expected a Uint8Array, got ${kindOf(bytes)}`);
  const crc = new Crc64();
  crc.hi = Number(BigInt.asUintN(64, before) >> 32n);
  crc.lo = Number(BigInt.asUintN(32, before));
  crc.update(bytes);
  return (BigInt(crc.hi) << 32n) | BigInt(crc.lo);
}

/** The cluster slot of a key, 0 to 16383: CRC-16 of what stands in its first `{…}`, or of all of it. A string is in the text form. */
export function keySlot(key: Uint8Array | string): number {
  if (typeof key === 'string') return crc16.keySlot(parseText(key));
  if (!(key instanceof Uint8Array)) throw new TypeError(`keySlot: expected a Uint8Array or a string, got ${kindOf(key)}`);
  return crc16.keySlot(key);
}
