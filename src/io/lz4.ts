/**
 * The LZ4 frame format: frames one after another, skippable ones between them.
 *
 *     04 22 4d 18  FLG BD [content size (8)] [dictionary id (4)] header checksum (1)
 *     blocks: size (4, highest bit: stored as it is), data, [XXH32 of the data as stored]
 *     0 (4) [XXH32 of the content]
 *
 *     FLG: bits 7-6 version 1, 5 blocks are independent, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary
 *     BD: bits 6-4 maximum block size: 4 = 64 KB, 5 = 256 KB, 6 = 1 MB, 7 = 4 MB
 *
 * All numbers are little-endian. Source: lz4 1.10, doc/lz4_Frame_format.md, version 1.6.4.
 */
import { RdbError } from '../bytes/errors.js';
import { decodeLz4Block, LZ4_WINDOW } from '../bytes/lz4.js';
import { Xxh32, xxh32 } from '../bytes/xxh32.js';
import { readU32, type ByteReader } from './reader.js';
import { isSkippable, skipFrame } from './skippable.js';

const MAGIC = 0x184d2204;
const LEGACY_MAGIC = 0x184c2102;
const STORED = 0x80000000;
const WHAT = 'a whole LZ4 frame';

interface FrameHeader {
  readonly linked: boolean;
  readonly blockChecksum: boolean;
  readonly contentChecksum: boolean;
  readonly contentSize: bigint | undefined;
  /** Bytes. */
  readonly maxBlock: number;
}

const hex = (n: number): string => `0x${n.toString(16).padStart(8, '0')}`;

async function readHeader(reader: ByteReader): Promise<FrameHeader> {
  const flags = (await reader.peek(1)).at(0) ?? 0;
  const hasSize = (flags & 8) !== 0;
  const hasDictionary = (flags & 1) !== 0;
  const length = 2 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0);
  const bytes = await reader.take(length + 1, WHAT);
  const checksum = (xxh32(bytes, 0, length) >>> 8) & 0xff;
  if (bytes[length] !== checksum) throw reader.damage(`LZ4 header checksum ${bytes[length]}`, `${checksum}`);
  if (flags >> 6 !== 1) throw reader.damage('LZ4 frame version 1', `version ${flags >> 6}`);
  if (hasDictionary) throw reader.damage('an LZ4 frame without a dictionary', `dictionary id ${readU32(bytes, length - 4)}`);
  const size = (bytes[1] >> 4) & 7;
  if (flags & 2 || bytes[1] & 0x8f) throw reader.damage('no reserved LZ4 frame bits', hex((flags << 8) | bytes[1]));
  if (size < 4) throw reader.damage('an LZ4 block size code from 4 to 7', `${size}`);
  return {
    linked: (flags & 32) === 0,
    blockChecksum: (flags & 16) !== 0,
    contentChecksum: (flags & 4) !== 0,
    contentSize: hasSize ? new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(2, true) : undefined,
    maxBlock: 1 << (8 + 2 * size),
  };
}

/** A block's data as stored; undefined at the end mark. Valid until the next read. */
async function readBlock(reader: ByteReader, header: FrameHeader): Promise<{ data: Uint8Array; stored: boolean } | undefined> {
  const word = readU32(await reader.take(4, WHAT));
  if (word === 0) return undefined;
  const size = word & ~STORED;
  if (size > header.maxBlock) throw reader.damage(`an LZ4 block of at most ${header.maxBlock} bytes`, `${size} bytes`);
  const bytes = await reader.take(size + (header.blockChecksum ? 4 : 0), WHAT);
  const data = bytes.subarray(0, size);
  if (header.blockChecksum) {
    const expected = readU32(bytes, size);
    const got = xxh32(data);
    if (got !== expected) throw reader.damage(`an LZ4 block with the checksum ${hex(expected)}`, hex(got));
  }
  return { data, stored: word >= STORED };
}

function decodeBlock(
  block: { data: Uint8Array; stored: boolean }, out: Uint8Array, at: number, header: FrameHeader, file: string,
): number {
  if (block.stored) {
    out.set(block.data, at);
    return at + block.data.length;
  }
  try {
    const low = header.linked ? Math.max(0, at - LZ4_WINDOW) : at;
    return decodeLz4Block(block.data, 0, block.data.length, out, at, at + header.maxBlock, low);
  } catch (error) {
    throw error instanceof RdbError ? error.at({ file }) : error;
  }
}

async function* frame(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  const header = await readHeader(reader);
  const content = header.contentChecksum ? new Xxh32() : undefined;
  const out = new Uint8Array(LZ4_WINDOW + Math.max(header.maxBlock, 4 * LZ4_WINDOW));
  let at = 0;
  let total = 0;
  for (let block = await readBlock(reader, header); block !== undefined; block = await readBlock(reader, header)) {
    if (at + header.maxBlock > out.length) {
      const keep = header.linked ? Math.min(at, LZ4_WINDOW) : 0;
      out.copyWithin(0, at - keep, at);
      at = keep;
    }
    const end = decodeBlock(block, out, at, header, reader.file);
    content?.update(out, at, end);
    total += end - at;
    if (end > at) yield out.subarray(at, end);
    at = end;
  }
  if (content !== undefined) {
    const expected = readU32(await reader.take(4, WHAT));
    if (content.digest() !== expected) {
      throw reader.damage(`LZ4 content with the checksum ${hex(expected)}`, hex(content.digest()));
    }
  }
  if (header.contentSize !== undefined && BigInt(total) !== header.contentSize) {
    throw reader.damage(`${header.contentSize} bytes in the LZ4 frame`, `${total} bytes`);
  }
}

/** The plain bytes of all frames, block by block (at most 4 MB); a damaged block is an error as a whole: BAD_COMPRESSION. */
export async function* unlz4(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const magic = await reader.peek(4);
    if (magic.length === 0) return;
    if (magic.length < 4) throw reader.endsEarly(WHAT);
    reader.consume(4);
    const number = readU32(magic);
    if (number === MAGIC) yield* frame(reader);
    else if (isSkippable(number)) await skipFrame(reader);
    else if (number === LEGACY_MAGIC) throw reader.damage('an LZ4 frame', 'the legacy LZ4 format (lz4 -l)');
    else throw reader.damage('an LZ4 frame or the end of the file', `the bytes ${hex(number)} after a frame`);
  }
}
