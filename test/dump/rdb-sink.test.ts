import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { RdbFile } from '../../src/dump/rdb-file.js';
import { slotRanges } from '../../src/bytes/crc16.js';
import { RdbSink, type RdbSinkOptions } from '../../src/dump/rdb-sink.js';
import { keySlot } from '../../src/bytes/crc16.js';
import { KeySet } from '../../src/values/key-set.js';
import { inTurn, SINGLE_BYTES } from '../support/factor.js';
import { dumped, type Feeding, MemorySink, serverFile, SERVERS } from '../support/dump-support.js';
import { Output } from '../../src/io/output.js';
import { bytes, decodeBytes, le, len, rdb, recordsOf, str } from '../support/support.js';

const copy = (rdbs: Uint8Array[], more: Partial<RdbSinkOptions> = {}, feeding: Feeding = {}) =>
  dumped(
    rdbs,
    (output, options, to) => new RdbSink([new RdbFile(output, to, options.codec ?? TS_CODEC)], { ...options, ...more }),
    feeding,
  );

const functions = (lines: string): string[] => lines.split('\n').filter((line) => line.startsWith('{"type":"function"'));
const resizes = (lines: string): string[] => lines.split('\n').filter((line) => line.startsWith('{"type":"resizeDb"'));

describe.each(SERVERS)('%s', (name) => {
  const file = serverFile(name);

  test('keys are copied byte for byte, functions and counts are there, the checksum is right', async () => {
    const { bytes: out, problems } = await copy([file]);
    expect(problems).toEqual([]);
    expect(recordsOf(out)).toEqual(recordsOf(file));
    const [before, after] = [await decodeBytes(file, { meta: true }), await decodeBytes(out, { meta: true })];
    expect(after.framer.checksum).toBe(after.framer.version < 5 ? 'none' : 'ok');
    expect(after.framer.version).toBe(before.framer.version);
    expect(functions(after.lines)).toEqual(functions(before.lines));
    expect(resizes(after.lines)).toEqual(resizes(before.lines));
  });

  test('comes to the same bytes in chunks and parts, by either make of the hot loops', async () => {
    const want = (await copy([file])).bytes;
    const feedings = [
      { codec: true },
      { chunks: 997, limit: 64 },
      { chunks: SINGLE_BYTES },
      { chunks: 70_000, limit: 1000, codec: true },
    ];
    for (const feeding of inTurn(feedings, SERVERS.indexOf(name))) {
      expect(Buffer.compare((await copy([file], {}, feeding)).bytes, want)).toBe(0);
    }
  });

  test('without expiries, the rest stays', async () => {
    const { bytes: out } = await copy([file], { stripTtl: true }, { chunks: 5000, limit: 300 });
    expect(Buffer.compare((await copy([file], { stripTtl: true }, { codec: true })).bytes, (await copy([file], { stripTtl: true })).bytes)).toBe(0);
    const strip = (lines: string): string => lines.replace(/,"expireAt":\d+(?=[^{]*,"value")/g, '');
    const [before, after] = [await decodeBytes(file), await decodeBytes(out, { meta: true })];
    expect(keysOnly(after.lines)).toBe(strip(before.lines));
    expect(resizes(after.lines).every((line) => line.includes('"expires":0'))).toBe(true);
  });
});

test('a key whose expiry is removed keeps its module metadata', async () => {
  const meta = [0xf3, 1, 0xaa, 0xbb, 0xcc, 0xdd, 2, 5, 0];
  const file = rdb('REDIS0013', [0xfc, le(1_900_000_000_000, 8), meta, 0, str('k'), str('v')]);
  for (const codec of [false, true]) {
    const { bytes: out } = await copy([file], { stripTtl: true }, { codec });
    expect(Buffer.from(out).includes(Buffer.from(bytes(meta, 0, str('k'), str('v'))))).toBe(true);
    expect(Buffer.from(out).includes(0xfc)).toBe(false);
  }
});

const keysOnly = (lines: string): string => lines.replace(/^\{"type":.*\n/gm, '');

describe('several files', () => {
  const set = (key: string, value: string): Uint8Array => bytes(0, str(key), str(value));
  const aux = (key: string, value: string): Uint8Array => bytes(0xfa, str(key), str(value));
  const lib = (name: string, body = ''): Uint8Array => bytes(0xf5, str(`#!lua name=${name}\n${body}`));
  const a = rdb('REDIS0010', [
    aux('redis-ver', '7.0.0'),
    aux('repl-id', 'x'.repeat(40)),
    lib('one'),
    lib('two'),
    0xfe,
    0,
    0xfb,
    9,
    9,
    set('x', 'a'),
    set('y', 'a'),
    0xfe,
    3,
    set('x', 'a'),
  ]);
  const b = rdb('REDIS0011', [
    aux('redis-ver', '7.2.0'),
    lib('one'),
    lib('two', 'other'),
    lib('three'),
    0xfe,
    0,
    0xfc,
    le(4e12, 8),
    set('z', 'b'),
    set('x', 'b'),
  ]);
  const format = { vendor: 'redis', version: 11 } as const;

  test('become one, whose functions and databases come once', async () => {
    const { bytes: out, problems } = await copy([a, b], { format, seen: new KeySet(), duplicates: 'tell' });
    const { framer, lines } = await decodeBytes(out, { meta: true });
    expect(framer.version).toBe(11);
    expect(lines.split('\n').slice(0, -1).map((line) => JSON.parse(line) as object)).toEqual([
      { type: 'aux', key: 'redis-ver', value: '7.0.0' },
      { type: 'function', value: '#!lua name=one\n' },
      { type: 'function', value: '#!lua name=two\n' },
      { type: 'resizeDb', db: 0, keys: 3, expires: 1 },
      { db: 0, key: 'x', type: 'string', value: 'a' },
      { db: 0, key: 'y', type: 'string', value: 'a' },
      { type: 'resizeDb', db: 3, keys: 1, expires: 0 },
      { db: 3, key: 'x', type: 'string', value: 'a' },
      { type: 'function', value: '#!lua name=three\n' },
      { db: 0, key: 'z', type: 'string', expireAt: 4e12, value: 'b' },
    ]);
    expect(problems).toEqual([
      { file: 'file-1', reason: 'the function library "two", which was there before, with other code' },
      { file: 'file-1', db: 0, key: 'x', reason: 'the key was there before' },
    ]);
  });

  test('databases are moved and joined, and their counts with them', async () => {
    const { bytes: out, sink } = await copy([a], { dbMap: new Map([[3, 0]]), seen: new KeySet(), duplicates: 'drop' });
    expect(sink.counts).toEqual({ refused: 0, others: 0, adapted: 0, lost: 0, rewritten: 0, duplicates: 1 });
    expect(resizes((await decodeBytes(out, { meta: true })).lines)).toEqual(['{"type":"resizeDb","db":0,"keys":2,"expires":0}']);
  });

  test('without a way back in the output, counts are those of the source or none', async () => {
    const plain = await copy([a], {}, { patch: false });
    expect(resizes((await decodeBytes(plain.bytes, { meta: true })).lines)).toEqual([]);
    const complete = await copy([a], { complete: true }, { patch: false });
    expect(resizes((await decodeBytes(complete.bytes, { meta: true })).lines)).toEqual(['{"type":"resizeDb","db":0,"keys":9,"expires":9}']);
    expect((await decodeBytes(complete.bytes)).framer.checksum).toBe('ok');
  });

  test('ranges of slots are those of a cluster, and every key is in its own', async () => {
    expect(slotRanges(3)).toEqual([[0, 5460], [5461, 10922], [10923, 16383]]);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 128 }), (count) => {
        const ranges = slotRanges(count);
        expect(ranges[0][0]).toBe(0);
        expect(ranges.at(-1)?.[1]).toBe(16383);
        for (let i = 1; i < count; i++) expect(ranges[i][0]).toBe(ranges[i - 1][1] + 1);
      }),
    );
    const file = serverFile('redis-7.0.15');
    const sinks = Array.from({ length: 5 }, () => new MemorySink());
    await dumped(
      [file],
      (_, options) =>
        new RdbSink(
          sinks.map((to) => new RdbFile(new Output(to), to, TS_CODEC)),
          options,
        ),
      { chunks: 3000, limit: 500 },
    );
    const decoded = await Promise.all(sinks.map(async (to) => (await decodeBytes(to.bytes, { meta: true })).lines));
    const ranges = slotRanges(5);
    for (const [i, lines] of decoded.entries()) {
      for (const line of keysOnly(lines).split('\n').slice(0, -1)) {
        const { key } = JSON.parse(line) as { key: string };
        const raw = key.startsWith('base64:') ? Buffer.from(key.slice(7), 'base64') : Buffer.from(key);
        expect(keySlot(raw)).toBeGreaterThanOrEqual(ranges[i][0]);
        expect(keySlot(raw)).toBeLessThanOrEqual(ranges[i][1]);
      }
      expect(functions(lines)).toEqual(functions((await decodeBytes(file, { meta: true })).lines));
    }
    const all = decoded.flatMap((lines) => keysOnly(lines).split('\n').slice(0, -1)).sort();
    expect(all).toEqual((await decodeBytes(file)).lines.split('\n').slice(0, -1).sort());
  });
});

describe('what stands before a key', () => {
  test.each([
    ['seconds, idle time and frequency in any order', 'REDIS0009', bytes(0xf9, 7, 0xfd, le(2e9, 4), 0xf8, len(70_000))],
    ['a key as an integer', 'REDIS0009', bytes(0xfc, le(4e12, 8))],
  ])('stays as it is: %s', async (_, magic, modifiers) => {
    const file = rdb(magic, [0xfe, 0, modifiers, 0, 0xc0, 5, str('v'), modifiers, 0, str('k'), str('v'.repeat(5000))]);
    for (const feeding of [{}, { chunks: 1 }, { chunks: 1, limit: 64 }])
      expect(recordsOf((await copy([file], {}, feeding)).bytes)).toEqual(recordsOf(file));
  });

  test('is written anew where something else stood in between', async () => {
    const file = rdb('REDIS0009', [0xfe, 0, 0xfc, le(4e12, 8), 0xf9, 3, 0xfa, str('mvcc-tstamp'), str('1'), 0, str('k'), str('v')]);
    const { lines } = await decodeBytes((await copy([file])).bytes);
    expect(lines).toBe('{"db":0,"key":"k","type":"string","expireAt":4000000000000,"freq":3,"value":"v"}\n');
  });
});
