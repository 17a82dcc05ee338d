import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBuilder } from '../../src/bytes/builder.js';
import { RdbError } from '../../src/bytes/errors.js';
import { RoaringReader, RoaringWriter } from '../../src/encodings/roaring.js';

type Run = readonly [hi: number, first: number, last: number];

function read(bytes: Uint8Array, cut = bytes.length): Run[] {
  const runs: Run[] = [];
  const reader = new RoaringReader((hi, first, last) => runs.push([hi, first, last]));
  reader.begin();
  for (let at = 0; at < bytes.length; at += cut) reader.add(bytes, at, Math.min(bytes.length, at + cut));
  reader.end();
  return runs;
}

function write(runs: readonly Run[]): Uint8Array {
  const out = new ByteBuilder();
  const whole = new ByteBuilder();
  whole.le64(0, 0);
  const writer = new RoaringWriter({ out, flushIfFull: () => undefined }, (head) => {
    whole.copy(head, 0, head.length);
    whole.copy(out.bytes, 0, out.length);
    out.clear();
  });
  writer.begin();
  for (const [hi, first, last] of runs) writer.run(hi, first, last);
  writer.finish();
  whole.bytes[0] = writer.buckets;
  return whole.view().slice();
}

/** Serialised by CRoaring 4 (pyroaring BitMap64.serialize, some after run_optimize), with the runs of its numbers. */
const cases = JSON.parse(readFileSync('fixtures/cases/roaring.json', 'utf8')) as Record<string, { hex: string; runs: [string, string][] }>;
cases['a bitset'].runs = Array.from({ length: 6667 }, (_, i) => [`${3 * i}`, `${3 * i}`]);

describe('what CRoaring wrote', () => {
  test.each(Object.entries(cases))('%s', (_, { hex, runs }) => {
    const bytes = Buffer.from(hex, 'hex');
    const expected = runs.map(([first, last]) => [Number(BigInt(first) >> 32n), Number(BigInt(first) & 0xffff_ffffn), Number(BigInt(last) & 0xffff_ffffn)]);
    expect(read(bytes)).toEqual(expected);
    expect(read(bytes, 1)).toEqual(expected);
    expect(read(write(expected as unknown as Run[]))).toEqual(expected);
  });

  test('the writer makes the same bytes as run_optimize', () => {
    for (const name of ['empty', 'three bits', 'runs', 'five containers with runs', 'several buckets', 'a bitset']) {
      expect(Buffer.from(write(read(Buffer.from(cases[name].hex, 'hex')))).toString('hex'), name).toBe(cases[name].hex);
    }
  });
});

const runsOf = fc
  .array(fc.tuple(fc.constantFrom(0, 1, 77, 0xffff_ffff), fc.array(fc.tuple(fc.nat(200_000), fc.nat(9000)), { minLength: 1, maxLength: 40 })), { maxLength: 3 })
  .map((buckets) => {
    const runs: Run[] = [];
    const byHi = new Map(buckets);
    for (const [hi, steps] of [...byHi].sort(([a], [b]) => a - b)) {
      let at = 0;
      for (const [gap, length] of steps) {
        runs.push([hi, at + gap, at + gap + length]);
        at += gap + length + 2;
      }
    }
    return runs;
  });

test('what was written is read, in chunks of any size', () => {
  fc.assert(fc.property(runsOf, fc.integer({ min: 1, max: 5000 }), (runs, cut) => {
    expect(read(write(runs), cut)).toEqual(runs);
  }));
});

test('damage ends in a coded error or in ascending runs', () => {
  fc.assert(fc.property(runsOf, fc.nat(), fc.nat(255), (runs, place, byte) => {
    const bytes = write(runs);
    bytes[place % bytes.length] ^= byte;
    let found: Run[];
    try {
      found = read(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(RdbError);
      expect((error as RdbError).code).toBe('BAD_BITMAP');
      return;
    }
    for (let i = 1; i < found.length; i++) expect(found[i][0] > found[i - 1][0] || found[i][1] > found[i - 1][2]).toBe(true);
  }));
});

test('every truncation is an error', () => {
  const bytes = write([[0, 3, 9], [0, 70_000, 70_000], [5, 1, 100_000]]);
  for (let end = 0; end < bytes.length; end++) expect(() => read(bytes.subarray(0, end))).toThrow(/BAD_BITMAP|Roaring/);
});
