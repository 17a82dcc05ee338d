import { expect, test } from 'vitest';
import { keySlot } from '../../src/bytes/crc16.js';
import { Batch } from '../../src/rdb/batch.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { Framer } from '../../src/rdb/framer.js';
import { SlotCoverage } from '../../src/restore/slot-coverage.js';
import { rdb, str } from '../support/support.js';

/** Slots that no key of a file is in, of keys whose slot passes. */
function gaps(count: number, passes: (slot: number) => boolean): [number, number][] {
  const keys = Array.from({ length: count }, (_, i) => `key:${i}`).filter((key) => passes(keySlot(Buffer.from(key))));
  const coverage = new SlotCoverage();
  const framer = new Framer({ meta: false });
  const batch = new Batch(TS_CODEC);
  framer.push(rdb('REDIS0009', keys.map((key) => [0, str(key), str('v')])));
  do {
    framer.fill(batch);
    coverage.pass(batch);
  } while (batch.rows > 0);
  return coverage.gaps;
}

test('nothing is said of slots that are empty by chance', () => {
  for (const count of [40, 1000, 20_000, 100_000]) expect(gaps(count, () => true)).toEqual([]);
});

test('the range of a missing shard is found, about as it is', () => {
  for (const count of [1000, 20_000]) {
    const found = gaps(count, (slot) => slot < 5461 || slot > 10_922);
    expect(found).toHaveLength(1);
    const [[from, to]] = found;
    expect(from).toBeGreaterThan(5000);
    expect(from).toBeLessThanOrEqual(5461);
    expect(to).toBeLessThan(11_400);
    expect(to).toBeGreaterThanOrEqual(10_922);
  }
  expect(gaps(100_000, (slot) => slot < 5461 || (slot > 10_922 && slot < 16_000)).map(([from, to]) => [from > 5440, to > 10_920])).toEqual([
    [true, true],
    [true, true],
  ]);
});

test('without keys, nothing is said', () => {
  expect(gaps(0, () => true)).toEqual([]);
});
