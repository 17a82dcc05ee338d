import { describe, expect, test } from 'vitest';
import { parseTarget, TARGETS } from '../../src/values/targets.js';
import { transcode, type Transcoded } from '../../src/values/transcode.js';
import type { StreamValue } from '../../src/values/js-values.js';
import { be, le, len, listpack, lzfStr, type Part, str } from '../support/support.js';
import { decoded, frameOf, received, streamAs } from '../support/transcode-support.js';

const REDIS = 'REDIS0015';
const MS = 1_700_000_000_123;

const id = (ms: number | bigint, seq: number | bigint): Part => [be(ms, 8), be(seq, 8)];
const idLen = (ms: number | bigint, seq: number | bigint): Part => [len(ms), len(seq)];
const loop = (...items: Part[]): Part => [len(items.length), items];

const HEAD: Part = [
  loop(
    [str(id(5, 1)), str(listpack([2n, 1n, 1n, 'f', 0n, 2n, 0n, 0n, 'v1', 4n, 3n, 0n, 1n, '12', 4n, 0n, 1n, -1n, 2n, 'g', -5n, 'h', '', 8n]))],
    [str(id(9, 0)), lzfStr(listpack([1n, 0n, 1n, 'a', 0n, 2n, 0n, 0n, 'x'.repeat(80), 4n]))],
  ),
  len(3),
  idLen(2n ** 64n - 1n, 2n ** 63n),
];
const OFFSETS: Part = [idLen(5, 1), idLen(5, 2), len(2n ** 40n)];
const PRODUCERS: Part = [len(600), len(100), loop([str('p1'), loop([str('iid-1'), idLen(5, 1)])], [str('p2'), len(0)]), len(7), len(9)];

/** Three pending entries: two of alice, one of bob or of nobody; a consumer that has none. */
const group = (type: number, name: string, free: boolean): Part => [
  str(name),
  idLen(6, 0),
  type >= 19 ? len(4) : [],
  loop([id(5, 1), le(MS, 8), len(3)], [id(6, 0), le(MS, 8), len(100)], [id(9, 0), le(-1, 8), len(1)]),
  loop(
    [str('alice'), le(MS, 8), type >= 21 ? le(MS + 1, 8) : [], loop(id(5, 1), id(9, 0))],
    [str('bob'), le(MS, 8), type >= 21 ? le(-1, 8) : [], free ? len(0) : loop(id(6, 0))],
    [str('77'), le(MS, 8), type >= 21 ? le(-1, 8) : [], len(0)],
  ),
  type >= 27 ? (free ? loop(id(6, 0)) : len(0)) : [],
];

const streamOf = (type: number, free = false): Part => [
  HEAD,
  type >= 19 ? OFFSETS : [],
  loop(group(type, 'g1', free), group(type, 'g2', false), [str('g3'), idLen(0, 0), type >= 19 ? len(0) : [], len(0), len(0), type >= 27 ? len(0) : []]),
  type >= 26 ? PRODUCERS : [],
];

const GREATEST: Readonly<Record<number, number>> = { 9: 15, 10: 19, 11: 21, 12: 21, 13: 26, 14: 27, 15: 27, 17: 27, 80: 21, 81: 21 };
const withStreams = TARGETS.filter(({ rdbVersion }) => rdbVersion >= 9);

describe.each([15, 19, 21, 26, 27])('a stream of type %i', (type) => {
  const frame = frameOf(REDIS, type, streamOf(type));
  const want = decoded(frame) as StreamValue<string>;

  test.each(withStreams.map((target) => [`${target.vendor} ${target.release}`, target] as const))('for %s', (_, target) => {
    const found = transcode(frame, target) as Transcoded;
    const as = Math.min(type, GREATEST[target.rdbVersion]);
    expect(found.type.id).toBe(as);
    expect(found.outcome).toBe(as === type ? 'same' : as === 26 ? 'rewritten' : 'adapted');
    expect(received(target, found)).toEqual(streamAs(as, want));
    expect((received(target, found) as StreamValue<string>).groups[0].pending).toHaveLength(3);
  });

  test('for a server without streams', () => {
    expect(transcode(frame, parseTarget('4.0'), { allowLoss: true })).toEqual({ outcome: 'refused', reason: 'Redis 4.0 has no streams', avoidable: false });
  });
});

describe('what is left out of streams', () => {
  const leftOut = (target: string, type: number): readonly string[] => (transcode(frameOf(REDIS, type, streamOf(type)), parseTarget(target)) as Transcoded).leftOut;

  test('is named', () => {
    expect(leftOut('7.0', 21)).toEqual(["consumers' active times"]);
    expect(leftOut('6.2', 19)).toEqual(['first ID, greatest deleted ID, entries ever added and read by groups']);
    expect(leftOut('8.0', 27)).toEqual(['the IDs of idempotent producers']);
    expect(leftOut('8.6', 27)).toEqual([]);
    expect(leftOut('5.0', 26)).toHaveLength(3);
  });

  test('entries handed back are lost only where that is allowed', () => {
    const frame = frameOf(REDIS, 27, streamOf(27, true));
    const want = decoded(frame) as StreamValue<string>;
    for (const target of withStreams) {
      const found = transcode(frame, target);
      const kept = transcode(frame, target, { allowLoss: true }) as Transcoded;
      if (target.rdbVersion >= 14 && target.vendor === 'redis') {
        expect([found.outcome, kept.outcome]).toEqual(['same', 'same']);
        continue;
      }
      expect(found).toMatchObject({ outcome: 'refused', avoidable: true });
      expect(kept.outcome).toBe('lossy');
      expect(kept.leftOut[0]).toBe('stream entries that were handed back by a consumer');
      expect(received(target, kept)).toEqual(streamAs(kept.type.id, want));
      expect((received(target, kept) as StreamValue<string>).groups.map(({ pending }) => pending.length)).toEqual([2, 3, 0]);
    }
  });

  test('a stream that ends too early is an error', () => {
    const frame = frameOf(REDIS, 21, streamOf(21));
    const { end } = frame;
    for (frame.end = end - 1; frame.end > frame.start; frame.end--) expect(() => transcode(frame, parseTarget('6.2'))).toThrow(/BAD_STREAM|stream node|contradicts/);
  });
});
