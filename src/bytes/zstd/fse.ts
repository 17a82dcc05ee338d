/**
 * Finite state entropy tables of zstd. Source: RFC 8878, section 4.1; the predefined distributions: section 3.1.1.3.2.2.
 */
import { RdbError } from '../errors.js';

/** Per state: its symbol, how many bits to read, and what to add to them for the next state. Arrays of 2^log entries. */
export interface FseTable {
  readonly log: number;
  readonly symbol: Uint8Array;
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

export function badZstd(expected: string, got: string): RdbError {
  return new RdbError('BAD_COMPRESSION', { expected, got });
}

/** floor(log2 n), n > 0. */
export const log2 = (n: number): number => 31 - Math.clz32(n);

/** `counts[symbol]`: states of that symbol; -1 is one state of the least probable kind. They add up to 2^log. */
export function buildFse(counts: ArrayLike<number>, log: number): FseTable {
  const size = 1 << log;
  const table = { log, symbol: new Uint8Array(size), bits: new Uint8Array(size), base: new Uint16Array(size) };
  const next = new Uint16Array(counts.length);
  let high = size - 1;
  for (let s = 0; s < counts.length; s++) {
    next[s] = Math.abs(counts[s]);
    if (counts[s] === -1) table.symbol[high--] = s;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let s = 0; s < counts.length; s++) {
    for (let i = 0; i < counts[s]; i++) {
      table.symbol[at] = s;
      do at = (at + step) & (size - 1);
      while (at > high);
    }
  }
  for (let state = 0; state < size; state++) {
    const x = next[table.symbol[state]]++;
    table.bits[state] = log - log2(x);
    table.base[state] = (x << table.bits[state]) - size;
  }
  return table;
}

/** The table of a single symbol, which takes no bits. */
export function rleFse(symbol: number): FseTable {
  return { log: 0, symbol: Uint8Array.of(symbol), bits: new Uint8Array(1), base: new Uint16Array(1) };
}

/** Reads the distribution at `src[start, end)`; `next` is where it ends. */
export function readFse(
  src: Uint8Array, start: number, end: number, maxLog: number, maxSymbol: number,
): { table: FseTable; next: number } {
  let position = start * 8;
  const peek = (): number => {
    const i = position >> 3;
    const byte = (k: number): number => (i + k < end ? src[i + k] : 0);
    return (byte(0) | (byte(1) << 8) | (byte(2) << 16)) >>> (position & 7);
  };
  const log = (peek() & 15) + 5;
  position += 4;
  if (log > maxLog) throw badZstd(`an FSE table of at most 2^${maxLog} states`, `2^${log}`);

  const counts: number[] = [];
  let left = 1 << log;
  while (left > 0) {
    const width = log2(left + 1) + 1;
    const spare = (1 << width) - 2 - left;
    let value = peek() & ((1 << width) - 1);
    const low = value & ((1 << (width - 1)) - 1);
    position += width;
    if (low < spare) {
      value = low;
      position--;
    } else if (value >= 1 << (width - 1)) {
      value -= spare;
    }
    counts.push(value - 1);
    left -= Math.abs(value - 1);
    if (value === 1) {
      let zeros: number;
      do {
        zeros = peek() & 3;
        position += 2;
        for (let i = 0; i < zeros; i++) counts.push(0);
      } while (zeros === 3);
    }
    if (counts.length > maxSymbol + 1) throw badZstd(`an FSE table of symbols up to ${maxSymbol}`, 'more symbols');
  }
  const next = (position + 7) >> 3;
  if (next > end) throw badZstd('a whole FSE table', 'the block ends inside it');
  return { table: buildFse(counts, log), next };
}
