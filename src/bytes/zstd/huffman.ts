/**
 * Huffman-coded literals of zstd. Source: RFC 8878, section 4.2.
 */
import { badZstd, log2, readFse } from './fse.js';

const MAX_BITS = 11;

/** `entries[next maxBits bits]` = symbol | code length << 8. */
export interface HuffmanTable {
  readonly maxBits: number;
  readonly entries: Uint16Array;
}

/** Bits in a stream that is read backwards: a 1 marks the end, in the last byte. */
export function backwardBits(src: Uint8Array, start: number, end: number): number {
  if (end <= start || src[end - 1] === 0) throw badZstd('a bit stream with an end mark', 'none');
  return (end - start - 1) * 8 + log2(src[end - 1]);
}

/** Weights coded by two FSE states in turn; whichever runs out of bits, the other's symbol is the last. */
function readFseWeights(src: Uint8Array, start: number, end: number): number[] {
  const { table, next } = readFse(src, start, end, 6, 255);
  let left = backwardBits(src, next, end);
  const read = (n: number): number => {
    left -= n;
    let value = 0;
    for (let i = n - 1; i >= 0; i--) {
      const at = left + i;
      value = (value << 1) | (at < 0 ? 0 : (src[next + (at >> 3)] >> (at & 7)) & 1);
    }
    return value;
  };
  const states = [read(table.log), read(table.log)];
  if (left < 0) throw badZstd('two FSE states of Huffman weights', 'the block ends inside them');
  const weights: number[] = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn];
    weights.push(table.symbol[state]);
    if (weights.length > 254) throw badZstd('at most 255 Huffman weights', 'more');
    if (table.bits[state] > left) {
      weights.push(table.symbol[states[turn ^ 1]]);
      return weights;
    }
    states[turn] = table.base[state] + read(table.bits[state]);
  }
}

function buildHuffman(weights: number[]): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > MAX_BITS) throw badZstd(`a Huffman weight of at most ${MAX_BITS}`, `${weight}`);
    if (weight > 0) sum += 1 << (weight - 1);
  }
  const maxBits = sum === 0 ? 0 : log2(sum) + 1;
  if (maxBits === 0 || maxBits > MAX_BITS) throw badZstd(`Huffman codes of 1 to ${MAX_BITS} bits`, `${maxBits}`);
  const rest = (1 << maxBits) - sum;
  if ((rest & (rest - 1)) !== 0) throw badZstd('Huffman weights that leave a power of two', `${rest}`);
  const all = [...weights, log2(rest) + 1];
  const entries = new Uint16Array(1 << maxBits);
  let at = 0;
  for (let weight = 1; weight <= maxBits; weight++) {
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue;
      const end = at + (1 << (weight - 1));
      entries.fill(symbol | ((maxBits + 1 - weight) << 8), at, end);
      at = end;
    }
  }
  return { maxBits, entries };
}

/** Reads the tree description at `src[start, end)`; `next` is where it ends. */
export function readHuffman(src: Uint8Array, start: number, end: number): { table: HuffmanTable; next: number } {
  if (start >= end) throw badZstd('a Huffman tree', 'the block ends before it');
  const head = src[start];
  const count = head - 127;
  const next = start + 1 + (head < 128 ? head : (count + 1) >> 1);
  if (next > end) throw badZstd('a whole Huffman tree', 'the block ends inside it');
  if (head < 128) return { table: buildHuffman(readFseWeights(src, start + 1, next)), next };
  const weights: number[] = [];
  for (let i = 0; i < count; i++) weights.push((src[start + 1 + (i >> 1)] >> (i & 1 ? 0 : 4)) & 15);
  return { table: buildHuffman(weights), next };
}

/** Decodes the stream `src[start, end)` into all of `dst[d, dEnd)`; both must come out even. `src` has 3 bytes behind `end`. */
export function decodeHuffman(
  table: HuffmanTable, src: Uint8Array, start: number, end: number, dst: Uint8Array, d: number, dEnd: number,
): void {
  const { maxBits, entries } = table;
  const mask = (1 << maxBits) - 1;
  let left = backwardBits(src, start, end);
  while (d < dEnd && left >= maxBits) {
    const at = left - maxBits;
    const i = start + (at >> 3);
    const entry = entries[((src[i] | (src[i + 1] << 8) | (src[i + 2] << 16)) >> (at & 7)) & mask];
    dst[d++] = entry;
    left -= entry >> 8;
  }
  while (d < dEnd && left > 0) {
    const bits = (src[start] | (src[start + 1] << 8)) & ((1 << left) - 1);
    const entry = entries[bits << (maxBits - left)];
    dst[d++] = entry;
    left -= entry >> 8;
  }
  if (left !== 0 || d !== dEnd) throw badZstd('a Huffman stream that ends with its literals', 'one that does not');
}
