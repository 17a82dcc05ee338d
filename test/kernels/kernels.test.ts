import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { keySlot, SLOTS } from '../../src/bytes/crc16.js';
import { Crc64 } from '../../src/bytes/crc64.js';
import { writeDouble, parseDouble } from '../../src/bytes/double.js';
import { RdbError } from '../../src/bytes/errors.js';
import { NEVER, TS_CODEC, RESTORE_EXISTS, RESTORE_REPLACE, type RestoreRun, type RowFilter, RUN_ITEMS, RUN_PAIRS, RUN_SCORES } from '../../src/kernels/codec.js';
import { jsonTextSize, writeJsonText } from '../../src/bytes/json.js';
import { lzfDecompress } from '../../src/bytes/lzf.js';
import { Element, LZF } from '../../src/encodings/element.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { END, ITEMS_PART, Frame, NEED, STRING_PART, RECORD } from '../../src/rdb/frame.js';
import { countRows } from '../../src/kernels/count-rows.js';
import {
  DB, DROPPED, END as END_AT, FILTERED, FLAGS, GROWN, HAS_META, HEAD_EDITED, HEAD_START, KEY_HELD, KEY_RENAMED, KIND, NO_OUTPUT, RENAMED_BY,
  ROUTED_DATABASES, ROW_WORDS, START, TYPE, TYPE_AT,
} from '../../src/kernels/layout.js';
import { filterRows, renameKeys } from '../../src/pipeline/passes.js';
import { Batch } from '../../src/rdb/batch.js';
import { typeOfNumber, versionTable } from '../../src/rdb/frame-table.js';
import { Framer } from '../../src/rdb/framer.js';
import { encodePayload } from '../../src/rdb/payload.js';
import { readString } from '../../src/rdb/string.js';
import { encodeCommand } from '../../src/redis/commands.js';
import { compileFilter, type FilterOptions } from '../../src/values/filters.js';
import { KeyPrefixes } from '../../src/values/key-prefixes.js';
import { LAYOUTS } from '../../src/values/layouts.js';
import { FACTOR, least } from '../support/factor.js';
import { rdb, str } from '../support/support.js';

/*
 * The WebAssembly twins against the TypeScript, which has tests of its own. They need `npm run kernels`; a build without
 * them would pass for a slow one, so this is an error here.
 */
const kernels = Kernels.create();
if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
const src = kernels.allocate(1 << 16);
const out = kernels.allocate(1 << 20);

/** Puts bytes where kernels find them, at any alignment, with other bytes all around. */
function place(bytes: Uint8Array, at: number): number {
  src.fill(0x22, 0, at + bytes.length + 64);
  src.set(bytes, at);
  return at;
}

const at = fc.nat(20);
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 100 }).map((text) => new TextEncoder().encode(text)),
  fc.string({ maxLength: 100 }).map((text) => new TextEncoder().encode(text)),
  fc.tuple(fc.string({ maxLength: 40 }), fc.uint8Array({ maxLength: 3 })).map(([text, tail]) => new Uint8Array([...new TextEncoder().encode(text), ...tail])),
  fc.uint8Array({ maxLength: 30 }).map((tail) => new Uint8Array([...new TextEncoder().encode('base64:'), ...tail])),
);

const written = (end: number): string => Buffer.from(out.subarray(0, end)).toString('latin1');

/** The lengths of the data segments of a module that are all zeros. */
function zeroSegments(wasm: Uint8Array): number[] {
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const found: number[] = [];
  while (at < wasm.length) {
    const section = wasm[at++];
    const end = number() + at;
    if (section === 11) {
      for (let left = number(); left > 0; left--) {
        at += 2; // flags, i32.const
        number();
        at++;
        const size = number();
        if (wasm.subarray(at, (at += size)).every((byte) => byte === 0)) found.push(size);
      }
    }
    at = end;
  }
  return found;
}

test('an instance changes nothing that others use: threads share the memory', () => {
  expect(zeroSegments(readFileSync(new URL('../../src/kernels/kernels.wasm', import.meta.url)))).toEqual([]);
});

test('CRC-64', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 6 }), at, (pieces, start) => {
      const plain = new Crc64();
      const codec = kernels.crc64();
      for (const piece of pieces) {
        const from = place(piece, start);
        plain.update(piece);
        codec.update(src, from, from + piece.length);
      }
      expect(codec.toString()).toBe(plain.toString());
    }),
  );
});

test('CRC-64 of pieces that are taken in lanes', () => {
  const random = new Uint8Array(1 << 16).map((_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 21);
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(400), fc.nat(20_000)), { maxLength: 3 }), at, fc.nat(1000), (sizes, start, shift) => {
      const plain = new Crc64();
      const codec = kernels.crc64();
      for (const size of sizes) {
        const piece = random.subarray(shift, shift + size);
        const from = place(piece, start);
        plain.update(piece);
        codec.update(src, from, from + size);
      }
      expect(codec.toString()).toBe(plain.toString());
    }),
  );
});

test('JSON text', () => {
  fc.assert(
    fc.property(anyBytes, at, (bytes, start) => {
      const plain = new Uint8Array(jsonTextSize(bytes.length));
      const length = writeJsonText(bytes, 0, bytes.length, plain, 0);
      const from = place(bytes, start);
      expect(written(kernels.writeJsonText(src, from, from + bytes.length, out, 0))).toBe(Buffer.from(plain.subarray(0, length)).toString('latin1'));
    }),
    { numRuns: 3000 },
  );
});

describe('LZF', () => {
  /** Instructions, mostly sound ones. */
  const instruction = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 32 }).map((literal) => [literal.length - 1, ...literal]),
    fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat(40)).map(([size, distance]) => [size << 5, distance]),
    fc.tuple(fc.nat(255), fc.nat(40)).map(([size, distance]) => [0xe0, size, distance]),
    fc.uint8Array({ maxLength: 3 }).map((noise) => [...noise]),
  );

  const outcome = (decompress: typeof lzfDecompress, from: Uint8Array, start: number, end: number, to: Uint8Array, length: number): string => {
    try {
      return Buffer.from(to.subarray(0, decompress(from, start, end, to, 0, length))).toString('hex');
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      return `${error.code} ${error.expected} ${error.got}`;
    }
  };

  test('the same bytes, or the same error', () => {
    fc.assert(
      fc.property(fc.array(instruction, { maxLength: 12 }), fc.nat(5), at, (instructions, slip, start) => {
        const bytes = Uint8Array.from(instructions.flat());
        const length = Math.max(0, sizeOf(bytes) + (slip < 4 ? 0 : slip - 5 || 1));
        const from = place(bytes, start);
        const plain = outcome(lzfDecompress, bytes, 0, bytes.length, new Uint8Array(length + 300), length);
        expect(outcome((...args) => kernels.lzfDecompress(...args), src, from, from + bytes.length, out, length)).toBe(plain);
      }),
      { numRuns: 3000 },
    );
  });

  /** What the instructions stand for, if they are sound. */
  function sizeOf(bytes: Uint8Array): number {
    let size = 0;
    for (let i = 0; i < bytes.length; ) {
      const control = bytes[i];
      if (control < 32) i += control + 2;
      else i += control >> 5 === 7 ? 3 : 2;
      size += control < 32 ? control + 1 : (control >> 5) + 2 + (control >> 5 === 7 ? (bytes[i - 2] ?? 0) : 0);
    }
    return size;
  }
});

describe('scores', () => {
  const plain = (value: number): string => {
    const bytes = new Uint8Array(40);
    return Buffer.from(bytes.subarray(0, writeDouble(value, bytes, 0))).toString('latin1');
  };

  const bits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => new Float64Array(new BigUint64Array([value]).buffer)[0]);
  const doubles = fc.oneof(bits, fc.double(), fc.integer().map((i) => i / 1000), fc.integer({ min: -1074, max: 1023 }).map((power) => 2 ** power), fc.maxSafeInteger());

  test('any double, as 8 bytes, but NaN', () => {
    fc.assert(
      fc.property(doubles, (value) => {
        const bytes = new Uint8Array([1, 0x61, ...new Uint8Array(new Float64Array([value]).buffer)]);
        const from = place(bytes, 0);
        const end = kernels.jsonRun(RUN_SCORES, LAYOUTS.zset2.reads, src, from, from + bytes.length, out, 0, true);
        if (Number.isNaN(value)) expect(end).toBe(-1); // the TypeScript counts it
        else expect(written(end)).toBe(`"a":${plain(value)}`);
      }),
      { numRuns: 5000 },
    );
  });

  const texts = fc.oneof(
    doubles.map(String),
    doubles.map((value) => value.toPrecision(17)),
    doubles.map((value) => value.toPrecision(18)),
    doubles.map((value) => value.toExponential(16)),
    // halfway between two doubles, and near that
    fc.integer({ min: 2 ** 30, max: 2 ** 31 }).map((value) => (BigInt(value) * 2n ** 24n + 1n).toString()),
    fc.tuple(fc.integer({ min: 2 ** 29, max: 2 ** 30 }), fc.integer({ min: -2, max: 2 })).map(([value, by]) => (BigInt(value) * 2n ** 25n + 2n + BigInt(by)).toString()),
    fc.tuple(fc.integer(), fc.nat()).map(([whole, fraction]) => `${whole}.${fraction}`),
    fc.constantFrom('-0', '0', '00', '1.', '.5', '1.50', '+1', '1e5', 'inf', '-inf', 'nan', '', '1x', '0x10', ' 1', '0.000001', '0.0000001', '1e', '1e+', '1e1234', '1E-05', '-1e22', '9007199254740993', '0.1e-300', '1e308', '1e309', '+', '-', '.'),
  );

  test('any text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const score = new TextEncoder().encode(text);
        const bytes = new Uint8Array([0x81, 0x61, 2, 0x80 | score.length, ...score, score.length + 1]);
        const from = place(bytes, 0);
        const end = kernels.jsonRun(RUN_SCORES, LAYOUTS.listpackZset.reads, src, from, from + bytes.length, out, 0, true);
        const value = parseDouble(score, 0, score.length);
        if (end >= 0) expect(written(end)).toBe(`"a":${plain(value as number)}`);
        else expect(value === undefined || Number.isNaN(value) || score.length > 32).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('runs of elements', () => {
  test('a comma before each but the first, colons in pairs, and the count', () => {
    const from = place(new Uint8Array([1, 0x61, 0xc0, 0xff, 2, 0x62, 0x22, 0]), 3);
    const run = (kind: number, first: boolean): string => written(kernels.jsonRun(kind, LAYOUTS.hash.reads, src, from, from + 8, out, 0, first));
    expect(run(RUN_ITEMS, true)).toBe('"a","-1","b\\"",""');
    expect(run(RUN_ITEMS, false)).toBe(',"a","-1","b\\"",""');
    expect(run(RUN_PAIRS, true)).toBe('"a":"-1","b\\"":""');
    expect(kernels.walked).toBe(4);
  });

  test.each([
    ['a string that ends behind the run', [2, 0x61]],
    ['a length that goes round the address space', [0x80, 0xff, 0xff, 0xff, 0xff]],
    ['a compressed string with a forged length', [0xc3, 0x80, 0xff, 0xff, 0xff, 0xff, 5, 0]],
    ['a field without a value', [1, 0x61]],
    ['an encoding that does not exist', [0xc4, 0]],
  ])('%s takes the long way', (_, bytes) => {
    const from = place(Uint8Array.from(bytes), 0);
    expect(kernels.jsonRun(RUN_PAIRS, LAYOUTS.hash.reads, src, from, from + bytes.length, out, 0, true)).toBe(-1);
  });

  test('so does a run without room, and bytes from elsewhere', () => {
    const from = place(new Uint8Array([1, 0x61]), 0);
    expect(kernels.jsonRun(RUN_ITEMS, LAYOUTS.list.reads, src, from, from + 2, out, out.length - 10, true)).toBe(-1);
    expect(kernels.jsonRun(RUN_ITEMS, LAYOUTS.list.reads, new Uint8Array([1, 0x61]), 0, 2, out, 0, true)).toBe(-1);
    expect(kernels.jsonRun(RUN_ITEMS, LAYOUTS.list.reads, src, from, from + 2, new Uint8Array(100), 0, true)).toBe(-1);
  });
});

describe('frames', () => {
  const folder = new URL('../../fixtures/servers/', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.rdb')).map((file) => new Uint8Array(readFileSync(new URL(file, folder))));
  const buffer = kernels.allocate(4 << 20);
  const rows = 50;
  const small = new Batch(kernels, rows, 5000);
  const batch = new Batch(kernels, rows, 1 << 16);
  const { table } = batch;
  const now = 1_800_000_000_000;

  const told = (kind: number, frame: Frame): string => {
    const { db, expireAt, first, freq, hasExpire, idle, last, offset, type } = frame;
    const key = Buffer.from(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd)).toString('base64');
    const value = new Crc64().update(frame.bytes.subarray(frame.start, frame.end)).toString();
    return [kind, type.name, db, hasExpire, expireAt, idle, freq, first, last, offset, frame.end - frame.start, key, value].join(' ');
  };

  /** All frames and the error, if any. */
  function framed(file: Uint8Array, chunk: number, limit: number, codec: boolean): string[] {
    const framer = new Framer({ limit, checksum: false, ...(codec ? { codec: kernels, buffer } : {}) });
    const found: string[] = [];
    const frame = new Frame();
    const filled = codec ? small : new Batch(TS_CODEC, rows, 5000);
    const one = (): boolean => {
      const kind = framer.fill(filled);
      for (let row = 0, keys = 0; row < filled.rows; row++) {
        filled.read(row, frame);
        if (frame.opcode === undefined) keys++;
        found.push(frame.opcode === undefined ? told(RECORD, frame) : `${frame.opcode.name} ${frame.db} ${frame.offset} ${frame.end - frame.start}`);
        expect(filled.readBefore(row + 1)).toBe(keys);
      }
      if (kind === ITEMS_PART || kind === STRING_PART) found.push(told(kind, framer.frame));
      if (kind === NEED) framer.release();
      return kind !== NEED && kind !== END;
    };
    try {
      for (let at = 0; at < file.length && !framer.ended; at += chunk) {
        framer.push(file.subarray(at, at + chunk));
        while (one());
      }
      framer.finish();
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      found.push(`${error.code} ${String(error.offset)} ${error.key ?? ''}`);
    }
    return found;
  }

  test('of files of real servers, most of them in runs', () => {
    for (const file of files) {
      const next = vi.spyOn(Framer.prototype as unknown as { found(): number }, 'found');
      const codec = framed(file, 1 << 20, 1 << 20, true);
      const byHand = next.mock.calls.length;
      next.mockRestore();
      expect(codec).toEqual(framed(file, 1 << 20, 1 << 20, false));
      if (codec.length > 100) expect(byHand).toBeLessThan(0.1 * codec.length);
    }
  });

  test('of damaged ones, in chunks and parts of any size', () => {
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), byte: fc.oneof(fc.nat(255), fc.constantFrom(0x80, 0x81, 0xc3, 252, 255)) });
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.array(change, { maxLength: 3 }), fc.integer({ min: 500, max: 1 << 20 }), fc.integer({ min: 64, max: 1 << 17 }), (file, changes, chunk, limit) => {
        const damaged = file.slice();
        for (const { at: place, byte } of changes) damaged[9 + Math.floor(place * (file.length - 9))] = byte;
        expect(framed(damaged, chunk, limit, true)).toEqual(framed(damaged, chunk, limit, false));
      }),
      { numRuns: 150 },
    );
  });

  /** The first rows of a file. */
  function filledBy(framer: Framer, file: Uint8Array, into: Batch): Batch {
    framer.push(file);
    framer.fill(into);
    return into;
  }

  const servers = 3;
  const most = 2 * servers;
  const room = 1 << 16;
  const memory = kernels.allocate(most * (room + 64));
  const slotWords = kernels.allocate(SLOTS * 2);
  const routes = new Uint16Array(slotWords.buffer, slotWords.byteOffset, SLOTS);
  const databaseWords = kernels.allocate(ROUTED_DATABASES * 2);
  const databases = new Uint16Array(databaseWords.buffer, databaseWords.byteOffset, ROUTED_DATABASES);
  const sizeWords = kernels.allocate(512 * 8);
  const largest = new Float64Array(sizeWords.buffer, sizeWords.byteOffset, 512);
  const versions = versionTable(kernels);

  /** What a row is as commands; `options` as the kernel knows them. */
  function commandsOf({ bytes, end, expireMs, freq, hasExpire, idle, keyBytes, keyEnd, keyStart, start, type }: Frame, version: number, options: number): Buffer {
    const key = keyBytes.subarray(keyStart, keyEnd);
    const modifiers = [...((options & RESTORE_REPLACE) === 0 ? [] : ['REPLACE']), ...(hasExpire ? ['ABSTTL'] : []), ...(idle >= 0 ? ['IDLETIME', `${idle}`] : freq >= 0 ? ['FREQ', `${freq}`] : [])];
    const ttl = !hasExpire ? '0' : expireMs < 1n ? '1' : `${expireMs}`;
    const restore = encodeCommand(['RESTORE', key, ttl, encodePayload(type.id, bytes.subarray(start, end), version), ...modifiers]);
    return Buffer.concat((options & RESTORE_EXISTS) === 0 ? [restore] : [encodeCommand(['EXISTS', key]), restore]);
  }

  test('nothing is written where what the kernel is to work with is not in its memory', () => {
    const own = Kernels.create();
    if (own === undefined) throw new Error('no kernels');
    const framer = new Framer({ limit: 1 << 20, checksum: false, codec: own, buffer: own.allocate(1 << 20), meta: false });
    const within = filledBy(framer, rdb('REDIS0009', [0, str('first'), str(''), 0, str('a'), str('b')]), new Batch(own, 8));
    const { words } = within.table;
    expect(within.rows).toBe(2);
    const versions = versionTable(own).fill(10);
    const out = { bytes: own.allocate(4096), length: 0, keys: 0 };
    const written = (outside: Partial<RestoreRun>, ...others: undefined[]): number => {
      Object.assign(out, { length: 0, keys: 0 });
      const run = { table: words, bytes: within.bytes, routes: undefined, databases: undefined, largest: undefined, running: undefined, now: [0], db: 0, versions, options: 0, ...outside };
      return own.restoreRecords(run, 0, 1, [out, ...others]) + out.keys + out.length;
    };
    expect(written({ routes: new Uint16Array(16384) })).toBe(0);
    expect(written({ databases: new Uint16Array(ROUTED_DATABASES) })).toBe(0);
    expect(written({ largest: new Float64Array(512) })).toBe(0);
    expect(written({ versions: new Uint16Array(512) })).toBe(0);
    expect(written({})).toBeGreaterThan(2);
    while (own.allocate(1 << 16).buffer === words.buffer);
    expect(written({}, ...Array<undefined>(1 << 14))).toBe(0);
  });

  test('as RESTORE commands, each for the server that has its slot, and its database', () => {
    let sent = 0;
    let shared = 0;
    const given = fc.record({
      file: fc.constantFrom(...files),
      owners: fc.array(fc.nat(servers - 1), { minLength: 1, maxLength: 50 }),
      places: fc.array(fc.constantFrom(0, servers, NO_OUTPUT), { minLength: 1, maxLength: 3 }),
      sharded: fc.boolean(),
      full: fc.array(fc.oneof(fc.nat(100), fc.nat(room)), { minLength: most, maxLength: most }),
      sizes: fc.array(fc.constantFrom(-1, 20, 100, Infinity, Infinity, Infinity, Infinity), { minLength: 1, maxLength: 7 }),
      sized: fc.boolean(),
      summed: fc.boolean(),
      behind: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
      clocks: fc.array(fc.constantFrom(NEVER, 0, now), { minLength: most, maxLength: most }),
      stamps: fc.array(fc.constantFrom(1, 9, 80, 300), { minLength: 1, maxLength: 7 }),
      options: fc.constantFrom(0, RESTORE_REPLACE, RESTORE_EXISTS, RESTORE_REPLACE | RESTORE_EXISTS),
    });
    fc.assert(
      fc.property(given, ({ behind, file, full, clocks, options, owners, places, sharded, sized, sizes, stamps, summed }) => {
        const framer = new Framer({ limit: 1 << 20, checksum: false, codec: kernels, buffer, meta: false });
        const { bytes, rows: taken } = filledBy(framer, file, batch);
        databases.forEach((_, db) => (databases[db] = places[db % places.length]));
        routes.forEach((_, slot) => (routes[slot] = owners[slot % owners.length]));
        largest.forEach((_, type) => (largest[type] = sizes[type % sizes.length]));
        versions.forEach((_, type) => (versions[type] = stamps[type % stamps.length]));
        memory.fill(0x2a);
        const outs = full.map((length, i) => ({ bytes: memory.subarray(i * (room + 64), i * (room + 64) + room), length, keys: 0 }));
        const began = Math.min(Math.floor(behind * bytes.length), bytes.length);
        const running = summed ? { crc: new Crc64().update(bytes, 0, began), at: began } : undefined;
        const run: RestoreRun = { table: table.words, bytes, routes: sharded ? routes : undefined, largest: sized ? largest : undefined, running, now: clocks, db: 0, versions, options, databases };
        const done = kernels.restoreRecords(run, 0, taken, outs);
        if (running !== undefined) {
          expect(running.at).toBeLessThanOrEqual(Math.max(began, done === 0 ? 0 : table.word(done - 1, END_AT)));
          expect(running.crc.toString()).toBe(new Crc64().update(bytes, 0, running.at).toString());
          if (running.at > began) shared++;
        }
        const frame = new Frame();
        const expected = outs.map(() => [] as Buffer[]);
        const outOf = (): number => databases[frame.db] + (sharded ? routes[keySlot(frame.keyBytes, frame.keyStart, frame.keyEnd)] : 0);
        for (let row = 0; row < done; row++) {
          batch.read(row, frame);
          expected[outOf()].push(commandsOf(frame, versions[table.word(row, TYPE)], options));
        }
        expected.forEach((commands, i) => {
          const all = Buffer.concat(commands);
          expect(outs[i]).toMatchObject({ length: full[i] + all.length, keys: commands.length });
          expect(Buffer.compare(all, outs[i].bytes.subarray(full[i], outs[i].length))).toBe(0);
          const beyond = memory.subarray(i * (room + 64) + room, (i + 1) * (room + 64));
          expect(beyond.every((byte) => byte === 0x2a)).toBe(true);
        });
        sent += done;
        if (done === taken) return;
        batch.read(done, frame);
        const size = commandsOf(frame, versions[table.word(done, TYPE)], options).length;
        const stops = [
          frame.db >= ROUTED_DATABASES || databases[frame.db] === NO_OUTPUT,
          frame.hasExpire && frame.expireAt <= clocks[outOf()],
          sized && !(table.word(done, GROWN) <= largest[table.word(done, TYPE)]),
          size + 1024 > room - (outs.at(outOf())?.length ?? 0),
        ];
        expect(stops).toContain(true);
      }),
      { numRuns: 300 },
    );
    expect(sent).toBeGreaterThan(1000 * FACTOR);
    expect(shared).toBeGreaterThan(least(20));
  });

  test('are marked by filters, and counted', () => {
    let passed = 0;
    let left = 0;
    const size = fc.oneof(fc.nat(100), fc.nat(1000));
    const db = fc.constantFrom(0, 1, 2, 9, 2 ** 32);
    const type = fc.constantFrom('string', 'list', 'set', 'zset', 'hash', 'stream' as const);
    /** Of a key of the file, or of none. */
    const prefix = fc.record({ row: fc.nat(rows - 1), length: fc.oneof(fc.nat(3), fc.nat(30)), tail: fc.oneof(fc.constant(''), fc.string({ maxLength: 2 })) });
    const prefixes = fc.oneof(fc.array(prefix, { maxLength: 0 }), fc.array(prefix, { maxLength: 15 }));
    const given = fc.record({
      file: fc.constantFrom(...files),
      meta: fc.boolean(),
      marks: fc.array(fc.constantFrom(0, 0, 0, DROPPED), { minLength: 1, maxLength: 7 }),
      wanted: prefixes,
      unwanted: prefixes,
      options: fc.record({ db: fc.uniqueArray(db), type: fc.uniqueArray(type), notType: fc.uniqueArray(type, { maxLength: 1 }), ttl: fc.constantFrom('none', 'any', 'expired', 'live' as const), minSize: size, maxSize: size.map((bytes) => 1000 + bytes) }, { requiredKeys: [] }),
    });
    fc.assert(
      fc.property(given, ({ file, marks, meta, options, unwanted, wanted }) => {
        const framer = new Framer({ limit: 1 << 20, checksum: false, codec: kernels, buffer, meta });
        const { rows: taken, bytes } = filledBy(framer, file, batch);
        const key = { keyBytes: bytes, keyStart: 0, keyEnd: 0 };
        const prefixOf = ({ length, row, tail }: { row: number; length: number; tail: string }): Uint8Array => {
          batch.readKey(row % Math.max(taken, 1), key);
          const own = taken === 0 || table.word(row % taken, KIND) !== RECORD ? [] : key.keyBytes.subarray(key.keyStart, Math.min(key.keyEnd, key.keyStart + length));
          return Uint8Array.from([...own, ...new TextEncoder().encode(tail)]);
        };
        const all: FilterOptions = { ...options, prefix: wanted.map(prefixOf), notPrefix: unwanted.map(prefixOf).filter(({ length }) => length > 0), now };
        const filter = compileFilter(all);
        const flags = Array.from({ length: taken }, (_, row) => table.word(row, FLAGS) | marks[row % marks.length]);
        const marked = (one: typeof filter): number[] => {
          flags.forEach((before, row) => table.setWord(row, FLAGS, before));
          filterRows(batch, one);
          return flags.map((_, row) => table.word(row, FLAGS));
        };
        const expected = marked({ ...filter, plain: undefined });
        expect(filter.plain).toBeDefined();
        if (filter.plain === undefined) return;
        flags.forEach((before, row) => table.setWord(row, FLAGS, before));
        expect(kernels.filterRows(filter.plain, table.words, 0, taken, bytes)).toBe(taken);
        expect(flags.map((_, row) => table.word(row, FLAGS))).toEqual(expected);
        expect(marked(filter)).toEqual(expected);
        for (const clock of [0, now, Infinity]) expect(kernels.countRows(table.words, 1, taken, clock)).toEqual(countRows(table.words, 1, taken, clock));
        passed += countRows(table.words, 0, taken, 0).keys;
        left += countRows(table.words, 0, taken, 0).filtered;
      }),
      { numRuns: 300 },
    );
    expect(passed).toBeGreaterThan(least(500));
    expect(left).toBeGreaterThan(least(500));
  });

  test('a filter stops at a key that is out of reach, and does nothing where it has no room', () => {
    const own = Kernels.create();
    if (own === undefined) throw new Error('no kernels');
    const framer = new Framer({ limit: 1 << 20, checksum: false, codec: own, buffer: own.allocate(1 << 20), meta: false });
    const { bytes, table: { words }, ...within } = filledBy(framer, rdb('REDIS0009', [0, str('first'), str(''), 0, str('a'), str('b')]), new Batch(own, 8));
    const filter = (): RowFilter => compileFilter({ prefix: [Buffer.from('b'), Buffer.from('cd')] }).plain ?? expect.fail('not plain');
    expect(within.rows).toBe(2);
    words[ROW_WORDS + FLAGS] |= KEY_HELD;
    expect(own.filterRows(filter(), words, 0, 2, bytes)).toBe(1);
    expect([words[FLAGS], words[ROW_WORDS + FLAGS]].map((flags) => flags & FILTERED)).toEqual([FILTERED, 0]);
    while (own.allocate(16).buffer === words.buffer);
    expect(own.filterRows(filter(), words, 0, 2, bytes)).toBe(0);
  });

  test('are renamed', () => {
    let renamed = 0;
    const marks = fc.array(fc.constantFrom(0, 0, 0, DROPPED), { minLength: 1, maxLength: 7 });
    const pair = fc.record({ row: fc.nat(200), length: fc.nat(20), to: anyBytes });
    const somePairs = fc.array(pair, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.constantFrom(...files), marks, somePairs, fc.nat(300), (file, marked, given, spare) => {
        const own = Kernels.create();
        if (own === undefined) throw new Error('no kernels');
        const all = [own, TS_CODEC].map((codec) => {
          const one = new Batch(codec, 256);
          const framer = new Framer({ limit: 1 << 20, checksum: false, codec, buffer: codec.allocate(1 << 20), meta: true });
          filledBy(framer, file, one);
          return one;
        });
        const [quick, slow] = all;
        const key = { keyBytes: slow.bytes, keyStart: 0, keyEnd: 0 };
        const pairs = given.map(({ length, row, to }) => {
          if (slow.rows === 0 || slow.table.word(row % slow.rows, KIND) !== RECORD) return { from: new Uint8Array(0), to };
          slow.readKey(row % slow.rows, key);
          return { from: key.keyBytes.slice(key.keyStart, Math.min(key.keyEnd, key.keyStart + length)), to };
        });
        const keys = all.map((one) => {
          marked.forEach((flags, i) => {
            for (let row = i; row < one.rows; row += marked.length) one.table.setWord(row, FLAGS, one.table.word(row, FLAGS) | flags);
          });
          if (one === quick) one.arenaLength = Math.max(one.arenaLength, one.arena.length - 10 * spare); // it has no room for all
          renameKeys(new KeyPrefixes(pairs))(one);
          const frame = new Frame();
          return Array.from({ length: one.rows }, (_, row) => {
            one.read(row, frame);
            one.readKey(row, key);
            const name = Buffer.from(key.keyBytes.subarray(key.keyStart, key.keyEnd)).toString('base64');
            if (!one.table.has(row, KEY_RENAMED)) return [name];
            if (one === quick) renamed++;
            const head = Buffer.from(frame.headBytes.subarray(frame.headStart, frame.headEnd)).toString('base64');
            const again = Buffer.from(frame.keyBytes.subarray(frame.keyStart, frame.keyEnd)).toString('base64');
            return [name, again, head, one.table.word(row, RENAMED_BY)];
          });
        });
        expect(keys[0]).toEqual(keys[1]);
        for (const [name, again = name] of keys[0]) expect(again).toBe(name);
      }),
      { numRuns: 100 },
    );
    expect(renamed).toBeGreaterThan(least(500));
  });

  test('are copied', () => {
    let copied = 0;
    const room = out.length;
    const given = fc.record({
      file: fc.constantFrom(...files),
      meta: fc.boolean(),
      marks: fc.array(fc.constantFrom(0, 0, 0, DROPPED, HEAD_EDITED), { minLength: 1, maxLength: 7 }),
      sizes: fc.array(fc.constantFrom(-1, 20, Infinity, Infinity, Infinity, Infinity), { minLength: 1, maxLength: 7 }),
      modifiers: fc.boolean(),
      from: fc.nat(5),
      names: fc.array(fc.constantFrom(undefined, undefined, 'new', 'x'.repeat(70), 'y'.repeat(20_000)), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(given, ({ file, from, marks, meta, modifiers, names, sizes }) => {
        const framer = new Framer({ limit: 1 << 20, checksum: false, codec: kernels, buffer, meta });
        const { bytes, rows: taken } = filledBy(framer, file, batch);
        let long = 0;
        for (let row = 0; row < taken; row++) {
          const to = names[row % names.length];
          if (to === undefined || table.word(row, KIND) !== RECORD || (to.length > 1000 && ++long > 10)) continue;
          batch.rename(row, { from: new Uint8Array(0), to: Buffer.from(to) }, 0);
        }
        largest.forEach((_, number) => (largest[number] = sizes[number % sizes.length]));
        for (let row = 0; row < taken; row++) table.setWord(row, FLAGS, table.word(row, FLAGS) | marks[row % marks.length]);
        const frame = new Frame();
        const pieces: Uint8Array[] = [];
        let [row, expiring] = [Math.min(from, taken), 0];
        const first = row;
        const db = first < taken ? table.word(first, DB) : 0;
        for (; row < taken; row++) {
          if (table.has(row, DROPPED)) continue;
          batch.read(row, frame);
          if (table.word(row, KIND) !== RECORD || frame.db !== db || table.has(row, HAS_META)) break;
          if (!(table.word(row, GROWN) <= largest[table.word(row, TYPE)])) break;
          const bare = frame.idle < 0 && frame.freq < 0;
          const edited = table.has(row, HEAD_EDITED);
          if (edited ? frame.hasExpire || !bare : !bare && !modifiers) break;
          if (!edited && table.word(row, HEAD_START) === table.word(row, TYPE_AT) && (frame.hasExpire || !bare)) break;
          if (table.has(row, KEY_RENAMED)) {
            const modifiers = bytes.slice(table.word(row, edited ? TYPE_AT : HEAD_START), table.word(row, TYPE_AT));
            const head = frame.headBytes.slice(frame.headStart, frame.headEnd);
            pieces.push(Buffer.concat([modifiers, head, bytes.slice(frame.start, frame.end)]));
          } else {
            pieces.push(bytes.slice(edited ? frame.typeAt : frame.headStart, frame.end));
          }
          if (frame.hasExpire) expiring++;
        }
        const into = { bytes: out, length: 7, keys: 0, expiring: 0 };
        const all = Buffer.concat(pieces);
        expect(all.length).toBeLessThan(room - 7);
        expect(kernels.copyRecords({ table: table.words, bytes, largest, db, modifiers }, first, taken, into)).toBe(row);
        expect(into).toMatchObject({ length: 7 + all.length, keys: pieces.length, expiring });
        expect(Buffer.compare(out.subarray(7, into.length), all)).toBe(0);
        copied += pieces.length;
      }),
      { numRuns: 300 },
    );
    expect(copied).toBeGreaterThan(least(500));
  });

  test('the size of a value with its strings decompressed', () => {
    let grown = 0;
    const element = new Element();
    for (const file of files) {
      const framer = new Framer({ limit: 1 << 20, checksum: false, codec: kernels, buffer, meta: false });
      const { bytes, rows: taken } = filledBy(framer, file, batch);
      for (let row = 0; row < taken; row++) {
        const size = table.word(row, END_AT) - table.word(row, START);
        if (table.word(row, GROWN) === 0x7fffffff) continue; // not framed by a kernel
        if (typeOfNumber(table.word(row, TYPE))?.form !== 'string' || readString(bytes, table.word(row, START), table.word(row, END_AT), element) < 0) continue;
        expect(table.word(row, GROWN)).toBe(element.kind === LZF ? size + element.num - (element.end - element.start) : size);
        if (element.kind === LZF) grown++;
      }
    }
    expect(grown).toBeGreaterThan(0);
  });
});
