import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { BucketSet } from '../../src/diff/buckets.js';
import { FoldSink, type FoldSinkOptions } from '../../src/diff/fold-sink.js';
import { RowDigests } from '../../src/diff/row-digests.js';
import { type Codec, TS_CODEC } from '../../src/kernels/codec.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { DROPPED, KIND, RECORD } from '../../src/kernels/layout.js';
import { Batch } from '../../src/rdb/batch.js';
import { SilentSink } from '../../src/diff/silent-sink.js';
import { dropWhere, feedInto, FOLD, hex, SEED } from '../support/diff-support.js';
import { changed, changes, FILES } from '../support/samples.js';
import { f64, len, type Part, rdb, str } from '../support/support.js';
import { fileOf } from '../support/transcode-support.js';
import { SOURCES } from '../support/value-sources.js';

/*
 * The kernel against the TypeScript. It needs `npm run kernels`; a build without it would pass for a slow one, so this is an error here.
 */
const kernels = Kernels.create(64 << 20);
if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const fixtures = ['.', 'servers', 'cases'].flatMap((folder) =>
  readdirSync(join(FIXTURES, folder))
    .filter((name) => name.endsWith('.rdb'))
    .map((name) => [name, new Uint8Array(readFileSync(join(FIXTURES, folder, name)))] as const),
);

/** The columns of all records, one line for each. */
class Columns extends SilentSink {
  lines: string[] = [];

  constructor(
    private readonly digests: RowDigests,
    private readonly wanted?: BucketSet,
  ) {
    super();
  }

  batch(batch: Batch): void {
    this.digests.rows(batch);
    const { elements, keys, values } = this.digests;
    for (let row = batch.from; row < batch.to; row++) {
      if (batch.table.word(row, KIND) !== RECORD || batch.table.has(row, DROPPED)) continue;
      const isWanted = this.wanted?.hasKey(keys, 4 * row) !== false;
      this.lines.push(`${hex(keys, 4 * row)} ${isWanted ? `${hex(values, 4 * row)} ${elements[row]}` : ''}`);
    }
  }

  async large(): Promise<void> {
    this.lines.push('large');
  }
}

/** Both makes, with all that they need, used again and again. */
const makes = (
  [
    [TS_CODEC, undefined],
    [kernels, undefined],
    [TS_CODEC, new BucketSet(2, [1, 3])],
    [kernels, new BucketSet(2, [1, 3])],
  ] as const
).map(([codec, wanted]) => ({
  codec,
  batch: new Batch(codec),
  sink: new Columns(new RowDigests(codec, { seed: SEED, streams: 'full', values: true, wanted }, 1 << 12), wanted),
}));

/** The same of both. */
async function columns(file: Uint8Array, passes = [] as readonly ReturnType<typeof dropWhere>[]): Promise<readonly string[]> {
  const found: string[][] = [];
  for (const { batch, codec, sink } of makes) {
    sink.lines = [];
    try {
      await feedInto(sink, file, batch, { codec, passes });
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      sink.lines.push(`${error.code} ${error.offset}`);
    }
    found.push(sink.lines);
  }
  expect(found[1]).toEqual(found[0]);
  expect(found[3]).toEqual(found[2]);
  return found[0];
}

describe('digests', () => {
  test.each(fixtures)('%s', async (_, file) => {
    expect((await columns(file)).length).toBeGreaterThan(0);
  });

  test.each(Object.entries(SOURCES))('%s', async (_, source) => {
    await fc.assert(
      fc.asyncProperty(source, async ({ head, type, value, before }) => {
        await columns(fileOf(head, type, value, before));
      }),
    );
  });

  test('changed files', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...Object.values(FILES)), changes, async (file, those) => {
        await columns(changed(file, those));
      }),
      { numRuns: 500 },
    );
  });

  test('strings of any length, at any place', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 70 }), { minLength: 1, maxLength: 20 }), async (strings) => {
        const records = strings.map((text, i): Part => [0, str(`${i}`.repeat(1 + (i % 5))), str(text)]);
        expect(
          await columns(rdb('REDIS0011', [...records, 1, str('list'), len(strings.length), strings.map((text) => str(text))])),
        ).toHaveLength(strings.length + 1);
      }),
    );
  });

  test('HyperLogLogs, and strings that only begin like one', async () => {
    const header = (encoding: number, cached: number): Part => ['HYLL', encoding, 0, 0, 0, cached, new Uint8Array(7)];
    const values: Part[] = [
      [header(1, 1), 0x7f, 0xff],
      [header(1, 2), 0x7f, 0xff],
      [header(0, 3), new Uint8Array(12288)],
      [header(0, 4), 0],
      'HYLL',
      header(1, 5),
    ];
    const found = await columns(
      rdb(
        'REDIS0011',
        values.map((value, i): Part => [0, str(`${i}`), str(value)]),
      ),
    );
    const digests = found.map((line) => line.split(' ')[1]);
    expect(new Set(digests.slice(0, 3)).size).toBe(1);
    expect(new Set(digests).size).toBe(4);
  });

  test('dropped rows are passed over', async () => {
    const file = FILES[Object.keys(FILES)[0]];
    const all = await columns(file);
    expect(await columns(file, [dropWhere((row) => row % 2 === 0)])).not.toEqual(all);
  });
});

/** Records that the kernel is to take, with a count of those left to the TypeScript. */
test('plain values are not left to the TypeScript', async () => {
  const records: Part[] = [
    [0, str('s'), str('text')],
    [0, str('i'), 0xc0, 5],
    [1, str('l'), len(1), str('x')],
    [2, str('t'), len(1), str('x')],
    [4, str('h'), len(1), str('f'), str('v')],
    [5, str('z'), len(1), str('m'), f64(NaN)],
  ];
  let left = 0;
  const counting: Codec = Object.create(kernels, {
    digestRows: {
      value: (...given: Parameters<Codec['digestRows']>) => {
        const row = kernels.digestRows(...given);
        if (row < given[3]) left++;
        return row;
      },
    },
  }) as Codec;
  const sink = new Columns(new RowDigests(counting, { seed: SEED, streams: 'data', values: true }, 1 << 12));
  await feedInto(sink, rdb('REDIS0011', records), makes[1].batch, { codec: kernels });
  expect(sink.lines).toHaveLength(records.length);
  expect(left).toBe(0);
});

/** Sinks for these options, used again and again: a kernel's memory is given for good. */
const sinks = new Map<string, readonly FoldSink[]>();

/** What both makes of a sink have folded, so far. */
async function folded(file: Uint8Array, options: Partial<FoldSinkOptions>): Promise<void> {
  const found: unknown[] = [];
  const name = JSON.stringify([options.level, options.tolerance, String(options.now), options.bits]);
  const both = sinks.get(name) ?? makes.slice(0, 2).map(({ codec }) => new FoldSink(codec, { ...FOLD, ...options }));
  sinks.set(name, both);
  expect(both[1].buckets.sums.buffer).toBe(makes[1].batch.table.words.buffer);
  for (const [i, sink] of both.entries()) {
    const { batch, codec } = makes[i];
    try {
      await feedInto(sink, file, batch, { codec });
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      found.push(`${error.code} ${error.offset}`);
    }
    found.push({ sums: [...sink.buckets.sums], keys: [...sink.buckets.counts], counts: [...sink.counts], expired: sink.expired });
  }
  const half = found.length / 2;
  expect(found.slice(half)).toEqual(found.slice(0, half));
}

describe('folds', () => {
  test.each(fixtures)('%s', async (_, file) => {
    await folded(file, {});
    await folded(file, { level: 'keys', tolerance: 1500, now: 1_700_000_000_000 });
    await folded(file, { level: 'counts', now: 1_700_000_000_000 });
  });

  test('expiries and databases', async () => {
    const record = fc.tuple(
      fc.constantFrom(0, 1, 255, 256, 70_000),
      fc.option(
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).chain((at) => fc.constantFrom(at, at >> 10n, at >> 20n, at >> 50n)),
        { nil: undefined },
      ),
      fc.string({ maxLength: 5 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 20 }),
        fc.constantFrom(0, 1, 7, 1000),
        fc.constantFrom(-Infinity, 0, 1e12),
        async (records, tolerance, now) => {
          const parts = records.map(([db, at, key]): Part => [
            254,
            len(db),
            at === undefined ? [] : [252, le64(at)],
            0,
            str(key),
            str('v'),
          ]);
          await folded(rdb('REDIS0011', parts), { tolerance, now, bits: 1, level: 'keys' });
        },
      ),
      { numRuns: 30 },
    );
  });
});

function le64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}
