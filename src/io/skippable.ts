/**
 * Skippable frames, which LZ4 and zstd share: magic 0x184d2a50 to …5f, length (4), then that many bytes of user data.
 * Source: RFC 8878, section 3.1.2; lz4, doc/lz4_Frame_format.md.
 */
import { readU32, type ByteReader } from './reader.js';

export const isSkippable = (magic: number): boolean => magic >>> 4 === 0x184d2a5;

/** Skips one whose magic is taken already. */
export async function skipFrame(reader: ByteReader): Promise<void> {
  const length = readU32(await reader.take(4, 'a whole skippable frame'));
  await reader.skip(length, 'a whole skippable frame');
}
