import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { parsePayload } from '../../src/rdb/payload.js';
import { PayloadLines } from '../../src/dump/payload-lines.js';
import { RdbFile } from '../../src/dump/rdb-file.js';
import { RdbSink } from '../../src/dump/rdb-sink.js';
import { RespSink } from '../../src/dump/resp-sink.js';
import { parseTarget, type Target, TARGETS } from '../../src/values/targets.js';
import { dumped, type Dumped, serverFile, SERVERS } from '../support/dump-support.js';
import { inTurn } from '../support/factor.js';
import { FILES, LARGE, loop } from '../support/samples.js';
import { be, bytes, decodeBytes, f64, le, len, listpack, lzfStr, noise, type Part, rdb, str } from '../support/support.js';
import { magic } from '../support/transcode-support.js';

interface Line {
  key: string;
  type: string;
  value: unknown;
}

/** The keys of an RDB; items of sets in an order of their own. */
const keysOf = async (file: Uint8Array): Promise<Line[]> => keysIn((await decodeBytes(file)).lines);

function keysIn(lines: string): Line[] {
  const found = lines.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
  return found.map((line) => (line.type === 'set' ? { ...line, value: [...(line.value as string[])].sort() } : line));
}

/** An RDB for a target, of a source whose values come in parts of `limit` bytes. */
function dumpedFor(target: Target, file: Uint8Array, limit: number, chunks = file.length, fieldShift?: number): Promise<Dumped> {
  const format = { vendor: target.rdbVersion >= 80 ? 'valkey' : 'redis', version: target.rdbVersion } as const;
  return dumped([file], (output, options, to) => new RdbSink([new RdbFile(output, to, TS_CODEC)], { ...options, target, allowLoss: true, format, fieldShift }), { limit, chunks });
}

interface Whole {
  readonly problems: Dumped['problems'];
  readonly counts: Dumped['sink']['counts'];
  readonly lines: string;
}

/** By file and target. */
const wholes = new WeakMap<Uint8Array, Map<Target, Promise<Whole>>>();

/** What becomes of a file for a target, of whole values. */
function wholeOf(target: Target, file: Uint8Array): Promise<Whole> {
  const known = wholes.get(file) ?? new Map<Target, Promise<Whole>>();
  wholes.set(file, known);
  const make = async (): Promise<Whole> => {
    const { bytes: made, problems, sink } = await dumpedFor(target, file, Infinity);
    return { problems, counts: sink.counts, lines: (await decodeBytes(made)).lines };
  };
  const found = known.get(target) ?? make();
  known.set(target, found);
  return found;
}

/** In parts as in whole: the same values, the same problems, the same counts. */
async function check(target: Target, file: Uint8Array, limit = 64, chunks?: number): Promise<Line[]> {
  const whole = await wholeOf(target, file);
  const parts = await dumpedFor(target, file, limit, chunks);
  expect(parts.problems).toEqual(whole.problems);
  // in parts, packed encodings become plain ones where their bytes would do otherwise
  expect({ ...parts.sink.counts, rewritten: 0 }).toEqual({ ...whole.counts, rewritten: 0 });
  const { lines } = await decodeBytes(parts.bytes);
  const keys = keysIn(lines);
  if (lines !== whole.lines) expect(keys).toEqual(keysIn(whole.lines));
  return keys;
}

describe.each(TARGETS.map((target) => [`${target.vendor} ${target.release}`, target] as const))('in parts as in whole for %s', (_, target) => {
  test.each(Object.entries({ ...FILES, ...LARGE }))('the file %s', async (_name, file) => {
    await check(target, file);
    await check(target, file, 500, 1000);
  });
});

const servers = SERVERS.filter((name) => !name.endsWith('-modules'));
describe.each(servers.map((name, i) => [name, i] as const))('in parts as in whole: %s', (name, i) => {
  test.each(inTurn(['3.0', '6.2', '7.0', '7.4', 'valkey-9.1'], i))('for %s', async (release) => {
    const keys = await check(parseTarget(release), serverFile(name), 200);
    expect(keys.length).toBeGreaterThan(200);
  });
});

const shift = 2 ** 45;
test.each([
  ['redis-7.4.1', '7.4'],
  ['redis-8.0.6', '8.2'],
  ['redis-8.0.6', 'valkey-9.1'],
  ['valkey-9.1.2', 'valkey-9.1'],
  ['valkey-9.1.2', '8.0'],
])('expiries of fields are shifted: %s for %s', async (name, release) => {
  const target = parseTarget(release);
  const file = serverFile(name);
  const later = (_: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !('key' in value) && 'expireAt' in value && 'value' in value
      ? { ...value, expireAt: Number(value.expireAt) + shift }
      : value;
  const { lines } = await wholeOf(target, file);
  const want = lines.split('\n').filter((line) => line.includes('"hash"')).map((line) => JSON.stringify(JSON.parse(line, later)));
  expect(want.some((line) => /"expireAt":39\d{12}/.test(line))).toBe(true);
  for (const limit of [Infinity, 64]) {
    const { bytes: made } = await dumpedFor(target, file, limit, file.length, shift);
    const got = (await decodeBytes(made)).lines.split('\n').filter((line) => line.includes('"hash"'));
    expect(got.filter((line, i) => JSON.stringify(JSON.parse(line)) !== want[i]).map((line) => line.slice(0, 200))).toEqual([]);
    expect(got).toHaveLength(want.length);
  }
});

const big = noise(300);
const texts = fc.oneof(fc.string({ maxLength: 30 }), fc.integer().map(String), fc.constantFrom('x'.repeat(400), Buffer.from(big).toString('latin1'), 'yz'.repeat(90)));
const string = (text: string | Uint8Array): Part => (text.length % 3 === 1 ? lzfStr(text) : str(text));
const expiries = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 42 }));
const distinct = fc.uniqueArray(texts, { minLength: 1, maxLength: 12 });
const hashes = distinct.chain((fields) => fc.tuple(fc.constant(fields), fc.array(texts, { minLength: fields.length, maxLength: fields.length }), fc.array(expiries, { minLength: fields.length, maxLength: fields.length })));

describe('any values', () => {
  const targets = fc.constantFrom(...TARGETS);

  test('hashes with expiries, before and behind fields large and small', async () => {
    await fc.assert(
      fc.asyncProperty(hashes, targets, fc.integer({ min: 64, max: 700 }), async ([fields, values, ms], target, limit) => {
        const least = Math.min(...ms.filter((at) => at > 0), 2 ** 42);
        const after = fields.map((field, i): Part => [string(field), string(values[i]), ms[i] === 0 ? le(-1n, 8) : le(ms[i], 8)]);
        const before = fields.map((field, i): Part => [ms[i] === 0 ? 0 : len(ms[i] - least + 1), string(field), string(values[i])]);
        const packed = fields.flatMap((field, i) => [field, values[i], BigInt(ms[i])]);
        const [h2] = await check(target, rdb('VALKEY080', [22, str('h'), loop(...after)]), limit);
        const [metadata] = await check(target, rdb('REDIS0012', [24, str('h'), le(least, 8), loop(...before)]), limit);
        const [ex] = await check(target, rdb('REDIS0012', [25, str('h'), le(least, 8), str(listpack(packed))]), limit);
        expect(metadata).toEqual(h2);
        expect(ex).toEqual(h2);
      }),
      { numRuns: 60 },
    );
  });

  test('lists of nodes large and small, packed and plain', async () => {
    const nodes = fc.array(fc.tuple(fc.boolean(), fc.array(texts, { minLength: 1, maxLength: 20 })), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(nodes, targets, fc.integer({ min: 64, max: 700 }), async (list, target, limit) => {
        const parts = list.map(([plain, items]): Part => (plain ? [1, string(items[0])] : [2, string(listpack(items))]));
        const [line] = await check(target, rdb('REDIS0011', [18, str('l'), loop(...parts)]), limit);
        expect((line.value as unknown[]).length).toBe(list.reduce((sum, [plain, items]) => sum + (plain ? 1 : items.length), 0));
      }),
      { numRuns: 100 },
    );
  });

  test('sets and sorted sets', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(texts, { minLength: 1, maxLength: 30 }), fc.double({ noNaN: true }), targets, fc.integer({ min: 64, max: 700 }), async (items, score, target, limit) => {
        await check(target, rdb('REDIS0011', [20, str('s'), str(listpack(items))]), limit);
        await check(target, rdb('REDIS0011', [5, str('z'), loop(...items.map((item): Part => [string(item), f64(score)]))]), limit);
        await check(target, rdb('REDIS0011', [17, str('z'), str(listpack(items.flatMap((item) => [item, String(score)])))]), limit);
      }),
      { numRuns: 100 },
    );
  });
});

describe('lengths at the borders of listpacks', () => {
  const list = [noise(16_378), 'tail', 5n];
  const node = [1n, 0n, 1n, 'f', 0n, 2n, 1n, 1n, list[0], 4n];
  const values = (wide: boolean): Part[] => [
    [16, str('h'), str(listpack([...list, 'v'], wide))],
    [17, str('z'), str(listpack([list[0], 1n], wide))],
    [18, str('l'), [len(3), 1, str('plain'), 2, str(listpack(list, wide)), 1, str(noise(16_378))]],
    [20, str('s'), str(listpack(list, wide))],
    [21, str('x'), [len(1), str(be(0, 16)), str(listpack(node, wide)), len(1), len(1), len(1), len(1), len(1), len(0), len(0), len(1), len(0)]],
    [25, str('e'), [le(0, 8), str(listpack([list[0], 'v', 7n], wide))]],
  ];

  test.each(['valkey-9.0', 'valkey-9.1', '8.0', '8.8'])('are put right in parts for %s', async (release) => {
    const target = parseTarget(release);
    for (const wide of [false, true]) {
      const file = rdb('REDIS0012', values(wide));
      for (const limit of [64, 20_000]) await check(target, file, limit);
      const { bytes: made } = await dumpedFor(target, file, 64);
      // no entry of the other form is left: both are told by the bytes behind the text
      const [narrow, broad] = [bytes(0x00, 0xff, 0xff), bytes(0x7f, 0xff)];
      const wrong = bytes(noise(16_378).subarray(16_300), target.wide ? narrow : broad);
      expect(Buffer.from(made).includes(Buffer.from(wrong))).toBe(false);
    }
  });
});

describe('payloads and their parts', () => {
  test('are those of the whole value, but for the encoding', async () => {
    const items = Array.from({ length: 40 }, (_, i) => `item ${i} `.repeat(i));
    const file = rdb('REDIS0011', [[18, str('l'), loop([2, lzfStr(listpack(items))], [1, str(noise(900))], [2, str(listpack(items))])], [20, str('s'), str(listpack(items))]]);
    for (const release of ['3.0', '6.2', '7.0', '8.0']) {
      const target = parseTarget(release);
      const { text } = await dumped([file], (output, options) => new PayloadLines(output, { ...options, target }), { limit: 64 });
      const payloads = text.trim().split('\n').map((line) => parsePayload(Buffer.from((JSON.parse(line) as { payload: string }).payload, 'base64')));
      expect(payloads.map(({ checksum }) => checksum)).toEqual(['ok', 'ok']);
      const again = rdb(magic(target), payloads.map(({ type, value }, i): Part => [type, str('ls'[i]), value]));
      expect(await keysOf(again)).toEqual(await keysOf(file));
    }
  });
});

describe('commands', () => {
  const items = Array.from({ length: 60 }, (_, i) => `item ${i}`);
  const file = rdb('REDIS0012', [
    [18, str('l'), loop([2, lzfStr(listpack(items))], [2, str(listpack(items))])],
    [20, str('s'), str(listpack(items))],
    [17, str('z'), str(listpack(items.flatMap((item, i) => [item, BigInt(i)])))],
    [24, str('h'), le(9e12, 8), loop(...items.map((item, i): Part => [i % 3, str(item), str(item)]))],
  ]);
  const commands = async (limit: number, maxPayload: number): Promise<string> => {
    const target = parseTarget('6.2');
    const { problems, text } = await dumped([file], (output, options) => new RespSink(output, { ...options, target, allowLoss: true, maxPayload, now: 0 }), { limit, chunks: 500 });
    expect(problems).toEqual([]);
    return text;
  };

  test('of values that were rewritten in parts are those of whole ones', async () => {
    const [whole, parts] = [await commands(Infinity, 100), await commands(64, 100)];
    expect(parts).toBe(whole);
    expect(parts.match(/RPUSH|SADD|ZADD|HMSET/g)).toEqual(['RPUSH', 'SADD', 'ZADD', 'HMSET']);
    expect((await commands(64, 1 << 20)).match(/RESTORE/g)).toHaveLength(4);
  });
});
