import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { appendFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { RdbError } from '../../src/bytes/errors.js';
import { decodeLz4Block } from '../../src/bytes/lz4.js';
import { Xxh32, xxh32 } from '../../src/bytes/xxh32.js';
import { crc32, tableCrc32 } from '../../src/io/gzip.js';
import { openInput, type InputOptions, type InputSource } from '../../src/io/input.js';
import { chunksOf } from '../support/factor.js';

const fixtures = new URL('../../fixtures/compressed/', import.meta.url);
const fixture = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(new URL(name, fixtures)));
const plain = new Uint8Array(zlib.gunzipSync(fixture('sample.gz')));
const HALF = 70001;

interface Form {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly compression: string;
  /** Damage cannot go unnoticed. */
  readonly checked: boolean;
  /** Where the content may end without an error, since a frame ends there. */
  readonly ends: readonly number[];
}

const gz = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts.map((part) => zlib.gzipSync(part))));
const form = (name: string, compression: string, checked = true, ends: number[] = []): Form =>
  ({ name, bytes: fixture(name), compression, checked, ends });

const FORMS: readonly Form[] = [
  form('sample.gz', 'gzip'),
  { ...form('sample.gz', 'gzip'), name: 'members.gz', bytes: gz(plain.slice(0, HALF), plain.slice(HALF)), ends: [HALF] },
  form('linked-64k.lz4', 'lz4'),
  form('block-checksum.lz4', 'lz4'),
  form('no-checksum-256k.lz4', 'lz4', false),
  form('frames.lz4', 'lz4', true, [0, HALF]),
];
const TS_CODEC: Form = { name: 'plain', bytes: plain, compression: 'none', checked: false, ends: [] };

interface Outcome {
  bytes: Uint8Array;
  error: unknown;
  chunks: number;
  largest: number;
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<Outcome> {
  const parts: Uint8Array[] = [];
  const outcome: Outcome = { bytes: plain, error: undefined, chunks: 0, largest: 0 };
  try {
    for await (const chunk of chunks) {
      if (chunk.constructor !== Uint8Array || chunk.length === 0) throw new TypeError('not a plain, filled Uint8Array');
      parts.push(chunk.slice());
      outcome.largest = Math.max(outcome.largest, chunk.length);
    }
  } catch (error) {
    outcome.error = error;
  }
  outcome.chunks = parts.length;
  outcome.bytes = new Uint8Array(Buffer.concat(parts));
  return outcome;
}

const read = (source: InputSource, options?: InputOptions): Promise<Outcome> => drain(openInput(source, options).chunks());

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    yield bytes.slice(at, cut);
    at = cut;
  }
  yield bytes.slice(at);
}

/** One buffer for all chunks, scribbled over as soon as the next is asked for: what a reused buffer does at its worst. */
async function* reused(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(Math.max(...sizes));
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const part = bytes.subarray(at, at + sizes[i % sizes.length]);
    at += part.length;
    buffer.set(part);
    yield buffer.subarray(0, part.length);
    buffer.fill(0xee);
  }
}

function expectSame(outcome: Outcome, expected = plain): void {
  expect(outcome.error).toBeUndefined();
  expect(Buffer.compare(outcome.bytes, expected)).toBe(0);
}

function expectError(outcome: Outcome, code: string, got: RegExp): void {
  expect(outcome.error).toBeInstanceOf(RdbError);
  const error = outcome.error as RdbError;
  expect(error.code).toBe(code);
  expect(error.got).toMatch(got);
  expect(error.expected).toBeTruthy();
  expect(error.file).toBeTruthy();
}

const expectPrefix = (outcome: Outcome): void =>
  expect(Buffer.compare(outcome.bytes, plain.subarray(0, outcome.bytes.length))).toBe(0);

const dir = mkdtempSync(join(tmpdir(), 'rdbkit-sources-'));
afterAll(() => rmSync(dir, { recursive: true }));
const openFiles = (path: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;

describe.each([TS_CODEC, ...FORMS])('$name', ({ name, bytes, compression }) => {
  test('every kind of source', async () => {
    const path = join(dir, name);
    await writeFile(path, bytes);
    const web = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice());
        controller.close();
      },
    });
    const sources: [string, InputSource, InputOptions?][] = [
      [path, path],
      [path, path, { chunkSize: 1000 }],
      ['-', '-', { stdin: Readable.from([Buffer.from(bytes)]) }],
      ['<buffer>', bytes],
      ['<buffer>', Buffer.from(bytes), { chunkSize: 777 }],
      ['<buffer>', bytes.slice().buffer],
      ['<stream>', pieces(bytes, [])],
      ['<stream>', Readable.from([Buffer.from(bytes)])],
      ['<stream>', web],
    ];
    for (const [label, source, options] of sources) {
      const input = openInput(source, options);
      expectSame(await drain(input.chunks()));
      expect(input.name).toBe(label);
      expect(input.compression).toBe(compression);
      expect(input.bytesRead).toBe(bytes.length);
      expect(input.size).toBe(label === '-' || label === '<stream>' ? undefined : bytes.length);
    }
    expect(openFiles(path)).toBe(0);
  });

  test('every chunking', async () => {
    for (const size of [1, 2, 3, 7, 4096, 70000]) expectSame(await read(reused(bytes, size < 10 ? chunksOf(size) : [size])));
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 30 });
    await fc.assert(fc.asyncProperty(cuts, async (at) => expectSame(await read(pieces(bytes, at)))), { numRuns: 20 });
  });

});

describe.each(FORMS)('$name, damaged', ({ bytes, compression, checked, ends }) => {
  test('truncated anywhere', async () => {
    const near = fc.oneof(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 4, max: bytes.length - 1 }),
      fc.integer({ min: bytes.length - 20, max: bytes.length - 1 }));
    await fc.assert(fc.asyncProperty(near, async (cut) => {
      const outcome = await read(bytes.slice(0, cut));
      expectPrefix(outcome);
      if (outcome.error === undefined) expect(ends).toContain(outcome.bytes.length);
      else expectError(outcome, 'BAD_COMPRESSION', /ends early/);
    }), { numRuns: 150 });
  });

  test('flipped bits', async () => {
    const flips = fc.array(fc.nat(bytes.length * 8 - 1), { minLength: 1, maxLength: 3 });
    await fc.assert(fc.asyncProperty(flips, async (bits) => {
      const damaged = bytes.slice();
      for (const bit of new Set(bits)) damaged[bit >> 3] ^= 1 << (bit & 7);
      const input = openInput(damaged);
      const outcome = await drain(input.chunks());
      if (outcome.error instanceof RdbError && outcome.error.code === 'UNSUPPORTED_COMPRESSION') return;
      if (outcome.error !== undefined) expectError(outcome, 'BAD_COMPRESSION', /./);
      else if (checked && input.compression === compression) expectSame(outcome);
    }), { numRuns: 300 });
  });
});

describe('what was decompressed before the damage comes first', () => {
  const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
    const damaged = bytes.slice();
    damaged.fill(damaged[at] ^ 0xff, at, at + 1);
    return damaged;
  };
  test.each([
    ['sample.gz', -6, plain.length],
    ['linked-64k.lz4', -2, plain.length],
    ['linked-64k.lz4', -2000, 65536],
    ['block-checksum.lz4', -20, 131072],
  ])('%s, byte %i', async (name, at, least) => {
    const bytes = fixture(name);
    const outcome = await read(flipped(bytes, bytes.length + at));
    expect(outcome.error).toBeInstanceOf(RdbError);
    expect(outcome.bytes.length).toBeGreaterThanOrEqual(least);
    expect(Buffer.compare(outcome.bytes.subarray(0, least), plain.subarray(0, least))).toBe(0);
  });
});

describe('gzip', () => {
  test('zeros as padding', async () => {
    expectSame(await read(new Uint8Array([...gz(plain), ...new Uint8Array(3000)]), { chunkSize: 999 }));
  });
  test.each([['x'], ['garbage'], ['\0\0\0x'], ['\x1f'], ['\x1f\x8b']])('followed by %j', async (tail) => {
    const outcome = await read(new Uint8Array([...gz(plain), ...Buffer.from(tail, 'latin1')]));
    expectError(outcome, 'BAD_COMPRESSION', /other bytes|ends early/);
    expect(outcome.bytes.length).toBe(plain.length);
  });
  test('all optional header fields', async () => {
    const body = gz(plain).slice(10);
    const header = [0x1f, 0x8b, 8, 0x1f, 0, 0, 0, 0, 0, 3, 2, 0, 7, 7, ...Buffer.from('name\0a comment\0'), 1, 2];
    expectSame(await read(new Uint8Array([...header, ...body]), { chunkSize: 3 }));
  });
  test('200 MB of zeros in bounded memory', async () => {
    const member = zlib.gzipSync(new Uint8Array(50 << 20));
    const bomb = new Uint8Array(Buffer.concat([member, member, member, member]));
    const before = process.memoryUsage().arrayBuffers;
    let total = 0;
    let peak = 0;
    for await (const chunk of openInput(bomb).chunks()) {
      total += chunk.length;
      expect(chunk.length <= 65536).toBe(true);
      if ((total & 0xfffff) === 0) peak = Math.max(peak, process.memoryUsage().arrayBuffers);
    }
    expect(total).toBe(200 << 20);
    expect(peak - before).toBeLessThan(100e6);
  });
  test('CRC-32 without zlib', () => {
    expect(tableCrc32(Buffer.from('123456789'))).toBe(0xcbf43926);
    expect(tableCrc32(plain.subarray(9), tableCrc32(plain.subarray(0, 9)))).toBe(crc32(plain, 0));
  });
});

describe('lz4', () => {
  test('legacy format and dictionaries are refused by name', async () => {
    expectError(await read(fixture('legacy.lz4')), 'BAD_COMPRESSION', /legacy/);
    const header = [0x61, 0x40, 9, 0, 0, 0];
    const checksum = (xxh32(Uint8Array.from(header)) >>> 8) & 255;
    expectError(await read(Uint8Array.from([4, 0x22, 0x4d, 0x18, ...header, checksum])), 'BAD_COMPRESSION', /dictionary id 9/);
  });
  test('blocks: an overlapping match, and offsets that lead outside', () => {
    const decode = (block: number[], low = 0): Uint8Array => {
      const out = new Uint8Array(64);
      return out.slice(0, decodeLz4Block(Uint8Array.from(block), 0, block.length, out, 0, 64, low));
    };
    expect(Buffer.from(decode([0x2f, 97, 98, 2, 0, 11, 0x10, 99])).toString()).toBe(`${'ab'.repeat(16)}c`);
    for (const block of [[0x10, 97, 0, 0, 0], [0x10, 97, 2, 0, 0], [0x1f, 97, 1, 0, 255, 255, 0, 0], [0x20, 97], [0x10, 97, 1], [0xf0], []]) {
      expect(() => decode(block)).toThrow(RdbError);
    }
  });
  test('blocks of anything stay in their range', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
      const out = new Uint8Array(300).fill(0xaa);
      try {
        decodeLz4Block(block, 0, block.length, out, 100, 200, 50);
      } catch (error) {
        expect(error).toBeInstanceOf(RdbError);
      }
      expect(out.subarray(0, 100).every((byte) => byte === 0xaa) && out.subarray(200).every((byte) => byte === 0xaa)).toBe(true);
    }), { numRuns: 2000 });
  });
  test('XXH32', () => {
    for (const [text, hash] of [['', 0x02cc5d05], ['a', 0x550d7456], ['abc', 0x32d153ff],
      ['Nobody inspects the spammish repetition', 0xe2293b2f]] as const) expect(xxh32(Buffer.from(text))).toBe(hash);
    const inParts = new Xxh32();
    for (let at = 0, size = 1; at < plain.length; at += size++) inParts.update(plain, at, Math.min(at + size, plain.length));
    expect(inParts.digest()).toBe(xxh32(plain));
  });
});

describe('files', () => {
  test('a lent chunk stays as it is while the next is read', async () => {
    const path = join(dir, 'lent');
    await writeFile(path, plain);
    const whole = createHash('sha1');
    for await (const chunk of openInput(path, { chunkSize: 10_000 }).chunks()) {
      const early = createHash('sha1').update(chunk).digest('hex');
      await sleep(3);
      expect(createHash('sha1').update(chunk).digest('hex')).toBe(early);
      whole.update(chunk);
    }
    expect(whole.digest('hex')).toBe(createHash('sha1').update(plain).digest('hex'));
  });
  test('break, return and throw close the file', async () => {
    for (const name of ['break', 'break.gz']) {
      const path = join(dir, name);
      await writeFile(path, name === 'break' ? plain : gz(plain));
      const chunks = (): AsyncGenerator<Uint8Array, void, void> => openInput(path, { chunkSize: 1000 }).chunks();
      for await (const chunk of chunks()) {
        expect(chunk.length).toBeGreaterThan(0);
        expect(openFiles(path)).toBe(1);
        break;
      }
      expect(openFiles(path)).toBe(0);
      const generator = chunks();
      await generator.next();
      await generator.return();
      expect(openFiles(path)).toBe(0);
      await expect((async () => {
        for await (const chunk of chunks()) throw new Error(`seen ${chunk.length}`);
      })()).rejects.toThrow('seen');
      expect(openFiles(path)).toBe(0);
    }
  });
  const SHRUNK = 25_000;
  const beforeShrunk = zlib.gunzipSync(fixture('sample.gz').subarray(0, SHRUNK), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).length;
  test.each<[string, Uint8Array<ArrayBuffer>, (path: string) => Promise<void>]>([
    ['shrinks', plain, (path: string) => truncate(path, 60_000)],
    ['grows', plain, (path: string) => appendFile(path, 'more')],
    ['shrinks.lz4', fixture('linked-64k.lz4'), (path: string) => truncate(path, 25_000)],
    ['shrinks.gz', fixture('sample.gz'), (path: string) => truncate(path, SHRUNK)],
    ['grows.gz', fixture('sample.gz'), (path: string) => appendFile(path, 'more')],
  ])('a file that %s', async (name, bytes, change) => {
    const path = join(dir, name);
    await writeFile(path, bytes);
    const chunks = openInput(path, { chunkSize: 3000 }).chunks();
    const first = await chunks.next();
    const parts: Uint8Array[] = [(first.value as Uint8Array).slice()];
    await change(path);
    const rest = await drain(chunks);
    expectError(rest, 'INPUT_CHANGED', /bytes/);
    parts.push(rest.bytes);
    const all = new Uint8Array(Buffer.concat(parts));
    const least = { shrinks: 60_000, 'shrinks.lz4': 65_536, 'shrinks.gz': beforeShrunk }[name] ?? plain.length;
    expect(all.length).toBe(least);
    expect(Buffer.compare(all, plain.subarray(0, least))).toBe(0);
    expect(openFiles(path)).toBe(0);
  });
  test('missing, a directory, not readable', async () => {
    expectError(await read(join(dir, 'missing')), 'READ_FAILED', /^no such file$/);
    expect(((await read(join(dir, 'missing'))).error as RdbError).cause).toBeInstanceOf(Error);
    expectError(await read(dir), 'READ_FAILED', /^a directory$/);
    await writeFile(join(dir, 'secret'), plain, { mode: 0 });
    if (process.getuid?.() !== 0) expectError(await read(join(dir, 'secret')), 'READ_FAILED', /^permission denied$/);
  });
  test('empty', async () => {
    await writeFile(join(dir, 'empty'), '');
    for (const source of [join(dir, 'empty'), new Uint8Array(0)]) {
      expectSame(await read(source), new Uint8Array(0));
    }
  });
  test.skipIf(!existsSync('/proc/self/status'))('a file of /proc, which says it has no bytes', async () => {
    expect((await read('/proc/self/status')).bytes.length).toBeGreaterThan(100);
  });
});

describe('streams', () => {
  test('their errors, and chunks that are not bytes', async () => {
    const failing = new PassThrough();
    failing.write('REDIS0011');
    const chunks = openInput(failing).chunks();
    await chunks.next();
    failing.destroy(new Error('cable cut'));
    const outcome = await drain(chunks);
    expectError(outcome, 'READ_FAILED', /cable cut/);
    expect((outcome.error as RdbError).cause).toBeInstanceOf(Error);
    expectError(await read(Readable.from(['text'])), 'READ_FAILED', /string/);
  });
  test('an abort while nothing comes', async () => {
    const controller = new AbortController();
    const stdin = new PassThrough();
    const outcome = read('-', { stdin, signal: controller.signal });
    await sleep(5);
    controller.abort(new Error('stop'));
    expect((await outcome).error).toEqual(new Error('stop'));
    await sleep(5);
    expect(stdin.destroyed).toBe(true);
  });
  test('leaving early destroys the stream', async () => {
    const stdin = new PassThrough();
    stdin.write(plain.slice(0, 5000));
    for await (const chunk of openInput('-', { stdin }).chunks()) if (chunk.length > 0) break;
    expect(stdin.destroyed).toBe(true);
  });
});
