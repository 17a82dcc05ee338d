import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/rdb/frame.js';
import { encodePayload } from '../../src/rdb/payload.js';
import { samePayload } from '../../src/values/same-value.js';
import { parseTarget } from '../../src/values/targets.js';
import { Transcoder } from '../../src/values/transcode.js';
import { serverFile, SERVERS } from '../support/dump-support.js';
import { STRIDE } from '../support/factor.js';
import {
  be,
  bytes,
  f64,
  intset,
  intStr,
  le,
  len,
  listpack,
  lzfStr,
  noise,
  type Packable,
  type Part,
  str,
  ziplist,
} from '../support/support.js';
import { decoded, frameOf, framesOf } from '../support/transcode-support.js';
import { DISTINCT, loop, plain, SOURCES } from '../support/value-sources.js';

const REDIS = 15;
const VALKEY = 80;

type Encoded = readonly [type: number, value: Part, version?: number];

const payload = ([type, value, version = REDIS]: Encoded): Uint8Array => encodePayload(type, bytes(value), version);
const same = (a: Encoded, b: Encoded): boolean => samePayload(payload(a), payload(b));

/** The same the other way round, too. */
function judge(a: Uint8Array, b: Uint8Array): boolean {
  const found = samePayload(a, b);
  if (samePayload(b, a) !== found)
    throw new Error(`the same one way, and not the other: ${Buffer.from(a).toString('hex')} ${Buffer.from(b).toString('hex')}`);
  return found;
}

const bytesOf = (packable: Packable): string => (typeof packable === 'bigint' ? `${packable}` : Buffer.from(packable).toString('latin1'));

const item = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.bigInt(-20n, 20n),
  fc.uint8Array({ maxLength: 3 }),
  fc.constantFrom('', '__proto__', 'constructor', '-0', '01', '7', '-7', 'é', 'a'.repeat(70)).map((word) => bytes(Buffer.from(word))),
);
const items = (minLength = 1): fc.Arbitrary<Packable[]> => fc.uniqueArray(item, { selector: bytesOf, minLength, maxLength: 12 });
const scores = fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, -0, Infinity, -Infinity));
const expiries = fc.oneof(fc.constant(0n), fc.bigInt(1n, 2n ** 46n));

const scoreText = (score: number): Packable =>
  Object.is(score, -0)
    ? '-0'
    : score === Infinity
      ? 'inf'
      : score === -Infinity
        ? '-inf'
        : Number.isSafeInteger(score)
          ? BigInt(score)
          : String(score);
const doubleText = (score: number): Part =>
  score === Infinity ? 254 : score === -Infinity ? 255 : str(Object.is(score, -0) ? '-0' : String(score));
const isInt64 = (one: Packable): one is bigint => typeof one === 'bigint' && one === BigInt.asIntN(64, one);
const rising = (list: readonly bigint[]): bigint[] => [...list].sort((a, b) => (a < b ? -1 : 1));

/** What a value is, apart from its encoding, and all encodings of it. `key` is the same for the same values alone. */
interface Model<T> {
  readonly value: fc.Arbitrary<readonly T[]>;
  readonly ordered: boolean;
  /** One thing of it, changed or not. */
  readonly key: (one: T) => string;
  readonly name: (one: T) => string;
  readonly encodings: (value: readonly T[]) => Encoded[];
}

const LISTS: Model<Packable> = {
  value: fc.array(item, { minLength: 1, maxLength: 12 }),
  ordered: true,
  key: bytesOf,
  name: () => '',
  encodings: (list) => [
    [1, loop(...list.map(plain))],
    [10, str(ziplist(list))],
    [14, loop(...list.map((one) => str(ziplist([one]))))],
    [14, loop(lzfStr(ziplist(list)))],
    [18, loop([2, str(listpack(list.slice(0, 2)))], ...list.slice(2).map((one): Part => [1, plain(one)]))],
  ],
};

const SETS: Model<Packable> = {
  value: items(),
  ordered: false,
  key: bytesOf,
  name: bytesOf,
  encodings: (set) => [
    [2, loop(...set.map(plain))],
    [20, str(listpack(set))],
    ...(set.every(isInt64) ? [[11, str(intset(8, rising(set)))] as const] : []),
  ],
};

const ZSETS: Model<readonly [Packable, number]> = {
  value: items().chain((members) =>
    fc
      .array(scores, { minLength: members.length, maxLength: members.length })
      .map((of) => members.map((member, i) => [member, of[i]] as const)),
  ),
  ordered: false,
  key: ([member, score]) => `${bytesOf(member)} ${Object.is(score, -0) ? '-0' : score}`,
  name: ([member]) => bytesOf(member),
  encodings: (zset) => [
    [5, loop(...zset.map(([member, score]): Part => [plain(member), f64(score)]))],
    [3, loop(...zset.map(([member, score]): Part => [plain(member), doubleText(score)]))],
    [17, str(listpack(zset.flatMap(([member, score]) => [member, scoreText(score)])))],
    [12, str(ziplist(zset.flatMap(([member, score]) => [member, scoreText(score)])))],
  ],
};

type Field = readonly [field: Packable, value: Packable, expireAt: bigint];

const HASHES: Model<Field> = {
  value: items().chain((fields) =>
    fc
      .array(fc.tuple(item, expiries), { minLength: fields.length, maxLength: fields.length })
      .map((of) => fields.map((field, i): Field => [field, ...of[i]])),
  ),
  ordered: false,
  key: ([field, value, at]) => `${bytesOf(field).length} ${bytesOf(field)} ${bytesOf(value)} ${at}`,
  name: ([field]) => bytesOf(field),
  encodings: (hash) => {
    const least = hash.reduce((min, [, , at]) => (at > 0n && (min === 0n || at < min) ? at : min), 0n);
    const pairs = hash.flatMap(([field, value]) => [field, value]);
    return [
      [
        24,
        [
          le(least, 8),
          loop(...hash.map(([field, value, at]): Part => [len(at === 0n ? 0n : at - least + 1n), plain(field), plain(value)])),
        ],
      ],
      [25, [le(least, 8), str(listpack(hash.flat()))]],
      [22, loop(...hash.map(([field, value, at]): Part => [plain(field), plain(value), le(at === 0n ? -1n : at, 8)])), VALKEY],
      ...(least === 0n
        ? ([
            [4, [len(hash.length), pairs.map(plain)]],
            [16, str(listpack(pairs))],
            [13, str(ziplist(pairs))],
          ] as Encoded[])
        : []),
    ];
  },
};

/** Two values of which the second is the first one, or has one thing changed, added, or taken out; in another order, where that means nothing. */
function neighbours<T>({ ordered, value }: Model<T>): fc.Arbitrary<[readonly T[], readonly T[]]> {
  const pairs: fc.Arbitrary<[readonly T[], readonly T[]]> = fc
    .tuple(value, value, fc.nat(), fc.constantFrom('same', 'same', 'change', 'add', 'drop', 'swap'))
    .map(([one, spare, at, how]) => {
      const other = [...one];
      const i = at % one.length;
      if (how === 'change') other[i] = spare[0];
      if (how === 'add') other.splice(i, 0, spare[0]);
      if (how === 'drop' && one.length > 1) other.splice(i, 1);
      if (how === 'swap') [other[0], other[i]] = [other[i], other[0]];
      return [one, other];
    });
  return ordered
    ? pairs
    : pairs.chain(([one, other]) => fc.tuple(fc.constant(one), fc.shuffledSubarray([...other], { minLength: other.length })));
}

function areSame<T>({ key, ordered }: Model<T>, a: readonly T[], b: readonly T[]): boolean {
  const keys = (value: readonly T[]): string[] => (ordered ? value.map(key) : value.map(key).sort());
  return JSON.stringify(keys(a)) === JSON.stringify(keys(b));
}

function checkModel<T>(model: Model<T>): void {
  fc.assert(
    fc.property(neighbours(model), fc.nat(), fc.nat(), ([a, b], i, j) => {
      fc.pre(model.ordered || new Set(b.map(model.name)).size === b.length);
      const [of, others] = [model.encodings(a), model.encodings(b)];
      expect(judge(payload(of[i % of.length]), payload(others[j % others.length]))).toBe(areSame(model, a, b));
    }),
    { numRuns: 1000 },
  );
}

describe('values in any two encodings', () => {
  test('lists', () => checkModel(LISTS));
  test('sets', () => checkModel(SETS));
  test('sorted sets', () => checkModel(ZSETS));
  test('hashes', () => checkModel(HASHES));
  test('strings', () => {
    expect(same([0, intStr(7, 1)], [0, str('7')])).toBe(true);
    expect(same([0, intStr(7, 4)], [0, str('07')])).toBe(false);
    expect(same([0, lzfStr('x'.repeat(500))], [0, str('x'.repeat(500))])).toBe(true);
    expect(same([0, str('')], [0, str('')])).toBe(true);
    expect(same([0, str([0xe9])], [0, str('é')])).toBe(false);
    const large = noise(3_000_000);
    const other = large.slice();
    other[2_999_999] ^= 1;
    expect(same([0, str(large)], [0, lzfStr(large)])).toBe(true);
    expect(same([0, str(large)], [0, lzfStr(other)])).toBe(false);
  });

  test('of other types are others', () => {
    expect(same([1, loop(str('a'))], [2, loop(str('a'))])).toBe(false);
    expect(same([0, str('a')], [1, loop(str('a'))])).toBe(false);
  });

  test('a member that comes twice is none of two', () => {
    expect(same([2, loop(str('a'), str('b'))], [2, loop(str('a'), str('a'))])).toBe(false);
    expect(same([2, loop(str('a'), str('a'))], [2, loop(str('a'), str('b'))])).toBe(false);
  });

  test('the scores 0 and -0 are two', () => {
    const scored = (...scores: number[]): Encoded => [5, loop(...scores.map((score, i): Part => [str(`m${i}`), f64(score)]))];
    expect(judge(payload(scored(0)), payload(scored(-0)))).toBe(false);
    expect(judge(payload(scored(-0, 1)), payload([12, str(ziplist(['m0', '-0', 'm1', 1n]))]))).toBe(true);
    expect(judge(payload(scored(0, 1)), payload([12, str(ziplist(['m0', '-0', 'm1', 1n]))]))).toBe(false);
  });
  test('larger than a mebibyte', () => {
    const members = Array.from({ length: 40_000 }, (_, i) => `member number ${i}`);
    const set = (list: string[]): Encoded => [2, [len(list.length), list.map((one) => str(one))]];
    expect(same(set(members), set([...members].reverse()))).toBe(true);
    expect(same(set(members), set([...members.slice(1), 'member number 40000']))).toBe(false);
    expect(same(set(members), [20, str(listpack(members, false, 65535))])).toBe(true);
  });
});

/** Whether a name comes twice: as a text and as an integer. */
function hasTwins(frame: Frame): boolean {
  const value = decoded(frame) as readonly (string | { field: string } | { member: string })[];
  const names = value.map((one) => (typeof one === 'string' ? one : 'field' in one ? one.field : one.member));
  return frame.redisType !== 'list' && new Set(names).size < names.length;
}

describe('what is written for another server', () => {
  const sources = Object.entries(SOURCES).filter(([name]) => !name.includes('of the file'));

  test.each(sources)('%s', (_, source) => {
    const transcoders = DISTINCT.map((target) => new Transcoder(target));
    fc.assert(
      fc.property(source, source, ({ head, type, value }, another) => {
        const frame = frameOf(head, type, value);
        fc.pre(!hasTwins(frame));
        const version = Number(head.slice(-3));
        const of = encodePayload(type, bytes(value), version);
        const other = encodePayload(another.type, bytes(another.value), version);
        for (const transcoder of transcoders) {
          const made = transcoder.record(frame);
          if (made.outcome === 'refused') continue;
          const written = encodePayload(made.type.id, made.bytes.slice(made.start, made.end), transcoder.target.rdbVersion);
          expect(judge(of, written)).toBe(true);
          expect(judge(other, written)).toBe(samePayload(of, other));
        }
      }),
      { numRuns: 30 },
    );
  });

  test.each(SERVERS)('all keys of %s', (name) => {
    const transcoders = ['2.8', '6.2', '7.0', 'valkey-9.1', '8.10'].map((target) => new Transcoder(parseTarget(target)));
    let before = payload([0, str('none')]);
    let compared = 0;
    let at = 0;
    for (const frame of framesOf(serverFile(name))) {
      if (at++ % STRIDE !== 0) continue;
      const of = encodePayload(frame.type.id, frame.bytes.slice(frame.start, frame.end), name.startsWith('valkey') ? VALKEY : REDIS);
      for (const transcoder of transcoders) {
        const made = transcoder.record(frame);
        if (made.outcome === 'refused') continue;
        compared++;
        const written = encodePayload(made.type.id, made.bytes.slice(made.start, made.end), transcoder.target.rdbVersion);
        expect(judge(of, written)).toBe(true);
        if (made.outcome !== 'same') expect(judge(before, written)).toBe(samePayload(before, of));
      }
      before = of;
    }
    expect(compared).toBeGreaterThan(0);
  });
});

interface StreamParts {
  type?: number;
  lastId?: Part;
  firstId?: Part;
  maxDeletedId?: Part;
  added?: number;
  entry?: string;
  groups?: Part[];
  producers?: Part;
}

const id = (ms: number, seq: number): Part => [be(ms, 8), be(seq, 8)];
const idLen = (ms: number, seq: number): Part => [len(ms), len(seq)];

interface GroupParts {
  name?: string;
  lastId?: Part;
  read?: number;
  at?: number;
  deliveries?: number;
  seen?: number;
  consumers?: string[];
  owned?: Part[];
}

function group(
  type: number,
  {
    at = 5,
    consumers = ['alice', 'bob'],
    deliveries = 1,
    lastId = idLen(2, 0),
    name = 'g',
    owned = [loop(id(1, 1)), loop()],
    read = 1,
    seen = 9,
  }: GroupParts = {},
): Part {
  const times = [le(seen, 8), type >= 21 ? le(seen + 1, 8) : []];
  const handedBack = type >= 27 ? (owned[2] ?? len(0)) : [];
  return [
    str(name),
    lastId,
    type >= 19 ? len(read) : [],
    loop([id(1, 1), le(at, 8), len(deliveries)]),
    loop(...consumers.map((consumer, i): Part => [str(consumer), times, owned[i]])),
    handedBack,
  ];
}

function stream({
  added = 2,
  entry = 'v',
  firstId = idLen(1, 1),
  groups,
  lastId = idLen(2, 0),
  maxDeletedId = idLen(0, 0),
  producers = [len(100), len(100), len(0), len(0), len(0)],
  type = 19,
}: StreamParts = {}): Encoded {
  const node = listpack([2n, 0n, 1n, 'f', 0n, 2n, 0n, 1n, entry, 4n, 2n, 1n, -1n, 'w', 4n]);
  const offsets = type >= 19 ? [firstId, maxDeletedId, len(added)] : [];
  return [
    type,
    [loop([str(id(1, 0)), str(node)]), len(2), lastId, offsets, loop(...(groups ?? [group(type)])), type >= 26 ? producers : []],
  ];
}

describe('streams', () => {
  const of = stream();

  test('of any type', () => {
    for (const type of [15, 19, 21, 26, 27])
      for (const other of [15, 19, 21, 26, 27]) expect(judge(payload(stream({ type })), payload(stream({ type: other })))).toBe(true);
  });

  test.each<[string, Encoded]>([
    ['times at which consumers were seen', stream({ groups: [group(19, { seen: 77 })] })],
    ['the order of consumers', stream({ groups: [group(19, { consumers: ['bob', 'alice'], owned: [loop(), loop(id(1, 1))] })] })],
  ])('%s mean nothing', (_, other) => expect(judge(payload(of), payload(other))).toBe(true));

  test('the order of groups means nothing', () => {
    const groups = [group(19, { name: 'a' }), group(19, { name: 'b', read: 2 })];
    expect(judge(payload(stream({ groups })), payload(stream({ groups: [...groups].reverse() })))).toBe(true);
  });

  test.each<[string, Encoded]>([
    ['an entry', stream({ entry: 'x' })],
    ['the last ID', stream({ lastId: idLen(2, 1) })],
    ['the first ID', stream({ firstId: idLen(1, 0) })],
    ['the greatest deleted ID', stream({ maxDeletedId: idLen(0, 1) })],
    ['entries added', stream({ added: 3 })],
    ['no group', stream({ groups: [] })],
    ['the name of a group', stream({ groups: [group(19, { name: 'h' })] })],
    ['its last ID', stream({ groups: [group(19, { lastId: idLen(1, 1) })] })],
    ['entries read', stream({ groups: [group(19, { read: 2 })] })],
    ['a time of delivery', stream({ groups: [group(19, { at: 6 })] })],
    ['a number of deliveries', stream({ groups: [group(19, { deliveries: 2 })] })],
    ['the name of a consumer', stream({ groups: [group(19, { consumers: ['alice', 'bo'] })] })],
    ['a consumer', stream({ groups: [group(19, { consumers: ['alice'] })] })],
    ['the consumer of a pending entry', stream({ groups: [group(19, { owned: [loop(), loop(id(1, 1))] })] })],
    ['an older type', stream({ type: 15, entry: 'x' })],
  ])('%s may differ', (_, other) => expect(judge(payload(of), payload(other))).toBe(false));

  test('entries that were handed back, and producers', () => {
    const free = stream({ type: 27, groups: [group(27, { owned: [loop(), loop(), loop(id(1, 1))] })] });
    expect(judge(payload(free), payload(free))).toBe(true);
    expect(judge(payload(free), payload(stream({ type: 27 })))).toBe(false);
    const producing = (producer: string, produced: string): Encoded =>
      stream({ type: 26, producers: [len(100), len(100), loop([str(producer), loop([str(produced), idLen(1, 1)])]), len(0), len(0)] });
    expect(judge(payload(producing('p', 'i')), payload(producing('p', 'i')))).toBe(true);
    expect(judge(payload(producing('p', 'i')), payload(producing('p', 'j')))).toBe(false);
    expect(judge(payload(producing('p', 'i')), payload(producing('q', 'i')))).toBe(false);
    expect(judge(payload(producing('p', 'i')), payload(of))).toBe(false);
  });
});

describe('modules, arrays and metadata of keys', () => {
  const module = (...parts: Part[]): Encoded => [7, [len(0x1234567812345678n), parts, 0]];

  test('module values', () => {
    const value = module(2, len(5), 4, f64(0.5), 5, str('text'));
    expect(same(value, module(2, len(5, 9), 4, f64(0.5), 5, lzfStr('text')))).toBe(true);
    expect(same(value, module(2, len(6), 4, f64(0.5), 5, str('text')))).toBe(false);
    expect(same(value, module(1, len(5), 4, f64(0.5), 5, str('text')))).toBe(false);
    expect(same(value, module(2, len(5), 4, f64(0.25), 5, str('text')))).toBe(false);
    expect(same(value, module(2, len(5), 4, f64(0.5), 5, str('Text')))).toBe(false);
    expect(same(value, module(2, len(5), 4, f64(0.5)))).toBe(false);
    expect(same(value, [7, [len(0x1234567812345679n), 2, len(5), 4, f64(0.5), 5, str('text'), 0]])).toBe(false);
  });

  test('arrays', () => {
    const array = (index: number, value: string, next: Part = [len(1), len(7)]): Encoded => [
      28,
      [len(2), next, len(0), len(0), str('s'), len(index), len(0), str(value)],
    ];
    expect(same(array(5, 'x'), [28, [len(2), len(1), len(7, 9), len(0), len(0), lzfStr('s'), len(5), len(0), str('x')]])).toBe(true);
    expect(same(array(5, 'x'), array(6, 'x'))).toBe(false);
    expect(same(array(5, 'x'), array(5, 'y'))).toBe(false);
    expect(same(array(5, 'x'), array(5, 'x', [len(1), len(8)]))).toBe(false);
    expect(same(array(5, 'x'), array(5, 'x', len(0)))).toBe(false);
  });

  test('metadata', () => {
    const withMeta = (meta: Uint8Array | undefined, value: Part = str('a')): Uint8Array => encodePayload(0, bytes(value), REDIS, meta);
    const meta = bytes(1, le(1, 4), 2, len(5), 0);
    const other = bytes(1, le(1, 4), 2, len(6), 0);
    expect(judge(withMeta(meta), withMeta(meta))).toBe(true);
    expect(judge(withMeta(meta, str('7')), withMeta(meta, intStr(7, 1)))).toBe(true);
    expect(judge(withMeta(meta), withMeta(other))).toBe(false);
    expect(judge(withMeta(meta), withMeta(undefined))).toBe(false);
  });
});

describe('what cannot be told', () => {
  test('a wrong checksum, unless the bytes are the same', () => {
    const [one, other] = [payload([2, loop(str('a'), str('b'))]), payload([2, loop(str('b'), str('a'))])];
    expect(judge(one, other)).toBe(true);
    const wrong = other.slice();
    wrong[wrong.length - 1] ^= 1;
    expect(judge(one, wrong)).toBe(false);
    expect(judge(other, wrong)).toBe(true);
    expect(judge(other, payload([2, loop(str('b'), str('a')), 9]))).toBe(true);
  });

  test('numbers of types that are not those of Redis and of Valkey', () => {
    // as Redis wrote it before 7.4: an expiry, field, value; as Valkey 9: field, value, 8 bytes
    const value = loop([0, str('a'), str('b')]);
    expect(judge(payload([22, value, 12]), payload([22, value, 15]))).toBe(true);
    expect(judge(payload([22, value, 12]), payload([22, value, VALKEY]))).toBe(false);
  });

  test('too short ones', () => {
    for (let size = 0; size < 12; size++) expect(judge(new Uint8Array(size), new Uint8Array(size))).toBe(false);
    expect(judge(new Uint8Array(5), payload([0, str('a')]))).toBe(false);
  });

  test('damage is never a crash', () => {
    const values: Encoded[] = [
      [2, loop(str('a'), str('b'))],
      [17, str(listpack(['a', 1n, 'b', 2n]))],
      [25, [le(5, 8), str(listpack(['a', 'b', 5n]))]],
      [18, loop([2, str(listpack(['a']))], [1, str('b')])],
      stream({ type: 27 }),
      [7, [len(5), 2, len(5), 0]],
    ];
    fc.assert(
      fc.property(fc.constantFrom(...values), fc.nat(), fc.nat(255), fc.boolean(), ([type, value, version = REDIS], at, byte, cut) => {
        const plain = bytes(value);
        const damaged = cut ? plain.slice(0, at % plain.length) : plain.map((was, i) => (i === at % plain.length ? byte : was));
        const other = encodePayload(type, damaged.length === 0 ? new Uint8Array(1) : damaged, version);
        const found = judge(payload([type, plain, version]), other);
        if (cut) expect(found).toBe(false);
        expect(judge(payload([type, plain, version]), encodePayload(type, bytes(plain, byte), version))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
