import { MAX_DISTANCE } from './lzf.js';

/** Lengths of copies, in bytes: the shortest is no longer, or one byte longer, than its instruction. */
const LEAST_COPY = 3;
const MOST_COPY = 264;
/** The longest copy with an instruction of two bytes. */
const SHORT_COPY = 8;
const MOST_LITERALS = 32;

const HASH_BITS = 14;
/**
 * By the hash of three bytes: their last position, counted over all inputs, so that nothing has to be cleared between them:
 * positions below `base` are of earlier inputs.
 */
const places = new Int32Array(1 << HASH_BITS);
let base = 1;

function hashAt(bytes: Uint8Array, i: number): number {
  return Math.imul((bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2], 0x9e3779b1) >>> (32 - HASH_BITS);
}

/** Bytes from `a` and from `b` on that are the same, up to `most`. */
function sameBytes(bytes: Uint8Array, a: number, b: number, most: number): number {
  let n = 0;
  while (n < most && bytes[a + n] === bytes[b + n]) n++;
  return n;
}

/** Writes literal runs of `input[from, to)` at `o`. Returns the position after them, or -1 if they do not fit. */
function putLiterals(input: Uint8Array, from: number, to: number, output: Uint8Array, o: number, room: number): number {
  const runs = Math.ceil((to - from) / MOST_LITERALS);
  if (o + to - from + runs > room) return -1;
  let at = o;
  for (let i = from; i < to; ) {
    const stop = Math.min(to, i + MOST_LITERALS);
    output[at++] = stop - i - 1;
    while (i < stop) output[at++] = input[i++];
  }
  return at;
}

/** Writes a copy of `length` bytes from `distance` bytes back. Returns the position after it, or -1 if it does not fit. */
function putCopy(length: number, distance: number, output: Uint8Array, o: number, room: number): number {
  const short = length <= SHORT_COPY;
  if (o + (short ? 2 : 3) > room) return -1;
  const back = distance - 1;
  let at = o;
  output[at++] = ((short ? length - 2 : 7) << 5) | (back >> 8);
  if (!short) output[at++] = length - SHORT_COPY - 1;
  output[at++] = back & 0xff;
  return at;
}

/**
 * Compresses `input[start, end)` to the beginning of `output` (format: lzf.ts). The result does not depend on earlier inputs.
 * Returns the compressed length, or 0 if it would be more than `room` (and for no input).
 */
export function lzfCompress(input: Uint8Array, start: number, end: number, output: Uint8Array, room = output.length): number {
  if (base + end - start > 0x7fffffff) {
    places.fill(0);
    base = 1;
  }
  const toPlace = base - start;
  base += end - start;
  const last = end - LEAST_COPY;
  let literals = start;
  let o = 0;
  for (let i = start; i <= last; ) {
    const hash = hashAt(input, i);
    const before = places[hash] - toPlace;
    places[hash] = i + toPlace;
    const most = Math.min(end - i, MOST_COPY);
    const length = before < start || i - before > MAX_DISTANCE ? 0 : sameBytes(input, before, i, most);
    if (length < LEAST_COPY) {
      i++;
      // pending literals need at least this much: give up early on an input that does not shrink
      if (o + i - literals > room) return 0;
      continue;
    }
    o = putLiterals(input, literals, i, output, o, room);
    if (o >= 0) o = putCopy(length, i - before, output, o, room);
    if (o < 0) return 0;
    literals = i + length;
    for (i++; i < literals; i++) if (i <= last) places[hashAt(input, i)] = i + toPlace;
  }
  o = putLiterals(input, literals, end, output, o, room);
  return Math.max(o, 0);
}
