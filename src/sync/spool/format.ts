/**
 * A segment: a file with some bytes of a replication stream. All numbers are little-endian.
 *
 *     header  "rdbkit spool 1\n"  length of the text (u32)  CRC-32 of the text (u32)  text: JSON, see SegmentHead
 *     block   form (u32: 0 as they are, 1 a zstd frame)  stored length (u32)  length (u32)  offset before the bytes (u64)
 *             CRC-32 of the 20 bytes before and of what is stored (u32)  what is stored
 *
 * The bytes of a segment end where the next one begins, whatever may follow in the file. Its name is the offset that it begins after.
 */
import * as zlib from 'node:zlib';
import { RdbError } from '../../bytes/errors.js';
import { viewOf } from '../../bytes/view.js';
import { crc32 } from '../../io/gzip.js';

const MAGIC = Buffer.from('rdbkit spool 1\n');
export const PREAMBLE_BYTES = MAGIC.length + 8;
const MAX_TEXT = 1 << 20;

export const BLOCK_HEAD = 24;
/** Bytes of the stream in a block, at most. */
export const MAX_BLOCK = 1 << 20;

const RAW = 0;
const ZSTD = 1;

/** From which offset on the stream has which replication id. */
export interface Turn {
  readonly id: string;
  /** Its bytes come after this offset. */
  readonly from: number;
}

export interface SegmentHead {
  readonly lane: string;
  /** Its bytes come after this offset. */
  readonly begin: number;
  /** Where the segment before it begins; undefined for the first. */
  readonly previous?: number | undefined;
  readonly history: readonly Turn[];
}

const NAME = /^\d{16}\.spool$/;

export const segmentName = (begin: number): string => `${String(begin).padStart(16, '0')}.spool`;
export const isSegmentName = (name: string): boolean => NAME.test(name);
export const beginOf = (name: string): number => Number.parseInt(name, 10);

export const badSegment = (file: string, offset: number, expected: string, got: string, cause?: unknown): RdbError =>
  new RdbError('BAD_SPOOL', { file, offset, expected, got, cause });

export function encodeHead(head: SegmentHead): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const bytes = Buffer.alloc(PREAMBLE_BYTES + text.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(text.length, MAGIC.length);
  bytes.writeUInt32LE(crc32(text, 0), MAGIC.length + 4);
  text.copy(bytes, PREAMBLE_BYTES);
  return bytes;
}

/** Bytes of the header whose first PREAMBLE_BYTES are given; undefined if it was not written to its end. Throws BAD_SPOOL. */
export function headLength(file: string, preamble: Uint8Array): number | undefined {
  const bytes = bufferOf(preamble);
  if (bytes.length < PREAMBLE_BYTES || bytes.every((byte) => byte === 0)) return undefined;
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw badSegment(file, 0, 'the header of a segment, version 1', 'other bytes');
  const length = bytes.readUInt32LE(MAGIC.length);
  return length > MAX_TEXT ? undefined : PREAMBLE_BYTES + length;
}

/** The header in exactly these bytes; undefined if its checksum is wrong. */
export function decodeHead(header: Uint8Array): SegmentHead | undefined {
  const bytes = bufferOf(header);
  const text = bytes.subarray(PREAMBLE_BYTES);
  if (crc32(text, 0) !== bytes.readUInt32LE(MAGIC.length + 4)) return undefined;
  return JSON.parse(text.toString()) as SegmentHead; // as it was written: its checksum is right
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

export interface BlockHead {
  readonly packed: boolean;
  /** Bytes that follow in the file. */
  readonly stored: number;
  /** Bytes of the stream. */
  readonly length: number;
  readonly offset: number;
  readonly crc: number;
}

type Bytes = readonly Uint8Array[];

const checksum = (head: Uint8Array, at: number, stored: Bytes): number =>
  stored.reduce((crc, bytes) => crc32(bytes, crc), crc32(head.subarray(at, at + BLOCK_HEAD - 4), 0));

/** The head of a block with `length` bytes after `offset`, stored as `stored`. */
export function encodeBlockHead(offset: number, length: number, stored: Bytes, packed: boolean): Uint8Array {
  const head = new Uint8Array(BLOCK_HEAD);
  const view = viewOf(head);
  view.setUint32(0, packed ? ZSTD : RAW, true);
  view.setUint32(4, stored.reduce((sum, bytes) => sum + bytes.length, 0), true);
  view.setUint32(8, length, true);
  view.setBigUint64(12, BigInt(offset), true);
  view.setUint32(20, checksum(head, 0, stored), true);
  return head;
}

/** The head at `bytes[at]`, all of whose bytes have to be there; undefined if no such head is ever written for bytes after `offset`. */
export function decodeBlockHead(bytes: Uint8Array, at: number, offset: number): BlockHead | undefined {
  const view = viewOf(bytes);
  const form = view.getUint32(at, true);
  const stored = view.getUint32(at + 4, true);
  const length = view.getUint32(at + 8, true);
  if (form > ZSTD || length === 0 || length > MAX_BLOCK || stored > length || (form === RAW && stored !== length)) return undefined;
  if (view.getBigUint64(at + 12, true) !== BigInt(offset)) return undefined;
  return { packed: form === ZSTD, stored, length, offset, crc: view.getUint32(at + 20, true) };
}

/** Whether the block at `bytes[at]`, which is there as a whole, has the checksum that its head names. */
export function isWhole(bytes: Uint8Array, at: number, { stored, crc }: BlockHead): boolean {
  const from = at + BLOCK_HEAD;
  return checksum(bytes, at, [bytes.subarray(from, from + stored)]) === crc;
}

type Zstd = (bytes: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void) => void;
const { zstdCompress, zstdDecompress } = zlib as { zstdCompress?: Zstd; zstdDecompress?: Zstd };

/** zlib's smallest buffer for output. With one that takes all, it is called once, not for every 16 KiB. */
const MIN_CHUNK = 64;

/** Whether this Node has zstd (22.15). */
export const CAN_PACK = zstdCompress !== undefined;

const run = (work: Zstd, bytes: Uint8Array, options: object): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    work(bytes, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });

/** The bytes as a zstd frame of level 1, if that is less. */
export async function pack(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  if (zstdCompress === undefined) return undefined;
  const { ZSTD_c_compressionLevel: level } = zlib.constants as unknown as { ZSTD_c_compressionLevel: number };
  const packed = await run(zstdCompress, bytes, { params: { [level]: 1 }, chunkSize: Math.max(bytes.length, MIN_CHUNK) });
  return packed.length < bytes.length ? packed : undefined;
}

/** The `length` bytes in a zstd frame at byte `at` of `file`. Throws UNSUPPORTED_COMPRESSION where this Node has no zstd. */
export async function unpack(file: string, at: number, packed: Uint8Array, length: number): Promise<Uint8Array> {
  if (zstdDecompress === undefined) throw new RdbError('UNSUPPORTED_COMPRESSION', { file, offset: at });
  const options = { maxOutputLength: length, chunkSize: Math.max(length, MIN_CHUNK) };
  const fails = (got: string, cause?: unknown): RdbError => badSegment(file, at, `${length} bytes in a zstd frame`, got, cause);
  const bytes = await run(zstdDecompress, packed, options).catch((cause: unknown) => {
    throw fails(cause instanceof Error ? cause.message : String(cause), cause);
  });
  if (bytes.length !== length) throw fails(`${bytes.length} bytes`);
  return bytes;
}
