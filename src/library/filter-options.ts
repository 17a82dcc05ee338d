import { SLOTS } from '../bytes/crc16.js';
import { parseText } from '../bytes/text.js';
import { REDIS_TYPES, type RedisType } from '../rdb/types.js';
import { compileFilter, type Filter, type TtlState, type FilterOptions as ValuesFilterOptions } from '../values/filters.js';
import { type Check, checkOptions, isNumber, isWhole, listOf, oneOf } from './checks.js';

/**
 * Which keys to yield. The values of one option are alternatives, different options must all hold; an absent option or an
 * empty array does not restrict. A key that does not pass is skipped without being decoded.
 *
 * Keys and patterns are bytes, or strings in the text form: UTF-8, or `base64:` and the base64 of any bytes.
 */
export interface FilterOptions {
  /** Database numbers. */
  db?: readonly number[] | undefined;
  /** Prefixes of the key. */
  prefix?: readonly (string | Uint8Array)[] | undefined;
  notPrefix?: readonly (string | Uint8Array)[] | undefined;
  /** Redis glob patterns for the whole key, as KEYS and SCAN take them. */
  match?: readonly (string | Uint8Array)[] | undefined;
  notMatch?: readonly (string | Uint8Array)[] | undefined;
  /**
   * Found anywhere in the key unless anchored. Always in Unicode mode; the flags g and y are ignored. A key that is valid
   * UTF-8 is matched as that text, any other as Latin-1, so that `\xff` finds the byte ff.
   */
  regex?: readonly (RegExp | string)[] | undefined;
  notRegex?: readonly (RegExp | string)[] | undefined;
  type?: readonly RedisType[] | undefined;
  notType?: readonly RedisType[] | undefined;
  /** Ranges of cluster slots, inclusive. */
  slot?: readonly (readonly [from: number, to: number])[] | undefined;
  /** none: no expiry; any: has one; expired: has one, at or before `now`; live: not expired, so also without expiry. */
  ttl?: TtlState | undefined;
  /** Size of the value as stored in the file (packed and compressed), bytes; inclusive. */
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** Unix milliseconds that `ttl` compares with; default: the time of the call. */
  now?: number | undefined;
}

const TTL_STATES: Readonly<Record<TtlState, true>> = { none: true, any: true, expired: true, live: true };

const isType = (value: unknown): boolean => REDIS_TYPES.some((type) => type === value);
const isSlot = (value: unknown): boolean => isWhole(value) && value < SLOTS;

const keys = listOf('strings and Uint8Arrays', (value) => typeof value === 'string' || value instanceof Uint8Array);
const expressions = listOf('regular expressions', (value) => typeof value === 'string' || value instanceof RegExp);
const types = listOf(`types: ${REDIS_TYPES.join(', ')}`, isType);

const CHECKS: Readonly<Record<keyof FilterOptions, Check>> = {
  db: listOf('database numbers', isWhole),
  prefix: keys,
  notPrefix: keys,
  match: keys,
  notMatch: keys,
  regex: expressions,
  notRegex: expressions,
  type: types,
  notType: types,
  slot: listOf(
    `pairs [from, to] of slots, from low to high, 0 to ${SLOTS - 1}`,
    (value) => Array.isArray(value) && value.length === 2 && value.every(isSlot) && value[0] <= value[1],
  ),
  ttl: oneOf(Object.keys(TTL_STATES)),
  minSize: isNumber,
  maxSize: isNumber,
  now: isNumber,
};

/** Throws TypeError for invalid options. */
export function filterOf(options: FilterOptions): Filter {
  checkOptions('filter', options, CHECKS);
  const { prefix, notPrefix, match, notMatch, ...rest } = options;
  const compiled: ValuesFilterOptions = {
    ...rest,
    prefix: bytesOf(prefix),
    notPrefix: bytesOf(notPrefix),
    match: bytesOf(match),
    notMatch: bytesOf(notMatch),
  };
  return compileFilter(compiled);
}

function bytesOf(keys: FilterOptions['prefix']): Uint8Array[] {
  return (keys ?? []).map((key) => (typeof key === 'string' ? parseText(key) : key));
}
