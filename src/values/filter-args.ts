/**
 * Values of filters from command-line words. Numbers, types, slots and states may be one word with commas or several words; keys
 * and patterns are one per word, in the text form of bytes/text.ts. Every error is a TypeError that names the option, what was
 * given and what is allowed.
 */
import { SLOTS } from '../bytes/crc16.js';
import { parseText } from '../bytes/text.js';
import { MAX_DB } from '../rdb/opcodes.js';
import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import { compileRegex, type TtlState } from './filters.js';

type Words = readonly string[];

/** Largest range of databases. */
const MAX_DB_RANGE = 65536;

const TTL_STATES: Readonly<Record<TtlState, true>> = { none: true, any: true, expired: true, live: true };

export const TYPE_NAMES: readonly RedisType[] = REDIS_TYPES;
export const TTL_NAMES = Object.keys(TTL_STATES) as TtlState[];

const UNIT = ['b', 'k', 'm', 'g', 't'];

/** Database numbers, single (`3`) or as an inclusive range (`0-3`); each once, in the order given. */
export function parseDbs(option: string, words: Words): number[] {
  const found = new Set<number>();
  const allowed = 'database numbers from 0, like 0, 0,3 or 0-3';
  for (const word of split(words)) {
    const [from, to] = range(option, word, MAX_DB, allowed);
    if (to - from >= MAX_DB_RANGE) throw refuse(option, word, `ranges of at most ${MAX_DB_RANGE} databases`);
    for (let db = from; db <= to; db++) found.add(db);
  }
  return [...found];
}

/** Cluster slots, single (`5`) or as an inclusive range (`0-5460`). */
export function parseSlots(option: string, words: Words): [from: number, to: number][] {
  return split(words).map((word) => range(option, word, SLOTS - 1, `slots from 0 to ${SLOTS - 1}, like 5 or 0-5460`));
}

/** Keys, prefixes or patterns: text, or `base64:` and the base64 of any bytes. */
export function parseKeys(option: string, words: Words): Uint8Array[] {
  return words.map((word) => {
    try {
      return parseText(word);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TypeError(`${option} ${word}: ${reason}`, { cause });
    }
  });
}

export function parseRegexes(option: string, words: Words): RegExp[] {
  return words.map((word) => compileRegex(word, `${option} ${word}`));
}

export function parseTypes(option: string, words: Words): RedisType[] {
  return split(words).map((word) => oneOf(option, word, TYPE_NAMES));
}

export function parseTtl(option: string, word: string): TtlState {
  return oneOf(option, word, TTL_NAMES);
}

/**
 * Bytes: a number with an optional unit, in any case. Every unit is a power of 1024: k, kb and kib are the same, also m, g
 * and t (redis.conf takes kb as 1024 too, but k as 1000). A fraction needs a unit of k or more and is rounded to whole bytes.
 */
export function parseSize(option: string, word: string): number {
  const [, digits = '', fraction = '', unit = ''] = /^(\d+)(\.\d+)?([bkmgt]?|[kmgt]i?b)$/i.exec(word) ?? [];
  const power = unit === '' ? 0 : UNIT.indexOf(unit[0].toLowerCase());
  const bytes = Math.round(Number(digits + fraction) * 1024 ** power);
  if (digits === '' || (fraction !== '' && power === 0) || !Number.isSafeInteger(bytes)) {
    throw refuse(option, word, 'a number of bytes, alone or with b, kb, mb, gb or tb (of 1024), like 10, 10kb or 1.5mb');
  }
  return bytes;
}

/** A whole number, at least 1. */
export function parseLimit(option: string, word: string): number {
  const limit = /^\d+$/.test(word) ? Number(word) : 0;
  if (limit < 1 || !Number.isSafeInteger(limit)) throw refuse(option, word, 'a whole number of keys, at least 1');
  return limit;
}

const split = (words: Words): string[] => words.flatMap((word) => word.split(','));

const refuse = (option: string, word: string, allowed: string): TypeError =>
  new TypeError(`${option} ${word === '' ? '""' : word}: expected ${allowed}`);

function range(option: string, word: string, max: number, allowed: string): [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(word);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (match === null || to > max || from > max) throw refuse(option, word, allowed);
  if (from > to) throw refuse(option, word, `a range from low to high, like ${to}-${from}`);
  return [from, to];
}

function oneOf<T extends string>(option: string, word: string, allowed: readonly T[]): T {
  const exact = allowed.find((name) => name === word);
  if (exact !== undefined) return exact;
  const near = allowed.find((name) => isNear(word.toLowerCase(), name));
  throw refuse(option, word, `one of ${allowed.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}`);
}

/** Whether one is a prefix of the other (`str`, `hashes`), or they differ in at most two letters (one, in short words). */
function isNear(word: string, name: string): boolean {
  if (word.length >= 3 && (name.startsWith(word) || word.startsWith(name))) return true;
  return distance(word, name) <= (name.length > 4 ? 2 : 1);
}

/** Levenshtein distance: letters to insert, delete or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) {
      next[k] = Math.min(row[k] + 1, next[k - 1] + 1, row[k - 1] + (a[i - 1] === b[k - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
