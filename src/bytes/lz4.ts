/**
 * One LZ4 block: a row of sequences.
 *
 *     token                 high 4 bits: literal count, low 4 bits: match length - 4
 *     [literal count + …]   if 15: bytes are added, up to and including the first that is not 255
 *     literals
 *     offset                2 bytes, little-endian, backwards from here; 0 is invalid
 *     [match length + …]    as above
 *
 * The last sequence ends after its literals. Source: lz4 1.10, doc/lz4_Block_format.md.
 */
import { RdbError } from './errors.js';

/** How far back a match may reach, in bytes. */
export const LZ4_WINDOW = 65536;

/** Below this a byte loop is faster than a call into the engine. */
const SHORT = 24;

function bad(expected: string, got: string): RdbError {
  return new RdbError('BAD_COMPRESSION', { expected, got });
}

const endsEarly = (): RdbError => bad('a whole LZ4 sequence', 'the LZ4 block ends inside one');

/** Copies `length` bytes within `dst` from `from` to `to` > `from`; an overlap repeats what was just written. */
function copyMatch(dst: Uint8Array, from: number, to: number, length: number): void {
  const end = to + length;
  if (length <= SHORT) {
    while (to < end) dst[to++] = dst[from++];
    return;
  }
  let whole = to - from;
  while (end - to > whole) {
    dst.copyWithin(to, from, from + whole);
    to += whole;
    whole *= 2;
  }
  dst.copyWithin(to, from, from + end - to);
}

/**
 * Decodes the block `src[s, sEnd)` into `dst[d, dEnd)`; matches may reach back to `dst[low]`.
 * Returns where the output ends. Reads and writes nothing outside those ranges; a block that asks for it is BAD_COMPRESSION.
 */
export function decodeLz4Block(
  src: Uint8Array, s: number, sEnd: number,
  dst: Uint8Array, d: number, dEnd: number, low: number,
): number {
  for (;;) {
    if (s >= sEnd) throw endsEarly();
    const token = src[s++];
    let length = token >> 4;
    if (length === 15) {
      let more: number;
      do {
        if (s >= sEnd) throw endsEarly();
        more = src[s++];
        length += more;
      } while (more === 255);
    }
    if (length > sEnd - s) throw endsEarly();
    if (length > dEnd - d) throw bad(`at most ${dEnd - d} more bytes in the block`, `${length} literals`);
    if (length <= SHORT) {
      for (const end = s + length; s < end; ) dst[d++] = src[s++];
    } else {
      dst.set(src.subarray(s, s + length), d);
      s += length;
      d += length;
    }
    if (s === sEnd) return d;

    if (sEnd - s < 2) throw endsEarly();
    const offset = src[s] | (src[s + 1] << 8);
    s += 2;
    if (offset === 0 || offset > d - low) throw bad(`a match offset from 1 to ${Math.min(d - low, 65535)}`, `${offset}`);
    length = (token & 15) + 4;
    if (length === 19) {
      let more: number;
      do {
        if (s >= sEnd) throw endsEarly();
        more = src[s++];
        length += more;
      } while (more === 255);
    }
    if (length > dEnd - d) throw bad(`at most ${dEnd - d} more bytes in the block`, `a match of ${length}`);
    copyMatch(dst, d - offset, d, length);
    d += length;
  }
}
