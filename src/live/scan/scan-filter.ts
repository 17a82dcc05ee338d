import type { FilterOptions } from '../../values/filters.js';

/** Bytes with a meaning in patterns (glob.ts). */
const SPECIAL: ReadonlySet<number> = new Set([0x2a, 0x3f, 0x5b, 0x5d, 0x5c, 0x5e]);
const BACKSLASH = 0x5c;
const STAR = 0x2a;

/** What TYPE of SCAN can name; the types of modules have names of their own. */
const NAMED: ReadonlySet<string> = new Set(['string', 'list', 'set', 'zset', 'hash', 'stream']);

/**
 * The options of SCAN that leave out keys which the filter does not want. They need not leave out all: the rest is looked at here.
 * `knowsType`: Redis 6.0 and later.
 */
export function scanOptionsOf({ match, prefix, type }: FilterOptions, knowsType: boolean): (string | Uint8Array)[] {
  const pattern = match?.length === 1 ? match[0] : prefix?.length === 1 ? beginningWith(prefix[0]) : undefined;
  return [
    ...(pattern === undefined ? [] : ['MATCH', pattern]),
    ...(knowsType && type?.length === 1 && NAMED.has(type[0]) ? ['TYPE', type[0]] : []),
  ];
}

function beginningWith(prefix: Uint8Array): Uint8Array {
  return Uint8Array.from([...[...prefix].flatMap((byte) => (SPECIAL.has(byte) ? [BACKSLASH, byte] : [byte])), STAR]);
}
