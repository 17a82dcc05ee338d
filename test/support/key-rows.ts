import { TS_CODEC } from '../../src/kernels/codec.js';
import type { KeyRows } from '../../src/inspect/key-rows.js';
import { type Encoding, ENCODINGS, Measurer } from '../../src/inspect/measures.js';
import type { ByteSink } from '../../src/io/byte-sink.js';
import { Batch } from '../../src/rdb/batch.js';
import { Frame, RECORD } from '../../src/rdb/frame.js';
import { TABLES } from '../../src/rdb/types.js';
import { LATEST_REDIS } from '../../src/values/targets.js';

/** A key of a table. */
export interface Row {
  readonly key: Uint8Array;
  readonly db?: number;
  /** The number of its type in files. */
  readonly type?: number;
  readonly encoding?: Encoding;
  readonly bytes?: number;
  readonly memory?: number;
  readonly elements?: number;
  readonly largest?: number;
  readonly expireAt?: bigint;
  readonly idle?: number;
  readonly freq?: number;
  readonly source?: string;
}

/** Where the bytes of a sink are kept; each write takes a turn of the event loop, and what is borrowed is checked to be untouched. */
export class Kept implements ByteSink {
  private readonly parts: Buffer[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    const before = Buffer.from(bytes);
    await new Promise(setImmediate);
    if (!before.equals(bytes)) throw new Error('bytes changed while they were written');
    this.parts.push(before);
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** What a table writes for these keys, a batch for each. */
export async function table(make: (sink: ByteSink) => KeyRows, keys: Iterable<Row>): Promise<Buffer> {
  const kept = new Kept();
  const rows = make(kept);
  const batch = new Batch(TS_CODEC, 1);
  const { measures } = new Measurer(TS_CODEC, LATEST_REDIS, 1);
  for (const { bytes = 0, db = 0, elements = 0, encoding = 'raw', expireAt, freq = -1, idle = -1, key, largest = 0, memory = 0, ...rest } of keys) {
    const frame = new Frame();
    batch.clear(key, new Map());
    Object.assign(frame, { db, freq, idle, type: TABLES.redis.types[rest.type ?? 0], keyBytes: key, keyEnd: key.length, bytes: key });
    if (expireAt !== undefined) frame.setExpire(Number(BigInt.asIntN(32, expireAt >> 32n)), Number(BigInt.asUintN(32, expireAt)));
    batch.add(RECORD, frame);
    measures.memory[0] = memory;
    measures.elements[0] = elements;
    measures.largest[0] = largest;
    measures.encoding[0] = ENCODINGS.indexOf(encoding);
    rows.add(batch, 0, measures, bytes, rest.source ?? 'dump.rdb');
    key.fill(0x78); // it was borrowed
    if (rows.full) await rows.flush();
  }
  await rows.end();
  if (kept.bytes.length !== rows.written) throw new Error(`${rows.written} bytes said to be written, ${kept.bytes.length} written`);
  return kept.bytes;
}
