import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTarget, type Target, TARGETS } from '../../src/values/targets.js';
import { transcode, Transcoder, type Transcoded } from '../../src/values/transcode.js';
import { inTurn } from '../support/factor.js';
import { bytes, f64, le, len, listpack, lzfStr, noise, type Packable, type Part, str } from '../support/support.js';
import { decoded, expected, frameOf, received } from '../support/transcode-support.js';
import { DISTINCT, loop, REDIS, SOURCES, VALKEY } from '../support/value-sources.js';

/** A transcoder for each target, used again and again, with and without losses. */
const transcoders = DISTINCT.map((target) => [target, new Transcoder(target), new Transcoder(target, { allowLoss: true })] as const);

describe('what arrives is what was there', () => {
  test.each(Object.entries(SOURCES))('%s', (_, source) => {
    fc.assert(
      fc.property(source, ({ head, type, value, before }) => {
        const frame = frameOf(head, type, value, before);
        const want = decoded(frame);
        for (const [target, strict, lenient] of transcoders) {
          const found = strict.record(frame);
          if (found.outcome === 'refused') {
            expect(found).toMatchObject({ avoidable: true });
            expect(found.reason).toMatch(/has no expiry of single hash fields: \d+ of \d+ have one$/);
          } else {
            expect(found.outcome).toMatch(/^(?:same|rewritten)$/);
            expect(found.leftOut).toEqual([]);
            expect(received(target, found)).toEqual(want);
          }
          const kept = lenient.record(frame) as Transcoded;
          expect(kept.outcome === 'lossy').toBe(found.outcome === 'refused');
          expect(received(target, kept)).toEqual(expected(frame.redisType, want, kept));
        }
      }),
      { numRuns: 60 },
    );
  });
});

const typeOf = (target: string, head: string, type: number, value: Part, before?: Part): string => {
  const found = transcode(frameOf(head, type, value, before), parseTarget(target), { allowLoss: true });
  return found.outcome === 'refused' ? `refused: ${found.reason}` : `${found.outcome} ${found.type.name}${found.leftOut.map((what) => `, no ${what}`).join('')}`;
};

/** A type name or a refusal for each of these targets. */
const along = (head: string, type: number, value: Part, before?: Part): Record<string, string> =>
  Object.fromEntries(['2.6', '3.2', '4.0', '6.2', '7.0', '7.2', '7.4', '8.6', '8.8', '8.10', 'valkey-8.1', 'valkey-9.1'].map((target) => [target, typeOf(target, head, type, value, before)]));

const many = (count: number, size = 3): Packable[] => Array.from({ length: count }, (_, i) => `${i}`.padStart(size, 'x'));

describe('the smallest change', () => {
  test('types that every server reads stay as they are', () => {
    for (const target of TARGETS) {
      const frame = frameOf(REDIS, 2, loop(str('a'), str('b')));
      const found = transcode(frame, target) as Transcoded;
      expect(found).toMatchObject({ outcome: 'same', type: { id: 2 }, start: frame.start, end: frame.end });
      expect(found.bytes).toBe(frame.bytes);
    }
  });

  test('lists', () => {
    expect(along(REDIS, 18, loop([2, str(listpack(['a', 1n]))], [1, str('b')]))).toMatchObject({ '2.6': 'rewritten LIST', '3.2': 'rewritten LIST_QUICKLIST', '6.2': 'rewritten LIST_QUICKLIST', '7.0': 'same LIST_QUICKLIST_2' });
  });

  test('sets', () => {
    expect(along(REDIS, 20, str(listpack([3n, 1n, '12'])))).toMatchObject({ '2.6': 'rewritten SET_INTSET', '7.0': 'rewritten SET_INTSET', '7.2': 'same SET_LISTPACK', 'valkey-8.1': 'same SET_LISTPACK' });
    expect(typeOf('7.0', REDIS, 20, str(listpack([3n, 'a'])))).toBe('rewritten SET');
    expect(typeOf('7.0', REDIS, 20, str(listpack(many(512).map((_, i) => BigInt(i)))))).toBe('rewritten SET_INTSET');
    expect(typeOf('7.0', REDIS, 20, str(listpack(many(513).map((_, i) => BigInt(i)))))).toBe('rewritten SET');
  });

  test('sorted sets', () => {
    const packed = (members: Packable[]): Part => str(listpack(members.flatMap((member, i) => [member, BigInt(i)])));
    expect(along(REDIS, 17, packed(many(128, 64)))).toMatchObject({ '2.6': 'rewritten ZSET_ZIPLIST', '6.2': 'rewritten ZSET_ZIPLIST', '7.0': 'same ZSET_LISTPACK' });
    expect(along(REDIS, 17, packed(many(129)))).toMatchObject({ '3.2': 'rewritten ZSET', '4.0': 'rewritten ZSET_2' });
    expect(along(REDIS, 17, packed(many(1, 65)))).toMatchObject({ '3.2': 'rewritten ZSET', '4.0': 'rewritten ZSET_2' });
    expect(along(REDIS, 5, loop([str('a'), f64(1.5)]))).toMatchObject({ '3.2': 'rewritten ZSET', '4.0': 'same ZSET_2' });
  });

  test('scores as text are the same doubles', () => {
    const scores = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2 ** 53 + 2, -1e21, -0, 123456789012345680000];
    const found = transcode(frameOf(REDIS, 5, loop(...scores.map((value, i): Part => [str(`m${i}`), f64(value)]))), parseTarget('3.2')) as Transcoded;
    expect(received(parseTarget('3.2'), found)).toEqual(scores.map((value, i) => ({ member: `m${i}`, score: value })));
  });

  test('hashes', () => {
    expect(along(REDIS, 16, str(listpack(many(1024, 64))))).toMatchObject({ '2.6': 'rewritten HASH_ZIPLIST', '6.2': 'rewritten HASH_ZIPLIST', '7.0': 'same HASH_LISTPACK' });
    expect(typeOf('6.2', REDIS, 16, str(listpack(many(1026))))).toBe('rewritten HASH');
    expect(typeOf('6.2', REDIS, 16, str(listpack(['a', 'b'.repeat(65)])))).toBe('rewritten HASH');
    expect(Object.values(along(REDIS, 9, bytes(len(9), 1, 1, 'f', 1, 0, 'v', 0xff, 0, 0)))).toEqual(Array(12).fill('same HASH_ZIPMAP'));
  });

  test('hashes with expiries', () => {
    const at = 1_800_000_000_000n;
    const lost = 'no expiry of single hash fields';
    const listpackEx: Part = [le(at, 8), str(listpack(['a', 'b', at, 'c', 'd', 0n]))];
    expect(along(REDIS, 25, listpackEx)).toMatchObject({ '6.2': `lossy HASH_ZIPLIST, ${lost}`, '7.2': `lossy HASH_LISTPACK, ${lost}`, '7.4': 'same HASH_LISTPACK_EX', 'valkey-8.1': `lossy HASH_LISTPACK, ${lost}`, 'valkey-9.1': 'rewritten HASH_2' });
    expect(along(REDIS, 24, [le(at, 8), loop([1, str('a'), str('b')])])).toMatchObject({ '7.2': `lossy HASH, ${lost}`, '7.4': 'same HASH_METADATA', 'valkey-9.1': 'rewritten HASH_2' });
    const hash2 = (expiry: bigint): Part => loop([str('a'), str('b'), le(expiry, 8)]);
    expect(along(VALKEY, 22, hash2(at))).toMatchObject({ '7.2': `lossy HASH, ${lost}`, '7.4': 'rewritten HASH_METADATA', '8.10': 'rewritten HASH_METADATA', 'valkey-9.1': 'same HASH_2' });
    expect(along(VALKEY, 22, hash2(-1n))).toMatchObject({ '2.6': 'rewritten HASH', '7.4': 'rewritten HASH', 'valkey-8.1': 'rewritten HASH' });
  });

  test('hashes with templates', () => {
    const template: Part = [242, 3, loop(str('a'), str('b'))];
    expect(along(REDIS, 30, str(listpack([3n, 'x', 'y'])), template)).toMatchObject({ '2.6': 'rewritten HASH_ZIPLIST', '8.8': 'rewritten HASH_LISTPACK', '8.10': 'rewritten HASH_LISTPACK', 'valkey-9.1': 'rewritten HASH_LISTPACK' });
    expect(along(REDIS, 32, [3, str('x'), str('y')], template)).toMatchObject({ '2.6': 'rewritten HASH', '8.10': 'rewritten HASH' });
    expect(along(REDIS, 31, [1, loop(str('a')), str('b')])).toMatchObject({ '8.8': 'rewritten HASH', '8.10': 'same HASH_TMPL_ARRAY' });
  });

  test('what cannot be said', () => {
    const moduleId = len((0n << 10n) | 1n);
    expect(along(REDIS, 7, [moduleId, 2, 5, 0])).toMatchObject({ '3.2': 'refused: Redis 3.2 has no values of type module (MODULE_2)', '4.0': 'same MODULE_2', 'valkey-9.1': 'same MODULE_2' });
    expect(along(REDIS, 28, [1, 0, 5, 0, str('x')])).toMatchObject({ '8.6': 'refused: Redis 8.6 has no values of type array (ARRAY)', '8.8': 'same ARRAY', 'valkey-9.1': 'refused: Valkey 9.1 has no values of type array (ARRAY)' });
    expect(along(REDIS, 15, [0, 0, 0, 0, 0])).toMatchObject({ '4.0': 'refused: Redis 4.0 has no streams', '6.2': 'same STREAM_LISTPACKS', '7.0': 'same STREAM_LISTPACKS' });
  });

  test('module metadata of a key', () => {
    const meta = bytes(len(1), le(0x1234_5678, 4), 2, len(5), 0);
    const frame = frameOf(REDIS, 0, str('v'), [0xf3, meta]);
    expect(transcode(frame, parseTarget('8.6'))).toMatchObject({ outcome: 'same', metaBytes: meta });
    expect(transcode(frame, parseTarget('8.4'))).toMatchObject({ outcome: 'refused', avoidable: true });
    expect(transcode(frame, parseTarget('valkey-9.1'), { allowLoss: true })).toMatchObject({ outcome: 'lossy', metaBytes: undefined, leftOut: ['module metadata of keys'] });
  });

  test('a part of a value is a mistake of the caller', () => {
    const frame = frameOf(REDIS, 20, str(listpack(['a'])));
    frame.last = false;
    expect(() => transcode(frame, parseTarget('6.2'))).toThrow(TypeError);
  });

  test('damage is told as such', () => {
    const target: Target = parseTarget('6.2');
    expect(() => transcode(frameOf(REDIS, 16, str(listpack(['a', 'b', 'c']))), target)).toThrow(/as many values as fields/);
    expect(() => transcode(frameOf(REDIS, 30, str(listpack([4n, 'x']))), target)).toThrow(/template 4/);
  });
});

describe('lengths behind the entries of listpacks', () => {
  const [valkey, older, redis, latest] = ['valkey-9.1', 'valkey-9.0', '8.0', '8.8'].map(parseTarget);
  const sizes = [16_377, 16_378, 16_379, 2_097_145, 2_097_146, 2_097_147];
  const at = (size: number): boolean => [16_378, 2_097_146].includes(size);
  const values = (list: readonly Packable[], wide: boolean): [number, Part][] => [
    [16, str(listpack(list, wide))],
    [17, lzfStr(listpack(['x'.repeat((list[0] as Uint8Array).length), 1n], wide))],
    [18, [len(2), 1, str('plain'), 2, str(listpack(list, wide))]],
    [20, str(listpack([list[0]], wide))],
    [21, [len(1), str(new Uint8Array(16)), str(listpack([1n, 0n, 1n, 'f', 0n, 2n, 1n, 1n, list[0], 4n], wide)), len(1), len(1), len(1), len(1), len(1), len(0), len(0), len(1), len(0)]],
  ];

  test.each(sizes)('for a string of %i bytes', (size) => {
    const list = [noise(size), 'tail']; // nothing that would be compressed
    const wides = values(list, true);
    for (const [i, [type, value]] of inTurn([...values(list, false).entries()], sizes.indexOf(size))) {
      const [, wide] = wides[i];
      const [narrowFrame, wideFrame] = [frameOf(REDIS, type, value), frameOf(VALKEY, type, wide)];
      const want = decoded(narrowFrame);
      expect(decoded(wideFrame)).toEqual(want);
      for (const [frame, target, same] of [[narrowFrame, valkey, false], [narrowFrame, older, true], [narrowFrame, redis, true], [narrowFrame, latest, false], [wideFrame, latest, true], [wideFrame, valkey, true], [wideFrame, older, false], [wideFrame, redis, false]] as const) {
        const found = transcode(frame, target) as Transcoded;
        expect(found.outcome).toBe(same || !at(size) ? 'same' : 'rewritten');
        expect(found.type.id).toBe(type);
        expect(received(target, found)).toEqual(want);
        // the bytes are the other form's own, but where the source was compressed
        if (!same && type !== 17) expect(Buffer.compare(found.bytes.subarray(found.start, found.end), bytes(target.wide ? wide : value))).toBe(0);
      }
      const down = transcode(wideFrame, parseTarget('7.0')) as Transcoded;
      expect(received(parseTarget('7.0'), down)).toEqual(expected(wideFrame.redisType, want, down));
    }
  });
});
