import { constants } from 'node:buffer';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, expectTypeOf, test, vi } from 'vitest';
import {
  crc64,
  encodePayload,
  decode,
  type DecodeOptions,
  type EndFrame,
  ERROR_CODES,
  formatText,
  frames,
  type FramesOptions,
  type HashField,
  type KeyRecord,
  keySlot,
  parsePayload,
  type MetaFrame,
  type MetaRecord,
  parseText,
  RdbError,
  type RecordIterator,
  type Source,
  type StreamValue,
  type ValueFrame,
  type ZsetMember,
} from '../../src/index.js';
import { decodeWith } from '../../src/library/decode.js';
import { BufferTexts, StringTexts } from '../../src/values/value-texts.js';
import { be, bytes, decodeBytes, f64, le, len, listpack, lzfStr, outcome, type Part, rdb, str } from '../support/support.js';

type Any = KeyRecord | KeyRecord<string> | MetaRecord | MetaRecord<string>;

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'fixtures/servers');
const names = readdirSync(folder).filter((file) => file.endsWith('.rdb'));
const path = (name: string): string => join(folder, name);
const load = (name: string): Uint8Array => new Uint8Array(readFileSync(path(name)));
const SMALL = 'redis-7.4.1-modules.rdb';
const MIXED = 'redis-7.4.1.rdb';

async function all<R>(records: AsyncIterable<R>): Promise<R[]> {
  const found: R[] = [];
  for await (const record of records) found.push(record);
  return found;
}

async function failure(records: AsyncIterable<unknown>): Promise<unknown> {
  return all(records).then(() => expect.unreachable('no error'), (error: unknown) => error);
}

/** Chunks that are overwritten as soon as the next one is asked for. */
async function* cut(file: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0, i = 0; at < file.length; i++) {
    const chunk = file.slice(at, at + (sizes[i % sizes.length]));
    at += chunk.length;
    yield chunk;
    chunk.fill(0xee);
  }
}

/** The line of JSON that a record is by the contract. Written by hand: objects lose the order of fields that look like numbers. */
function line(record: Any): string {
  if (!('key' in record) || record.type === 'aux') return plainJson(record);
  const { db, key, type, expireAt, idle, freq, keyMeta } = record;
  const head = { expireAt, idle, freq };
  const rest = Object.entries(head).flatMap(([name, n]) => (n === undefined ? [] : [`,"${name}":${n}`]));
  const meta = keyMeta === undefined ? '' : `,"keyMeta":${plainJson(keyMeta)}`;
  return `{"db":${db},"key":${text(key)},"type":"${type}"${rest.join('')}${meta},"value":${valueJson(record)}}`;
}

const text = (value: Buffer | string): string => JSON.stringify(typeof value === 'string' ? value : formatText(value));
const float = (value: number): string => {
  if (!Number.isFinite(value)) return `"${String(value).replace('Infinity', 'inf').toLowerCase()}"`;
  return Object.is(value, -0) ? '-0' : String(value);
};

function valueJson(record: KeyRecord | KeyRecord<string>): string {
  switch (record.type) {
    case 'string':
      return text(record.value);
    case 'list':
    case 'set':
      return `[${record.value.map(text).join(',')}]`;
    case 'zset':
      return `{${record.value.map(({ member, score }) => `${text(member)}:${float(score)}`).join(',')}}`;
    case 'hash':
      return `{${record.value.map(fieldJson).join(',')}}`;
    default:
      return plainJson(record.value);
  }
}

function fieldJson({ field, value, expireAt }: HashField<Buffer> | HashField<string>): string {
  return `${text(field)}:${expireAt === undefined ? text(value) : `{"value":${text(value)},"expireAt":${expireAt}}`}`;
}

/** What is no map from texts: streams, modules, arrays, records that are no keys. */
function plainJson(value: unknown): string {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return text(value);
  if (typeof value === 'bigint') return `"${value}"`;
  if (typeof value === 'number') return float(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map(plainJson).join(',')}]`;
  const object = value as Record<string, unknown>;
  if (typeof object['kind'] === 'string') return `{"${object['kind']}":${plainJson(object['value'])}}`;
  const entry = Array.isArray(object['fields']) && 'id' in object && typeof object['id'] === 'string';
  const members = Object.entries(entry ? { ...object, fields: (object['fields'] as unknown[]).flat() } : object);
  return `{${members.map(([name, member]) => `"${name}":${plainJson(member)}`).join(',')}}`;
}

const lines = (records: readonly Any[]): string =>
  records
    .filter(({ type }) => type !== 'end')
    .map((record) => `${line(record)}\n`)
    .join('');

/** Integers that a double does not hold, as JSON.parse reads them. */
const rounded = (json: string): string => json.replace(/(?<=":)-?\d{16,}(?=[,}])/g, (digits) => String(Number(digits)));

describe.each(names)('%s', (name) => {
  const file = load(name);
  const want = decodeBytes(file, { meta: true }).then((decoded) => decoded.lines);

  test('comes to the JSON lines, as Buffers and as strings', async () => {
    expect(lines(await all(decode(path(name), { meta: true }))) === (await want)).toBe(true);
    expect(lines(await all(decode(file, { meta: true, text: true }))) === (await want)).toBe(true);
  });

  test('comes to the same in any chunks and parts', async () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 200_000 }));
    const sizes = fc.array(size, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 64, max: 4096 }), fc.boolean(), async (chunks, partSize, strings) => {
        const source = cut(file, chunks);
        const options = { meta: true, partSize };
        const records = strings
          ? await all(decodeWith(source, options, new StringTexts()))
          : await all(decodeWith(source, options, new BufferTexts()));
        return lines(records) === (await want);
      }),
      { numRuns: 4 },
    );
  });

  test('frames are the bytes of the file, whole or in parts', async () => {
    const whole = await gathered(frames(file));
    expect(whole.every(({ parts }) => parts === 1)).toBe(true);
    expect(whole.every(({ value, offset }) => Buffer.compare(value, file.subarray(offset, offset + value.length)) === 0)).toBe(true);
    const cutUp = await gathered(frames(cut(file, [7, 4000, 90]), { partSize: 100 }));
    expect(cutUp.some(({ parts }) => parts > 1)).toBe(name !== SMALL);
    const same = (a: Gathered, b: Gathered): boolean =>
      Buffer.compare(a.value, b.value) === 0 &&
      JSON.stringify({ ...a, value: 0, parts: 0 }) === JSON.stringify({ ...b, value: 0, parts: 0 });
    expect(cutUp.length).toBe(whole.length);
    expect(cutUp.every((value, i) => same(value, whole[i]))).toBe(true);
  });
});

interface Gathered {
  db: number;
  key: string;
  type: string;
  encodingId: number;
  expireAt: number | undefined;
  value: Buffer;
  offset: number;
  parts: number;
}

async function gathered(from: AsyncIterable<ValueFrame>): Promise<Gathered[]> {
  const found: Gathered[] = [];
  let parts: Buffer[] = [];
  let next = 0;
  for await (const frame of from) {
    if (frame.first !== (parts.length === 0)) throw new Error(`first is ${frame.first} after ${parts.length} parts`);
    if (!frame.first && frame.offset !== next) throw new Error(`offset ${frame.offset} after ${next}`);
    next = frame.offset + frame.bytes.length;
    parts.push(frame.copy());
    if (!frame.last) continue;
    const { db, key, type, encodingId, expireAt } = frame;
    const value = Buffer.concat(parts);
    found.push({ db, key: formatText(key), type, encodingId, expireAt, value, offset: next - value.length, parts: parts.length });
    parts = [];
  }
  if (parts.length > 0) throw new Error('no last part');
  return found;
}

const idLen = (ms: number | bigint, seq: number | bigint): Part => [len(ms), len(seq)];
const PEL: Part = [len(1), be(5, 8), be(1, 8), le(-1, 8), len(2n ** 60n + 1n)];
const CONSUMER: Part = [len(1), str('c'), le(7, 8), le(-1, 8), len(1), be(5, 8), be(1, 8)];
const PRODUCERS: Part = [len(600), len(100), len(1), str('p'), len(1), str('i'), idLen(5, 1), len(7), len(2n ** 63n)];
const UNUSUAL = rdb('REDIS0015', [
  [0xfa, str('redis-ver'), str('8.10.0')],
  [0xf5, str('#!lua name=lib\n')],
  [0xf2, len(3), [len(2), str('a'), lzfStr('z'.repeat(90))]],
  [0xfb, len(9), len(2)],
  [0xf3, len(1), le((0x1cb53a << 8) | (3 << 3) | 1, 4), [2, len(6), 5, str('t'), 0], 0, str('meta'), str('v')],
  [28, str('array'), [len(2), len(1), len(2n ** 64n - 2n), [len(0), len(0), str('s')], [len(2n ** 64n - 2n), len(2), f64(3)]]],
  [30, str('template'), str(listpack([3n, 1n, 'two']))],
  [
    24,
    str('metadata'),
    le(1000, 8),
    len(3),
    [len(1), str('f'), str('v')],
    [len(0), str('g'), lzfStr('l'.repeat(700))],
    [len(5), str('__proto__'), lzfStr('m'.repeat(800))],
  ],
  [25, str('listpack-ex'), le(1000, 8), str(listpack(['f', 'v', 1000n, 'g', 'w'.repeat(300), 0n, 'h', 'x'.repeat(300), 2000n]))],
  [4, str('twice'), len(3), [str('f'), str('1')], [str('f'), str('2')], [str('10'), str(0xff)]],
  [5, str('zset'), len(4), [str('a'), f64(-0)], [str('b'), f64(NaN)], [str('c'), f64(-Infinity)], [str('1'), f64(0.1)]],
  [
    27,
    str('stream'),
    [len(0), len(0), idLen(2n ** 64n - 1n, 5), idLen(0, 0), idLen(0, 0), len(2n ** 60n)],
    len(1),
    str('g'),
    idLen(6, 0),
    len(2n ** 64n - 1n),
    PEL,
    CONSUMER,
    len(0),
    PRODUCERS,
  ],
  [
    7,
    str('module'),
    bytes(0x81, be(0xb5eb2dffffddb401n, 8)),
    [2, len(2n ** 64n - 9n), 1, len(2n ** 64n - 9n), 3, le(0x3fc00000, 4), 4, f64(-0.1), 5, lzfStr('abc'.repeat(300)), 0],
  ],
  [0, str('base64:'), str('base64:')],
  [0, str(0xc3, 0x28), str('\ufeffh\u00e9\u{1f600}')],
]);

describe('types that servers seldom write', () => {
  test('come to the JSON lines, in every way', async () => {
    const want = rounded((await decodeBytes(UNUSUAL, { meta: true })).lines);
    for (const partSize of [64, 200, 1 << 20]) {
      for (const chunks of [[1], [50], [1 << 20]]) {
        const options = { meta: true, partSize };
        expect(lines(await all(decodeWith(cut(UNUSUAL, chunks), options, new BufferTexts())))).toBe(want);
        expect(lines(await all(decodeWith(cut(UNUSUAL, chunks), options, new StringTexts())))).toBe(want);
      }
    }
  });

  test('show as documented', async () => {
    const records = await all(decode(UNUSUAL, { text: true }));
    const value = (key: string): unknown => records.find((record) => record.key === key)?.value;
    expect(value('array')).toEqual({
      elements: [
        { index: 0n, value: 's' },
        { index: 2n ** 64n - 2n, value: '3.0' },
      ],
      insertIndex: 2n ** 64n - 2n,
    });
    expect(value('twice')).toEqual([{ field: 'f', value: '1' }, { field: 'f', value: '2' }, { field: '10', value: 'base64:/w==' }]);
    expect(value('metadata')).toEqual([
      { field: 'f', value: 'v', expireAt: 1000 },
      { field: 'g', value: 'l'.repeat(700) },
      { field: '__proto__', value: 'm'.repeat(800), expireAt: 1004 },
    ]);
    expect(value('zset')).toEqual([
      { member: 'a', score: -0 },
      { member: 'b', score: NaN },
      { member: 'c', score: -Infinity },
      { member: '1', score: 0.1 },
    ]);
    expect(value('module')).toEqual({
      module: 'test___dt',
      version: 1,
      parts: [
        { kind: 'uint', value: 2n ** 64n - 9n },
        { kind: 'sint', value: -9n },
        { kind: 'float', value: 1.5 },
        { kind: 'double', value: -0.1 },
        { kind: 'string', value: 'abc'.repeat(300) },
      ],
    });
    expect(value('stream')).toMatchObject({
      entries: [],
      lastId: '18446744073709551615-5',
      entriesAdded: 2 ** 60,
      groups: [
        { entriesRead: null, pending: [{ consumer: 'c', deliveredAt: -1, deliveries: 2 ** 60 }], consumers: [{ activeTime: null }] },
      ],
    });
    expect(value('base64:YmFzZTY0Og==')).toBe('base64:YmFzZTY0Og==');
    expect(value('base64:wyg=')).toBe('\ufeffh\u00e9\u{1f600}');
  });
});

describe('what is given out', () => {
  test('is kept safely', async () => {
    const records = await all(decode(cut(load(MIXED), [3000])));
    const before = lines(records);
    await all(decode(cut(load('redis-5.0.14.rdb'), [3000])));
    expect(lines(records)).toBe(before);
    expect(new Set(records.map(({ key }) => key)).size).toBe(records.length);
  });

  test('with the option meta ends with the end', async () => {
    const records = await all(decode(path(SMALL), { meta: true, filter: { type: ['module'] } }));
    expect(records.at(-1)).toEqual({ type: 'end', version: 12, checksum: 'ok', keys: 3 });
    expect(records[0]).toEqual({ type: 'aux', key: 'redis-ver', value: '7.4.1' });
    const found = await all(frames(path(SMALL), { meta: true, checksum: false }));
    expect(found.at(-1)).toEqual({ kind: 'end', version: 12, checksum: 'none', keys: 5 });
    expect(found[0]).toMatchObject({ kind: 'meta', opcode: 'AUX', opcodeId: 250, offset: 10 });
  });

  test('stops at the limit', async () => {
    expect(await all(decode(path(MIXED), { limit: 3 }))).toHaveLength(3);
    expect(await all(decode(path(MIXED), { limit: 0 }))).toEqual([]);
    expect(await all(decode(path(SMALL), { limit: 5, meta: true }))).not.toContainEqual(expect.objectContaining({ type: 'end' }));
    expect((await all(frames(path(MIXED), { limit: 3, partSize: 64 }))).filter(({ last }) => last)).toHaveLength(3);
  });

  test('passes the filter', async () => {
    const strings = await all(decode(path(MIXED), { text: true, filter: { prefix: ['beta:', Buffer.from('alpha:')], type: ['string'] } }));
    expect(strings.length).toBeGreaterThan(1);
    expect(strings.every(({ key, type }) => /^(?:alpha|beta):/.test(key) && type === 'string')).toBe(true);
    const binary = await all(decode(path(MIXED), { filter: { prefix: ['base64:I/V4ZfrbPEPCsYZaEOrIld2W2w=='] } }));
    expect(binary.map(({ key }) => formatText(key))).toEqual(['base64:I/V4ZfrbPEPCsYZaEOrIld2W2w==']);
  });

  test.each([{ minSize: 500 }, { maxSize: 500 }, { minSize: 100, maxSize: 5000 }, { minSize: 1e9 }])(
    'passes the filter of sizes %j, in parts too',
    async (filter) => {
      const { minSize, maxSize } = { minSize: 0, maxSize: Infinity, ...filter };
      const sizes = (await gathered(frames(path(MIXED)))).filter(({ value }) => value.length >= minSize && value.length <= maxSize);
      const want = sizes.map(({ key }) => key);
      for (const partSize of [64, 1000, 1 << 20]) {
        const options = { filter, partSize, meta: true };
        const found = await all(decodeWith(path(MIXED), options, new StringTexts()));
        expect(found.flatMap((record) => ('value' in record && record.type !== 'aux' && 'db' in record ? [record.key] : []))).toEqual(want);
        expect(found.at(-1)).toMatchObject({ type: 'end', keys: want.length });
        const framed = await gathered(frames(path(MIXED), { filter, partSize }));
        expect(framed.map(({ key, value }) => [key, value.length])).toEqual(sizes.map(({ key, value }) => [key, value.length]));
      }
    },
  );
});

describe('frames', () => {
  test('are enough to write the RDB again', async () => {
    const records: Part[] = [];
    for await (const frame of frames(path('redis-7.2.6.rdb'))) {
      const expiry: Part = frame.expireAt === undefined ? [] : [0xfc, le(frame.expireAt, 8)];
      records.push([0xfe, len(frame.db), expiry, frame.encodingId, str(frame.key), frame.copy()]);
    }
    const again = rdb('REDIS0011', records);
    expect(lines(await all(decode(again))) === lines(await all(decode(path('redis-7.2.6.rdb'))))).toBe(true);
  });

  test('have copies that are safe to keep', async () => {
    const file = rdb('REDIS0011', [[0, str('a'), str('1'.repeat(30))], [0, str('b'), str('2'.repeat(30))]]);
    const kept: { copy: Buffer; want: string }[] = [];
    for await (const frame of frames(cut(file, [45]))) kept.push({ copy: frame.copy(), want: String(frame.bytes) });
    expect(kept.map(({ copy }) => copy.join())).toEqual(kept.map(({ want }) => want));
  });
});

/** Every kind of source, with the bytes it gives. */
const SOURCES: readonly (readonly [name: string, make: (file: Uint8Array) => Source])[] = [
  ['a Uint8Array', (file) => file],
  ['a Buffer', (file) => Buffer.from(file)],
  ['an ArrayBuffer', (file) => new Uint8Array(file).buffer],
  ['a Node stream', (file) => Readable.from([Buffer.from(file.subarray(0, 99)), Buffer.from(file.subarray(99))])],
  ['a web stream', (file) => new ReadableStream({ start: (c) => { c.enqueue(file); c.close(); } })],
  ['an async iterable', (file) => cut(file, [100])],
];

describe.each(SOURCES)('%s as a source', (_, make) => {
  const file = load(SMALL);

  test('plain', async () => {
    expect(await all(decode(make(file)))).toEqual(await all(decode(path(SMALL))));
    expect(await gathered(frames(make(file)))).toEqual(await gathered(frames(path(SMALL))));
  });

  test('compressed', async () => {
    expect(await all(decode(make(new Uint8Array(gzipSync(file)))))).toEqual(await all(decode(path(SMALL))));
  });
});

const opened = (name: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path(name);
    } catch {
      return false;
    }
  }).length;

const hasProc = process.platform === 'linux';

const READERS: readonly ((source: Source) => RecordIterator<unknown>)[] = [(source) => decode(source), (source) => frames(source)];

describe('a loop that is left closes its source', () => {
  const WAYS: readonly (readonly [string, (records: RecordIterator<unknown>) => Promise<unknown>])[] = [
    ['by break', async (records) => { for await (const _ of records) break; }],
    ['by an error of its own', async (records) => { for await (const _ of records) throw new TypeError('mine'); }],
    ['by return', (records) => (async () => { for await (const record of records) return record; return undefined; })()],
    ['by calling return', async (records) => { await records.next(); await records.return(); }],
    ['at its end', async (records) => all(records)],
  ];

  test.each(WAYS)('%s', async (_, leave) => {
    for (const read of READERS) {
      if (hasProc) {
        const records = read(path(MIXED));
        expect(opened(MIXED)).toBe(0);
        await records.next();
        expect(opened(MIXED)).toBe(1);
        await leave(records).catch(() => undefined);
        expect(opened(MIXED)).toBe(0);
        expect(await records.next()).toEqual({ done: true, value: undefined });
      }
      const stream = Readable.from([Buffer.from(load(MIXED))]);
      await leave(read(stream)).catch(() => undefined);
      expect(stream.destroyed).toBe(true);
      let cancelled = false;
      const web = new ReadableStream<Uint8Array>({
        pull: (c) => c.enqueue(load(SMALL).subarray(0, 150)),
        cancel: () => void (cancelled = true),
      });
      await leave(read(web)).catch(() => undefined);
      expect(cancelled).toBe(true);
    }
  });

  test('by the limit, an error in the input, and a signal', async () => {
    const limited = Readable.from([Buffer.from(load(MIXED))]);
    await all(decode(limited, { limit: 1 }));
    expect(limited.destroyed).toBe(true);
    const damaged = Readable.from([Buffer.from(load(MIXED).fill(0xf0, 2000, 2500))]);
    expect(await failure(decode(damaged))).toBeInstanceOf(RdbError);
    expect(damaged.destroyed).toBe(true);
    const endless = new Readable({ read: () => undefined });
    const reason = new Error('enough');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 10);
    expect(await failure(decode(endless, { signal: controller.signal }))).toBe(reason);
    expect(endless.destroyed).toBe(true);
  });

  test('a signal ends a loop between two records of one chunk, and reading from memory lets timers run', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const loop = async (): Promise<void> => {
      let seen = 0;
      for await (const _ of decode(load(MIXED), { signal: controller.signal })) if (++seen === 2) controller.abort(reason);
    };
    await expect(loop()).rejects.toBe(reason);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    await all(frames(rdb('REDIS0011', Array.from({ length: 60 }, (_, i) => [0, str(`${i}`), str(new Uint8Array(1 << 17))]))));
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });

  test('calls without waiting are answered in their order', async () => {
    const want = await all(decode(path(SMALL), { text: true }));
    const records = decode(cut(load(SMALL), [20]), { text: true });
    const results = await Promise.all(Array.from({ length: 7 }, () => records.next()));
    expect(results.map(({ value }) => value?.key)).toEqual([...want.map(({ key }) => key), undefined, undefined]);
    const more = decode(path(SMALL));
    const [first, end, after] = await Promise.all([more.next(), more.return(), more.next()]);
    expect([first.done, end.done, after.done]).toEqual([false, true, true]);
  });
});

describe('errors', () => {
  test('say what and where', async () => {
    const file = load(SMALL);
    const error = await failure(decode(file.subarray(0, 150)));
    expect(error).toMatchObject({ name: 'RdbError', code: 'TRUNCATED', offset: 150, file: '<buffer>' });
    expect(Object.keys(ERROR_CODES)).toContain((error as RdbError).code);
    expect(await failure(decode(path('missing.rdb')))).toMatchObject({ code: 'READ_FAILED', file: path('missing.rdb') });
    expect(await failure(frames(Buffer.from('no such thing')))).toMatchObject({ code: 'NOT_RDB', offset: 0 });
    const broken = rdb('REDIS0011', [[0xfe, 3], [0, str('good'), str('v')], [16, str('bad'), str(listpack(['f', 'v', 'g']))]]);
    const seen: unknown[] = [];
    const loop = async (): Promise<void> => { for await (const { key } of decode(broken, { text: true })) seen.push(key); };
    await expect(loop()).rejects.toMatchObject({ code: 'BAD_LISTPACK', db: 3, key: 'bad' });
    expect(seen).toEqual(['good']);
    const checksum = rdb('REDIS0011', [[0, str('k'), str('v')]], false);
    expect(await failure(decode(checksum))).toMatchObject({ code: 'CHECKSUM' });
    expect(await all(decode(checksum, { checksum: false }))).toHaveLength(1);
  });

  test('come for what follows the RDB, or warnings', async () => {
    const file = load(SMALL);
    const warnings: string[] = [];
    const onWarning = (warning: string): void => void warnings.push(warning);
    expect(await all(decode(bytes(file, '*1\r\n'), { onWarning }))).toHaveLength(5);
    expect(warnings).toEqual(['AOF: 4 bytes of newer commands follow the RDB and are not read']);
    expect(await failure(decode(bytes(file, '*1'), { strict: true }))).toMatchObject({ code: 'TRAILING_DATA' });
    expect(await failure(decode(cut(bytes(file, file), [11])))).toMatchObject({ code: 'TRAILING_DATA', offset: file.length });
    const records: Any[] = [];
    const loop = async (): Promise<void> => { for await (const record of decode(bytes(file, file), { meta: true })) records.push(record); };
    await expect(loop()).rejects.toThrow();
    expect(records.at(-1)?.type).not.toBe('end');
    await all(decode(rdb('REDIS0099', [[0, str('k'), str('v')]]), { onWarning }));
    expect(warnings.at(-1)).toMatch('newer');
    expect(await failure(decode(rdb('REDIS0099', []), { strict: true }))).toMatchObject({ code: 'UNSUPPORTED_VERSION' });
  });

  test('a forged length asks for no memory', async () => {
    const file = bytes('REDIS0011', 0, str('k'), 0x81, be(2 ** 39, 8), 'x'.repeat(5000));
    const before = process.memoryUsage().rss;
    const tooLong = constants.MAX_LENGTH < 2 ** 39 ? { name: 'RangeError' } : { code: 'TRUNCATED', key: 'k' }; // newer Nodes have longer buffers
    expect(await failure(decode(cut(file, [900]), { text: false }))).toMatchObject(tooLong);
    const less = bytes('REDIS0011', 0, str('k'), len(2 ** 31), 'x'.repeat(2 ** 21));
    expect(await failure(decode(cut(less, [1 << 16])))).toMatchObject({ code: 'TRUNCATED', key: 'k' });
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
  });

  test('a string longer than JavaScript allows is a RangeError that names the key', async () => {
    const file = rdb('REDIS0011', [[0xfe, 3], [1, str('k\n'), len(1), str('x'.repeat(200))]]);
    const short = Object.assign(new StringTexts(), { greatest: 199 });
    const fussy = Object.assign(new StringTexts(), { own: () => { throw new TypeError('cannot'); } });
    for (const texts of [short, fussy]) {
      const error = await failure(decodeWith(file, { partSize: 64 }, texts));
      expect(error).toBeInstanceOf(RangeError);
      expect(String(error)).toMatch('db 3, key "k\\n": a string of 200 bytes');
    }
  });

  test('are those of the JSON lines, wherever the damage is', async () => {
    const files = [UNUSUAL, load(SMALL)];
    const damage = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(damage, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.constantFrom(64, 1 << 20),
        async (file, places, end, limit) => {
          const damaged = end % 3 === 0 ? file.slice(0, end % file.length) : file.slice();
          for (const [at, value] of places) damaged[at % damaged.length] = value;
          fc.pre(damaged[0] !== 0x7b); // such a file is lines of payloads, which `outcome` does not know
          const want = rounded(await outcome(damaged, { meta: true, limit, checksum: false }));
          const records: Any[] = [];
          let got: string | undefined;
          try {
            for await (const record of decodeWith(
              cut(damaged, [damaged.length]),
              { meta: true, partSize: limit, checksum: false },
              new BufferTexts(),
            ))
              records.push(record);
            got = lines(records);
          } catch (error) {
            if (error instanceof RangeError) return;
            if (!(error instanceof RdbError)) throw error;
            got = `${error.code} at ${error.offset} db ${error.db} key ${error.key}`;
          }
          expect(got).toBe(want);
        },
      ),
      { numRuns: 1500 },
    );
  });

  const wrong = (source: unknown, options?: unknown): (() => unknown) => () => decode(source as Source, options as DecodeOptions);

  test.each([
    [wrong(5), 'source: expected a path, .* got the number 5'],
    [wrong(undefined), 'got undefined'],
    [wrong(null), 'got null'],
    [wrong(new Uint16Array(1)), 'an object of type Uint16Array'],
    [wrong([]), 'an object of type Array'],
    [wrong('x', { txt: true }), 'options: no option is called "txt"; there are filter, '],
    [wrong('x', { partSize: 64 }), 'no option is called "partSize"'],
    [wrong('x', { text: 'yes' }), 'options: text: expected true or false, got "yes"'],
    [wrong('x', { limit: -1 }), 'limit: expected a whole number'],
    [wrong('x', { limit: 1.5 }), 'limit: expected a whole number'],
    [wrong('x', { signal: {} }), 'signal: expected an AbortSignal'],
    [wrong('x', { onWarning: 'log' }), 'onWarning: expected a function'],
    [wrong('x', 5), 'options: expected an object'],
    [wrong('x', { filter: { types: ['hash'] } }), 'filter: no option is called "types"'],
    [wrong('x', { filter: { type: 'hash' } }), 'filter: type: expected an array of types'],
    [wrong('x', { filter: { type: ['hashes'] } }), 'filter: type: expected'],
    [wrong('x', { filter: { prefix: 'user:' } }), 'filter: prefix: expected an array'],
    [wrong('x', { filter: { prefix: ['base64:?'] } }), 'base64'],
    [wrong('x', { filter: { slot: [[0, 16384]] } }), 'filter: slot: expected'],
    [wrong('x', { filter: { ttl: 'some' } }), 'filter: ttl: expected one of none, any'],
    [wrong('x', { filter: { regex: ['('] } }), 'regular expression'],
    [wrong('x', { filter: { minSize: 5, maxSize: 1 } }), 'no record could pass'],
    [() => frames('x', { text: true } as FramesOptions), 'no option is called "text"'],
    [() => crc64('x' as unknown as Uint8Array), 'crc64: expected a Uint8Array'],
    [() => keySlot(5 as unknown as string), 'keySlot: expected'],
    [() => parsePayload('x' as unknown as Uint8Array), 'parsePayload: expected a Uint8Array'],
    [() => parsePayload(new Uint8Array(11)), 'bytes or more, this one 11'],
    [() => encodePayload(0, 'x' as unknown as Uint8Array, 9), 'value: expected a Uint8Array'],
    [() => encodePayload(256, new Uint8Array(1), 9), 'type: expected a byte'],
    [() => encodePayload(0, new Uint8Array(1), 0), 'version: expected an RDB version'],
  ])('a wrong argument is a TypeError at once (%#)', (call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(new RegExp(message));
  });
});

test('payloads', () => {
  const value = Buffer.from('\x01v');
  const payload = encodePayload(0, value, 9);
  expect(parsePayload(payload)).toEqual({
    type: 0,
    version: 9,
    vendor: 'redis',
    checksum: 'ok',
    value: new Uint8Array(value),
    hasKeyMeta: false,
  });
  payload[1] ^= 1;
  expect(parsePayload(payload).checksum).toBe('wrong');
});

test('helpers', () => {
  expect(crc64(Buffer.from('123456789'))).toBe(0xe9c6d914c4b8d9can);
  expect(crc64(Buffer.from('6789'), crc64(Buffer.from('12345')))).toBe(0xe9c6d914c4b8d9can);
  expect(crc64(new Uint8Array(0))).toBe(0n);
  expect([keySlot('foo'), keySlot(Buffer.from('{foo}.bar')), keySlot('base64:Zm9v')]).toEqual([12182, 12182, 12182]);
  expect(parseText(formatText(Uint8Array.of(255)))).toEqual(Uint8Array.of(255));
});

test('types follow the options and narrow by type', async () => {
  const yes = true as boolean;
  expectTypeOf(decode('x')).toEqualTypeOf<RecordIterator<KeyRecord>>();
  expectTypeOf(decode('x', { text: true })).toEqualTypeOf<RecordIterator<KeyRecord<string>>>();
  expectTypeOf(decode('x', { meta: true, limit: 5 })).toEqualTypeOf<RecordIterator<KeyRecord | MetaRecord>>();
  expectTypeOf(decode('x', { text: true, meta: true })).toEqualTypeOf<RecordIterator<KeyRecord<string> | MetaRecord<string>>>();
  expectTypeOf(decode('x', { text: yes, meta: yes })).toEqualTypeOf<RecordIterator<Any>>();
  expectTypeOf(frames('x')).toEqualTypeOf<RecordIterator<ValueFrame>>();
  expectTypeOf(frames('x', { meta: true })).toEqualTypeOf<RecordIterator<ValueFrame | MetaFrame | EndFrame>>();
  for await (const record of decode(path(SMALL), { text: true, meta: true })) {
    if (record.type === 'string') expectTypeOf(record.value).toEqualTypeOf<string>();
    else if (record.type === 'hash') expectTypeOf(record.value).toEqualTypeOf<HashField<string>[]>();
    else if (record.type === 'zset') expectTypeOf(record.value).toEqualTypeOf<ZsetMember<string>[]>();
    else if (record.type === 'stream') expectTypeOf(record.value).toEqualTypeOf<StreamValue<string>>();
    else if (record.type === 'end') expectTypeOf(record.checksum).toEqualTypeOf<'ok' | 'none'>();
  }
  for await (const record of decode(path(SMALL))) {
    expectTypeOf(record.key).toEqualTypeOf<Buffer>();
    expect(Buffer.isBuffer(record.key)).toBe(true);
    if (record.type === 'list' || record.type === 'set') expectTypeOf(record.value).toEqualTypeOf<Buffer[]>();
  }
});

/** Each example of docs/library.md, and the output that follows it there. */
const page = readFileSync(join(root, 'docs/library.md'), 'utf8');
const examples = [...page.matchAll(/^```ts\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?/gms)].map(([, code, output = '']) => ({ code, output }));

describe('docs/library.md', () => {
  const temp = mkdtempSync(join(tmpdir(), 'rdbkit-docs-'));
  const file = (i: number): string => join(temp, `example-${i}.ts`);
  const inPlace = (code: string): string => code.replaceAll("'rdbkit'", JSON.stringify(join(root, 'src/index.ts')));

  test('every block with output belongs to an example', () => {
    expect(examples.length).toBeGreaterThan(5);
    expect(page.match(/^```text$/gm)).toHaveLength(examples.filter(({ output }) => output !== '').length);
  });

  test.each(examples.map((example, i) => ({ ...example, i })))('example $i prints what the page says', async ({ code, i, output }) => {
    const printed: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => void printed.push(`${format(...values)}\n`));
    writeFileSync(file(i), inPlace(code));
    try {
      await import(/* @vite-ignore */ pathToFileURL(file(i)).href);
    } finally {
      log.mockRestore();
    }
    expect(printed.join('')).toBe(output);
  });

  test('of wrong options, TypeScript says what is wrong, and nothing else', () => {
    const source = join(temp, 'wrong.ts');
    const wrong = ["{ txt: true }", "{ text: 'yes' }", "{ text: true, meta: true, filter: { typ: ['hash'] } }"];
    const code = wrong.map((options) => `for await (const record of decode('x', ${options})) console.log(record);`);
    writeFileSync(
      source,
      ["import { decode } from 'rdbkit';", ...code].join('\n').replaceAll("'rdbkit'", JSON.stringify(join(root, 'src/index.js'))),
    );
    writeFileSync(join(temp, 'package.json'), '{"type":"module"}');
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } };
    const { options } = ts.convertCompilerOptionsFromJson(
      { ...config.compilerOptions, typeRoots: [join(root, 'node_modules/@types')] },
      root,
    );
    const program = ts.createProgram([source], options);
    const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(source));
    expect(found.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))).toEqual([
      expect.stringMatching(
        /^Object literal may only specify known properties, but 'txt' does not exist in type .* Did you mean to write 'text'\?$/,
      ),
      expect.stringMatching(/^Type '(string|"yes")' is not assignable to type 'boolean \| undefined'\.$/),
      expect.stringMatching(
        /^Object literal may only specify known properties, but 'typ' does not exist in type 'FilterOptions'\. Did you mean to write 'type'\?$/,
      ),
    ]);
  });

  test('the examples have right types', () => {
    examples.forEach(({ code }, i) => writeFileSync(file(i), inPlace(code).replaceAll('src/index.ts', 'src/index.js')));
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } };
    const { options } = ts.convertCompilerOptionsFromJson(
      { ...config.compilerOptions, typeRoots: [join(root, 'node_modules/@types')] },
      root,
    );
    writeFileSync(join(temp, 'package.json'), '{"type":"module"}');
    const program = ts.createProgram(
      examples.map((_, i) => file(i)),
      options,
    );
    const files = examples.map((_, i) => program.getSourceFile(file(i)));
    expect(files.every((of) => of !== undefined)).toBe(true);
    const found = files.flatMap((of) => [...program.getSyntacticDiagnostics(of), ...program.getSemanticDiagnostics(of)]); // of `undefined`, those of all files
    expect(found.map((d) => `${d.file?.fileName}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}`)).toEqual([]);
    rmSync(temp, { recursive: true });
  });
});
