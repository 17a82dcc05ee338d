import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { formatText } from '../../src/bytes/text.js';
import { TARGETS, typeFor } from '../../src/values/targets.js';
import { comparable, encodeLines, type EncodeOptions, typesOf } from '../support/encode-support.js';
import { inTurn, STRIDE, thinned } from '../support/factor.js';
import { bytes, decodeBytes, noise } from '../support/support.js';
import { framesOf } from '../support/transcode-support.js';

const folder = join(import.meta.dirname, '../../fixtures/servers');
const fixtures = readdirSync(folder).filter((name) => name.endsWith('.rdb'));
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));

/** The keys alone. */
const keys = async (rdb: Uint8Array): Promise<string> => (await decodeBytes(rdb)).lines;

/** The release that wrote a file. */
const serverOf = (name: string): string => /^\w+-\d+(?:\.\d+)*/.exec(name)?.[0] ?? '';

describe('files of servers, decoded and encoded again, are what they were', () => {
  test.each(fixtures)('%s', async (name) => {
    const lines = await keys(read(name));
    const { refusals, rdb } = await encodeLines(lines, { target: serverOf(name) });
    expect(refusals).toEqual([]);
    expect(comparable(await keys(rdb))).toEqual(comparable(lines));
    expect(typesOf(rdb)).toEqual(typesOf(read(name)));
  });

  test.each(['redis-2.8.24.rdb', 'redis-7.0.15.rdb', 'redis-7.4.1-modules.rdb'])(
    '%s for every server',
    async (name) => {
      const lines = await keys(read(name));
      const records = comparable(lines) as Record<string, unknown>[];
      for (const target of thinned(TARGETS)) {
        const { rdb, refusals } = await encodeLines(lines, { target: `${target.vendor}-${target.release}` });
        const refused = new Set(refusals.map(({ db, key }) => `${db} ${key}`));
        const mayMiss = ['STREAM_LISTPACKS', 'MODULE_2'].some((type) => typeFor(target, type) === undefined);
        if (!mayMiss) expect([...refused]).toEqual([]);
        const plain = ({ freq, idle, type, value, ...rest }: Record<string, unknown>): unknown => {
          return target.rdbVersion < 9 ? { ...rest, type, value } : type === 'stream' ? rest : { ...rest, freq, idle, type, value };
        };
        const wanted = records.filter(({ db, key }) => !refused.has(`${db as number} ${key as string}`));
        expect((comparable(await keys(rdb)) as Record<string, unknown>[]).map(plain)).toEqual(wanted.map(plain));
      }
    },
  );
});

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }).filter((word) => word.isWellFormed()),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => formatText(bytes)),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.integer({ min: -40000, max: 40000 }).map(String),
  fc.constantFrom('', '__proto__', '-0', '01', 'inf', 'constructor', '1'),
).filter((word) => !word.startsWith('base64:') || formatText(Buffer.from(word.slice(7), 'base64')) === word);
const score = fc
  .double({ noNaN: true })
  .map((value) => (Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : JSON.stringify(value > 0 ? 'inf' : '-inf')));

/** An object as text: with names that an object of JavaScript would put in another order, or lose. */
const object = (value: fc.Arbitrary<string>, most = 20): fc.Arbitrary<string> =>
  fc
    .uniqueArray(fc.tuple(text, value), { selector: ([name]) => name, minLength: 1, maxLength: most })
    .map((pairs) => `{${pairs.map(([name, of]) => `${JSON.stringify(name)}:${of}`).join(',')}}`);

const json = text.map((word) => JSON.stringify(word));
const many = fc.integer({ min: 1, max: 700 }).map((count) => Array.from({ length: count }, (_, i) => `m${i}`));
const value = fc.oneof(
  fc.tuple(fc.constant('string'), json),
  fc.tuple(
    fc.constant('list'),
    fc
      .oneof(fc.array(text, { minLength: 1 }), many, fc.constantFrom(['x'.repeat(20_000), 'y'], ['a', 'b'.repeat(8193), 'c']))
      .map((items) => JSON.stringify(items)),
  ),
  fc.tuple(
    fc.constant('set'),
    fc
      .oneof(fc.uniqueArray(text, { minLength: 1 }), many, fc.uniqueArray(fc.integer().map(String), { minLength: 1, maxLength: 600 }))
      .map((items) => JSON.stringify(items)),
  ),
  fc.tuple(
    fc.constant('zset'),
    fc.oneof(
      object(score),
      many.map((items) => JSON.stringify(Object.fromEntries(items.map((item, i) => [item, i / 4])))),
    ),
  ),
  fc.tuple(
    fc.constant('hash'),
    fc.oneof(
      object(json),
      object(
        fc.oneof(
          json,
          fc.tuple(json, fc.integer({ min: 1, max: 2 ** 45 })).map(([of, ms]) => `{"value":${of},"expireAt":${ms}}`),
        ),
      ),
      many.map((items) => JSON.stringify(Object.fromEntries(items.map((item) => [item, { value: item, expireAt: 5 }])))),
    ),
  ),
);
const line = fc
  .tuple(fc.integer({ min: 0, max: 3 }), value, fc.option(fc.integer({ min: -5, max: 2 ** 50 })))
  .map(([db, [type, of], expireAt]) => ({ db, type, of, expireAt }));
const file = fc
  .array(line, { maxLength: 6 })
  .map((lines) =>
    lines
      .map(
        ({ db, expireAt, of, type }, i) =>
          `{"db":${db},"key":"k${i}","type":"${type}"${expireAt === null ? '' : `,"expireAt":${expireAt}`},"value":${of}}\n`,
      )
      .join(''),
  );

describe('any values', () => {
  test.each(['redis-7.4', 'valkey-9.1', 'redis-8.8'])('come back from %s', async (target) => {
    await fc.assert(
      fc.asyncProperty(file, fc.integer({ min: 1, max: 5000 }), async (lines, chunks) => {
        const { rdb, refusals } = await encodeLines(lines, { target, chunks });
        expect(refusals).toEqual([]);
        expect(comparable(await keys(rdb))).toEqual(comparable(lines));
      }),
      { numRuns: 60 },
    );
  });

  test('without field expiries from every server', async () => {
    await fc.assert(
      fc.asyncProperty(file, fc.constantFrom(...TARGETS), async (lines, { release, vendor }) => {
        const { rdb, refusals } = await encodeLines(lines, { target: `${vendor}-${release}` });
        const refused = new Set(refusals.map(({ key }) => key));
        expect(comparable(await keys(rdb))).toEqual(comparable(lines).filter((of) => !refused.has((of as { key: string }).key)));
        for (const { reason } of refusals) expect(reason).toMatch(/no expiry of single hash fields/);
      }),
      { numRuns: 100 },
    );
  });

  test('in any chunks, however long the line', async () => {
    const big = 'é😀"\\'.repeat(STRIDE === 1 ? 100_000 : 20_000);
    const lines = [
      { db: 0, key: 'a', type: 'string', value: big },
      { db: 0, key: 'b', type: 'hash', value: { [big]: '1', x: big, y: { value: big, expireAt: 77 }, z: '' } },
      {
        db: 0,
        key: 'c',
        type: 'list',
        value: ['1', big, 'x', formatText(new Uint8Array(STRIDE === 1 ? 2_000_000 : 400_000).fill(0xff)), 'y'],
      },
      { db: 0, key: 'd', type: 'zset', value: { [big]: 1, e: 2 } },
    ]
      .map((of) => `${JSON.stringify(of)}\n`)
      .join('');
    for (const target of ['redis-7.4', 'valkey-9.1']) {
      const wanted = (await encodeLines(lines, { target })).rdb;
      expect(comparable(await keys(wanted))).toEqual(comparable(lines));
      for (const chunks of [1009, 65_537]) expect(Buffer.compare((await encodeLines(lines, { target, chunks })).rdb, wanted)).toBe(0);
    }
  });

  test('base64 may end anywhere in the pieces of a large line', async () => {
    const blobs = Array.from({ length: 200 }, (_, i) => formatText(new Uint8Array(12_280 + i).fill(0xff)));
    const { rdb } = await encodeLines(`${JSON.stringify({ db: 0, key: 'k', type: 'list', value: blobs })}\n`);
    expect((JSON.parse(await keys(rdb)) as { value: string[] }).value).toEqual(blobs);
    blobs[3] = `base64:${'AAA='.repeat(10_000)}`;
    expect(await problem(`${JSON.stringify({ key: 'k', type: 'list', value: blobs })}\n`)).toMatchObject({
      code: 'BAD_LINE',
      path: 'value[3]',
      got: 'more of it after "="',
    });
  });

  test('of a large line, the type may come last', async () => {
    const { rdb } = await encodeLines(`{"value":[${'"some text",'.repeat(200_000)}"end"],"key":"k","type":"list"}\n`);
    expect(JSON.parse(await keys(rdb))).toMatchObject({ db: 0, key: 'k', type: 'list', value: { length: 200_001 } });
  });

  test('any truncation and any mutation ends well or with a code', async () => {
    const bytes = new TextEncoder().encode(
      (await keys(read('redis-7.2.6.rdb')))
        .split('\n')
        .filter((of) => of.length < 2000)
        .slice(0, 40)
        .join('\n'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length),
        fc.nat(255),
        fc.boolean(),
        fc.integer({ min: 1, max: 3000 }),
        async (at, byte, cut, chunks) => {
          const damaged = cut ? bytes.slice(0, at) : bytes.with(Math.min(at, bytes.length - 1), byte);
          const { errors, rdb } = await encodeLines(damaged, { keepGoing: true, chunks });
          for (const error of errors) expect(error).toBeInstanceOf(RdbError);
          await keys(rdb);
        },
      ),
      { numRuns: 300 },
    );
  });
});

const key = (type: string, of: string, more = ''): string => `{"key":"k","type":"${type}",${more}"value":${of}}\n`;

async function problem(
  lines: string | Uint8Array,
  options: EncodeOptions = {},
): Promise<Pick<RdbError, 'code' | 'line' | 'path' | 'expected' | 'got' | 'offset'>> {
  try {
    await encodeLines(lines, options);
  } catch (error) {
    if (error instanceof RdbError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('what a line must be', () => {
  test.each([
    ['a field twice', key('hash', '{"a":"1","a":"2"}'), 'BAD_LINE', 'value.a', 'a field that was there before'],
    [
      'the same bytes in both forms',
      key('hash', '{"a":"1","base64:YQ==":"2"}'),
      'BAD_LINE',
      'value["base64:YQ=="]',
      'a field that was there before',
    ],
    ['a member twice', key('set', '["a","b","a"]'), 'BAD_LINE', 'value[2]', 'a member that was there before'],
    ['a JSON field twice', key('string', '"a"', '"db":1,"db":1,'), 'BAD_LINE', 'db', 'the same field again'],
    ['an unknown field', key('string', '"a"', '"ttl":1,'), 'BAD_LINE', 'ttl', 'another one (--lenient leaves it out)'],
    ['a field that is missing', '{"key":"k","type":"string"}\n', 'BAD_LINE', undefined, 'an object without'],
    ['no type', '{"key":"k","value":"v"}\n', 'BAD_LINE', undefined, 'an object without'],
    ['another type', key('tree', '"a"'), 'BAD_LINE', 'type', '"tree"'],
    ['a type with control characters', key('\\u001b[31m', '"a"'), 'BAD_LINE', 'type', '"\\u001b[31m"'],
    [
      'a float that has no 32 bits',
      key('module', '{"module":"mymod-aaa","version":1,"parts":[{"float":1e39}]}'),
      'BAD_LINE',
      'value.parts[0].float',
      '1e+39, which no float of 32 bits has',
    ],
    ['a number for a string', key('string', '5'), 'BAD_LINE', 'value', '5'],
    ['a lone surrogate', key('string', '"\\ud800"'), 'BAD_LINE', 'value', '\\ud800, half of a surrogate pair'],
    [
      'base64 that is none',
      key('list', '["base64:_"]'),
      'BAD_LINE',
      'value[0]',
      'base64 with 1 characters: they come in fours, with "=" to fill up',
    ],
    ['a score that no double has', key('zset', '{"a":1e999}'), 'BAD_LINE', 'value.a', '1e999'],
    ['an empty list', key('list', '[]'), 'BAD_LINE', 'value', 'one without, which no server has'],
    ['both idle and freq', key('string', '"a"', '"idle":1,"freq":2,'), 'BAD_LINE', undefined, 'both, which no server has'],
    [
      'IDs that fall',
      key('stream', '{"entries":[{"id":"2-0","fields":["a","b"]},{"id":"1-0","fields":["a","b"]}]}'),
      'BAD_LINE',
      'value.entries[1]',
      'one that does not',
    ],
    ['an ID that is none', key('stream', '{"entries":[{"id":"2","fields":["a","b"]}]}'), 'BAD_LINE', 'value.entries[0].id', '"2"'],
    [
      'a pending entry of nobody',
      key(
        'stream',
        '{"entries":[],"groups":[{"name":"g","lastId":"0-0","pending":[{"id":"1-1","consumer":"c","deliveredAt":1,"deliveries":1}],"consumers":[]}]}',
      ),
      'BAD_LINE',
      'value.groups[0]',
      'a pending entry of another one',
    ],
    ['a database that no server has', key('string', '"a"', '"db":-1,'), 'BAD_LINE', 'db', '-1'],
    ['an array', '[1]\n', 'BAD_LINE', undefined, 'an array'],
    ['two objects', '{"key":"k","type":"string","value":""} {}\n', 'BAD_JSON', undefined, 'another value after the object'],
    ['an object that goes on in the next line', '{"key":"k","type":"string",\n"value":""}\n', 'BAD_JSON', 'type', 'the end of the line'],
    ['no JSON', '{"key":"k",}\n', 'BAD_JSON', undefined, '"}"'],
    ['a string without an end', '{"key":"k\n', 'BAD_JSON', undefined, 'the end of the line'],
    ['a bare string without an end', '"k\n', 'BAD_JSON', undefined, 'the end of the line'],
    ['a control character in a string', '{"key":\t"a\\"b\tc","type":"string","value":""}\n', 'BAD_JSON', undefined, '"\\t"'],
    ['an escape that is none', '{"key":"a\\nb\\x41","type":"string","value":""}\n', 'BAD_JSON', undefined, '"\\\\"'],
    ['a word that is none', '{"key":nul}\n', 'BAD_JSON', undefined, '"n"'],
  ])('%s', async (_, lines, code, path, got) => {
    const good = key('string', '"before"').replace('"k"', '"before"');
    const found = await problem(good + lines);
    expect({ code: found.code, line: found.line, path: found.path, got: found.got }).toEqual({ code, line: 2, path, got });
    expect(found.offset).toBeGreaterThanOrEqual(good.length);
  });

  test('bytes that are not UTF-8 are told by their offset, in whole lines and in parts', async () => {
    for (const size of [10, 3_000_000]) {
      const bytes = new TextEncoder().encode(`\n${key('string', `"${'x'.repeat(size)}"`)}`);
      for (const [at, bad] of [[40, 0xff], [40, 0xc3], [size + 30, 0xe2]] as const) {
        expect(await problem(bytes.with(at, bad), { chunks: 4096 })).toMatchObject({ code: 'BAD_JSON', line: 2, offset: at });
      }
    }
  });

  test('a byte order mark, blank lines, CRLF, no line feed at the end', async () => {
    for (const chunks of [1, 2, 100]) {
      const { rdb } = await encodeLines(
        `\ufeff\r\n  \n${key('string', '"a"').trimEnd()}\r\n\n${key('string', '"b"').replace('"k"', '"l"').trimEnd()}`,
        { chunks },
      );
      expect(await keys(rdb)).toBe('{"db":0,"key":"k","type":"string","value":"a"}\n{"db":0,"key":"l","type":"string","value":"b"}\n');
    }
    expect(await problem(new Uint8Array([0xef, 0xbb, 0x7b, 0x7d]), { chunks: 1 })).toMatchObject({ code: 'BAD_JSON', line: 1, offset: 0 });
  });

  test('lenient: unknown fields are counted and left out', async () => {
    const { rdb, unknown } = await encodeLines(key('hash', '{"f":{"value":"v","expireAt":5,"x":[{}]}}', '"ttl":{"a":[1,"2",null]},'), {
      lenient: true,
      target: '7.4',
    });
    expect(unknown).toBe(2);
    expect(await keys(rdb)).toBe('{"db":0,"key":"k","type":"hash","value":{"f":{"value":"v","expireAt":5}}}\n');
  });

  test('a bad line leaves nothing behind, and the others are written', async () => {
    const lines = [key('hash', '{"a":"1","b":2}'), key('list', `["${'x'.repeat(3_000_000)}",5]`), 'x\n', key('string', '"good"')];
    const { errors, rdb } = await encodeLines(lines.join(''), { keepGoing: true, chunks: 50_000 });
    expect(errors.map(({ key: of, line: number }) => [number, of])).toEqual([[1, 'k'], [2, 'k'], [3, undefined]]);
    expect(await keys(rdb)).toBe('{"db":0,"key":"k","type":"string","value":"good"}\n');
  });
});

describe('what a server would write', () => {
  const encodingOf = async (type: string, of: unknown, target: string): Promise<string> =>
    typesOf((await encodeLines(key(type, JSON.stringify(of)), { target })).rdb)[0][1];
  const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);
  const named = (count: number): string[] => numbered(count).map((name) => `n${name}`);
  const fields = (names: readonly string[], of: unknown): object => Object.fromEntries(names.map((name) => [name, of]));
  test.each([
    ['set', numbered(512), '7.2', 'SET_INTSET'],
    ['set', numbered(513), '7.2', 'SET'],
    ['set', named(128), '7.2', 'SET_LISTPACK'],
    ['set', named(129), '7.2', 'SET'],
    ['set', named(2), '7.0', 'SET'],
    ['set', ['x'.repeat(65)], '7.2', 'SET'],
    ['zset', fields(named(128), 1), '7.2', 'ZSET_LISTPACK'],
    ['zset', fields(named(129), 1), '7.2', 'ZSET_2'],
    ['zset', fields(named(129), 1), '3.2', 'ZSET'],
    ['zset', fields(['a'], 1), '6.2', 'ZSET_ZIPLIST'],
    ['hash', fields(named(512), 'v'), '7.2', 'HASH_LISTPACK'],
    ['hash', fields(named(513), 'v'), '7.2', 'HASH'],
    ['hash', fields(['a'], 'x'.repeat(65)), '7.2', 'HASH'],
    ['hash', fields(['a'], 'x'), '6.2', 'HASH_ZIPLIST'],
    ['hash', fields(['a'], { value: 'x', expireAt: 5 }), '7.4', 'HASH_LISTPACK_EX'],
    ['hash', fields(['a'], { value: 'x'.repeat(65), expireAt: 5 }), '7.4', 'HASH_METADATA'],
    ['hash', fields(['a'], { value: 'x', expireAt: 5 }), 'valkey-9.0', 'HASH_2'],
    ['list', ['a'], '7.0', 'LIST_QUICKLIST_2'],
    ['list', ['a'], '6.2', 'LIST_QUICKLIST'],
    ['list', ['a'], '3.0', 'LIST_ZIPLIST'],
    ['list', numbered(512), '3.0', 'LIST_ZIPLIST'],
    ['list', numbered(513), '3.0', 'LIST'],
    ['list', ['x'.repeat(65)], '3.0', 'LIST'],
    ['stream', { entries: [], firstId: '0-0' }, '7.2', 'STREAM_LISTPACKS_3'],
    ['stream', { entries: [] }, '7.2', 'STREAM_LISTPACKS'],
    [
      'stream',
      { entries: [], firstId: '0-0', groups: [{ name: 'g', lastId: '0-0', consumers: [{ name: 'c', seenTime: 1 }] }] },
      '7.2',
      'STREAM_LISTPACKS_2',
    ],
  ])('%s %#', async (type, of, target, encoding) => expect(await encodingOf(type, of, target)).toBe(encoding));

  test('a large element of a list of ziplists stands alone', async () => {
    const of = ['a', 'x'.repeat(9000), 'b', 'y'.repeat(20_000), 'z'.repeat(2_000_000)];
    const { rdb } = await encodeLines(key('list', JSON.stringify(of)), { target: '6.2', chunks: 10_000 });
    expect((JSON.parse(await keys(rdb)) as { value: unknown }).value).toEqual(of);
  });

  test.each(inTurn(['7.0', '6.2', '3.0'], 0))(
    'large strings are compressed where that saves something, for %s',
    async (target) => {
      const [same, mixed, random] = [
        'x'.repeat(3_000_000),
        formatText(bytes(noise(900_000), new Uint8Array(900_000))),
        formatText(noise(3_000_000)),
      ];
      const values: [string, unknown][] = [
        ['string', same],
        ['string', mixed],
        ['string', random],
        ['list', ['a', same, random, 'b']],
        ['hash', { [same]: same, [random]: random }],
        ['set', [random, same]],
        ['zset', { [same]: 1, [random]: 2 }],
      ];
      const lines = values.map(([type, value], i) => `${JSON.stringify({ db: 0, key: `${i}`, type, value })}\n`).join('');
      const { rdb } = await encodeLines(lines, { target, chunks: 100_000 });
      expect(await keys(rdb)).toBe(lines);
      const sizes = Array.from(framesOf(rdb), ({ end, start }) => end - start);
      const packed = 3_000_000 / 88;
      const near = (size: number, least: number): void => {
        expect(size).toBeGreaterThanOrEqual(Math.floor(least));
        expect(size).toBeLessThan(least * 1.04 + 1000);
      };
      [
        packed,
        900_000 + 900_000 / 88,
        3_000_000,
        3_000_000 + packed,
        6_000_000 + 2 * packed,
        3_000_000 + packed,
        3_000_000 + packed,
      ].forEach((least, i) => near(sizes[i], least));
    },
  );

  test('what the target has no place for', async () => {
    const hash = key('hash', '{"f":{"value":"v","expireAt":5}}');
    const { refusals } = await encodeLines(hash);
    expect(refusals).toEqual([
      { db: 0, key: 'k', reason: 'Redis 7.2 has no expiry of single hash fields: 1 of 1 have one; --allow-loss writes the key without it' },
    ]);
    const lossy = await encodeLines(hash, { allowLoss: true });
    expect([lossy.counts.lost, await keys(lossy.rdb)]).toEqual([1, '{"db":0,"key":"k","type":"hash","value":{"f":"v"}}\n']);
    expect((await encodeLines(key('zset', '{"a":"nan"}'))).refusals[0].reason).toBe('no server loads a sorted set with the score nan');
    expect((await encodeLines(key('stream', '{"entries":[]}'), { target: '4.0' })).refusals[0].reason).toBe('Redis 4.0 has no streams');
  });

  test('the lines before the first key say which server, where nobody else does', async () => {
    const aux = (name: string, version: string): string => `{"type":"aux","key":"${name}","value":"${version}"}\n`;
    const magic = async (lines: string, target?: string): Promise<string> =>
      Buffer.from((await encodeLines(lines, target === undefined ? {} : { target })).rdb.subarray(0, 9)).toString();
    expect(await magic('')).toBe('REDIS0011');
    expect(await magic(aux('redis-ver', '6.2.14'))).toBe('REDIS0009');
    expect(await magic(aux('valkey-ver', '9.1.2') + key('string', '""'))).toBe('VALKEY080');
    expect(await magic(aux('redis-ver', '99.1.2'))).toBe('REDIS0011');
    expect(await magic(aux('redis-ver', '6.2.14'), '7.4')).toBe('REDIS0012');
    expect(await magic(key('string', '""') + aux('redis-ver', '6.2.14'))).toBe('REDIS0011');
  });
});

describe('records that are no keys', () => {
  test('a function library that no server loads is told, and counted apart from keys', async () => {
    const { counts, refusals } = await encodeLines(
      `{"type":"function","name":"f","engine":"LUA","value":"return 1"}\n${key('string', '""')}`,
    );
    expect(refusals).toEqual([{ reason: 'a function library of a release candidate of Redis 7.0, which no server loads' }]);
    expect(counts).toEqual({ refused: 0, others: 1, adapted: 0, lost: 0 });
  });

  test('come back', async () => {
    const lines = (await decodeBytes(read('redis-7.4.1-modules.rdb'), { meta: true })).lines;
    const { rdb } = await encodeLines(lines);
    const kept = (of: string): unknown[] =>
      comparable(of).filter((record) => !['resizeDb', 'end'].includes((record as { type: string }).type));
    expect(kept((await decodeBytes(rdb, { meta: true })).lines)).toEqual(kept(lines));
  });

  test('the last line of a file is compared', async () => {
    const end = (count: number): string => `{"type":"end","version":11,"checksum":"ok","keys":${count}}\n`;
    expect((await encodeLines(key('string', '""') + end(1) + end(0))).warnings).toEqual([]);
    expect((await encodeLines(key('string', '""') + end(2))).warnings).toEqual([
      'the line of type end says 2 keys, but 1 came before it: lines were left out, or added',
    ]);
  });

  test('metadata that modules put to a key, and arrays', async () => {
    const lines = `${[
      '{"db":0,"key":"m","type":"string","keyMeta":[{"module":"abc-","version":31,"flags":5,"parts":[{"uint":"18446744073709551615"},{"sint":"-9223372036854775808"},{"string":"x"}]}],"value":"v"}',
      '{"db":0,"key":"a","type":"array","value":{"elements":[{"index":"0","value":"text"},{"index":"7","value":"-12"},{"index":"18446744073709551614","value":"9223372036854775807"}],"insertIndex":"8"}}',
      '{"db":0,"key":"s","type":"stream","value":{"entries":[{"id":"1-1","fields":["a","b"]}],"length":1,"lastId":"1-1","firstId":"1-1","maxDeletedId":"0-0","entriesAdded":1,"groups":[{"name":"g","lastId":"1-1","entriesRead":null,"pending":[{"id":"1-1","consumer":null,"deliveredAt":5,"deliveries":2}],"consumers":[{"name":"c","seenTime":1,"activeTime":null}]}],"idempotence":{"duration":100,"maxEntries":5,"producers":[{"id":"p","entries":[{"id":"x","streamId":"1-1"}]}],"added":1,"duplicates":0}}}',
    ].join('\n')}\n`;
    expect(await keys((await encodeLines(lines, { target: '8.8' })).rdb)).toBe(lines);
    expect((await encodeLines(lines)).refusals.map(({ key: of, reason }) => [of, reason.replace(/:.*/, '')])).toEqual([
      ['m', 'Redis 7.2 has no module metadata of keys'],
      ['a', 'Redis 7.2 has no arrays'],
      ['s', 'Redis 7.2 has no stream entries that were handed back by a consumer'],
    ]);
  });
});
