/**
 * One compressed block of zstd: literals, then sequences that say how many of them to copy and what to repeat.
 * Source: RFC 8878, sections 3.1.1.3 to 3.1.1.5.
 */
import { badZstd } from './fse.js';
import { backwardBits, type HuffmanTable } from './huffman.js';
import { readLiterals } from './literals.js';
import {
  LITERAL_BASE, LITERAL_BITS, MATCH_BASE, MATCH_BITS, readSequenceCount, readSequenceTables, type SequenceTables,
} from './sequences.js';

/** No block has more bytes than this, packed or unpacked. */
export const MAX_BLOCK = 131072;

/** Bytes that must be there, whatever they are, on either side of a packed block. */
export const MARGIN = 16;

/** 2^28 is beyond any window that is accepted (zstd.ts). */
const MAX_OFFSET_CODE = 27;

/** Below this a byte loop is faster than a call into the engine. */
const SHORT = 24;

/** What a frame carries from block to block. */
export class BlockState {
  tree: HuffmanTable | undefined;
  tables: SequenceTables | undefined;
  /** The last three match distances, newest first. */
  readonly recent = Int32Array.of(1, 4, 8);
  /** The literals of the block at hand. */
  readonly literals = new Uint8Array(MAX_BLOCK);
}

/** Bits `[at, at + width)` of the stream at `start`; width at most 24. */
function bitsAt(src: Uint8Array, start: number, at: number, width: number): number {
  const i = start + (at >> 3);
  const word = src[i] | (src[i + 1] << 8) | (src[i + 2] << 16) | (src[i + 3] << 24);
  return (word >>> (at & 7)) & ((1 << width) - 1);
}

/** The distance that `value` stands for; 1 to 3 mean recent ones, shifted by one when no literals come before the match. */
function distance(value: number, literalLength: number, recent: Int32Array): number {
  const which = value > 3 ? 3 : value - 1 + (literalLength === 0 ? 1 : 0);
  if (which === 0) return recent[0];
  const found = value > 3 ? value - 3 : which === 3 ? recent[0] - 1 : recent[which];
  if (which > 1) recent[2] = recent[1];
  recent[1] = recent[0];
  recent[0] = found;
  return found;
}

function copyLiterals(from: Uint8Array, start: number, end: number, to: Uint8Array, d: number): void {
  if (end - start > SHORT) to.set(from.subarray(start, end), d);
  else while (start < end) to[d++] = from[start++];
}

/** Copies within `out`; an overlap repeats what was just written. */
function copyMatch(out: Uint8Array, from: number, to: number, length: number): void {
  const end = to + length;
  let whole = to - from;
  if (length > SHORT) {
    for (; end - to > whole; to += whole, whole *= 2) out.copyWithin(to, from, from + whole);
    out.copyWithin(to, from, from + end - to);
  } else {
    while (to < end) out[to++] = out[from++];
  }
}

/**
 * Decodes the block `src[start, end)` to `out[at, limit)`; matches reach back to `out[low]` at most. Returns where the output
 * ends. `src` needs MARGIN bytes on either side. Throws BAD_COMPRESSION; nothing is written outside the range.
 */
export function decodeZstdBlock(
  state: BlockState, src: Uint8Array, start: number, end: number,
  out: Uint8Array, at: number, limit: number, low: number,
): number {
  const literals = readLiterals(src, start, end, state.literals, state.tree);
  state.tree = literals.tree;
  if (literals.next >= end) throw badZstd('a sequences section', 'the zstd block ends before it');
  const { count, next } = readSequenceCount(src, literals.next, end);
  let d = at;
  let used = 0;
  if (count > 0) {
    const { tables, next: stream } = readSequenceTables(src, next, end, state.tables);
    state.tables = tables;
    const ends = runSequences(state, tables, count, src, stream, end, literals.size, out, d, limit, low);
    ({ d, used } = ends);
  } else if (next !== end) {
    throw badZstd('a zstd block that ends behind its literals', `${end - next} more bytes`);
  }
  if (literals.size - used > limit - d) throw badZstd(`at most ${limit - d} more bytes in the block`, `${literals.size - used}`);
  copyLiterals(state.literals, used, literals.size, out, d);
  return d + literals.size - used;
}

function runSequences(
  state: BlockState, { literals: ll, offsets: of, matches: ml }: SequenceTables, count: number,
  src: Uint8Array, stream: number, end: number, literalsSize: number,
  out: Uint8Array, d: number, limit: number, low: number,
): { d: number; used: number } {
  const { literals, recent } = state;
  let left = backwardBits(src, stream, end);
  let used = 0;
  let l = bitsAt(src, stream, (left -= ll.log), ll.log);
  let o = bitsAt(src, stream, (left -= of.log), of.log);
  let m = bitsAt(src, stream, (left -= ml.log), ml.log);
  for (let n = count; ; ) {
    const offsetCode = of.symbol[o];
    const matchCode = ml.symbol[m];
    const literalCode = ll.symbol[l];
    if (offsetCode > MAX_OFFSET_CODE) throw badZstd(`a match distance below 2^${MAX_OFFSET_CODE + 1}`, `2^${offsetCode}`);

    let value = 1 << offsetCode;
    if (offsetCode > 24) value += bitsAt(src, stream, (left -= offsetCode - 24), offsetCode - 24) << 24;
    const width = Math.min(offsetCode, 24);
    value += bitsAt(src, stream, (left -= width), width);
    const matchWidth = MATCH_BITS[matchCode];
    const matchLength = MATCH_BASE[matchCode] + bitsAt(src, stream, (left -= matchWidth), matchWidth);
    const literalWidth = LITERAL_BITS[literalCode];
    const literalLength = LITERAL_BASE[literalCode] + bitsAt(src, stream, (left -= literalWidth), literalWidth);
    if (left < 0) throw badZstd(`${count} sequences`, 'the zstd block ends inside them');

    if (literalLength > literalsSize - used) throw badZstd(`at most ${literalsSize - used} literals`, `${literalLength}`);
    if (literalLength + matchLength > limit - d) {
      throw badZstd(`at most ${limit - d} more bytes in the block`, `${literalLength + matchLength}`);
    }
    copyLiterals(literals, used, used + literalLength, out, d);
    used += literalLength;
    d += literalLength;
    const back = distance(value, literalLength, recent);
    if (back < 1 || back > d - low) throw badZstd(`a match distance from 1 to ${d - low}`, `${back}`);
    copyMatch(out, d - back, d, matchLength);
    d += matchLength;

    if (--n === 0) break;
    l = ll.base[l] + bitsAt(src, stream, (left -= ll.bits[l]), ll.bits[l]);
    m = ml.base[m] + bitsAt(src, stream, (left -= ml.bits[m]), ml.bits[m]);
    o = of.base[o] + bitsAt(src, stream, (left -= of.bits[o]), of.bits[o]);
  }
  if (left !== 0) throw badZstd(`${count} sequences to the end of the block`, `${left} bits too many or too few`);
  return { d, used };
}
