/**
 * The sequences section of a zstd block: how many, by which tables, then the bits, read backwards. Each sequence is a number
 * of literals to copy and a match. Source: RFC 8878, section 3.1.1.3.2.
 */
import type { RdbError } from '../errors.js';
import { badZstd, buildFse, readFse, rleFse, type FseTable } from './fse.js';

/** In the order of the section. */
export interface SequenceTables {
  literals: FseTable;
  offsets: FseTable;
  matches: FseTable;
}

/** Extra bits of each code; its base is that of the code before plus the numbers that one covers. */
export const LITERAL_BITS = Uint8Array.of(
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
);
export const MATCH_BITS = Uint8Array.of(
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
);

function bases(bits: Uint8Array, first: number): Int32Array {
  let sum = first;
  return Int32Array.from(bits, (width) => (sum += 1 << width) - (1 << width));
}

export const LITERAL_BASE = bases(LITERAL_BITS, 0);
export const MATCH_BASE = bases(MATCH_BITS, 3);

const DEFAULT_LITERALS = buildFse(
  [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6,
);
const DEFAULT_OFFSETS = buildFse(
  [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5,
);
const DEFAULT_MATCHES = buildFse(
  [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
  ],
  6,
);

const KINDS = [
  { name: 'literals', shift: 6, maxLog: 9, maxSymbol: 35, preset: DEFAULT_LITERALS },
  { name: 'offsets', shift: 4, maxLog: 8, maxSymbol: 31, preset: DEFAULT_OFFSETS },
  { name: 'matches', shift: 2, maxLog: 9, maxSymbol: 52, preset: DEFAULT_MATCHES },
] as const;

const early = (): RdbError => badZstd('a whole sequences section', 'the zstd block ends inside it');

/** Mode of each table: 0 predefined, 1 one symbol, 2 described here, 3 that of the block before. */
export function readSequenceTables(
  src: Uint8Array, start: number, end: number, before: SequenceTables | undefined,
): { tables: SequenceTables; next: number } {
  if (start >= end) throw early();
  const modes = src[start];
  if (modes & 3) throw badZstd('no reserved bits in a sequences section', `${modes & 3}`);
  const tables: Partial<SequenceTables> = {};
  let at = start + 1;
  for (const { name, shift, maxLog, maxSymbol, preset } of KINDS) {
    const mode = (modes >> shift) & 3;
    if (mode === 0) {
      tables[name] = preset;
    } else if (mode === 1) {
      if (at >= end) throw early();
      if (src[at] > maxSymbol) throw badZstd(`a code up to ${maxSymbol}`, `${src[at]}`);
      tables[name] = rleFse(src[at++]);
    } else if (mode === 2) {
      ({ table: tables[name], next: at } = readFse(src, at, end, maxLog, maxSymbol));
    } else {
      if (before === undefined) throw badZstd('a table in an earlier block', 'none');
      tables[name] = before[name];
    }
  }
  return { tables: tables as SequenceTables, next: at };
}

/** `count` and where the modes byte is. */
export function readSequenceCount(src: Uint8Array, start: number, end: number): { count: number; next: number } {
  const head = src[start];
  const length = head < 128 ? 1 : head < 255 ? 2 : 3;
  if (start + length > end) throw early();
  if (length === 1) return { count: head, next: start + 1 };
  if (length === 2) return { count: ((head - 128) << 8) | src[start + 1], next: start + 2 };
  return { count: (src[start + 1] | (src[start + 2] << 8)) + 0x7f00, next: start + 3 };
}
