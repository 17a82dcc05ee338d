import type { Codec } from '../../src/kernels/codec.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import { DOMAIN_COUNT, DROPPED } from '../../src/kernels/layout.js';
import { domainStates, type Seed } from '../../src/diff/domains.js';
import { FoldSink, type FoldSinkOptions } from '../../src/diff/fold-sink.js';
import { ValueDigest, type ValueDigestOptions } from '../../src/diff/value-digest.js';
import { Batch } from '../../src/rdb/batch.js';
import { type Frame, RECORD } from '../../src/rdb/frame.js';
import { PartsReader } from '../../src/values/parts.js';
import type { Pass } from '../../src/pipeline/passes.js';
import type { RecordSink } from '../../src/pipeline/sink.js';
import { cut, feed, readingOf } from './support.js';

export const SEED: Seed = [1, 2, 3, 4];
export const DOMAINS = new Int32Array(4 * DOMAIN_COUNT);
domainStates(SEED, DOMAINS);

export const hex = (words: ArrayLike<number>, at = 0): string =>
  [0, 1, 2, 3].map((i) => (words[at + i] >>> 0).toString(16).padStart(8, '0')).join('');

/** The digest of a value, and of what only newer servers know of it. */
export function digestOf(frame: Frame, options: ValueDigestOptions = { streams: 'full' }): string {
  const digest = new ValueDigest(DOMAINS, options, TS_CODEC);
  new PartsReader(digest).frame(RECORD, frame);
  return hex(digest.words) + (digest.offsets === undefined ? '' : ` ${hex(digest.offsets)}`);
}

export const FOLD: FoldSinkOptions = { seed: SEED, level: 'values', now: -Infinity, tolerance: 0, streams: 'data', bits: 8 };

export interface Feeding {
  readonly codec?: Codec;
  /** Bytes of chunks. */
  readonly sizes?: readonly number[];
  /** Larger values come in parts. */
  readonly limit?: number;
  readonly passes?: readonly Pass[];
}

/** Hands the records of a file to a sink, by way of a batch that may have been used before. */
export async function feedInto<Sink extends RecordSink>(
  sink: Sink,
  file: Uint8Array,
  batch: Batch,
  { codec = TS_CODEC, limit, passes, sizes = [file.length] }: Feeding = {},
): Promise<Sink> {
  const reading = readingOf(cut(file, sizes), batch, { codec, limit, buffer: bufferOf(codec) });
  await feed(reading, sink, batch, passes);
  return sink;
}

export const feedFile = <Sink extends RecordSink>(sink: Sink, file: Uint8Array, feeding: Feeding = {}): Promise<Sink> =>
  feedInto(sink, file, new Batch(feeding.codec ?? TS_CODEC), feeding);

const buffers = new Map<Codec, Uint8Array>();

/** A window for each codec, which kernels see. */
function bufferOf(codec: Codec): Uint8Array | undefined {
  if (codec === TS_CODEC) return undefined;
  const buffer = buffers.get(codec) ?? codec.allocate(WINDOW);
  buffers.set(codec, buffer);
  return buffer;
}

/** Bytes. */
const WINDOW = 4 << 20;

export const fold = (file: Uint8Array, options: Partial<FoldSinkOptions> = {}, feeding: Feeding = {}): Promise<FoldSink> =>
  feedFile(new FoldSink(feeding.codec, { ...FOLD, ...options }), file, feeding);

/** A pass that drops some rows. */
export const dropWhere =
  (drops: (row: number) => boolean): Pass =>
  (batch) => {
    for (let row = 0; row < batch.rows; row++) if (drops(row)) batch.mark(row, DROPPED);
  };
