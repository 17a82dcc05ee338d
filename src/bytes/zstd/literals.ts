/**
 * The literals section of a zstd block.
 *
 *     type: bits 1-0 (0 raw, 1 one byte repeated, 2 Huffman with a tree, 3 Huffman with the tree before), format: bits 3-2
 *     raw, repeated: size in 5 (format 0, 2), 12 (1) or 20 (3) bits
 *     Huffman: size and compressed size in 10 (0: one stream, 1: four), 14 (2: four) or 18 (3: four) bits each
 *
 * Source: RFC 8878, section 3.1.1.3.1.
 */
import type { RdbError } from '../errors.js';
import { badZstd } from './fse.js';
import { decodeHuffman, readHuffman, type HuffmanTable } from './huffman.js';

export interface Literals {
  readonly size: number;
  /** Where the sequences section begins. */
  readonly next: number;
  /** For the following blocks. */
  readonly tree: HuffmanTable | undefined;
}

const early = (): RdbError => badZstd('a whole literals section', 'the zstd block ends inside it');

function checkSize(size: number, dst: Uint8Array): void {
  if (size > dst.length) throw badZstd(`at most ${dst.length} literals`, `${size}`);
}

/** Four streams of equal shares, the last takes what is left; in front the sizes of the first three (2 bytes each). */
function decodeFour(
  tree: HuffmanTable, src: Uint8Array, start: number, end: number, dst: Uint8Array, size: number,
): void {
  if (end - start < 6) throw early();
  const share = (size + 3) >> 2;
  if (share * 3 > size) throw badZstd('literals enough for four streams', `${size}`);
  let at = start + 6;
  for (let i = 0; i < 4; i++) {
    const to = i === 3 ? end : at + (src[start + 2 * i] | (src[start + 2 * i + 1] << 8));
    if (to > end) throw early();
    decodeHuffman(tree, src, at, to, dst, share * i, i === 3 ? size : share * (i + 1));
    at = to;
  }
}

function readPlain(src: Uint8Array, start: number, end: number, dst: Uint8Array, tree: HuffmanTable | undefined): Literals {
  const head = src[start];
  const format = (head >> 2) & 3;
  const header = format === 1 ? 2 : format === 3 ? 3 : 1;
  let at = start + header;
  if (at > end) throw early();
  const size = header === 1
    ? head >> 3
    : (head >> 4) | (src[start + 1] << 4) | (header === 3 ? src[start + 2] << 12 : 0);
  checkSize(size, dst);
  const repeated = (head & 3) === 1;
  if (at + (repeated ? 1 : size) > end) throw early();
  if (repeated) dst.fill(src[at++], 0, size);
  else dst.set(src.subarray(at, (at += size)));
  return { size, next: at, tree };
}

/** Decodes the section at `src[start, end)` into the front of `dst`. */
export function readLiterals(
  src: Uint8Array, start: number, end: number, dst: Uint8Array, tree: HuffmanTable | undefined,
): Literals {
  if (start >= end) throw early();
  const head = src[start];
  if ((head & 3) < 2) return readPlain(src, start, end, dst, tree);
  const format = (head >> 2) & 3;
  const header = format < 2 ? 3 : format + 2;
  if (start + header > end) throw early();
  const width = format < 2 ? 10 : format === 2 ? 14 : 18;
  let bits = 0;
  for (let i = header - 1; i >= 0; i--) bits = bits * 256 + src[start + i];
  bits = Math.floor(bits / 16);
  const size = bits % (1 << width);
  const next = start + header + Math.floor(bits / (1 << width));
  checkSize(size, dst);
  if (next > end) throw early();
  let at = start + header;
  if ((head & 3) === 2) ({ table: tree, next: at } = readHuffman(src, at, next));
  if (tree === undefined) throw badZstd('a Huffman tree in an earlier block', 'none');
  if (format === 0) decodeHuffman(tree, src, at, next, dst, 0, size);
  else decodeFour(tree, src, at, next, dst, size);
  return { size, next, tree };
}
