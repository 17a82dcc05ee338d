import { blocks } from '../../bytes/blocks.js';
import { lzfCompress } from '../../bytes/lzf-compress.js';
import { LEAST_GAIN } from '../../rdb/write-string.js';
import { Spill } from '../../io/spill.js';

/** Bytes that are compressed at a time. */
const BLOCK = 1 << 18;
/** After this many literals, a byte counts the next ones. */
const LITERALS = 32;

/**
 * A string of `size` bytes compressed, or undefined where a server would leave it as it is. Its blocks are compressed one by
 * one: copies reach back at most 8 KiB, so little is lost, and the blocks joined are LZF as a whole.
 */
export function compressed(pieces: Iterable<Uint8Array>, size: number): Spill | undefined {
  const packed = new Spill();
  const out = new Uint8Array(BLOCK + BLOCK / LITERALS);
  for (const block of blocks(pieces, BLOCK)) {
    packed.add(out, 0, lzfCompress(block, 0, block.length, out));
    if (packed.size <= size - LEAST_GAIN) continue;
    packed.close();
    return undefined;
  }
  return packed;
}
