import * as crc16 from '../bytes/crc16.js';
import { Crc64 } from '../bytes/crc64.js';
import { parseText } from '../bytes/text.js';
import * as dump from '../rdb/payload.js';
import { kindOf } from './source.js';

/**
 * The CRC-64 that ends RDB files and DUMP payloads (polynomial ad93d23594c935a9, reflected). `before`: the CRC of preceding bytes.
 * Files and payloads store it in 8 bytes, little-endian.
 */
export function crc64(bytes: Uint8Array, before = 0n): bigint {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`crc64: expected a Uint8Array, got ${kindOf(bytes)}`);
  const crc = new Crc64();
  crc.hi = Number(BigInt.asUintN(64, before) >> 32n);
  crc.lo = Number(BigInt.asUintN(32, before));
  crc.update(bytes);
  return (BigInt(crc.hi) << 32n) | BigInt(crc.lo);
}

/**
 * The cluster slot of a key, 0 to 16383: CRC-16 of the text in its first `{…}`, or of the whole key. A string is in the text form.
 */
export function keySlot(key: Uint8Array | string): number {
  if (typeof key === 'string') return crc16.keySlot(parseText(key));
  if (!(key instanceof Uint8Array)) throw new TypeError(`keySlot: expected a Uint8Array or a string, got ${kindOf(key)}`);
  return crc16.keySlot(key);
}

/** Splits a DUMP payload; `value` is a view of it. The checksum is reported, not enforced. Throws TypeError if it is too short. */
export function parsePayload(payload: Uint8Array): dump.Payload {
  if (!(payload instanceof Uint8Array)) throw new TypeError(`parsePayload: expected a Uint8Array, got ${kindOf(payload)}`);
  return dump.parsePayload(payload);
}

/** The DUMP payload of a value as stored in an RDB of this version, without its type byte; `keyMeta` as frames give it. */
export function encodePayload(type: number, value: Uint8Array, version: number, keyMeta?: Uint8Array): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`encodePayload: value: expected a Uint8Array, got ${kindOf(value)}`);
  if (!(Number.isInteger(type) && type >= 0 && type <= 255)) throw new TypeError('encodePayload: type: expected a byte');
  if (!(Number.isInteger(version) && version > 0 && version <= 0xffff)) {
    throw new TypeError('encodePayload: version: expected an RDB version');
  }
  return dump.encodePayload(type, value, version, keyMeta);
}
