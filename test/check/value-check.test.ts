import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckLevel, type Finding, findingError, ValueCheck } from '../../src/check/value-check.js';
import { END, NEED } from '../../src/rdb/frame.js';
import { Framer } from '../../src/rdb/framer.js';
import { SERVERS, serverFile } from '../support/dump-support.js';
import { inTurn } from '../support/factor.js';
import { FILES, LARGE } from '../support/samples.js';
import { be, bytes, f64, intset, intStr, le, len, listpack, lzfStr, type Packable, type Part, rdb, str, ziplist, zipmap } from '../support/support.js';

interface Options {
  readonly level?: CheckLevel;
  readonly limit?: number;
}

interface Checked {
  readonly key: string;
  readonly findings: readonly Finding[];
  readonly more: number;
}

function checked(file: Uint8Array, { level, limit = Infinity }: Options = {}): Checked[] {
  const framer = new Framer({ limit, meta: false });
  const check = new ValueCheck({ level });
  const keys: Checked[] = [];
  framer.push(file);
  for (let kind = framer.next(); kind !== NEED && kind !== END; kind = framer.next()) {
    const { frame } = framer;
    check.frame(kind, frame);
    const key = Buffer.from(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd)).toString();
    if (frame.last) keys.push({ key, findings: [...check.findings.list], more: check.findings.more });
  }
  framer.finish();
  return keys;
}

const head = (type: number): string => (type === 1022 ? 'VALKEY080' : 'REDIS0015');
const fileOf = (type: number, value: Part, before: Part = []): Uint8Array => rdb(head(type), [before, type % 1000, str('k'), value]);
const textOf = (finding: Finding): string => {
  const { code, expected, got } = findingError(finding);
  return `${code}: expected ${expected}, got ${got}`;
};

const loop = (...items: Part[]): Part => [len(items.length), items];
const id = (ms: number, seq = 0): Part => [be(ms, 8), be(seq, 8)];
const raw = (packed: Uint8Array, at: number, byte: number): Part => str(packed.map((old, i) => (i === at ? byte : old)));
const NODE: readonly Packable[] = [2n, 0n, 1n, 'f', 0n, 2n, 0n, 0n, 'v', 4n, 2n, 1n, 0n, 'w', 4n];
const node = (...items: Packable[]): Part => str(listpack(items));
/** Type 21: nodes, length, last ID, groups. */
const stream = (nodes: Part[], length: number, last: Part, groups: Part[] = []): Part => [loop(...nodes), length, last, 0, 0, 0, 0, length, loop(...groups)];
const good: Part = [str(id(5)), node(...NODE)];
const pending = (...ms: number[]): Part => loop(...ms.map((each) => [id(each), le(1, 8), 1]));
const consumer = (name: string, ...ms: number[]): Part => [str(name), le(1, 8), le(1, 8), loop(...ms.map((each) => id(each)))];
const group = (name: string, pel: Part, ...consumers: Part[]): Part => [str(name), 6, 0, 0, pel, loop(...consumers)];
const grouped = (...groups: Part[]): Part => stream([good], 2, [6, 0], groups);

const CASES: readonly [name: string, type: number, value: Part, ...findings: RegExp[]][] = [
  ['a string that is damaged LZF', 0, [0xc3, 4, 20, 1, 0x61, 0x62, 0x63], /^BAD_LZF: /],
  ['a list without elements', 1, [0], /^EMPTY_VALUE: expected one element or more, got none$/],
  ['members of a set', 2, loop(str('1'), str('a'), intStr(1, 1), str('b'), str('a')), /every member once, got "1" again, at member 2$/, /got "a" again, at member 4$/],
  ['a NaN score as text', 3, loop([str('a'), str('nan')], [str('b'), 253], [str('c'), str('1.5')]), /^BAD_ZSET: expected a score, got nan, at member 0/, /got nan, at member 1/],
  ['a NaN score', 5, loop([str('a'), f64(NaN)], [str('a'), f64(1)]), /^BAD_ZSET: .* at member 0/, /^DUPLICATE: .*got "a" again, at member 1/],
  ['fields', 4, loop([str('f'), str('v')], [lzfStr('f'), str('v')]), /^DUPLICATE: expected every field once, got "f" again, at field 1/],
  ['another end byte of a listpack', 16, raw(listpack(['a', 'b']), 12, 0xfe), /^BAD_LISTPACK: expected a listpack element, got byte fe|the end byte ff, got byte fe/],
  ['backward lengths', 16, raw(listpack(['a', 'b', 'a', 'c']), 8, 3), /^BAD_LISTPACK: expected a backward length of 2, got 3, at element 0/, /^DUPLICATE: .* at field 1/],
  ['another total of a listpack', 17, raw(listpack(['a', 1n]), 0, 99), /expected a header that says \d+ bytes, got 99/],
  ['another count of a listpack', 20, raw(listpack(['a', 'b']), 4, 3), /expected a header that says 2 elements, got 3/],
  ['a listpack element that is too long', 18, loop([2, raw(listpack(['a', 'b']), 6, 0xbf)]), /expected a listpack element of at most \d+ bytes, got 64, at element 0/],
  ['a listpack that ends in an element', 18, loop([2, raw(listpack(['a', 'b']), 9, 0xf0)]), /^BAD_LISTPACK: /],
  ['an odd number in a hash', 16, str(listpack(['a', 'b', 'c'])), /^BAD_HASH: expected a value for every field, got one fewer/],
  ['an odd number in a sorted set', 17, str(listpack(['a'])), /^BAD_ZSET: expected a score for every member/],
  ['a NaN score in a listpack', 17, str(listpack(['a', 'nan', 'b', '-inf'])), /^BAD_ZSET: expected a score, got nan, at member 0/],
  ['an empty listpack', 20, str(listpack([])), /^EMPTY_VALUE: /],
  ['an integer for a listpack', 16, intStr(7, 1), /^BAD_STRING: expected a listpack, got an integer/],
  ['lengths of the entry before', 10, raw(ziplist(['a', 'b', 'c']), 13, 9), /^BAD_ZIPLIST: expected 3 as the length of the entry before, got 9, at element 1/],
  ['another tail of a ziplist', 10, raw(ziplist(['a', 'b']), 4, 10), /^BAD_ZIPLIST: expected 13 as the offset of the last entry, got 10/],
  ['another count of a ziplist', 12, raw(ziplist(['a', '1']), 8, 3), /expected a header that says 2 entries, got 3/],
  ['members of a ziplist', 12, str(ziplist(['a', '1', 'a', '2'])), /^DUPLICATE: .*got "a" again, at member 1/],
  ['an empty ziplist', 13, str(ziplist([])), /^EMPTY_VALUE: /],
  ['fields of a zipmap', 9, str(zipmap([['f', 'v'], ['f', 'w']], 1)), /^DUPLICATE: .*got "f" again, at field 1/],
  ['another count of a zipmap', 9, raw(zipmap([['f', 'v']], 0), 0, 9), /^BAD_ZIPMAP: expected a header that says 1 pairs, got 9/],
  ['a zipmap without a value', 9, str([1, 1, 'f', 0xff]), /^BAD_ZIPMAP: /, /^BAD_HASH: expected a value for every field/],
  ['the order of an intset', 11, str(intset(4, [5n, 3n, 3n])), /^BAD_INTSET: expected a greater integer .* at element 1/, /at element 2/],
  ['the order of a wide intset', 11, str(intset(8, [-(2n ** 62n), 2n ** 61n, 2n ** 60n])), /^BAD_INTSET: .* at element 2/],
  ['another count of an intset', 11, raw(intset(2, [1n, 2n]), 4, 3), /expected a header that says 2 integers of 2 bytes, got 3/],
  ['an intset of another width', 11, raw(intset(2, [1n, 2n]), 0, 3), /expected 2, 4 or 8 bytes per integer, got 3/],
  ['a node of another kind', 18, loop([3, str('a')]), /^BAD_QUICKLIST: expected a node of kind 1 or 2, got kind 3, at node 0/],
  ['an empty plain node', 18, loop([2, str(listpack(['a']))], [1, str()]), /^BAD_QUICKLIST: .*empty string, at node 1/],
  ['a list of empty nodes', 18, loop([2, str(listpack([]))], [2, str(listpack([]))]), /^EMPTY_VALUE: .*got empty nodes/],
  ['a node of an older list', 14, loop(str(ziplist(['a'])), raw(ziplist(['b']), 8, 2)), /^BAD_ZIPLIST: expected a header that says 1 entries, got 2/],
  ['the order of expiries', 25, [le(5, 8), str(listpack(['a', 'v', 9n, 'b', 'v', 5n, 'c', 'v', 0n, 'd', 'v', 6n]))], /^BAD_HASH: .*got 5 after 9, at field 1/, /got 6 after 0, at field 3/],
  ['an expiry that is none', 25, [le(5, 8), str(listpack(['a', 'v', 'soon', 'a', 'v', 0n]))], /^BAD_HASH: expected a field expiry/, /^DUPLICATE: /],
  ['expiries out of range', 24, [le(2n ** 60n, 8), loop([0, str('a'), str('v')], [2, str('b'), str('v')])], /^BAD_HASH: expected a least field expiry/, /^BAD_HASH: expected a field expiry .* at field 1/],
  ['fields with expiries', 24, [le(5, 8), loop([1, str('a'), str('v')], [0, str('a'), str('v')])], /^DUPLICATE: .* at field 1/],
  ['expiries out of range in Valkey', 1022, loop([str('a'), str('v'), le(-1, 8)], [str('b'), str('v'), le(-2, 8)]), /^BAD_HASH: .*or -1, .* at field 1/],
  ['the key of a node', 21, stream([[str('short'), node(...NODE)]], 2, [6, 0]), /^BAD_STREAM: expected an ID of 16 bytes as the key of a node/],
  ['a node twice', 21, stream([good, good], 4, [6, 0]), /^BAD_STREAM: expected a node with a greater ID than the entries before it, .* at node 1/],
  ['the order of entries', 21, stream([[str(id(5)), node(...NODE.with(11, 0n))]], 2, [6, 0]), /expected an entry with a greater ID .* at entry 1 of node 0/],
  ['flags of an entry', 21, stream([[str(id(5)), node(...NODE.with(5, 6n))]], 2, [6, 0]), /expected flags of an entry, 0 to 3, got 6/],
  ['counts of a node', 21, stream([[str(id(5)), node(...NODE.with(1, 1n))]], 2, [6, 0]), /expected 2 live and 0 deleted entries .* got 2 and 1/],
  ['an entry that is cut', 21, stream([[str(id(5)), node(...NODE.slice(0, -2))]], 2, [6, 0]), /expected an entry with all its fields and values, got one without, at entry 1/],
  ['a last ID that is too low', 21, stream([good], 2, [5, 9]), /expected a last ID that no entry exceeds/],
  ['another length', 21, stream([good], 3, [6, 0]), /expected a length of 2, as its nodes have entries, got 3/],
  ['groups', 21, grouped(group('g', pending()), group('g', pending())), /^DUPLICATE: expected every group once, got "g" again/],
  ['consumers', 21, grouped(group('g', pending(), consumer('c'), consumer('c'))), /^DUPLICATE: expected every consumer once, got "c" again/],
  ['a pending entry twice', 21, grouped(group('g', pending(5, 5), consumer('c', 5))), /a group's pending entry with a greater ID/, /an owner of every pending entry/],
  ['a pending entry without an owner', 21, grouped(group('g', pending(5, 6), consumer('c', 5))), /expected an owner of every pending entry, got 6-0 without one/],
  ['a pending entry with two owners', 21, grouped(group('g', pending(5), consumer('c', 5), consumer('d', 5))), /expected one owner of a pending entry, got a second one of 5-0/],
  ['an ID that is not pending', 21, grouped(group('g', pending(5), consumer('c', 5, 6))), /expected an ID that is in its group's pending list, got 6-0/],
  ['the order of an array', 28, [3, 0, [5, 0, str('a')], [5, 0, str('b')], [7, 1, le(1, 8)]], /^BAD_ARRAY: .*got 5, at element 1/],
  ['an array without elements', 28, [0, 0], /^EMPTY_VALUE: /],
  ['names of a template', 29, [0, str(listpack(['a', 'a'])), str(listpack([0n, 'v', 'w']))], /^DUPLICATE: .*got "a" again/],
  ['values of a template', 29, [0, str(listpack(['a', 'b'])), str(listpack([0n, 'v']))], /^BAD_TEMPLATE: expected 2 values, one per field, got 1/],
  ['names of a template one by one', 31, [1, loop(str('a'), str('b'), str('a')), str('u'), str('v'), str('w')], /^DUPLICATE: .* at field 2/],
  ['a damaged string of a module', 7, [0x81, be(0xb5eb2dffffddb401n, 8), 5, [0xc3, 4, 20, 1, 0x61, 0x62, 0x63], 0], /^BAD_LZF: /],
];

describe('finds', () => {
  test.each(CASES)('%s', (_, type, value, ...expected) => {
    const file = fileOf(type, value);
    const [{ findings }] = checked(file);
    expect(findings.map(textOf)).toEqual(expected.map((text) => expect.stringMatching(text) as string));
    for (const limit of [1, 12, 40]) expect(checked(file, { limit })[0].findings.map(textOf), `limit ${limit}`).toEqual(findings.map(textOf));
    const withoutDuplicates = findings.filter(({ code }) => code !== 'DUPLICATE' || type === 21);
    expect(checked(file, { level: 'structure' })[0].findings.map(textOf)).toEqual(withoutDuplicates.map(textOf));
  });

  test('the place: of the string, and in it', () => {
    const file = fileOf(16, lzfStr(listpack(['a'.repeat(40), 'b', 'a'.repeat(40), 'c'])));
    const value = 9 + 1 + 2;
    expect(checked(file)[0].findings).toMatchObject([{ code: 'DUPLICATE', offset: value, within: 6 + 42 + 3, part: 'field 1' }]);
    const plain = fileOf(2, loop(str('a'), str('b'), str('a')));
    expect(checked(plain)[0].findings).toMatchObject([{ offset: value + 1 + 4, within: undefined, part: 'member 2' }]);
  });

  test('no more than 16 of one value, and counts the others', () => {
    const [{ findings, more }] = checked(fileOf(2, loop(...Array.from({ length: 100 }, () => str('a')))));
    expect([findings.length, more]).toEqual([16, 83]);
  });

  test('what one value has is not told of the next', () => {
    const file = rdb('REDIS0011', [2, str('bad'), loop(str('a'), str('a')), 2, str('good'), loop(str('a')), 0, str('s'), str('v')]);
    expect(checked(file).map(({ key, findings }) => [key, findings.length])).toEqual([['bad', 1], ['good', 0], ['s', 0]]);
  });
});

describe('passes', () => {
  test.each(SERVERS)('every value of %s, whole and in parts', (name) => {
    for (const limit of inTurn([Infinity, 5000, 60], SERVERS.indexOf(name))) expect(checked(serverFile(name), { limit }).filter(({ findings }) => findings.length > 0)).toEqual([]);
  });

  test('lists with empty nodes, which old servers left, and streams without entries', () => {
    expect(checked(fileOf(18, loop([2, str(listpack([]))], [2, str(listpack(['a']))])))[0].findings).toEqual([]);
    expect(checked(fileOf(21, stream([], 0, [0, 0])))[0].findings).toEqual([]);
  });
});

test('the same is found of values in parts, however they are cut', () => {
  const files = [...Object.values(FILES), ...Object.values(LARGE)];
  fc.assert(
    fc.property(fc.nat(files.length - 1), fc.integer({ min: 1, max: 400 }), (number, limit) => {
      const whole = checked(files[number]).map(({ key, findings }) => [key, findings.map(textOf)]);
      expect(checked(files[number], { limit }).map(({ key, findings }) => [key, findings.map(textOf)])).toEqual(whole);
    }),
    { numRuns: 200 },
  );
});

describe('members that come twice are told', () => {
  test('where one is large and comes in pieces', () => {
    const large = (byte: number): Uint8Array => bytes('x'.repeat(200_000), byte);
    const file = fileOf(2, loop(str(large(1)), str(large(2)), lzfStr(large(1)), str('y'.repeat(65536)), str('y'.repeat(65536))));
    for (const limit of [Infinity, 150_000, 1000]) {
      expect(checked(file, { limit })[0].findings.map(({ code, part }) => [code, part])).toEqual([['DUPLICATE', 'member 2'], ['DUPLICATE', 'member 4']]);
    }
  });
});
