import fc from 'fast-check';
import { be, bytes, f64, intset, intStr, le, len, listpack, lzfStr, type Part, rdb, str, ziplist, zipmap } from './support.js';

export const loop = (...items: Part[]): Part => [len(items.length), items];
export const id = (ms: number, seq: number): Part => [be(ms, 8), be(seq, 8)];
const nodes = loop([str(id(5, 1)), lzfStr(listpack([2n, 1n, 1n, 'f', 0n, 2n, 0n, 0n, 'v'.repeat(40), 4n, 3n, 0n, 1n, 'w', 4n, 0n, 1n, 0n, 1n, 'g', 7n, 6n]))]);
const pel = loop([id(5, 1), le(1, 8), 3], [id(6, 1), le(2, 8), 1]);
const tail: Part = [5, 1, 5, 2, 3, loop([str('g'), 6, 0, 0x81, be(2n ** 64n - 1n, 8), pel, loop([str('c'), le(1, 8), le(-1, 8), loop(id(5, 1))]), loop(id(6, 1))])];
const idempotence: Part = [len(600), len(100), loop([str('p'), loop([str('i'), 5, 1])]), 1, 2];
const moduleValue: Part = [0x81, be(0xb5eb2dffffddb401n, 8), 2, 42, 3, le(1, 4), 4, f64(2), 5, str('part'), 0];
const mixed = ['a', 5n, 'b'.repeat(70), -3000n, 2n ** 40n, 7n];

/** Small files with every type and opcode. */
export const FILES: Readonly<Record<string, Uint8Array>> = {
  plain: rdb('REDIS0012', [
    [0xfa, str('redis-ver'), str('8.0.0'), 0xf5, str('#!lua name=x'), 0xf7, moduleValue, 0xfe, 3, 0xfb, 3, 1, 0xf4, 5, 1, 0],
    [0xfc, le(1_700_000_000_123, 8), 0xf8, len(300), 0, str('s'), intStr(-300, 2)],
    [0xfd, le(1_700_000_000, 4), 0xf9, 7, 0, lzfStr('k'.repeat(40)), lzfStr('v'.repeat(400))],
    [1, str('l'), loop(str('a'), intStr(1, 1)), 2, str('e'), loop(str('a'.repeat(70)))],
    [3, str('z'), loop([str('m'), 3, '1.5'], [str('n'), 254]), 5, str('y'), loop([str('m'), f64(1.5)])],
    [4, str('h'), loop([str('f'), str('v'.repeat(100))], [str('g'), str()])],
  ]),
  packed: rdb('REDIS0012', [
    [9, str('m'), str(zipmap([['f', 'v'], ['g', 'w'.repeat(260)]], 2))],
    [10, str('l'), str(ziplist(mixed)), 12, str('z'), str(ziplist(['a', '1.5', 'b', 2n])), 13, str('h'), lzfStr(ziplist(['f', 'v'.repeat(300)]))],
    [11, str('i'), str(intset(4, [-5n, 70_000n])), 14, str('q'), loop(str(ziplist(mixed)), str(ziplist(['x'])))],
    [16, str('h'), str(listpack(mixed)), 17, str('z'), str(listpack(['a', '1.5', 'b', 2n])), 20, str('s'), lzfStr(listpack(mixed))],
    [18, str('q'), loop([2, str(listpack(mixed))], [1, str('p'.repeat(80))])],
  ]),
  recent: rdb('REDIS0015', [
    [0xf2, 3, loop(str('a'), str('b')), 0xf3, 1, le(0x12345619, 4), 2, 5, 0, 30, str('t'), str(listpack([3n, 'v', 'w']))],
    [29, str('t'), 0, str(listpack(['a', 'b'])), str(listpack([0n, 'v', 'w'])), 31, str('t'), 1, loop(str('a')), str('v'), 32, str('t'), 3, str('v'), str('w')],
    [22, str('h'), loop([0, str('f'), str('v')], [len(1_700_000_000_000), str('g'), str('w')]), 23, str('h'), str(listpack(['f', 'v', 0n]))],
    [24, str('h'), le(1_700_000_000_000, 8), loop([1, str('f'), str('v')]), 25, str('h'), le(0, 8), str(listpack(['f', 'v', 1_700_000_000_000n]))],
    [28, str('r'), 4, 1, 9, [0, 0, str('s')], [1, 1, le(-7, 8)], [len(300), 2, f64(3)], [len(2 ** 40), 3, str('t')]],
    [7, str('mod'), moduleValue],
  ]),
  streams: rdb('REDIS0015', [
    [27, str('s5'), nodes, 2, 6, 1, tail, idempotence],
    [15, str('s1'), nodes, 2, 6, 1, loop([str('g'), 0, 0, 0, loop([str('c'), le(1, 8), 0])])],
  ]),
  valkey: rdb('VALKEY080', [
    [0xfa, str('valkey-ver'), str('9.0.0'), 0xf3, str('j'.repeat(40)), loop([0, 5], [len(100), len(200)])],
    [22, str('h'), loop([str('f'), str('v'.repeat(100)), le(-1, 8)], [str('g'), str('w'), le(1_700_000_000_000, 8)])],
  ]),
};

/** One change to a file: at a place (in thousandths of it), of a kind, with a number. */
type Change = readonly [place: number, kind: number, number: number];
const BORDERS = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc3, 0xe0, 0xf0, 0xf4, 0xfe, 0xff];

export function changed(file: Uint8Array, changes: readonly Change[]): Uint8Array {
  let out: Uint8Array = file.slice();
  for (const [place, kind, number] of changes) {
    const at = 9 + Math.floor((place / 100_000) * (out.length - 18));
    if (kind === 0) out[at] = (out[at]) ^ (1 << (number & 7));
    else if (kind === 1) out[at] = number & 255;
    else if (kind === 2) out[at] = BORDERS[number % BORDERS.length];
    else if (kind === 3) out = bytes(out.subarray(0, at), 0x80, be(number, 4), out.subarray(at + (number & 1)));
    else if (kind === 4) out = bytes(out.subarray(0, at), 0x81, be(BigInt(number) << 20n, 8), out.subarray(at + (number & 1)));
    else if (kind === 5) out = bytes(out.subarray(0, at), 0xc3, be((number & 0x3fff) | 0x4000, 2), 0x80, be(number, 4), out.subarray(at));
    else if (kind === 6) out = bytes(out.subarray(0, at), out.subarray(Math.min(out.length - 8, at + 1 + (number & 15))));
    else out = bytes(out.subarray(0, at), le(number, 1 + (number & 7)), out.subarray(at));
  }
  return out;
}

const change = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
export const changes = fc.array(change, { minLength: 1, maxLength: 4 });


const many = (count: number, item: (i: number) => Part): Part => [len(count), Array.from({ length: count }, (_, i) => item(i))];
const text = (i: number): string => `${i}:`.repeat(1 + ((i * 7) % 30)).slice(0, (i * 13) % 150);
const binary = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 167) & 255);
/** Strings short and long, as they are and packed. */
const odd = (i: number): Uint8Array => [str(text(i)), intStr(i * 9, 2), lzfStr('x'.repeat(40 + i * 11)), str(binary(10 + i * 5)), str('y'.repeat(200 + i)), str()][i % 6];
const ttl = (i: number): number => (i % 3 === 0 ? 0 : 1_700_000_000_000 + i);
const stream = (count: number): Part => many(count, (i) => [str(id(5 + i, 1)), (i % 2 === 0 ? str : lzfStr)(listpack([2n, 0n, 1n, 'f', 0n, 2n, 0n, 0n, text(i), 4n, 2n, 1n, 0n, `w${i}`, 4n]))]);

/** Files with values of many elements, which come in parts under a small limit. */
export const LARGE: Readonly<Record<string, Uint8Array>> = {
  plain: rdb('REDIS0012', [
    [0xfa, str('redis-ver'), str('8.0.0'), 0, str('first'), str('v'), 0xfc, le(1_700_000_000_123, 8), 0, str('long'), str('é"\n'.repeat(900))],
    [0, str('binary'), str(binary(3000)), 0, lzfStr('k'.repeat(90)), lzfStr('v'.repeat(5000)), 0xfe, 7, 0, str('n'), intStr(5, 1)],
    [1, str('list'), many(90, odd), 0xf8, len(300), 2, str('set'), many(80, odd), 1, str('strings'), many(3, (i) => str('z'.repeat(900 + i)))],
    [3, str('zset1'), many(70, (i) => [odd(i), i % 9 === 0 ? 254 : str(`${i}.5`)]), 0xf9, 7, 5, str('zset'), many(70, (i) => [odd(i), f64(i / 3)])],
    [4, str('hash'), many(70, (i) => [odd(i), odd(i + 2)]), 0, str('after'), str('v')],
  ]),
  packed: rdb('REDIS0012', [
    [10, str('l'), str(ziplist(Array.from({ length: 60 }, (_, i) => text(i)))), 12, str('z'), lzfStr(ziplist(Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? text(i) : BigInt(i)))))],
    [11, str('i'), str(intset(8, Array.from({ length: 80 }, (_, i) => BigInt(i) << 33n))), 0, str('k'), str('v')],
    [14, str('q'), many(12, (i) => (i % 2 === 0 ? str : lzfStr)(ziplist(Array.from({ length: i }, (_, j) => text(j)))))],
    [18, str('q2'), many(12, (i) => (i % 3 === 0 ? [1, odd(i + 4)] : [2, lzfStr(listpack(Array.from({ length: i }, (_, j) => text(j))))]))],
    [18, str('empty nodes'), many(9, (i) => [2, str(listpack(i < 4 || i === 6 ? [] : ['a', BigInt(i)]))])],
    [16, str('h'), str(listpack(Array.from({ length: 80 }, (_, i) => text(i)))), 17, str('z'), str(listpack(Array.from({ length: 80 }, (_, i) => (i % 2 === 0 ? text(i) : BigInt(i)))))],
    [20, str('s'), lzfStr(listpack(Array.from({ length: 90 }, (_, i) => text(i)))), 9, str('m'), str(zipmap(Array.from({ length: 40 }, (_, i) => [text(i), text(i + 1)]), 1))],
  ]),
  recent: rdb('REDIS0015', [
    [0xf2, 3, loop(str('a'), str('b')), 0, str('k'), str('v'), 30, str('t'), str(listpack([3n, 'v'.repeat(300), 'w']))],
    [0xf2, 4, loop(str('c')), 31, str('t'), 1, loop(str('a')), str('v'.repeat(400)), 30, str('u'), str(listpack([4n, 'x']))],
    [0xf3, 1, le(0x12345619, 4), 2, 5, 0, 24, str('h24'), le(1_600_000_000_000, 8), many(60, (i) => [len(i % 3 === 0 ? 0 : 1 + i * 1000), odd(i), odd(i + 3)])],
    [25, str('h25'), le(0, 8), str(listpack(Array.from({ length: 90 }, (_, i) => (i % 3 < 2 ? text(i) : BigInt(ttl(i))))))],
    [22, str('h22'), many(50, (i) => [len(ttl(i)), odd(i), odd(i + 1)]), 28, str('r'), 4, 1, 9, [0, 0, str('s')], [1, 1, le(-7, 8)], [len(300), 2, f64(3)], [len(2 ** 40), 3, str('t'.repeat(500))]],
  ]),
  streams: rdb('REDIS0015', [
    [15, str('s1'), stream(40), len(80), len(99), 1, loop([str('g'), 0, 0, 0, loop([str('c'), le(1, 8), 0])]), 0, str('k'), str('v')],
    [27, str('s5'), stream(30), 60, 6, 1, tail, idempotence, 15, str('no nodes'), 0, 0, 0, 0, 0],
  ]),
  modules: rdb('REDIS0012', [
    [7, str('mod'), 0x81, be(0xb5eb2dffffddb401n, 8), Array.from({ length: 40 }, (_, i): Part => [2, len(i), 5, odd(i), 4, f64(i)]), 0, 0, str('k'), str('v')],
  ]),
  valkey: rdb('VALKEY080', [
    [0xfa, str('valkey-ver'), str('9.0.0'), 22, str('h'), many(70, (i) => [odd(i), odd(i + 1), le(i % 3 === 0 ? -1 : ttl(i), 8)]), 0, str('k'), str('v')],
    [22, str('large'), many(6, (i) => [str((i % 2 === 0 ? 'f' : 'g').repeat(i % 3 === 0 ? 900 : 3)), str('v'.repeat(i % 2 === 0 ? 2 : 900)), le(ttl(i), 8)])],
  ]),
};
