/**
 * Where RDB bytes come from: a path, stdin, memory or a stream; plain or compressed, which the first bytes tell.
 */
import { statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { isSpace } from '../bytes/byte-forms.js';
import type { Batch } from '../rdb/batch.js';
import { DEFAULT_CHUNK, readFile } from './file.js';
import { guard } from './guard.js';
import { plain } from '../bytes/plain.js';
import { ByteReader, readU32 } from './reader.js';
import { isSkippable, skipFrame } from './skippable.js';
import { isEnvelope, openEnvelope } from './vcs.js';

export type Compression = 'none' | 'gzip' | 'lz4' | 'zstd';

export type InputSource =
  | string | Uint8Array | ArrayBuffer | AsyncIterable<Uint8Array> | NodeJS.ReadableStream | ReadableStream<Uint8Array>;

export interface InputOptions {
  /** What `-` reads; process.stdin unless given. */
  readonly stdin?: Readable | undefined;
  /** Bytes read from a file, or cut from memory, at a time. 1 MiB unless given. */
  readonly chunkSize?: number | undefined;
  /** Makes the buffers that a file is read to (default: memory of their own). */
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** Give the bytes as they are, also where they are lines of JSON (default: lines of payloads become the RDB that they make). */
  readonly text?: boolean | undefined;
  /** Ends the reading: `chunks` throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface Input {
  /** The path as given, `-`, `<buffer>` or `<stream>`. */
  readonly name: string;
  /** Bytes of the file on disk (compressed size), if known. */
  readonly size: number | undefined;
  /** Undefined until the first chunk is there. */
  readonly compression: Compression | undefined;
  /** Bytes that `chunks` gives, where that is known beforehand. */
  readonly plainSize: number | undefined;
  /** The bytes are made of lines of payloads; known with the first chunk. */
  readonly ofPayloads: boolean;
  /** Bytes read so far, before decompression. */
  readonly bytesRead: number;
  /** Run on every batch of its records first: it drops those that do not belong to this source. */
  readonly pass?: ((batch: Batch) => void) | undefined;
  /**
   * The plain RDB bytes; may be called once. A chunk is a plain Uint8Array (never a Buffer: a second hidden class slows codec
   * loops), not empty, and valid only until the next one is asked for. Ending the loop closes the source.
   * Throws RdbError: READ_FAILED, INPUT_CHANGED, BAD_COMPRESSION, each after all good bytes.
   */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
}

const MAGIC: Readonly<Record<number, Compression>> = { 0x184d2204: 'lz4', 0x184c2102: 'lz4', 0xfd2fb528: 'zstd' };

/** Skips leading skippable frames, which LZ4 and zstd share, or the head of Valkey's envelope. Leaves the reader after them. */
async function recognise(reader: ByteReader): Promise<Compression> {
  if (isEnvelope(await reader.peek(3))) return openEnvelope(reader);
  let skipped = false;
  for (;;) {
    const first = await reader.peek(4);
    if (first[0] === 0x1f && first[1] === 0x8b && !skipped) return 'gzip';
    if (first.length < 4) return skipped ? 'zstd' : 'none';
    const magic = readU32(first);
    if (!isSkippable(magic)) return MAGIC[magic] ?? (skipped ? 'zstd' : 'none');
    reader.consume(4);
    await skipFrame(reader);
    skipped = true;
  }
}

async function* asIs(reader: ByteReader): AsyncGenerator<Uint8Array, void, void> {
  for (let bytes = await reader.available(); bytes !== undefined; bytes = await reader.available()) {
    reader.consume(bytes.length);
    yield bytes;
  }
}

/** An RDB as it is; lines of payloads as the RDB that they make, which is never larger than they are. */
async function* rdbOf(chunks: AsyncGenerator<Uint8Array, void, void>, onPayloads: () => void): AsyncGenerator<Uint8Array, void, void> {
  const head = await beginning(chunks);
  if (head.length === 0) return;
  const all = before(head, chunks);
  if (!isObject(head)) {
    yield* all;
    return;
  }
  onPayloads();
  yield* (await import('./payload-lines-input.js')).rdbOfPayloads(all);
}

/** The first chunk; with more of them while there is nothing but white space, which no RDB begins with. */
async function beginning(chunks: AsyncIterator<Uint8Array, void, void>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < MOST_BLANK && head.every(isSpace)) {
    const blank = head.slice();
    const { done, value } = await chunks.next();
    if (done === true) return blank;
    head = blank.length === 0 ? value : plain(Buffer.concat([blank, value]));
  }
  return head;
}

const MOST_BLANK = 1 << 16;

async function* before(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  yield first;
  yield* rest;
}

const isObject = (bytes: Uint8Array): boolean => bytes[bytes.findIndex((byte) => !isSpace(byte))] === OPENING_BRACE;

const OPENING_BRACE = 0x7b;

type Decompress = (reader: ByteReader) => AsyncGenerator<Uint8Array, void, void>;

/** Loaded when needed: most inputs are plain. */
const DECOMPRESSORS: Readonly<Record<Compression, () => Promise<Decompress>>> = {
  none: () => Promise.resolve(asIs),
  gzip: async () => (await import('./gzip.js')).gunzip,
  lz4: async () => (await import('./lz4.js')).unlz4,
  zstd: async () => (await import('./zstd.js')).unzstd,
};

/** What was compressed may be an RDB that Valkey had compressed itself. */
async function* unwrapped(chunks: AsyncGenerator<Uint8Array, void, void>, name: string): AsyncGenerator<Uint8Array, void, void> {
  const inner = new ByteReader(chunks, name);
  try {
    yield* (isEnvelope(await inner.peek(3)) ? await DECOMPRESSORS[await openEnvelope(inner)]() : asIs)(inner);
  } finally {
    await chunks.return();
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- one kind of source among asynchronous ones
async function* slices(bytes: Uint8Array, chunkSize: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
}

/**
 * Bytes of a file; undefined for what is none, like a pipe, which can be read only once. Before the open, so that progress over
 * many files knows the sum; what is wrong with the path is said by the open.
 */
export function fileSize(path: string): number | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

class SourceInput implements Input {
  readonly name: string;
  size: number | undefined;
  compression: Compression | undefined;
  ofPayloads = false;
  bytesRead = 0;

  constructor(
    private readonly source: InputSource,
    private readonly options: InputOptions,
  ) {
    if (typeof source === 'string') {
      this.name = source;
      this.size = source === '-' ? undefined : fileSize(source);
    } else if (source instanceof Uint8Array || source instanceof ArrayBuffer) {
      this.name = '<buffer>';
      this.size = source.byteLength;
    } else {
      this.name = '<stream>';
    }
  }

  get plainSize(): number | undefined {
    return this.compression === 'none' ? this.size : undefined;
  }

  private raw(): AsyncIterable<unknown> {
    const { source, options } = this;
    const chunkSize = options.chunkSize ?? DEFAULT_CHUNK;
    if (source === '-') return options.stdin ?? process.stdin;
    if (typeof source === 'string') {
      const onOpen = (size: number | undefined): void => void (this.size = size);
      return readFile(source, { chunkSize, onOpen, allocate: options.allocate });
    }
    if (source instanceof Uint8Array) return slices(source, chunkSize);
    if (source instanceof ArrayBuffer) return slices(new Uint8Array(source), chunkSize);
    return source;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    this.bytesRead = 0;
    const onBytes = (count: number): void => void (this.bytesRead += count);
    const source = guard(this.raw(), this.name, onBytes, this.options.signal);
    try {
      const reader = new ByteReader(source, this.name);
      this.compression = await recognise(reader);
      const plainBytes = (await DECOMPRESSORS[this.compression]())(reader);
      const opened = this.compression === 'none' ? plainBytes : unwrapped(plainBytes, this.name);
      yield* this.options.text === true ? opened : rdbOf(opened, () => (this.ofPayloads = true));
    } finally {
      await source.return();
    }
  }
}

/** Opens nothing yet: errors come out of `chunks`. */
export function openInput(source: InputSource, options: InputOptions = {}): Input {
  return new SourceInput(source, options);
}
