/**
 * Selects records. The values of one option are alternatives, different options must all hold, and a `not…` option excludes
 * what any of its values matches. An absent option or an empty list does not restrict.
 *
 * Regular expressions match text, but keys are bytes: a key that is valid UTF-8 is matched as that text, any other as Latin-1
 * (each byte is the character with that code, so `\xff` finds the byte ff).
 */
import { keySlot } from '../bytes/crc16.js';
import { compileGlob } from '../bytes/glob.js';
import { decodeLatin1, decodeUtf8 } from '../bytes/text.js';
import type { RowFilter } from '../kernels/codec.js';
import { TTL_ALL, TTL_EXPIRED, TTL_LIVE, TTL_NONE } from '../kernels/layout.js';
import { REDIS_TYPES } from '../rdb/frame-table.js';
import type { RedisType } from '../rdb/types.js';

/** none: no expiry; any: has one; expired: has one, at or before `now`; live: not expired, so also without expiry. */
export type TtlState = 'none' | 'any' | 'expired' | 'live';

type List<T> = readonly T[] | undefined;

export interface FilterOptions {
  db?: List<number>;
  /** Key prefixes. */
  prefix?: List<Uint8Array>;
  notPrefix?: List<Uint8Array>;
  /** Redis glob patterns for the whole key. */
  match?: List<Uint8Array>;
  notMatch?: List<Uint8Array>;
  /** Found anywhere in the key unless anchored. Always in Unicode mode; the flags g and y are ignored. */
  regex?: List<RegExp | string>;
  notRegex?: List<RegExp | string>;
  type?: List<RedisType>;
  notType?: List<RedisType>;
  /** Cluster slots, first and last. */
  slot?: List<readonly [from: number, to: number]>;
  /** Keys are tested by these names instead of their own: it passes each to `passes` until one passes. */
  names?: ((key: KeyPlace, passes: (name: KeyPlace) => boolean) => boolean) | undefined;
  ttl?: TtlState | undefined;
  /** Serialized size in bytes; inclusive. */
  minSize?: number | undefined;
  maxSize?: number | undefined;
  /** Unix milliseconds that `ttl` compares with; by default the time of `compileFilter`. */
  now?: number | undefined;
}

/**
 * What is known of a record before its value is decoded. The key is `keyBytes[keyStart, keyEnd)`; filters keep no reference to it.
 */
export interface RecordHead {
  db: number;
  redisType: RedisType;
  keyBytes: Uint8Array;
  keyStart: number;
  keyEnd: number;
  hasExpire: boolean;
  /** Unix milliseconds; -1 when `hasExpire` is false. */
  expireAt: number;
}

export interface Filter {
  /** Tests everything but the size. */
  readonly head: (record: RecordHead) => boolean;
  /** Bytes; 0 if not restricted. */
  readonly minSize: number;
  /** Bytes; Infinity if not restricted. */
  readonly maxSize: number;
  /** The same for a kernel, if one can tell. */
  readonly plain: RowFilter | undefined;
  /** False if every record passes. */
  readonly active: boolean;
}

type Test<T = RecordHead> = (record: T) => boolean;
/** One that needs the key alone. */
type KeyTest = Test<KeyPlace>;

/** Throws TypeError for a pattern that is no regular expression in Unicode mode, and for a minSize above maxSize. */
export function compileFilter(options: FilterOptions): Filter {
  const { minSize = 0, maxSize = Infinity } = options;
  if (!(minSize <= maxSize)) throw new TypeError(`minSize ${minSize} is above maxSize ${maxSize}: no record could pass`);
  const { now = Date.now() } = options;
  const tests = headTests(options, now);
  return {
    head: all(tests),
    minSize,
    maxSize,
    plain: plainFilter(options, now, minSize, maxSize),
    active: tests.length > 0 || minSize > 0 || maxSize < Infinity,
  };
}

/** Where a key is. */
export type KeyPlace = Pick<RecordHead, 'keyBytes' | 'keyEnd' | 'keyStart'>;

/** What the options say of keys alone; undefined if they say nothing. Throws TypeError, as `compileFilter`. */
export function compileKeyFilter(options: FilterOptions): ((key: KeyPlace) => boolean) | undefined {
  const tests = keyTests(options);
  return tests.length === 0 ? undefined : all(tests);
}

/** One test without the loop: it is called for every key. */
function all<T>(tests: readonly Test<T>[]): Test<T> {
  if (tests.length === 1) return tests[0];
  return (record) => {
    for (let i = 0; i < tests.length; i++) if (!tests[i](record)) return false;
    return true;
  };
}

/**
 * Whether function libraries are included by default: not if only some keys are chosen. Libraries belong to all databases, so a
 * choice of databases does not matter.
 */
export function takesFunctions({ filter = {}, limit }: { filter?: FilterOptions | undefined; limit?: number | undefined }): boolean {
  return limit === undefined && !compileFilter({ ...filter, db: undefined }).active;
}

/**
 * The same expression in Unicode mode and without state (flags g, y). Throws TypeError, naming `option`, if Unicode mode does not
 * allow it.
 */
export function compileRegex(source: RegExp | string, option = 'regex'): RegExp {
  const { source: pattern, flags } = typeof source === 'string' ? { source, flags: '' } : source;
  try {
    return new RegExp(pattern, (flags.includes('v') ? '' : 'u') + flags.replace(/[guy]/g, ''));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`${option}: not a JavaScript regular expression in Unicode mode (flag u): ${reason}`, { cause });
  }
}

/** Cheapest first. */
function headTests(options: FilterOptions, now: number): Test[] {
  const [db, type, notType] = [list(options.db), list(options.type), list(options.notType)];
  const tests: Test[] = [];
  if (db.length > 0) tests.push((r) => db.includes(r.db));
  if (type.length > 0) tests.push((r) => type.includes(r.redisType));
  if (notType.length > 0) tests.push((r) => !notType.includes(r.redisType));
  if (options.ttl !== undefined) tests.push(TTL_TESTS[options.ttl](now));
  return [...tests, ...keyTests(options)];
}

/** Cheapest first, too. */
function keyTests(options: FilterOptions): KeyTest[] {
  const [prefix, notPrefix] = [list(options.prefix), list(options.notPrefix)];
  const [match, notMatch] = [list(options.match).map(globTest), list(options.notMatch).map(globTest)];
  const regex = list(options.regex).map((source) => compileRegex(source, 'regex'));
  const notRegex = list(options.notRegex).map((source) => compileRegex(source, 'notRegex'));
  const slot = list(options.slot);

  const tests: KeyTest[] = [];
  if (prefix.length > 0) tests.push(prefixTest(prefix));
  if (notPrefix.length > 0) tests.push(not(prefixTest(notPrefix)));
  if (slot.length > 0) tests.push(slotTest(slot));
  if (match.length > 0) tests.push((r) => some(match, r));
  if (notMatch.length > 0) tests.push((r) => !some(notMatch, r));
  if (regex.length > 0 || notRegex.length > 0) tests.push(regexTest(regex, notRegex));
  const { names } = options;
  if (names === undefined || tests.length === 0) return tests;
  const passes = all(tests);
  return [(r) => names(r, passes)];
}

const TTL_BITS: Readonly<Record<TtlState, number>> = {
  none: TTL_NONE,
  any: TTL_LIVE | TTL_EXPIRED,
  expired: TTL_EXPIRED,
  live: TTL_NONE | TTL_LIVE,
};

/** Undefined if it takes more than comparing numbers and prefixes. */
function plainFilter(options: FilterOptions, now: number, minSize: number, maxSize: number): RowFilter | undefined {
  const { match, names, notMatch, notRegex, regex, slot, ttl } = options;
  const [db, type, notType] = [list(options.db), list(options.type), list(options.notType)];
  const [prefix, notPrefix] = [list(options.prefix), list(options.notPrefix)];
  if ([slot, match, notMatch, regex, notRegex].some((more) => list<unknown>(more).length > 0) || notPrefix.some(isEmpty)) return undefined;
  if (names !== undefined && prefix.length + notPrefix.length > 0) return undefined;
  const fits = (redisType: RedisType): boolean => (type.length === 0 || type.includes(redisType)) && !notType.includes(redisType);
  return {
    dbs: db.length > 0 ? db.filter((number) => number === (number | 0)) : undefined,
    types: type.length + notType.length > 0 ? REDIS_TYPES.map(fits) : undefined,
    prefixes: prefix.length > 0 && !prefix.some(isEmpty) ? prefix.map((bytes) => bytes.slice()) : undefined,
    notPrefixes: notPrefix.length > 0 ? notPrefix.map((bytes) => bytes.slice()) : undefined,
    ttl: ttl === undefined ? TTL_ALL : TTL_BITS[ttl],
    now,
    minSize,
    maxSize,
  };
}

const isEmpty = ({ length }: Uint8Array): boolean => length === 0;

const list = <T>(values: List<T>): readonly T[] => [...(values ?? [])];

function some(tests: readonly KeyTest[], record: KeyPlace): boolean {
  for (let i = 0; i < tests.length; i++) if (tests[i](record)) return true;
  return false;
}

const TTL_TESTS: Readonly<Record<TtlState, (now: number) => Test>> = {
  none: () => (r) => !r.hasExpire,
  any: () => (r) => r.hasExpire,
  expired: (now) => (r) => r.hasExpire && r.expireAt <= now,
  live: (now) => (r) => !r.hasExpire || r.expireAt > now,
};

const not = (test: KeyTest): KeyTest => (r) => !test(r);

/** Whether the key begins with one of the prefixes, which are found by its first byte. */
export function prefixTest(prefixes: readonly Uint8Array[]): KeyTest {
  if (prefixes.some(isEmpty)) return () => true;
  const byFirst = Array.from({ length: 256 }, (): Uint8Array[] => []);
  for (const prefix of prefixes) byFirst[prefix[0]].push(prefix.slice());
  return ({ keyBytes, keyEnd, keyStart }) => {
    if (keyStart === keyEnd) return false;
    const wanted = byFirst[keyBytes[keyStart]];
    for (let i = 0; i < wanted.length; i++) if (startsWith(keyBytes, keyStart, keyEnd, wanted[i])) return true;
    return false;
  };
}

export function startsWith(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
  return true;
}

function globTest(pattern: Uint8Array): KeyTest {
  const fits = compileGlob(pattern);
  return (r) => fits(r.keyBytes, r.keyStart, r.keyEnd);
}

function slotTest(ranges: readonly (readonly [number, number])[]): KeyTest {
  return (r) => {
    const slot = keySlot(r.keyBytes, r.keyStart, r.keyEnd);
    for (let i = 0; i < ranges.length; i++) if (slot >= ranges[i][0] && slot <= ranges[i][1]) return true;
    return false;
  };
}

function regexTest(wanted: readonly RegExp[], unwanted: readonly RegExp[]): KeyTest {
  return (r) => {
    const text = decodeUtf8(r.keyBytes, r.keyStart, r.keyEnd) ?? decodeLatin1(r.keyBytes, r.keyStart, r.keyEnd);
    return (wanted.length === 0 || wanted.some((re) => re.test(text))) && !unwanted.some((re) => re.test(text));
  };
}
