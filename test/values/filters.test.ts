import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { readOptions } from '../../src/cli/options/read.js';
import { filterOf } from '../../src/cli/sources.js';
import { compileFilter, type FilterOptions, type RecordHead, type TtlState } from '../../src/values/filters.js';
import type { RedisType } from '../../src/rdb/types.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

interface Given { db?: number; type?: RedisType; expireAt?: number; key?: Uint8Array }

/** The key stands between other bytes, as it does in a file. */
function head({ db = 0, type = 'string', expireAt, key = utf8('key') }: Given): RecordHead {
  const keyBytes = Uint8Array.from([0x6b, ...key, 0x6b]);
  const expiry = { hasExpire: expireAt !== undefined, expireAt: expireAt ?? -1 };
  return { db, redisType: type, keyBytes, keyStart: 1, keyEnd: 1 + key.length, ...expiry };
}

const passes = (options: FilterOptions, given: Given): boolean => compileFilter(options).head(head(given));
const passesKey = (options: FilterOptions, key: string): boolean => passes(options, { key: utf8(key) });

describe('compileFilter', () => {
  test('without options, or with empty ones, everything passes', () => {
    for (const options of [{}, { db: [], prefix: [], notMatch: [], regex: [], type: [], slot: [] }, filterOf(readOptions('decode', {}, {}))]) {
      const filter = compileFilter(options);
      expect(filter).toMatchObject({ active: false, minSize: 0, maxSize: Infinity });
      expect(filter.head(head({}))).toBe(true);
    }
  });

  test('active as soon as something is asked', () => {
    const options: FilterOptions[] = [{ db: [0] }, { notRegex: ['a'] }, { ttl: 'any' }, { minSize: 1 }, { maxSize: 0 }];
    for (const one of options) expect(compileFilter(one).active).toBe(true);
  });

  test('a kernel can tell unless patterns or slots are asked for, or no key at all could pass', () => {
    const some: FilterOptions[] = [{}, { db: [0], type: ['hash'], notType: ['set'], ttl: 'live', minSize: 1, prefix: [utf8('a')], notPrefix: [utf8('b')] }];
    for (const one of some) expect(compileFilter(one).plain).toBeDefined();
    const others: FilterOptions[] = [{ match: [utf8('a*')] }, { notMatch: [utf8('a*')] }, { regex: ['a'] }, { notRegex: ['a'] }, { slot: [[0, 1]] }, { notPrefix: [utf8('')] }];
    for (const one of others) expect(compileFilter({ ...one, db: [0] }).plain).toBeUndefined();
    expect(compileFilter({ prefix: [utf8('a'), utf8('')] }).plain).toMatchObject({ prefixes: undefined });
  });

  test('sizes are handed on; no size could be in an empty range', () => {
    expect(compileFilter({ minSize: 5, maxSize: 5 })).toMatchObject({ minSize: 5, maxSize: 5 });
    expect(() => compileFilter({ minSize: 6, maxSize: 5 })).toThrow(TypeError);
    expect(() => compileFilter({ minSize: NaN })).toThrow(TypeError);
  });

  const states: [TtlState, none: boolean, past: boolean, now: boolean, future: boolean][] = [
    ['none', true, false, false, false],
    ['any', false, true, true, true],
    ['expired', false, true, true, false],
    ['live', true, false, false, true],
  ];
  test.each(states)('ttl %s', (ttl, ...expected) => {
    expect([{}, { expireAt: 999 }, { expireAt: 1000 }, { expireAt: 1001 }].map((r) => passes({ ttl, now: 1000 }, r))).toEqual(expected);
  });

  test('ttl compares with the time of compiling by default', () => {
    expect(passes({ ttl: 'expired' }, { expireAt: Date.now() - 1 })).toBe(true);
    expect(passes({ ttl: 'live' }, { expireAt: Date.now() + 60_000 })).toBe(true);
  });

  test('a regular expression is found anywhere, sees whole characters, and keeps its flags', () => {
    expect(passesKey({ regex: ['e:\\d+'] }, 'cache:17')).toBe(true);
    expect(passesKey({ regex: ['^.$'] }, '😀')).toBe(true);
    expect(passesKey({ regex: [/^\p{L}+$/u] }, 'grün')).toBe(true);
    expect(passesKey({ regex: [/KEY/i] }, 'key')).toBe(true);
    expect(passesKey({ regex: [new RegExp('^[\\p{L}--[a-z]]$', 'v')] }, 'A')).toBe(true);
    expect(passesKey({ regex: ['^\ufeffa'] }, '\ufeffa')).toBe(true);
  });

  test('a key that is not UTF-8 is matched as Latin-1', () => {
    expect(passes({ regex: ['^\\xff\\x61$'] }, { key: latin1('\xffa') })).toBe(true);
    expect(passes({ regex: ['^é$'] }, { key: latin1('\xe9') })).toBe(true);
    expect(passes({ regex: ['^Ã'] }, { key: utf8('é') })).toBe(false);
  });

  test('the flags g and y do not make it depend on the record before', () => {
    const given = /key/gy;
    given.lastIndex = 2;
    const filter = compileFilter({ regex: [given], notRegex: [/x/g] });
    expect([1, 2, 3, 4].map(() => filter.head(head({})))).toEqual([true, true, true, true]);
    expect(passesKey({ regex: [given] }, 'a key')).toBe(true);
    expect(given.lastIndex).toBe(2);
  });

  test('what Unicode mode does not allow is refused', () => {
    expect(() => compileFilter({ regex: ['a{'] })).toThrow(/^regex: .*Unicode mode/);
    expect(() => compileFilter({ notRegex: [/\-/] })).toThrow(/^notRegex: .*Unicode mode/);
  });

  test('later changes to the options do not reach it', () => {
    const options = { db: [1], prefix: [utf8('k')] };
    const filter = compileFilter(options);
    options.db[0] = 2;
    options.prefix[0].fill(0);
    expect(filter.head(head({ db: 1 }))).toBe(true);
  });
});

const NOW = 5;
const TYPES: RedisType[] = ['string', 'list', 'hash'];
const key = fc.array(fc.constantFrom(0x61, 0x62, 0x7b, 0x7d, 0xff), { maxLength: 5 }).map((bytes) => Uint8Array.from(bytes));
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[] | undefined> => fc.option(fc.array(arbitrary, { maxLength: 2 }), { nil: undefined, freq: 1 });
const slots = fc.tuple(fc.nat(16383), fc.nat(16383)).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]);

test('any options and record: the same as asking one option after another', () => {
  const options = fc.record({
    db: some(fc.nat(2)), type: some(fc.constantFrom(...TYPES)), notType: some(fc.constantFrom(...TYPES)), slot: some(slots),
    prefix: some(key), notPrefix: some(key), match: some(key), notMatch: some(key), regex: some(fc.constantFrom('^a', 'b$', 'ÿ')),
    notRegex: some(fc.constantFrom('aa', 'ÿ$')), ttl: fc.constantFrom(undefined, 'none', 'any', 'expired', 'live'), now: fc.constant(NOW),
  });
  const given = fc.record({ db: fc.nat(2), type: fc.constantFrom(...TYPES), expireAt: fc.option(fc.nat(2 * NOW), { nil: undefined }), key });
  fc.assert(fc.property(options, fc.array(given, { minLength: 1 }), (o, records) => {
    const filter = compileFilter(o);
    for (const r of records) expect(filter.head(head(r as Given))).toBe(naive(o as FilterOptions, r as Given & { key: Uint8Array }));
  }), { numRuns: 1000 });
});

/** The keys and patterns above have no wildcards, and with ff in them they are never UTF-8. */
function naive(o: FilterOptions, r: Given & { key: Uint8Array }): boolean {
  const text = String.fromCharCode(...r.key);
  const any = <T>(values: readonly T[] | undefined, absent: boolean, fits: (value: T) => boolean): boolean =>
    values === undefined || values.length === 0 ? absent : values.some(fits);
  const start = (p: Uint8Array): boolean => text.startsWith(String.fromCharCode(...p));
  const same = (p: Uint8Array): boolean => text === String.fromCharCode(...p);
  const found = (re: RegExp | string): boolean => new RegExp(re).test(text);
  const slot = keySlot(r.key);
  const state = r.expireAt === undefined ? ['none', 'live'] : ['any', r.expireAt > NOW ? 'live' : 'expired'];
  return any(o.db, true, (db) => db === r.db) && any(o.type, true, (t) => t === r.type) && !any(o.notType, false, (t) => t === r.type)
    && any(o.prefix, true, start) && !any(o.notPrefix, false, start) && any(o.match, true, same) && !any(o.notMatch, false, same)
    && any(o.regex, true, found) && !any(o.notRegex, false, found) && any(o.slot, true, ([a, b]) => a <= slot && slot <= b)
    && (o.ttl === undefined || state.includes(o.ttl));
}
