import { Crc64 } from '../bytes/crc64.js';
import { uint32 } from '../encodings/element.js';
import type { Frame } from './frame.js';

/*
 * A DUMP payload (redis cluster.c, createDumpPayload and verifyDumpPayload; since 2.6), which RESTORE takes:
 *
 *     [F3 and the metadata of the key, redis 8.6,] type byte, value as in an RDB file,
 *     RDB version (2 bytes, little-endian), CRC-64 of all before it (8 bytes, little-endian)
 */
export const PAYLOAD_FOOTER = 10;

/** The opcode of a key's module metadata, which DUMP puts before the type byte. */
export const KEY_META = 243;
/** Of Redis; Valkey has none. */
export const FIRST_KEY_META_VERSION = 13;
/** From here on, versions are Valkey's. */
export const VALKEY_VERSION = 80;

export interface Payload {
  /** Number of the value type. */
  readonly type: number;
  /** RDB version. */
  readonly version: number;
  readonly vendor: 'redis' | 'valkey';
  /** Whether the CRC-64 is right; 'none' where it is 0, as if none had been made. */
  readonly checksum: 'ok' | 'wrong' | 'none';
  /** The value as in an RDB file: a view of the payload. Where `hasKeyMeta`, metadata and type byte precede it. */
  readonly value: Uint8Array;
  readonly hasKeyMeta: boolean;
}

/** The payload of a value as stored in an RDB file of that version; `keyMeta` without its opcode. */
export function encodePayload(type: number, value: Uint8Array, version: number, keyMeta?: Uint8Array): Uint8Array {
  const head = keyMeta === undefined ? [type] : [KEY_META, ...keyMeta, type];
  const payload = new Uint8Array(head.length + value.length + PAYLOAD_FOOTER);
  payload.set(head);
  payload.set(value, head.length);
  restamp(payload, version);
  return payload;
}

/** Makes a payload say another RDB version. */
export function restamp(payload: Uint8Array, version: number): void {
  const end = writePayloadVersion(payload, payload.length - PAYLOAD_FOOTER, version);
  writeCrc(payload, end, new Crc64().update(payload, 0, end));
}

/** What stands before the value in the payload of a frame. */
export function payloadHead({ metaBytes, type }: Pick<Frame, 'metaBytes' | 'type'>): Uint8Array {
  const head = new Uint8Array(metaBytes === undefined ? 1 : metaBytes.length + 2);
  if (metaBytes !== undefined) {
    head[0] = KEY_META;
    head.set(metaBytes, 1);
  }
  head[head.length - 1] = type.id;
  return head;
}

/** The checksum that the footer says. */
export function storedCrc(payload: Uint8Array): Crc64 {
  const crc = new Crc64();
  crc.lo = uint32(payload, payload.length - 8);
  crc.hi = uint32(payload, payload.length - 4);
  return crc;
}

/** A payload has no fewer bytes than this: type, footer, and a value. */
export const LEAST_PAYLOAD = PAYLOAD_FOOTER + 2;

/** What the footer says of the server. */
export function payloadVersion(payload: Uint8Array): Pick<Payload, 'vendor' | 'version'> {
  const at = payload.length - PAYLOAD_FOOTER;
  const version = payload[at] | (payload[at + 1] << 8);
  return { version, vendor: version >= VALKEY_VERSION ? 'valkey' : 'redis' };
}

/** What is needed of a payload to read its value: see `payloadFrame`. */
export function payloadOrigin(payload: Uint8Array): Pick<Payload, 'hasKeyMeta' | 'vendor' | 'version'> {
  const { vendor, version } = payloadVersion(payload);
  return { vendor, version, hasKeyMeta: payload[0] === KEY_META && vendor === 'redis' && version >= FIRST_KEY_META_VERSION };
}

/** Takes a payload apart; `crc` is used up. TypeError where it is too short to be one. */
export function parsePayload(payload: Uint8Array, crc = new Crc64()): Payload {
  const end = payload.length - PAYLOAD_FOOTER;
  if (payload.length < LEAST_PAYLOAD) throw new TypeError(`a DUMP payload has ${LEAST_PAYLOAD} bytes or more, this one ${payload.length}`);
  crc.update(payload, 0, end + 2);
  const { hi, lo } = storedCrc(payload);
  return {
    type: payload[0],
    ...payloadOrigin(payload),
    checksum: lo === crc.lo && hi === crc.hi ? 'ok' : lo === 0 && hi === 0 ? 'none' : 'wrong',
    value: payload.subarray(1, end),
  };
}

/** Two bytes, little-endian; returns the position after them. */
export function writePayloadVersion(out: Uint8Array, at: number, version: number): number {
  out[at] = version & 0xff;
  out[at + 1] = version >> 8;
  return at + 2;
}

/** The footer; `crc` is that of all before it. */
export function writePayloadFooter(out: Uint8Array, version: number, crc: Crc64): void {
  const end = writePayloadVersion(out, 0, version);
  writeCrc(out, end, crc.update(out, 0, end));
}

/** Eight bytes, little-endian, as at the end of RDB files and payloads; returns the position after them. */
export function writeCrc(out: Uint8Array, at: number, { hi, lo }: Readonly<Pick<Crc64, 'hi' | 'lo'>>): number {
  for (let i = 0; i < 4; i++) {
    out[at + i] = lo >>> (8 * i);
    out[at + 4 + i] = hi >>> (8 * i);
  }
  return at + 8;
}
