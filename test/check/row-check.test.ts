import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { isHarmless, RowCheck } from '../../src/check/row-check.js';
import type { CheckLevel } from '../../src/check/findings.js';
import { ValueCheck } from '../../src/check/value-check.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import type { Batch } from '../../src/rdb/batch.js';
import { Frame, RECORD } from '../../src/rdb/frame.js';
import { typeNumber } from '../../src/rdb/frame-table.js';
import { TABLES } from '../../src/rdb/types.js';
import { KernelBatches } from '../support/batches.js';
import { SERVERS, serverFile } from '../support/dump-support.js';
import { FACTOR } from '../support/factor.js';
import { loop } from '../support/samples.js';
import { f64, intset, listpack, lzfStr, type Packable, type Part, rdb, str, ziplist } from '../support/support.js';

const made = new KernelBatches();
const { kernels } = made;
const batches = (file: Uint8Array): Generator<Batch> => made.of(file);

const checks: Readonly<Record<CheckLevel, RowCheck>> = {
  structure: new RowCheck(kernels, 'structure', true),
  all: new RowCheck(kernels, 'all', false),
};
const valueCheck = new ValueCheck({ level: 'structure' });

/** By key, what RowCheck finds in a file; its first finding each. */
function found(file: Uint8Array, check: RowCheck): string[] {
  const all: string[] = [];
  for (const each of batches(file)) {
    for (let row = check.next(each, 0, each.to); row < each.to; row = check.next(each, row + 1, each.to))
      all.push(told(each, row, check.findings.list[0]));
  }
  return all;
}

const told = (each: Batch, row: number, { code, offset, within }: { code: string; offset: number; within: number | undefined }): string => {
  const frame = new Frame();
  each.read(row, frame);
  return `${Buffer.from(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd)).toString('latin1')} ${code} ${offset} ${within}`;
};

/** The same, by ValueCheck for each row; strings that are not packed are not looked into. */
function foundByValue(file: Uint8Array): string[] {
  const frame = new Frame();
  const all: string[] = [];
  for (const each of batches(file)) {
    for (let row = 0; row < each.to; row++) {
      each.read(row, frame);
      if (isHarmless(frame.type)) continue;
      valueCheck.frame(RECORD, frame);
      if (valueCheck.findings.size > 0) all.push(told(each, row, valueCheck.findings.list[0]));
    }
  }
  return all;
}

const LONG = 'x'.repeat(200);
const PAIRS: Packable[] = ['a', 'one', 'b', LONG, LONG, 2n, 'd', -70000n, 7n, 2n ** 40n];
const SCORED: Packable[] = ['a', '1.5', LONG, 3n, 'c', '-0.25', '7', '+1e3', 'e', 2n ** 33n];
const VALUES: Readonly<Record<string, readonly [type: number, value: Part]>> = {
  string: [0, str('text')],
  list: [1, loop(str('a'), lzfStr('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'))],
  set: [2, loop(str('a'), str('b'))],
  hash: [4, loop([str('a'), str('b')])],
  scores: [5, loop([str('a'), f64(1.5)], [str(LONG), f64(-Infinity)], [lzfStr(LONG), f64(0)])],
  'list of a ziplist': [10, str(ziplist(['a', LONG, 5n]))],
  intset: [11, str(intset(4, [-5n, 1n, 70000n]))],
  'wide intset': [11, str(intset(8, [-(2n ** 40n), 1n, 2n ** 50n]))],
  'ziplist of scores': [12, str(ziplist(SCORED))],
  'ziplist of pairs': [13, str(ziplist(['x'.repeat(300), 'v', ...PAIRS]))],
  'nodes of ziplists': [14, loop(str(ziplist(['a', 'b'])), lzfStr(ziplist([LONG, LONG])))],
  'listpack of pairs': [16, str(listpack(PAIRS))],
  'compressed listpack': [16, lzfStr(listpack(['f', LONG]))],
  'listpack of scores': [17, str(listpack(SCORED))],
  'nodes of listpacks': [18, loop([2, str(listpack(['a', LONG, 300n]))], [1, str('plain')])],
  'listpack of members': [20, str(listpack(['a', 5n, LONG]))],
};
const file = (values: readonly (readonly [number, Part])[]): Uint8Array =>
  rdb(
    'REDIS0011',
    values.map(([type, value], i) => [type, str(`k${i}`), value]),
  );

describe('the kernel', () => {
  test.each(Object.entries(VALUES))('passes over: %s', (_, value) => {
    const [each] = batches(file([value, value]));
    // reading the row would be the first step of looking at it without the kernel
    each.read = () => {
      throw new Error('the kernel left it');
    };
    try {
      expect(checks.structure.next(each, 0, each.to)).toBe(2);
    } finally {
      Reflect.deleteProperty(each, 'read');
    }
  });

  test('has no opinion of types that it does not know', () => {
    const structures = kernels.allocate(1024).fill(0);
    const [each] = batches(file([VALUES.set]));
    expect(kernels.checkRows(structures, each.table.words, 0, 1, each.bytes)).toBe(0);
  });
});

describe('whole files', () => {
  test.each(SERVERS)('nothing is found in that of %s', (name) => {
    for (const level of ['structure', 'all'] as const) expect(found(serverFile(name), checks[level])).toEqual([]);
  });
});

test('every row is looked at, and the damaged ones are named', () => {
  const nan: [number, Part] = [5, loop([str('a'), f64(NaN)])];
  const twice: [number, Part] = [20, str(listpack(['a', 'b', 'a']))];
  const miscounted: [number, Part] = [16, str(listpack(['a', 'b'], false, 4))];
  const unordered: [number, Part] = [11, str(intset(2, [1n, 1n]))];
  const spoilt = file([VALUES.set, nan, VALUES.intset, twice, miscounted, VALUES.string, unordered]);
  const codes = (check: RowCheck): string[] => found(spoilt, check).map((text) => text.split(' ').slice(0, 2).join(' '));
  const structure = ['k1 BAD_ZSET', 'k4 BAD_LISTPACK', 'k6 BAD_INTSET'];
  for (const check of [checks.structure, new RowCheck(TS_CODEC, 'structure', true)]) expect(codes(check)).toEqual(structure);
  const all = structure.toSpliced(1, 0, 'k3 DUPLICATE');
  for (const check of [checks.all, new RowCheck(TS_CODEC, 'all', false)]) expect(codes(check)).toEqual(all);
});

test('with the kernel nothing is found but what is found without it', () => {
  const values = Object.values(VALUES);
  const whole = file(values);
  let spoilt = 0;
  fc.assert(
    fc.property(
      fc.nat(whole.length - 30),
      fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xbf, 0xf0, 0xf1, 0xfe, 0xff)),
      (at, byte) => {
        const changed = whole.slice();
        changed[at + 9] = byte;
        let expected: string[];
        try {
          expected = foundByValue(changed);
        } catch (error) {
          if (error instanceof RdbError) return; // no frame around the value
          throw error;
        }
        if (expected.length > 0) spoilt++;
        // an element of a sorted set that cannot be decompressed is left to the server
        const certain = (texts: readonly string[]): string[] => texts.filter((text) => !/^k4 BAD_LZF/.test(text));
        expect(certain(found(changed, checks.structure))).toEqual(certain(expected));
      },
    ),
    { numRuns: 10_000 },
  );
  expect(spoilt).toBeGreaterThan(100 * FACTOR);
});

test('values without structure are those that a server cannot trip over', () => {
  const harmless = TABLES.redis.types.flatMap((type) => (type !== undefined && isHarmless(type) ? [typeNumber(type)] : []));
  expect(harmless).toEqual([0, 1, 2, 4, 7]);
});
