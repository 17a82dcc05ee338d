import fc from 'fast-check';
import { TARGETS } from '../../src/values/targets.js';
import { bytes, f64, intStr, le, len, listpack, lzfStr, type Packable, type Part, str } from './support.js';

export const REDIS = 'REDIS0015';
export const VALKEY = 'VALKEY080';

/** One target for every different table. */
export const DISTINCT = TARGETS.filter((target, i) => TARGETS.findIndex(({ vendor, rdbVersion, wide }) => vendor === target.vendor && rdbVersion === target.rdbVersion && wide === target.wide) === i);

const borders = (bits: number[]): bigint[] => bits.flatMap((n) => [2n ** BigInt(n) - 1n, 2n ** BigInt(n), -(2n ** BigInt(n)), -(2n ** BigInt(n)) - 1n]);
const integer = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-200n, 200n), fc.constantFrom(...borders([7, 12, 15, 23, 31, 53]), -(2n ** 63n), 2n ** 63n - 1n));
const long = fc.constantFrom(63, 64, 65, 249, 250, 251, 252, 253, 254, 255, 4095, 4096, 16383, 16384).map((size) => bytes('b'.repeat(size)));
const text = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 70 }) },
  { weight: 2, arbitrary: fc.constantFrom('', '0', '-0', '01', '12', '13', '-1', '4294967296', '9223372036854775807', '9223372036854775808').map((plain) => bytes(plain)) },
);
const small = fc.oneof(integer, text);
const any = fc.oneof({ weight: 5, arbitrary: small }, { weight: 1, arbitrary: long });
const item = fc.oneof({ weight: 3, arbitrary: small }, any);

const shown = (packable: Packable): string => (typeof packable === 'bigint' ? packable.toString() : Buffer.from(packable).toString('hex'));
const distinct = <T>(of: (one: T) => Packable) => ({ selector: (one: T) => shown(of(one)), maxLength: 30, minLength: 1 });

/** A string as one of the encodings that a plain value may have. */
export const plain = (packable: Packable): Part => {
  if (typeof packable === 'bigint') return packable === BigInt.asIntN(32, packable) ? intStr(Number(packable), 4) : str(packable.toString());
  return packable.length > 60 ? lzfStr(packable) : str(packable);
};
export const loop = (...items: Part[]): Part => [len(items.length), items];

export interface Source {
  head: string;
  type: number;
  value: Part;
  before?: Part;
}

const pairs = (one: fc.Arbitrary<Packable>) => fc.uniqueArray(fc.tuple(one, one), distinct(([field]) => field));
const sometimes = fc.oneof(fc.constant(0n), fc.bigInt(1_700_000_000_000n, 1_800_000_000_000n), fc.bigInt(1n, 2n ** 46n));
const expiring = (one: fc.Arbitrary<Packable>) => fc.uniqueArray(fc.tuple(one, one, sometimes), distinct(([field]) => field));
const least = (triples: readonly (readonly [Packable, Packable, bigint])[]): bigint => triples.reduce((min, [, , at]) => (at > 0n && (min === 0n || at < min) ? at : min), 0n);
const score = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, -0, Infinity, -Infinity, 1e21, 5e-324, 0.1, 2 ** 53, 2 ** 63, 1 / 3), fc.integer());
const scored = (one: fc.Arbitrary<Packable>) => fc.uniqueArray(fc.tuple(one, score), distinct(([member]) => member));
const scoreText = (value: number): Packable => {
  if (Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 2 ** 53) return BigInt(value);
  return Object.is(value, -0) ? '-0' : value === Infinity ? 'inf' : value === -Infinity ? '-inf' : String(value);
};

export const SOURCES: Readonly<Record<string, fc.Arbitrary<Source>>> = {
  'list, quicklist of ziplists or of listpacks and plain nodes': fc.array(fc.oneof(fc.array(item, { minLength: 1, maxLength: 12 }), any.map((one) => ({ one }))), { minLength: 1, maxLength: 5 }).map((nodes) => ({
    head: REDIS,
    type: 18,
    value: loop(...nodes.map((node): Part => (Array.isArray(node) ? [2, str(listpack(node))] : [1, plain(node.one)]))),
  })),
  'set, listpack of anything': fc.uniqueArray(item, distinct((one) => one)).map((items) => ({ head: REDIS, type: 20, value: str(listpack(items)) })),
  'set, listpack of integers': fc.uniqueArray(integer, distinct((one) => one)).map((items) => ({ head: REDIS, type: 20, value: lzfStr(listpack(items)) })),
  'zset, listpack': scored(item).map((members) => ({ head: REDIS, type: 17, value: str(listpack(members.flatMap(([member, s]) => [member, scoreText(s)]))) })),
  'zset, binary scores': scored(any).map((members) => ({ head: REDIS, type: 5, value: loop(...members.map(([member, s]): Part => [plain(member), f64(s)])) })),
  'hash, listpack': pairs(item).map((fields) => ({ head: REDIS, type: 16, value: str(listpack(fields.flat())) })),
  'hash, listpack, small': pairs(fc.oneof(integer, fc.uint8Array({ maxLength: 20 }))).map((fields) => ({ head: REDIS, type: 16, value: lzfStr(listpack(fields.flat())) })),
  'hash with expiries, listpack': expiring(item).map((fields) => ({ head: REDIS, type: 25, value: [le(least(fields), 8), str(listpack(fields.flat()))] })),
  'hash with expiries, listpack, before 7.4': expiring(item).map((fields) => ({ head: REDIS, type: 23, value: str(listpack(fields.flat())) })),
  'hash with expiries': expiring(any).map((fields) => ({
    head: REDIS,
    type: 24,
    value: [le(least(fields), 8), loop(...fields.map(([field, value, at]): Part => [len(at === 0n ? 0n : at - least(fields) + 1n), plain(field), plain(value)]))],
  })),
  'hash with expiries, before 7.4': expiring(any).map((fields) => ({ head: REDIS, type: 22, value: loop(...fields.map(([field, value, at]): Part => [len(at), plain(field), plain(value)])) })),
  'hash with expiries, Valkey': expiring(any).map((fields) => ({ head: VALKEY, type: 22, value: loop(...fields.map(([field, value, at]): Part => [plain(field), plain(value), le(at === 0n ? -1n : at, 8)])) })),
  'hash with a template, listpack': pairs(item).map((fields) => ({ head: REDIS, type: 29, value: [0, str(listpack(fields.map(([field]) => field))), str(listpack([0n, ...fields.map(([, value]) => value)]))] })),
  'hash with a template': pairs(any).map((fields) => ({ head: REDIS, type: 31, value: [1, loop(...fields.map(([field]) => plain(field))), fields.map(([, value]) => plain(value))] })),
  'hash with a template of the file, listpack': pairs(item).map((fields) => ({
    head: REDIS,
    type: 30,
    value: str(listpack([7n, ...fields.map(([, value]) => value)])),
    before: [242, 7, loop(...fields.map(([field]) => plain(field)))],
  })),
  'hash with a template of the file': pairs(any).map((fields) => ({ head: REDIS, type: 32, value: [7, fields.map(([, value]) => plain(value))], before: [242, 7, loop(...fields.map(([field]) => plain(field)))] })),
};
