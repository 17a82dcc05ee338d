import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MODULE_CHARSET } from '../../src/values/module.js';
import { digestOf, fold } from '../support/diff-support.js';
import { be, f64, len, type Part, rdb, str } from '../support/support.js';
import { frameOf } from '../support/transcode-support.js';
import { REDIS } from '../support/value-sources.js';

const id = (name: string, version: number): Part => [
  0x81,
  be([...name].reduce((sum, letter) => (sum << 6n) | BigInt(MODULE_CHARSET.indexOf(letter)), 0n) * 1024n + BigInt(version), 8),
];
const uint = (value: number | bigint): Part => [2, len(value)];
const double = (value: number): Part => [4, f64(value)];
const string = (...parts: Part[]): Part => [5, str(...parts)];
const value = (name: string, version: number, ...parts: Part[]): Part => [id(name, version), parts, 0];
const of = (name: string, version: number, ...parts: Part[]): string => digestOf(frameOf(REDIS, 7, value(name, version, ...parts)));

test('parts, their kinds and the version of the format count', () => {
  const digests = [
    of('my-module', 1, uint(1), string('a')),
    of('my-module', 2, uint(1), string('a')),
    of('My-module', 1, uint(1), string('a')),
    of('my-module', 1, [1, 1], string('a')),
    of('my-module', 1, string('a'), uint(1)),
    of('my-module', 1, uint(1), string('b')),
    of('my-module', 1, double(1), string('a')),
    of('my-module', 1, uint(1), string('a'), string('')),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});

describe('JSON', () => {
  const json = (text: string, version = 3): string => of('ReJSON-RL', version, string(text), ...(version === 2 ? [uint(0)] : []));
  const same = (...texts: string[]): void => expect(new Set(texts.map((text) => json(text))).size, texts.join(' ')).toBe(1);
  const differ = (...texts: string[]): void => expect(new Set(texts.map((text) => json(text))).size, texts.join(' ')).toBe(texts.length);

  test('counts by its meaning', () => {
    same(
      '{"a":1,"b":[1.5,true,null,"x"]}',
      ' { "b" : [ 1.5 , true , null , "x" ] , "a" : 1 } ',
      '{"\\u0061":1,"b":[15e-1,true,null,"\\u0078"]}',
    );
    same('"é"', '"\\u00e9"');
    same('[]', '[ ]');
    same('100.0', '1e2', '1.0E+2');
    expect(json('{"a":[]}', 2)).toBe(json('{"a":[]}'));
    differ('[]', '{}', '""', '0', 'null', 'false', '[[]]', '[[],[]]', '[0]', '[0,0]', '{"a":0}', '{"a":{}}', '{"":0}');
    differ('[1,2]', '[2,1]', '[12]', '[[1],2]', '[[1,2]]', '[1,[2]]');
    differ('1', '1.0', '"1"', '10', '-1');
    differ('{"a":1,"b":2}', '{"a":2,"b":1}', '{"a":1}', '{"a":1,"b":2,"c":3}', '{"a":{"b":2}}', '{"ab":12}');
  });

  test('no digit of an integer is lost', () => {
    differ('9007199254740992', '9007199254740993', '18446744073709551615', '18446744073709551616');
  });

  test('what is no JSON counts as it is written', () => {
    differ(
      '{"a":1',
      ' {"a":1',
      '[1,]',
      '[1, ]',
      '{"a" 1}',
      '01',
      '[01]',
      '"\\ud800"',
      '"\\ud801"',
      '"\\x"',
      '[1]]',
      '[1] 2',
      '1e999',
      '[1e999]',
      '{a:1}',
      '{"a":1,}',
      '',
      ' ',
      ']',
      '[}',
      '"',
      'nul',
      '+1',
      '{1:2}',
    );
  });

  test('any values, written by JavaScript or with white space: the same if they are', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const plain = json(JSON.stringify(a));
        expect(json(JSON.stringify(a, null, '\t '))).toBe(plain);
        expect(json(JSON.stringify(b)) === plain).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
      }),
    );
  });

  test('in pieces it is the same', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.integer({ min: 1, max: 30 }), async (any, size) => {
        const file = rdb('REDIS0011', [[7, str('k'), value('ReJSON-RL', 3, string(JSON.stringify(any)))]]);
        const [whole, parts] = await Promise.all([fold(file), fold(file, {}, { limit: 8, sizes: [size] })]);
        expect(whole.buckets.differing(parts.buckets)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

const sorted = (any: unknown): unknown => {
  if (Array.isArray(any)) return any.map(sorted);
  if (typeof any !== 'object' || any === null) return any;
  return Object.fromEntries(
    Object.entries(any)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, one]) => [`.${name}`, sorted(one)]),
  );
};

describe('TopK', () => {
  const topk = (address: number, count: number): string =>
    of(
      'TopK-TYPE',
      0,
      uint(2),
      uint(8),
      uint(7),
      double(0.9),
      string(new Uint8Array(64)),
      string(...[7, 9].map((print): Part => [be(print, 4), be(1, 4), be(address, 8), be(count, 4), be(0, 4)])),
      string('a\0'),
    );

  test('the addresses in the heap do not count, all else does', () => {
    expect(topk(0x7fff1234, 1)).toBe(topk(0x55551234, 1));
    expect(topk(0x7fff1234, 1)).not.toBe(topk(0x7fff1234, 2));
  });
});

describe('time series', () => {
  interface Series {
    key?: string;
    version?: number;
    source?: string;
    labels?: string[];
    rules?: Part[];
    chunks?: Part[];
    uncompressed?: boolean;
    retention?: number;
  }
  const chunk = (samples: string): Part => [...[4096, 3, 70, 2n ** 62n, 1000, 2001, 1, 7, 12, 51].map(uint), string(samples)];
  const plainChunk = (samples: string): Part => [uint(1), uint(1), uint(4096), string(samples)];
  const rule = (target: string, aggregation: number, ...context: Part[]): Part => [
    string(target),
    uint(1000),
    uint(0),
    uint(aggregation),
    uint(2000),
    context,
  ];
  const series = ({
    chunks = [chunk('0123456789abcdef')],
    key = 'ts',
    labels = [],
    retention = 0,
    rules = [],
    source,
    uncompressed = false,
    version = 8,
  }: Series): string =>
    of(
      ...(['TSDB-TYPE', version] as const),
      ...[string(key), uint(retention), uint(4096), uint(uncompressed ? 1 : 2), uint(2001), double(3.5), uint(3), uint(0)],
      ...(source === undefined ? [uint(0)] : [uint(1), string(source)]),
      ...[
        uint(0),
        double(0),
        uint(labels.length / 2),
        ...labels.map((label) => string(label)),
        uint(rules.length),
        ...rules,
        uint(chunks.length),
        ...chunks,
      ],
    );
  const AVERAGE = rule('a', 4, double(6), double(2), uint(0));
  const MAXIMUM = rule('b', 2, double(6), double(2), string('\x01'));
  const TWA = rule('long name', 13, double(6), uint(1), double(2), ...Array.from({ length: 7 }, () => uint(5)));

  test('rules, source and own key do not count', () => {
    for (const more of [
      {},
      { labels: ['room', 'a'] },
      { chunks: [chunk('0123456789abcdef'), chunk('x'), chunk('y')] },
      { uncompressed: true, chunks: [plainChunk('0123456789abcdef')] },
    ]) {
      const plain = series(more);
      for (const rules of [
        [AVERAGE],
        [MAXIMUM],
        [TWA],
        [AVERAGE, MAXIMUM],
        [MAXIMUM, AVERAGE],
        [MAXIMUM, MAXIMUM, TWA],
        [TWA, AVERAGE, AVERAGE],
      ])
        expect(series({ ...more, rules })).toBe(plain);
      expect(series({ ...more, key: 'other', source: 'ts0', version: 9, rules: [AVERAGE] })).toBe(plain);
    }
  });

  test('all else counts', () => {
    const all: Series[] = [
      {},
      { retention: 1 },
      { labels: ['room', 'a'] },
      { labels: ['room', 'b'] },
      { chunks: [chunk('0123456789abcdeg')] },
      { chunks: [chunk('0123456789abcdef'), chunk('x')] },
      { chunks: [chunk('x'), chunk('0123456789abcdef')] },
      { uncompressed: true, chunks: [plainChunk('0123456789abcdef')] },
    ];
    for (const rules of [[], [MAXIMUM, AVERAGE]]) expect(new Set(all.map((one) => series({ ...one, rules }))).size).toBe(all.length);
  });

  test('those that are not understood count as they are', () => {
    const broken = (last: number): string =>
      of(
        'TSDB-TYPE',
        8,
        string('ts'),
        ...[0, 4096, 2, 2001].map(uint),
        double(1),
        ...[3, 0, 0, 0].map(uint),
        double(0),
        uint(0),
        uint(0),
        uint(9),
        uint(last),
      );
    expect(broken(1)).not.toBe(broken(2));
  });

  test('those of Redis Stack', async () => {
    const file = new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/cases/redis-stack-7.4.1.rdb')));
    const one = await fold(file, {}, { limit: 64, sizes: [100] });
    expect(one.buckets.differing((await fold(file)).buckets)).toEqual([]);
    expect([...one.counts]).toEqual([[0, { module: 9 }]]);
  });
});
