/**
 * Zstandard: frames one after another, skippable ones between them.
 *
 *     28 b5 2f fd  descriptor [window (1)] [dictionary id (0, 1, 2, 4)] [content size (0, 1, 2, 4, 8)]
 *     blocks: header (3: bit 0 last, bits 2-1 type: 0 raw, 1 one byte repeated, 2 compressed, bits 23-3 size), data
 *     [low 4 bytes of the XXH64 of the content]
 *
 *     descriptor: bits 7-6 content size, 5 single segment (no window byte: it is the content size), 3 reserved, 2 checksum,
 *     1-0 dictionary id
 *
 * All numbers are little-endian. Source: RFC 8878. node:zlib (since 22.15) decompresses and verifies each frame. Where a frame
 * ends is read here: 22.15 is silent where one is cut, later versions where one to three bytes of another one follow.
 */
import * as zlib from 'node:zlib';
import { RdbError } from '../bytes/errors.js';
import { NATIVE_OPTIONS, runNative, type NativeStream } from './native.js';
import { ByteReader, readU32 } from './reader.js';
import { isSkippable, skipFrame } from './skippable.js';

const MAGIC = 0xfd2fb528;
const WHAT = 'a whole zstd frame';

/** Bytes of memory that a frame may ask for: what `zstd` itself accepts without --long=28, and zlib unless told otherwise. */
const MAX_WINDOW = 1 << 27;

/** The type bits of a block that is one byte, repeated. */
const REPEATED = 2;

const DICTIONARY_BYTES = [0, 1, 2, 4] as const;

const createNative = (zlib as { createZstdDecompress?: (options: object) => NativeStream }).createZstdDecompress;

interface FrameHeader {
  /** Bytes, with the magic. */
  readonly length: number;
  readonly checksum: boolean;
}

/** Reads the header at the beginning of `bytes`, without taking it; fewer bytes than it has are an early end. */
function parseHeader(bytes: Uint8Array, reader: ByteReader): FrameHeader {
  const descriptor = bytes[4];
  const single = (descriptor & 32) !== 0;
  const dictionary = DICTIONARY_BYTES[descriptor & 3];
  const code = descriptor >> 6;
  const sizeBytes = code === 0 ? (single ? 1 : 0) : 1 << code;
  const at = single ? 5 : 6;
  const length = at + dictionary + sizeBytes;
  if (bytes.length < length) throw reader.endsEarly(WHAT);
  if (descriptor & 8) throw reader.damage('no reserved bit in a zstd frame header', 'it is set');
  const number = (from: number, count: number): number => {
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[from + i];
    return value;
  };
  if (number(at, dictionary) !== 0) {
    throw reader.damage('a zstd frame without a dictionary', `dictionary id ${number(at, dictionary)}`);
  }
  const exponent = 2 ** (10 + (bytes[5] >> 3));
  const content = number(at + dictionary, sizeBytes) + (code === 1 ? 256 : 0);
  const window = single ? content : exponent + (exponent / 8) * (bytes[5] & 7);
  if (window > MAX_WINDOW) throw reader.damage(`a zstd window of at most ${MAX_WINDOW} bytes`, `${window} bytes`);
  return { length, checksum: (descriptor & 4) !== 0 };
}

/** The compressed bytes of one frame, and none after it: of each chunk of the input at once, however many blocks it has. */
async function* frameBytes(reader: ByteReader, header: FrameHeader): AsyncGenerator<Uint8Array, void, void> {
  /** Bytes until the next block, or until the end of the frame. */
  let left = header.length;
  let last = false;
  while (left > 0 || !last) {
    if (left === 0 && (await reader.peek(3)).length < 3) throw reader.endsEarly(WHAT);
    const bytes = await reader.available();
    if (bytes === undefined) throw reader.endsEarly(WHAT);
    let end = 0;
    while (!last && end + left + 3 <= bytes.length) {
      end += left;
      const block = bytes[end] | (bytes[end + 1] << 8) | (bytes[end + 2] << 16);
      last = (block & 1) !== 0;
      left = 3 + ((block & 6) === REPEATED ? 1 : block >> 3) + (last && header.checksum ? 4 : 0);
    }
    const more = Math.min(left, bytes.length - end);
    left -= more;
    end += more;
    reader.consume(end);
    yield bytes.subarray(0, end);
  }
}

/** The plain bytes of all frames, in chunks of at most OUTPUT_CHUNK bytes. Damage is BAD_COMPRESSION. */
export async function* unzstd(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const bytes = await reader.peek(18);
    if (bytes.length === 0) return;
    if (bytes.length < 4) throw reader.endsEarly(WHAT);
    const magic = readU32(bytes);
    if (isSkippable(magic)) {
      reader.consume(4);
      await skipFrame(reader);
      continue;
    }
    if (magic !== MAGIC) throw reader.damage('a zstd frame or the end of the file', 'other bytes after a frame');
    if (createNative === undefined) {
      const got = `Node ${process.versions.node}`;
      throw new RdbError('UNSUPPORTED_COMPRESSION', { expected: 'Node 22.15 or later to read zstd', got, file: reader.file });
    }
    const frame = frameBytes(reader, parseHeader(bytes, reader));
    yield* runNative(createNative(NATIVE_OPTIONS), new ByteReader(frame, reader.file), WHAT);
  }
}
