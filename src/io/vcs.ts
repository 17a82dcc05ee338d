/**
 * The envelope of an RDB that Valkey compressed as a whole (valkey compression_stream.h, since 9.2), before an ordinary frame:
 *
 *     56 43 53 ("VCS") version 1, codec (1 LZ4, 2 zstd), reserved 0, kind (1 a file, 2 a transfer to a replica)
 */
import { readU32, type ByteReader } from './reader.js';

const HEADER = 7;
const WHAT = 'the VCS header of an RDB that Valkey compressed';

const CODECS = [
  undefined,
  { frame: 'an LZ4 frame', compression: 'lz4', magic: 0x184d2204 },
  { frame: 'a zstd frame', compression: 'zstd', magic: 0xfd2fb528 },
] as const;

export const isEnvelope = (head: Uint8Array): boolean => head.length === 3 && head[0] === 0x56 && head[1] === 0x43 && head[2] === 0x53;

/** Takes the header; the frame of the codec that it names follows. */
export async function openEnvelope(reader: ByteReader): Promise<'lz4' | 'zstd'> {
  const [, , , version, id, reserved, kind] = await reader.take(HEADER, WHAT);
  if (version !== 1) throw reader.damage(`${WHAT} in version 1`, `version ${version}`);
  const codec = CODECS[id];
  if (codec === undefined) throw reader.damage(`${WHAT} with codec 1 (LZ4) or 2 (zstd)`, `codec ${id}`);
  if (reserved !== 0) throw reader.damage(`${WHAT} with a reserved byte of 0`, `${reserved}`);
  if (kind !== 1 && kind !== 2) throw reader.damage(`${WHAT} of kind 1 (a file) or 2 (a replica)`, `kind ${kind}`);
  const magic = await reader.peek(4);
  if (magic.length < 4) throw reader.endsEarly(`${codec.frame} after ${WHAT}`);
  if (readU32(magic) !== codec.magic) throw reader.damage(`${codec.frame} after ${WHAT}`, 'other bytes');
  return codec.compression;
}
