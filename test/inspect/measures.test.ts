import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { ALLOCATORS } from '../../src/inspect/memory/allocator.js';
import { ENCODINGS, Measurer, type Measures } from '../../src/inspect/measures.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { Batch } from '../../src/rdb/batch.js';
import { END, FULL } from '../../src/rdb/frame.js';
import { parseTarget } from '../../src/values/targets.js';
import { KernelBatches } from '../support/batches.js';
import { SERVERS, serverFile } from '../support/dump-support.js';
import { changed, changes, FILES, LARGE, loop } from '../support/samples.js';
import { f64, intset, intStr, listpack, lzfStr, type Packable, type Part, rdb, readingOf, str, ziplist } from '../support/support.js';
import { SOURCES } from '../support/value-sources.js';

const made = new KernelBatches();
const ROWS = 4096;
const TARGETS = [
  'redis-2.8',
  'redis-6.2',
  'redis-7.0',
  'redis-7.4',
  'redis-8.2',
  'redis-8.12',
  'valkey-8.0',
  'valkey-8.1',
  'valkey-9.1',
  'valkey-9.2',
];
const pairs = new Map(
  TARGETS.map((name, i) => {
    const options = { allocator: ALLOCATORS[i % ALLOCATORS.length] };
    return [
      name,
      [new Measurer(made.kernels, parseTarget(name), 300, options), new Measurer(TS_CODEC, parseTarget(name), 300, options)] as const,
    ];
  }),
);
const NAMES: readonly (keyof Measures)[] = ['memory', 'elements', 'largest', 'encoding', 'fields', 'fieldBytes', 'digest', 'guessed'];

/** What is measured of each row, as far as values are sound, and the error after that. */
function measured(measurer: Measurer, batch: Batch): unknown[] {
  let error: unknown;
  let { rows } = batch;
  const before = measurer.beside;
  try {
    measurer.rows(batch);
  } catch (thrown) {
    if (!(thrown instanceof RdbError)) throw thrown;
    error = `${thrown.code} ${thrown.offset} ${thrown.within}`;
    rows = batch.row;
  }
  return [...NAMES.map((name) => [name, ...measurer.measures[name].subarray(0, rows)]), measurer.beside - before, error];
}

function compare(file: Uint8Array, names: readonly string[] = TARGETS): void {
  for (const name of names) {
    const [own, reference] = pairs.get(name) ?? [];
    if (own === undefined || reference === undefined) throw new Error(name);
    for (const batch of made.of(file)) expect(measured(own, batch)).toEqual(measured(reference, batch));
  }
}

describe('the kernel measures as TypeScript does', () => {
  test.each(SERVERS)('%s', (name) => compare(serverFile(name)));
  test.each(Object.entries({ ...FILES, ...LARGE }))('samples: %s', (_, file) => compare(file));
  test.each(Object.entries(SOURCES))('%s', (_, source) => {
    fc.assert(
      fc.property(fc.array(source, { minLength: 1, maxLength: 4 }), fc.constantFrom(...TARGETS), (some, name) => {
        const values = some[0].before === undefined ? some : some.slice(0, 1);
        compare(
          rdb(
            values[0].head,
            values.map(({ before = [], type, value }, i): Part => [i === 0 ? before : [], type, str(`key${i}`), value]),
          ),
          [name],
        );
      }),
    );
  });
});

const text = fc.oneof(
  fc.uint8Array({ maxLength: 90 }),
  fc.integer({ min: -40_000, max: 40_000 }).map((n) => Buffer.from(`${n}`)),
  fc.constantFrom(
    ...['', '-', '-0', '00', '9223372036854775807', '-9223372036854775808', '9223372036854775808', '18446744073709551616', '1e3'].map(
      (each) => Buffer.from(each),
    ),
  ),
  fc.constantFrom(40, 44, 45, 63, 64, 65, 128, 253, 254, 255, 256, 4095, 4096).map((size) => new Uint8Array(size).fill(0x62)),
);
const stored = fc.oneof(
  text.map((each) => str(each)),
  fc.uint8Array({ minLength: 60, maxLength: 300 }).map((each) => lzfStr(each)),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((n) => intStr(n, 4)),
);
const packable = fc.oneof<fc.Arbitrary<Packable>[]>(text, fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-5000n, 5000n));
const some = fc.oneof(fc.nat(6), fc.constantFrom(5, 8, 9, 16, 17, 64, 128, 129, 256, 512, 513));
/** Elements of a random sort, repeated up to a random number. */
const elements = <T,>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc
    .tuple(fc.array(one, { minLength: 1, maxLength: 8 }), some)
    .map(([few, count]) => Array.from({ length: count + 1 }, (_, i) => few[i % few.length]));
const packs = fc
  .tuple(elements(packable), fc.constantFrom(listpack, ziplist), fc.constantFrom(str, lzfStr))
  .map(([items, pack, store]) => store(pack(items.length % 2 === 0 ? items : items.slice(1))));
const value: fc.Arbitrary<readonly [type: number, value: Part]> = fc.oneof(
  stored.map((each) => [0, each] as const),
  fc.tuple(fc.constantFrom(1, 2), elements(stored)).map(([type, items]) => [type, loop(...items)] as const),
  elements(fc.tuple(stored, stored)).map((items) => [4, loop(...items)] as const),
  elements(
    fc.tuple(
      stored,
      fc.double().map((score) => f64(score)),
    ),
  ).map((items) => [5, loop(...items)] as const),
  fc.tuple(fc.constantFrom(10, 12, 13, 16, 17, 20), packs).map(([type, packed]) => [type, packed] as const),
  fc.tuple(fc.constantFrom<(2 | 4 | 8)[]>(2, 4, 8), some).map(
    ([width, count]) =>
      [
        11,
        str(
          intset(
            width,
            Array.from({ length: count }, (_, i) => BigInt(i * 19 - 900)),
          ),
        ),
      ] as const,
  ),
  elements(packs).map((nodes) => [14, loop(...nodes.slice(0, 5))] as const),
  elements(
    fc.oneof(
      packs.map((each): Part => [2, each]),
      stored.map((each): Part => [1, each]),
    ),
  ).map((nodes) => [18, loop(...nodes.slice(0, 5))] as const),
);

test('random values', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.nat(200)), { minLength: 1, maxLength: 4 }), fc.constantFrom(...TARGETS), (values, name) => {
      compare(
        rdb(
          'REDIS0011',
          values.map(([[type, each], key]): Part => [type, str('k'.repeat(key)), each]),
        ),
        [name],
      );
    }),
    { numRuns: 1500 },
  );
});

test('damaged values end in the same error, or are measured alike', () => {
  const files = Object.values(FILES);
  fc.assert(
    fc.property(fc.nat(files.length - 1), changes, fc.constantFrom(...TARGETS), (index, edits, name) => {
      try {
        compare(changed(files[index], edits), [name]);
      } catch (error) {
        if (!(error instanceof RdbError)) throw error; // no frame around a value
      }
    }),
    { numRuns: 3000 },
  );
});

/** What each key of a file has, by its place; values over `limit` bytes come in parts. */
async function all(file: Uint8Array, name: string, limit?: number): Promise<unknown[]> {
  const measurer = new Measurer(TS_CODEC, parseTarget(name), ROWS);
  const batch = new Batch(TS_CODEC);
  const found: unknown[] = [];
  const take = (row: number): unknown => found.push(NAMES.map((each) => measurer.measures[each][row]));
  const reading = readingOf([file.slice()], batch, { meta: false, limit });
  for (let kind = FULL; kind !== END;) {
    kind = await reading.next();
    batch.from = 0;
    batch.to = batch.rows;
    measurer.rows(batch);
    for (let row = 0; row < batch.rows; row++) take(row);
    if (kind === FULL || kind === END) continue;
    const large = reading.large(kind);
    await measurer.large(large);
    take(0);
    await large.end();
  }
  return found;
}

test.each(Object.entries(LARGE))('values in parts are measured like whole ones: %s', async (_, file) => {
  for (const name of ['redis-7.0', 'redis-8.2', 'valkey-9.1']) {
    const whole = await all(file, name);
    for (const limit of [64, 200, 1000]) expect(await all(file, name, limit)).toEqual(whole);
  }
});

test('fields are hashed whatever their order; other types have no fields', async () => {
  const hash = (...fields: string[]): Part => [4, str('h'), loop(...fields.map((field): Part => [str(field), str('v')]))];
  const found = await all(
    rdb('REDIS0011', [hash('a', 'bc', '17'), hash('17', 'a', 'bc'), hash('a', 'bc', '18'), [2, str('s'), loop(str('a'), str('bc'))]]),
    'redis-7.0',
  );
  const [first, second, third, set] = (found as number[][]).map((values) => values[NAMES.indexOf('fields')]);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(set).toBe(0);
  expect((found as number[][]).map((values) => values[NAMES.indexOf('fieldBytes')])).toEqual([5, 5, 5, 0]);
});

test('rows that were dropped are passed over', () => {
  const [own] = pairs.get('redis-7.0') ?? [];
  const [batch] = made.of(
    rdb('REDIS0011', [
      [0, str('a'), str('x')],
      [0, str('b'), str('yy')],
    ]),
  );
  own?.measures.elements.fill(-1);
  batch.mark(0, 256);
  own?.rows(batch);
  expect([...(own?.measures.elements.subarray(0, 2) ?? [])]).toEqual([-1, 2]);
  expect(ENCODINGS[own?.measures.encoding[1] ?? 0]).toBe('embstr');
});
