import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/rdb/frame.js';
import { typeNumber } from '../../src/rdb/frame-table.js';
import { Transcoder } from '../../src/values/transcode.js';
import { digestOf, fold } from '../support/diff-support.js';
import {
  bytes,
  f64,
  intset,
  intStr,
  le,
  len,
  listpack,
  lzfStr,
  type Packable,
  type Part,
  rdb,
  str,
  ziplist,
  zipmap,
} from '../support/support.js';
import { decoded, frameOf, magic } from '../support/transcode-support.js';
import { DISTINCT, loop, REDIS, SOURCES, VALKEY } from '../support/value-sources.js';

const transcoders = DISTINCT.map((target) => [target, new Transcoder(target)] as const);
const of = (type: number, value: Part, head = REDIS): string => digestOf(frameOf(head, type, value));

describe('every encoding that a target reads has the same digest', () => {
  test.each(Object.entries(SOURCES))('%s', (_, source) => {
    fc.assert(
      fc.property(source, ({ head, type, value, before }) => {
        const frame = frameOf(head, type, value, before);
        const digest = digestOf(frame);
        for (const [target, transcoder] of transcoders) {
          const found = transcoder.record(frame);
          if (found.outcome === 'refused') continue;
          expect(
            digestOf(
              frameOf(
                magic(target),
                found.type.id,
                bytes(found.bytes.subarray(found.start, found.end)),
                found.outcome === 'same' ? before : [],
              ),
            ),
          ).toBe(digest);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('two values have the same digest if they are decoded to the same, and only then', () => {
    const anySource = fc.oneof(...Object.values(SOURCES));
    fc.assert(
      fc.property(anySource, anySource, (a, b) => {
        const [one, other] = [a, b].map(({ before, head, type, value }) => frameOf(head, type, value, before));
        expect(digestOf(one) === digestOf(other)).toBe(shown(one) === shown(other));
      }),
      { numRuns: 200 },
    );
  });
});

/** A value as a text, the same for the same value. */
function shown(frame: Frame): string {
  const value = decoded(frame);
  const text = (one: unknown): string =>
    JSON.stringify(one, (_, inner: unknown) => (typeof inner === 'number' ? `${inner === 0 ? 0 : inner}` : inner));
  if (!Array.isArray(value)) return `${frame.redisType} ${text(value)}`;
  const items = (value as readonly unknown[]).map(text);
  return `${frame.redisType} ${(frame.redisType === 'list' ? items : items.sort()).join()}`;
}

describe('strings', () => {
  test('integers are their text', () => {
    expect(new Set([of(0, str('12')), of(0, intStr(12, 1)), of(0, intStr(12, 2)), of(0, intStr(12, 4)), of(0, lzfStr('12'))]).size).toBe(1);
    expect(of(0, str('-7'))).toBe(of(0, intStr(-7, 1)));
    expect(of(0, str('012'))).not.toBe(of(0, str('12')));
  });

  test('a zero at the end counts', () => {
    expect(new Set(['', '\0', '\0\0', 'a', 'a\0'].map((text) => of(0, str(text)))).size).toBe(5);
  });
});

describe('collections', () => {
  const all: Packable[] = [1n, -5n, 300n, 'a', 'bc'];
  const plain = (item: Packable): Part => str(typeof item === 'bigint' ? `${item}` : item);

  test('lists', () => {
    const items = all.map(plain);
    const digests = [
      of(1, loop(...items)),
      of(10, str(ziplist(all))),
      of(14, loop(str(ziplist(all.slice(0, 2))), str(ziplist(all.slice(2))))),
      of(18, loop([2, str(listpack(all))])),
      of(18, loop([1, items[0]], [2, lzfStr(listpack(all.slice(1)))])),
    ];
    expect(new Set(digests).size).toBe(1);
    expect(of(1, loop(...items.toReversed()))).not.toBe(digests[0]);
    expect(of(1, loop(...items.slice(1)))).not.toBe(digests[0]);
    expect(of(1, loop(...items, items[0]))).not.toBe(digests[0]);
  });

  test('sets', () => {
    const items = all.map(plain);
    expect(new Set([of(2, loop(...items)), of(2, loop(...items.toReversed())), of(20, str(listpack(all)))]).size).toBe(1);
    const integers = [3n, 700n, -9n];
    expect(
      new Set([
        of(2, loop(...integers.map(plain))),
        of(11, str(intset(2, integers))),
        of(11, str(intset(8, integers))),
        of(20, str(listpack(integers))),
      ]).size,
    ).toBe(1);
    expect(of(2, loop(str('a'), str('b')))).not.toBe(of(2, loop(str('a'), str('b'), str(''))));
  });

  test('two equal members are not none', () => {
    expect(of(2, loop(str('a'), str('b'), str('b')))).not.toBe(of(2, loop(str('a'))));
    expect(of(2, loop(str('b'), str('b')))).not.toBe(of(2, loop(str('a'), str('a'))));
  });

  test('hashes', () => {
    const pairs: [string, string][] = [
      ['f', 'v'],
      ['g', ''],
      ['', '17'],
    ];
    const digests = [
      of(4, loop(...pairs.map((pair) => pair.map((text) => str(text))))),
      of(13, str(ziplist(pairs.flat()))),
      of(16, str(listpack(pairs.toReversed().flat()))),
      of(9, str(zipmap(pairs))),
    ];
    expect(new Set(digests).size).toBe(1);
    expect(of(4, loop([str('f'), str('g')], [str('v'), str('')]))).not.toBe(of(4, loop([str('f'), str('v')], [str('g'), str('')])));
  });

  test('nothing is told from where one string ends and the next begins', () => {
    const two = (a: string, b: string, c: string, d: string): string => of(4, loop([str(a), str(b)], [str(c), str(d)]));
    expect(new Set([two('ab', 'c', 'd', 'e'), two('a', 'bc', 'd', 'e'), two('ab', 'cd', '', 'e'), two('d', 'c', 'ab', 'e')]).size).toBe(4);
    expect(of(1, loop(str('ab'), str('c')))).not.toBe(of(1, loop(str('a'), str('bc'))));
  });

  test('types differ', () => {
    const item = loop(str('a'));
    expect(
      new Set([of(0, str('a')), of(1, item), of(2, item), of(4, loop([str('a'), str('')])), of(5, loop([str('a'), f64(0)]))]).size,
    ).toBe(5);
    expect(new Set([of(1, loop()), of(2, loop()), of(4, loop()), of(5, loop())]).size).toBe(4);
  });

  test('field expiries', () => {
    const at = 1_800_000_000_000n;
    const digests = [
      of(24, [le(at, 8), loop([len(1n), str('f'), str('v')], [len(0), str('g'), str('w')])]),
      of(25, [le(at, 8), str(listpack(['g', 'w', 0n, 'f', 'v', at]))]),
      of(22, loop([str('f'), str('v'), le(at, 8)], [str('g'), str('w'), le(-1n, 8)]), VALKEY),
    ];
    expect(new Set(digests).size).toBe(1);
    expect(of(24, [le(at, 8), loop([len(2n), str('f'), str('v')], [len(0), str('g'), str('w')])])).not.toBe(digests[0]);
    expect(of(24, [le(at, 8), loop([len(0), str('f'), str('v')], [len(1n), str('g'), str('w')])])).not.toBe(digests[0]);
  });

  test('scores', () => {
    const binary = (score: number): string => of(5, loop([str('m'), f64(score)]));
    expect(
      new Set([
        binary(17),
        of(3, loop([str('m'), str('17')])),
        of(3, loop([str('m'), str('1.7e1')])),
        of(17, str(listpack(['m', 17n]))),
        of(17, str(listpack(['m', '17']))),
      ]).size,
    ).toBe(1);
    expect(binary(Infinity)).toBe(of(3, loop([str('m'), 254])));
    expect(binary(NaN)).toBe(of(3, loop([str('m'), 253])));
    expect(of(5, loop([str('m'), bytes(1, 0, 0, 0, 0, 0, 0xf8, 0xff)]))).toBe(binary(NaN));
    expect(binary(0)).toBe(binary(-0)); // a server turns -0 into 0 as it encodes a sorted set anew
    expect(of(17, str(listpack(['m', '-0'])))).toBe(binary(-0));
    expect(binary(0.1)).not.toBe(binary(0.1 + 2 ** -56));
    expect(binary(2 ** 60)).toBe(of(12, str(ziplist(['m', 2n ** 60n]))));
  });
});

describe('HyperLogLogs', () => {
  const REGISTERS = 1 << 14;
  const header = (encoding: number, cached: number): Part => ['HYLL', encoding, 0, 0, 0, le(cached, 8)];
  const dense = (registers: readonly number[], cached = 0): Part => {
    const packed = new Uint8Array((REGISTERS * 6) / 8);
    registers.forEach((value, i) => {
      const [at, shift] = [Math.floor((i * 6) / 8), (i * 6) % 8];
      packed[at] |= (value << shift) & 0xff;
      if (shift > 2) packed[at + 1] |= value >> (8 - shift);
    });
    return bytes(header(0, cached), packed);
  };
  const zeros = (count: number): Part => (count > 64 ? [0x40 | ((count - 1) >> 8), (count - 1) & 0xff] : count > 0 ? [count - 1] : []);
  const set = (registers: readonly number[], cached = 0): Part => {
    const parts: Part[] = [];
    let run = 0;
    for (const value of registers) {
      if (value === 0) run++;
      else {
        parts.push(zeros(run), 0x80 | ((value - 1) << 2));
        run = 0;
      }
    }
    return bytes(header(1, cached), parts, zeros(run));
  };

  test('the same registers are the same in both forms, whatever cardinality is cached', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(REGISTERS - 1), fc.integer({ min: 1, max: 32 })), { maxLength: 30 }),
        fc.nat(REGISTERS - 1),
        (those, another) => {
          const registers = Array<number>(REGISTERS).fill(0);
          for (const [at, value] of those) registers[at] = value;
          const digest = of(0, str(dense(registers)));
          expect(of(0, str(set(registers, 17)))).toBe(digest);
          expect(of(0, lzfStr(dense(registers, 2 ** 40)))).toBe(digest);
          registers[another]++;
          expect(of(0, str(dense(registers)))).not.toBe(digest);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('what is none is a string', () => {
    const one = bytes(dense([1]));
    const cut = one.slice(0, -1);
    const cached = bytes(dense([1], 5)).slice(0, -1);
    expect(of(0, str(cut))).not.toBe(of(0, str(cached)));
    const short = bytes(header(1, 0), zeros(REGISTERS - 1));
    expect(of(0, str(short))).not.toBe(of(0, str(bytes(header(1, 9), zeros(REGISTERS - 1)))));
    expect(of(0, str('HYLL'))).not.toBe(of(0, str('HYLM')));
  });

  test('in parts it is the same', async () => {
    const file = (value: Part): Uint8Array => rdb('REDIS0011', [[0, str('k'), value]]);
    const [whole, sparse] = await Promise.all([
      fold(file(str(dense([1, 2, 63])))),
      fold(file(str(dense([1, 2, 63], 7))), {}, { limit: 1000, sizes: [300] }),
    ]);
    expect(whole.buckets.differing(sparse.buckets)).toEqual([]);
  });
});

describe('one change', () => {
  test.each(Object.entries(SOURCES))('%s', (_, source) => {
    fc.assert(
      fc.property(source, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ head, type, value, before }, where, by) => {
        const frame = frameOf(head, type, value, before);
        const was = shown(frame);
        const digest = digestOf(frame);
        const plain = bytes(frame.bytes.subarray(frame.start, frame.end));
        plain[where % plain.length] ^= by;
        let changed;
        try {
          changed = frameOf(head, typeNumber(frame.type) & 255, plain, before);
          if (changed.end - changed.start !== plain.length) return;
          expect(digestOf(changed) === digest).toBe(shown(changed) === was);
        } catch (error) {
          if (!(error instanceof Error && 'code' in error) && !/no key/.test(String(error))) throw error;
        }
      }),
      { numRuns: 100 },
    );
  });
});
