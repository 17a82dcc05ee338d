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
 * All numbers are little-endian. Source: RFC 8878. The headers are read here; node:zlib decompresses where it knows zstd (Node
 * 22.15 and later), else our own decoder.
 */
import * as zlib from 'node:zlib';
import type { ByteReader } from './reader.js';
import { readU32 } from './reader.js';
import { NATIVE_OPTIONS, runNative, type NativeStream } from './native.js';
import { isSkippable, skipFrame } from './skippable.js';
import { WHAT, zstdFrame, type FrameHeader } from './zstd-frame.js';

const MAGIC = 0xfd2fb528;

/** Bytes of memory that a frame may ask for: what `zstd` itself accepts without --long=28. */
const MAX_WINDOW = 1 << 27;

const DICTIONARY_BYTES = [0, 1, 2, 4] as const;

type CreateNative = (options: object) => NativeStream;

const createNative = (zlib as { createZstdDecompress?: CreateNative }).createZstdDecompress;

/** Reads what follows the magic in `bytes`, without taking it; fewer bytes than the header has are an early end. */
export function parseHeader(bytes: Uint8Array, reader: ByteReader): FrameHeader {
  const descriptor = bytes[0];
  const single = (descriptor & 32) !== 0;
  const dictionary = DICTIONARY_BYTES[descriptor & 3];
  const code = descriptor >> 6;
  const sizeBytes = code === 0 ? (single ? 1 : 0) : 1 << code;
  const at = single ? 1 : 2;
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
  const content = sizeBytes === 0 ? undefined : number(at + dictionary, sizeBytes) + (code === 1 ? 256 : 0);
  const exponent = 2 ** (10 + (bytes[1] >> 3));
  const window = single ? (content ?? 0) : exponent + (exponent / 8) * (bytes[1] & 7);
  if (window > MAX_WINDOW) throw reader.damage(`a zstd window of at most ${MAX_WINDOW} bytes`, `${window} bytes`);
  return { length, window, content, checksum: (descriptor & 4) !== 0 };
}

/**
 * The plain bytes of all frames, in chunks of at most 128 KB. Damage is BAD_COMPRESSION, behind all whole blocks before it.
 * `native: false` uses our own decoder everywhere.
 */
export async function* unzstd(
  reader: ByteReader, native = createNative !== undefined,
): AsyncGenerator<Uint8Array, void, void> {
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
    const header = parseHeader(bytes.subarray(4), reader);
    if (native && createNative !== undefined) {
      yield* runNative(createNative(NATIVE_OPTIONS), reader, WHAT);
    } else {
      reader.consume(4 + header.length);
      yield* zstdFrame(reader, header);
    }
  }
}
