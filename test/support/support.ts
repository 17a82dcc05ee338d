import { isUtf8 } from 'node:buffer';
import { Crc64 } from '../../src/bytes/crc64.js';
import { RdbError } from '../../src/bytes/errors.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { EMPTY } from '../../src/encodings/element.js';
import type { Pass } from '../../src/pipeline/passes.js';
import { Batch } from '../../src/rdb/batch.js';
import { END, ITEMS_PART, type FramerOptions, FULL, STRING_PART, RECORD } from '../../src/rdb/frame.js';
import { Framer } from '../../src/rdb/framer.js';
import { JsonLines } from '../../src/json/json-lines.js';
import { Output } from '../../src/io/output.js';
import type { LargeValue } from '../../src/io/large-value.js';
import { Reading, type ReadingOptions } from '../../src/io/reading.js';
import type { RecordSink } from '../../src/pipeline/sink.js';

export interface DecodeOptions extends Omit<FramerOptions, 'buffer' | 'codec' | 'meta' | 'onWarning'> {
  /** Bytes a chunk; several are used in turn. Default: all at once. */
  chunks?: number | readonly number[];
  /** Use the WebAssembly make of the hot loops. */
  codec?: boolean;
  /** Length of the input, told to the framer. */
  size?: number;
  /** Write the records that are no keys as lines too. Default: the framer does not give them. */
  meta?: boolean;
}

export interface Decoded {
  lines: string;
  bytes: Uint8Array;
  warnings: string[];
  framer: Framer;
}

/** What decodes one input after another, damaged or not, as a command does with several sources: its memory costs more than a small input. */
class Decoder {
  readonly kernels: Kernels | undefined;
  readonly batch: Batch;
  readonly buffer: Uint8Array | undefined;
  readonly output: Output;
  readonly json: JsonLines;
  written: Uint8Array[] = [];
  /** Memory that framers take from the kernels is never returned. */
  usesLeft: number;

  constructor(codec: boolean) {
    this.kernels = codec ? Kernels.create() : undefined;
    if (codec && this.kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
    this.usesLeft = codec ? 8 : Infinity;
    this.batch = new Batch(this.kernels ?? TS_CODEC);
    this.buffer = this.kernels?.allocate(1 << 22);
    const sink = {
      write: (bytes: Uint8Array) => Promise.resolve(void this.written.push(bytes.slice())),
      commit: () => Promise.resolve(),
      abandon: () => Promise.resolve(undefined),
    };
    this.output = new Output(sink, { codec: this.kernels });
    this.json = new JsonLines(this.output, { codec: this.kernels });
  }
}

/** Decoders that nobody uses, without kernels and with them. */
const idle: readonly [Decoder[], Decoder[]] = [[], []];

/** Decodes a whole RDB to JSON lines, with the source cut into chunks. */
export async function decodeBytes(rdb: Uint8Array, options: DecodeOptions = {}): Promise<Decoded> {
  const { chunks = rdb.length, codec = false, size, ...rest } = options;
  const decoders = idle[codec ? 1 : 0];
  const decoder = decoders.pop() ?? new Decoder(codec);
  const { batch, buffer, json, kernels, output } = decoder;
  const warnings: string[] = [];
  decoder.written = [];
  batch.clear(EMPTY, new Map());
  const reading = readingOf(
    cut(rdb, typeof chunks === 'number' ? [chunks] : chunks),
    batch,
    { ...rest, codec: kernels, buffer, meta: options.meta === true, onWarning: (warning) => void warnings.push(warning) },
    size,
  );
  try {
    await feed(reading, json, batch);
  } finally {
    await output.flush();
    await output.written();
    if (--decoder.usesLeft > 0) decoders.push(decoder);
  }
  const bytes = new Uint8Array(Buffer.concat(decoder.written));
  return { lines: new TextDecoder('utf-8', { fatal: true }).decode(bytes), bytes, warnings, framer: reading.framer };
}

/** Reads chunks that nobody else uses: each is overwritten when the next one is asked for, so whoever keeps one shows itself. */
export function readingOf(chunks: Iterable<Uint8Array>, batch: Batch, options: ReadingOptions, plainSize?: number): Reading {
  const input = {
    ...{ name: 'test', size: undefined, compression: 'none' as const, plainSize, ofPayloads: false, bytesRead: 0 },
    async *chunks() {
      for (const chunk of chunks) {
        yield chunk;
        chunk.fill(0xee);
      }
    },
  };
  return new Reading(input, batch, options);
}

/** Hands batches and large values to a sink, as a command does. */
export async function feed(reading: Reading, sink: RecordSink, batch: Batch, passes: readonly Pass[] = []): Promise<void> {
  for (let kind = FULL; kind !== END; ) {
    kind = await reading.next();
    let inBatch = true;
    try {
      for (const pass of passes) pass(batch);
      batch.to = batch.rows;
      if (batch.rows > 0) {
        sink.batch(batch);
        if (sink.full) await sink.flush();
      }
      inBatch = false;
      if (kind === ITEMS_PART || kind === STRING_PART) await takeLarge(reading.large(kind), sink, batch, passes);
    } catch (error) {
      sink.rollback();
      if (!(error instanceof RdbError)) throw error;
      throw inBatch ? batch.failed(error) : reading.framer.failed(error);
    }
  }
}

async function takeLarge(value: LargeValue, sink: RecordSink, batch: Batch, passes: readonly Pass[]): Promise<void> {
  batch.clear(value.head.bytes, value.head.templates);
  batch.add(RECORD, value.head);
  for (const pass of passes) pass(batch);
  value.edit(batch, 0);
  await sink.large(value);
  await value.end();
}

/** Chunks of a copy. */
export function* cut(rdb: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  const copy = rdb.slice();
  for (let at = 0, i = 0; at < copy.length; i++) {
    const chunk = copy.subarray(at, at + Math.max(1, sizes[i % sizes.length]));
    at += chunk.length;
    yield chunk;
  }
}

/** What the decoding comes to: its lines, or code and place of the error. */
export async function outcome(rdb: Uint8Array, options: DecodeOptions = {}): Promise<string> {
  try {
    return (await decodeBytes(rdb, options)).lines;
  } catch (error) {
    if (!(error instanceof RdbError)) throw error;
    return `${error.code} at ${error.offset} db ${error.db} key ${error.key}`;
  }
}

const UTF8 = new TextEncoder();

/** A byte, the UTF-8 of a text, or bytes. */
export type Part = number | string | Uint8Array | readonly Part[];

export function bytes(...parts: Part[]): Uint8Array {
  const out = new Uint8Array(sizeOf(parts));
  put(parts, out, 0);
  return out;
}

function sizeOf(part: Part): number {
  if (typeof part === 'number') return 1;
  if (typeof part === 'string') return Buffer.byteLength(part);
  return part instanceof Uint8Array ? part.length : part.reduce<number>((sum, one) => sum + sizeOf(one), 0);
}

/** Returns the position after it. */
function put(part: Part, out: Uint8Array, at: number): number {
  if (typeof part === 'number') {
    out[at] = part;
    return at + 1;
  }
  if (typeof part === 'string') return at + UTF8.encodeInto(part, out.subarray(at)).written;
  if (!(part instanceof Uint8Array)) return part.reduce<number>((to, one) => put(one, out, to), at);
  out.set(part, at);
  return at + part.length;
}

/** `size` bytes of an integer, two's complement, little-endian. */
export function le(value: number | bigint, size: number): Uint8Array {
  const out = new Uint8Array(size);
  if (Number.isSafeInteger(value)) {
    for (let i = 0, rest = Number(value); i < size; i++, rest = Math.floor(rest / 256)) out[i] = rest;
  } else {
    for (let i = 0, rest = BigInt(value); i < size; i++, rest >>= 8n) out[i] = Number(rest & 255n);
  }
  return out;
}

export function be(value: number | bigint, size: number): Uint8Array {
  return le(value, size).reverse();
}

export function f64(value: number): Uint8Array {
  return new Uint8Array(new Float64Array([value]).buffer);
}

/** An RDB length, in the form that servers use or in one of so many bytes (1, 2, 5 or 9). */
export function len(value: number | bigint, form = value < 64 ? 1 : value < 16384 ? 2 : value < 2 ** 32 ? 5 : 9): Uint8Array {
  if (form === 1) return Uint8Array.of(Number(value));
  if (form === 2) return be(0x4000 | Number(value), 2);
  return bytes(form === 5 ? 0x80 : 0x81, be(value, form - 1));
}

/** An RDB string as it is. */
export function str(...parts: Part[]): Uint8Array {
  const body = bytes(...parts);
  return bytes(len(body.length), body);
}

/** An RDB string that is stored as an integer of 1, 2 or 4 bytes. */
export function intStr(value: number, size: 1 | 2 | 4): Uint8Array {
  return bytes(0xc0 + (size >> 1), le(value, size));
}

/** An RDB string that is compressed. */
export function lzfStr(...parts: Part[]): Uint8Array {
  const plain = bytes(...parts);
  const packed = lzf(plain);
  return bytes(0xc3, len(packed.length), len(plain.length), packed);
}

/** Bytes that do not compress, the same in every run (xorshift). */
export function noise(size: number): Uint8Array {
  const out = new Uint8Array(size);
  let state = 0x2545f491;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state & 255;
  }
  return out;
}

/** Greedy LZF over the last place where the next three bytes stood; copies may overlap themselves. */
export function lzf(plain: Uint8Array): Uint8Array {
  const out = new Uint8Array(plain.length + (plain.length >> 5) + 8);
  // places by a hash of their three bytes, from 1: what another three bytes left there is no match
  const seen = new Int32Array(1 << 16);
  let [length, literals] = [0, 0];
  const flush = (end: number): void => {
    for (let from = end - literals; from < end; from += 32) {
      const size = Math.min(32, end - from);
      out[length++] = size - 1;
      out.set(plain.subarray(from, from + size), length);
      length += size;
    }
    literals = 0;
  };
  const three = (i: number): number => (plain[i] << 16) | (plain[i + 1] << 8) | plain[i + 2];
  for (let i = 0; i < plain.length; ) {
    let from = -1;
    if (i + 2 < plain.length) {
      const slot = Math.imul(three(i), 0x9e3779b1) >>> 16;
      from = seen[slot] - 1;
      seen[slot] = i + 1;
    }
    if (from < 0 || i - from > 8192 || three(from) !== three(i)) {
      literals++;
      i++;
      continue;
    }
    let run = 3;
    while (run < 264 && i + run < plain.length && plain[from + run] === plain[i + run]) run++;
    flush(i);
    const distance = i - from - 1;
    if (run < 9) out[length++] = ((run - 2) << 5) | (distance >> 8);
    else {
      out[length++] = 0xe0 | (distance >> 8);
      out[length++] = run - 9;
    }
    out[length++] = distance & 255;
    i += run;
  }
  flush(plain.length);
  return out.slice(0, length);
}

/** Header, records, EOF and checksum. `footer`: false for a wrong checksum, 0 for none made, undefined for a right one. */
export function rdb(magic: string, records: readonly Part[], footer?: false | 0): Uint8Array {
  const body = bytes(magic, records, 0xff);
  if (Number(magic.replace(/\D/g, '')) < 5) return body;
  const crc = new Crc64().update(body);
  if (footer === 0) return bytes(body, le(0, 8));
  return bytes(body, le(footer === false ? crc.lo ^ 1 : crc.lo, 4), le(crc.hi, 4));
}

/** Makes the checksum of damaged bytes right again. */
export function resealed(damaged: Uint8Array): Uint8Array {
  const body = damaged.subarray(0, -8);
  const crc = new Crc64().update(body);
  return bytes(body, le(crc.lo, 4), le(crc.hi, 4));
}

export type Packable = string | Uint8Array | bigint;

/** A listpack of strings and integers. `valkey`: backward lengths as Valkey 9 writes them at the border values. */
export function listpack(items: readonly Packable[], valkey = false, count = items.length): Uint8Array {
  const entries = items.map((item) => {
    const entry = listpackEntry(item);
    return bytes(entry, backlen(entry.length, valkey));
  });
  const body = bytes(entries, 0xff);
  return bytes(le(body.length + 6, 4), le(Math.min(count, 0xffff), 2), body);
}

function listpackEntry(item: Packable): Uint8Array {
  if (typeof item !== 'bigint') {
    const body = bytes(item);
    if (body.length < 64) return bytes(0x80 | body.length, body);
    if (body.length < 4096) return bytes(0xe0 | (body.length >> 8), body.length & 255, body);
    return bytes(0xf0, le(body.length, 4), body);
  }
  if (item >= 0n && item < 128n) return le(item, 1);
  if (item >= -4096n && item < 4096n) return be((item & 0x1fffn) | 0xc000n, 2);
  const size = [2, 3, 4, 8].find((n) => BigInt.asIntN(8 * n, item) === item) as number;
  return bytes(0xf1 + [2, 3, 4, 8].indexOf(size), le(item, size));
}

export function backlen(length: number, valkey: boolean): Uint8Array {
  const borders = [0x7f, 0x3fff, 0x1fffff, 0xfffffff];
  let size = borders.findIndex((border, i) => (i === 0 || valkey ? length <= border : length < border)) + 1;
  if (size === 0) size = 5;
  return Uint8Array.from({ length: size }, (_, i) => ((length >> (7 * (size - 1 - i))) & 127) | (i === 0 ? 0 : 128));
}

/** A ziplist of strings and integers. `longLinks`: the length of the entry before always in five bytes. */
export function ziplist(items: readonly Packable[], longLinks = false, count = items.length): Uint8Array {
  const entries: Uint8Array[] = [];
  let before = 0;
  let tail = 10;
  for (const item of items) {
    tail += before;
    const entry = bytes(longLinks || before >= 254 ? [0xfe, le(before, 4)] : before, ziplistEntry(item));
    entries.push(entry);
    before = entry.length;
  }
  const body = bytes(entries, 0xff);
  return bytes(le(body.length + 10, 4), le(tail, 4), le(Math.min(count, 0xffff), 2), body);
}

function ziplistEntry(item: Packable): Uint8Array {
  if (typeof item !== 'bigint') {
    const body = bytes(item);
    if (body.length < 64) return bytes(body.length, body);
    if (body.length < 16384) return bytes(be(0x4000 | body.length, 2), body);
    return bytes(0x80, be(body.length, 4), body);
  }
  if (item >= 0n && item <= 12n) return Uint8Array.of(0xf1 + Number(item));
  const [size, encoding] = ([[1, 0xfe], [2, 0xc0], [3, 0xf0], [4, 0xd0], [8, 0xe0]] as const).find(
    ([n]) => BigInt.asIntN(8 * n, item) === item,
  ) as [number, number];
  return bytes(encoding, le(item, size));
}

/** A zipmap; `free` unused bytes behind every value. */
export function zipmap(pairs: readonly (readonly [Part, Part])[], free = 0): Uint8Array {
  const size = (body: Uint8Array): Part => (body.length < 254 ? body.length : [0xfe, le(body.length, 4)]);
  const entries = pairs.map(([field, value]) => {
    const [f, v] = [bytes(field), bytes(value)];
    return [size(f), f, size(v), free, v, new Uint8Array(free).fill(0xff)];
  });
  return bytes(Math.min(pairs.length, 254), entries, 0xff);
}

export function intset(width: 2 | 4 | 8, items: readonly bigint[]): Uint8Array {
  return bytes(le(width, 4), le(items.length, 4), items.map((item) => le(item, width)));
}

/** The text of a string in JSON lines, by the letter of the contract. */
export function jsonText(raw: Uint8Array): string {
  const text = isUtf8(raw) ? Buffer.from(raw).toString() : undefined;
  return JSON.stringify(text === undefined || text.startsWith('base64:') ? `base64:${Buffer.from(raw).toString('base64')}` : text);
}

/** Every key as it stands in the file, from its modifiers to its value: `[db, hexadecimal]`. */
export function recordsOf(rdb: Uint8Array): [number, string][] {
  const framer = new Framer({ limit: Infinity, meta: false });
  const { frame } = framer;
  const found: [number, string][] = [];
  framer.push(rdb);
  for (let kind = framer.next(); kind === RECORD; kind = framer.next()) {
    found.push([frame.db, Buffer.from(frame.bytes.subarray(frame.headStart, frame.end)).toString('hex')]);
  }
  framer.finish();
  return found;
}
