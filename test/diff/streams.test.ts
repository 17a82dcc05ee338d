import { describe, expect, test } from 'vitest';
import { CompareSink } from '../../src/diff/compare-sink.js';
import { insideOf, type TypedValue } from '../../src/diff/inside.js';
import { KeyTable } from '../../src/diff/key-table.js';
import { digestOf, feedFile, fold, SEED } from '../support/diff-support.js';
import { be, le, len, listpack, lzfStr, type Part, rdb, str } from '../support/support.js';
import { frameOf } from '../support/transcode-support.js';
import { REDIS } from '../support/value-sources.js';

const MS = 1_700_000_000_123;
const id = (ms: number, seq: number): Part => [be(ms, 8), be(seq, 8)];
const idLen = (ms: number, seq: number): Part => [len(ms), len(seq)];
const loop = (...items: Part[]): Part => [len(items.length), items];

/** What one can change of a stream. */
interface Stream {
  value?: string;
  lastId?: number;
  length?: number;
  added?: number;
  maxDeleted?: number;
  groups?: string[];
  groupId?: number;
  read?: number;
  pending?: boolean;
  consumer?: string;
  owner?: 0 | 1;
  deliveries?: number;
  seen?: number;
  producers?: Part;
}

const NONE: Part = len(0);
const PRODUCERS: Part = loop([str('p1'), loop([str('iid-1'), idLen(5, 1)])], [str('p2'), len(0)]);

function streamOf(
  type: number,
  {
    added = 9,
    consumer = 'bob',
    deliveries = 1,
    groupId = 6,
    groups = ['g', 'h'],
    lastId = 9,
    length = 2,
    maxDeleted = 3,
    owner = 0,
    pending = true,
    producers = NONE,
    read = 1,
    seen = MS,
    value = 'v',
  }: Stream = {},
): Part {
  const times: Part = [le(seen, 8), type >= 21 ? le(seen + 1, 8) : []];
  const pends: Part = pending ? loop([id(5, 1), le(MS, 8), len(deliveries)]) : NONE;
  const owns = (at: number): Part => (pending && owner === at ? loop(id(5, 1)) : NONE);
  return [
    loop([str(id(5, 1)), lzfStr(listpack([2n, 0n, 1n, 'f', 0n, 2n, 0n, 0n, value, 4n, 2n, 1n, 0n, 'w', 4n]))]),
    len(length),
    idLen(lastId, 0),
    type >= 19 ? [idLen(5, 1), idLen(maxDeleted, 0), len(added)] : [],
    loop(
      ...groups.map((name): Part => [
        str(name),
        idLen(groupId, 0),
        type >= 19 ? len(read) : [],
        pends,
        loop([str('alice'), times, owns(0)], [str(consumer), times, owns(1)]),
        type >= 27 ? NONE : [],
      ]),
    ),
    type >= 26 ? [len(600), len(100), producers, len(7), len(9)] : [],
  ];
}

const TYPES = [15, 19, 21, 26, 27];
const of = (type: number, stream: Stream = {}, streams: 'data' | 'full' = 'full'): string =>
  digestOf(frameOf(REDIS, type, streamOf(type, stream)), { streams });

describe('every type that a stream may have', () => {
  test('has the same digest', () => {
    expect(new Set(TYPES.map((type) => of(type, {}, 'data'))).size).toBe(1);
    expect(new Set(TYPES.map((type) => of(type).split(' ')[0])).size).toBe(1);
    expect(of(15).split(' ')).toHaveLength(1);
    expect(new Set(TYPES.slice(1).map((type) => of(type).split(' ')[1])).size).toBe(1);
  });

  test('an older one that lacks counters does not differ, but makes a second look', async () => {
    const file = (type: number, stream: Stream = {}): Uint8Array => rdb('REDIS0015', [[type, str('k'), streamOf(type, stream)]]);
    const differences = async (a: Uint8Array, b: Uint8Array): Promise<number> => {
      const table = new KeyTable({ buckets: [0, 1], bits: 1, limit: 1 << 20, tolerance: 0, values: true });
      for (const [side, bytes] of [
        ['a', a],
        ['b', b],
      ] as const)
        await feedFile(new CompareSink(undefined, side, table, { seed: SEED, streams: 'full', values: true, now: 0 }), bytes);
      return [...table.differences(0)].length;
    };
    const buckets = async (a: Uint8Array, b: Uint8Array, streams: 'data' | 'full'): Promise<number> =>
      (await fold(a, { streams })).buckets.differing((await fold(b, { streams })).buckets).length;
    expect(await buckets(file(15), file(19), 'full')).toBe(1);
    expect(await buckets(file(15), file(19), 'data')).toBe(0);
    expect(await differences(file(15), file(19))).toBe(0);
    expect(await differences(file(19), file(15))).toBe(0);
    expect(await differences(file(19), file(21))).toBe(0);
    expect(await differences(file(19), file(21, { added: 10 }))).toBe(1);
    expect(await buckets(file(19), file(21, { added: 10 }), 'full')).toBe(1);
    expect(await differences(file(15, { groupId: 5 }), file(19))).toBe(1);
  });
});

describe('what counts', () => {
  const ALWAYS: Stream[] = [
    { value: 'x' },
    { lastId: 10 },
    { length: 3 },
    { groups: ['g'] },
    { groups: ['g', 'i'] },
    { groups: [] },
    { groupId: 7 },
  ];
  const FULL: Stream[] = [{ pending: false }, { consumer: 'carol' }, { owner: 1 }, { deliveries: 2 }];
  const NEWER: Stream[] = [{ added: 10 }, { maxDeleted: 4 }, { read: 2 }];

  test.each(TYPES)('of type %i', (type) => {
    const plain = of(type, {}, 'data');
    expect(new Set([plain, ...ALWAYS.map((one) => of(type, one, 'data'))]).size).toBe(1 + ALWAYS.length);
    for (const one of [...FULL, ...NEWER, { seen: 1 }]) expect(of(type, one, 'data')).toBe(plain);
    const changes = [...ALWAYS, ...FULL, ...(type >= 19 ? NEWER : [])];
    expect(new Set([of(type), ...changes.map((one) => of(type, one))]).size).toBe(1 + changes.length);
    expect(of(type, { seen: 1 })).toBe(of(type));
    expect(of(type, { groups: ['h', 'g'] })).toBe(of(type));
  });

  test('producers, where there are any', () => {
    expect(of(26, { producers: PRODUCERS })).not.toBe(of(26));
    expect(of(26, { producers: PRODUCERS })).toBe(of(27, { producers: PRODUCERS }));
    expect(of(26, { producers: PRODUCERS }, 'data')).toBe(of(15, {}, 'data'));
  });
});

test('module metadata of a key counts', async () => {
  const SPEC = le((((45 << 18) | (30 << 12) | (44 << 6) | 45) * 256 + ((3 << 3) | 1)) >>> 0, 4);
  const file = (byte: number | undefined): Uint8Array =>
    rdb('REDIS0013', [[byte === undefined ? [] : [243, 1, SPEC, 5, str(Uint8Array.of(byte)), 0], 0, str('k'), str('v')]]);
  const [none, one, other] = await Promise.all([undefined, 1, 2].map((byte) => fold(file(byte))));
  expect(one.buckets.differing(other.buckets)).toHaveLength(1);
  expect(none.buckets.differing(one.buckets)).toHaveLength(1);
});

test('what differs inside: entries that a group has read, if both sides know it and streams are compared in full', () => {
  const stream = (entriesAdded: number | undefined, entriesRead: number | null): TypedValue => ({
    type: 'stream',
    value: {
      ...{ length: 0, lastId: '0-0', firstId: undefined, maxDeletedId: undefined, entriesAdded, idempotence: undefined, entries: [] },
      groups: [{ name: Buffer.from('g'), lastId: '0-0', entriesRead, pending: [], consumers: [] }],
    } as unknown as Extract<TypedValue, { type: 'stream' }>['value'],
  });
  const inside = (a: TypedValue, b: TypedValue, full: boolean): unknown => insideOf(a, b, full);
  expect(inside(stream(9, 3), stream(9, 4), true)).toMatchObject({ is: 'stream', parts: ['groups'] });
  expect(inside(stream(9, 3), stream(9, 4), false)).toEqual({ is: 'same' });
  expect(inside(stream(9, 3), stream(undefined, null), true)).toEqual({ is: 'same' });
});
