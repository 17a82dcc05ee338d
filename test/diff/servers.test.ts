import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CompareSink } from '../../src/diff/compare-sink.js';
import { type Difference, KeyTable } from '../../src/diff/key-table.js';
import { decodeBytes } from '../support/support.js';
import { encodeLines } from '../support/encode-support.js';
import { feedFile, fold, SEED } from '../support/diff-support.js';

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(join(import.meta.dirname, `../../fixtures/servers/${name}.rdb`)));

/** Servers that were given the same commands. */
const FAMILIES = [
  ['redis-2.8.24', 'redis-3.2.13', 'redis-4.0.14-lfu'],
  ['redis-5.0.14', 'redis-6.2.14-lru', 'redis-7.0.15', 'redis-7.2.6-nochecksum', 'redis-7.2.6', 'valkey-8.1.1'],
];

async function differences(a: Uint8Array, b: Uint8Array, streams: 'data' | 'full'): Promise<Difference[]> {
  const table = new KeyTable({ buckets: [0, 1], bits: 1, limit: 1 << 20, tolerance: 0, values: true });
  for (const [side, file] of [['a', a], ['b', b]] as const) {
    await feedFile(new CompareSink(undefined, side, table, { seed: SEED, streams, values: true, now: -Infinity }), file);
  }
  return [...table.differences(-Infinity)];
}

describe('servers with the same data', () => {
  test.each(FAMILIES.flatMap(([first, ...others]) => others.map((other) => [first, other])))('%s, %s', async (a, b) => {
    const [one, other] = [fixture(a), fixture(b)];
    expect((await fold(one)).buckets.differing((await fold(other)).buckets)).toEqual([]);
    expect(await differences(one, other, 'data')).toEqual([]);
    const full = await differences(one, other, 'full'); // entries were delivered to consumers at other times
    expect(full.filter(({ a: on }) => on?.type !== 'stream')).toEqual([]);
  });

  test.each([['redis-7.4.1', 'redis-8.0.6'], ['redis-7.4.1', 'valkey-9.1.2']])('%s, %s: other field expiries were set', async (a, b) => {
    const found = await differences(fixture(a), fixture(b), 'data');
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found.map(({ a: on, kinds }) => `${on?.type} ${kinds.join()}`))).toEqual(new Set(['hash value']));
  });
});

/** As JSON lines and back, written for the same server and for others. */
describe('what decode and encode make of a file is the same', () => {
  test.each(['redis-2.8.24', 'redis-5.0.14', 'redis-7.0.15', 'redis-8.0.6', 'valkey-9.1.2', 'redis-7.4.1-modules'])('%s', async (name) => {
    const file = fixture(name);
    const { bytes } = await decodeBytes(file);
    for (const target of ['8.0', '7.0', 'valkey-9.1', '5.0']) {
      const { rdb, refusals } = await encodeLines(bytes, { target });
      const found = await differences(file, rdb, 'full');
      expect(found.filter(({ kinds }) => kinds[0] !== 'missing')).toEqual([]);
      expect(found.length).toBe(refusals.length);
    }
  });
});
