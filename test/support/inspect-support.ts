import { ENCODINGS, type Measures } from '../../src/inspect/measures.js';
import { SharedMemory } from '../../src/inspect/shared-memory.js';
import { reportOf, type ReportOptions } from '../../src/inspect/report-builder.js';
import type { Report } from '../../src/inspect/report.js';
import { Tally } from '../../src/inspect/tally.js';
import { PrefixTree, type PrefixTreeOptions } from '../../src/inspect/prefix-tree.js';
import { TS_CODEC } from '../../src/kernels/codec.js';
import type { Codec } from '../../src/kernels/codec.js';
import { DROPPED, TALLY_WORDS } from '../../src/kernels/layout.js';
import { Batch } from '../../src/rdb/batch.js';
import { Frame, RECORD } from '../../src/rdb/frame.js';
import { TABLES, type TypeRow } from '../../src/rdb/types.js';

/** A key in a batch, with what a measurer would say of it. */
export interface MadeKey {
  readonly key: Uint8Array | string;
  /** The key is in the batch's arena, as integers and compressed ones are. */
  readonly apart?: boolean;
  readonly dropped?: boolean;
  readonly type?: TypeRow;
  readonly db?: number;
  readonly expireAt?: number | undefined;
  readonly idle?: number;
  readonly freq?: number;
  /** Bytes of its record. */
  readonly size?: number;
  readonly memory?: number;
  readonly elements?: number;
  readonly largest?: number;
  readonly encoding?: number;
  readonly fields?: number;
  readonly fieldBytes?: number;
  readonly digest?: number;
}

export const redisType = (id: number): TypeRow => {
  const type = TABLES.redis.types[id];
  if (type === undefined) throw new TypeError(`no type ${id}`);
  return type;
};

/** Empty measures for a number of rows, in the memory of a codec. */
export function measuresOf(codec: Codec, keys: readonly MadeKey[]): Measures {
  const memory = new SharedMemory(codec);
  const rows = Math.max(1, keys.length);
  const measures = {
    ...{ memory: memory.doubles(rows), elements: memory.doubles(rows), largest: memory.doubles(rows), encoding: memory.bytes(rows) },
    ...{ fields: new Uint32Array(rows), fieldBytes: memory.doubles(rows), digest: memory.doubles(rows), guessed: memory.bytes(rows) },
  };
  keys.forEach((key, row) => {
    measures.memory[row] = key.memory ?? 64;
    measures.elements[row] = key.elements ?? 1;
    measures.largest[row] = key.largest ?? 1;
    measures.encoding[row] = key.encoding ?? ENCODINGS.indexOf((key.type ?? redisType(0)).redisType === 'string' ? 'raw' : 'hashtable');
    measures.fields[row] = key.fields ?? 0;
    measures.fieldBytes[row] = key.fieldBytes ?? 0;
    measures.digest[row] = key.digest ?? 0;
  });
  return measures;
}

/** A batch with a row for each key, in the memory of a codec; values have no bytes, only a size. */
export function batchOf(codec: Codec, keys: readonly MadeKey[]): Batch {
  const names = keys.map(({ key }) => (typeof key === 'string' ? Buffer.from(key) : key));
  const window = codec.allocate(names.reduce((sum, name, i) => sum + (keys[i].apart === true ? 0 : name.length), 64));
  const batch = new Batch(codec, Math.max(1, keys.length));
  batch.clear(window, new Map());
  let at = 0;
  keys.forEach((made, i) => {
    const name = names[i];
    const frame = new Frame();
    const { apart = false, db = 0, dropped = false, expireAt, freq = -1, idle = -1, size = 40 + name.length, type = redisType(0) } = made;
    if (!apart) window.set(name, at);
    Object.assign(frame, { type, redisType: type.redisType, db, idle, freq, bytes: window });
    Object.assign(frame, apart ? { keyBytes: name, keyEnd: name.length } : { keyBytes: window, keyStart: at, keyEnd: at + name.length });
    // positions of values do not matter: only how far apart they are
    Object.assign(frame, { headStart: at, typeAt: at, start: at, end: at + size });
    if (expireAt !== undefined) frame.setExpireMs(BigInt(expireAt));
    batch.add(RECORD, frame);
    if (dropped) batch.mark(i, DROPPED);
    at += apart ? 0 : name.length;
  });
  batch.to = batch.rows;
  return batch;
}

/** A tree of prefixes that is no part of a tally. */
export function treeOf(options: Partial<PrefixTreeOptions> = {}, codec: Codec = TS_CODEC): PrefixTree {
  const memory = new SharedMemory(codec);
  const stateDoubles = memory.doubles(TALLY_WORDS / 2);
  return new PrefixTree(memory, memory.wordsOf(stateDoubles), stateDoubles, {
    ...{ delimiters: Buffer.from(':'), depth: 5, types: 9, capacity: 1 << 12 },
    ...options,
  });
}

/** A generator of numbers below 2^32 (splitmix32), for inputs that are too many for fast-check to make one by one. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let t = state ^ (state >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return ((t ^ (t >>> 15)) >>> 0) % below;
  };
}

interface ReportedOptions extends Partial<ReportOptions> {
  readonly capacity?: number;
  readonly sources?: Report['sources'];
  readonly functions?: Report['functions'];
}

/** The report of these keys, as if they were all of a file. */
export function reportOfKeys(keys: readonly MadeKey[], given: ReportedOptions = {}): Report {
  const { capacity = 1 << 12, functions = [], sources = [], ...more } = given;
  const { thresholds = { bigMemory: 1 << 20, bigElements: 100_000, hotSlot: 0.01 } } = more;
  const now = 1_700_000_000_000;
  const tally = new Tally({ ...thresholds, top: 10, now, delimiters: Buffer.from(':;,_-+@=|#'), depth: 5, capacity });
  const batch = batchOf(TS_CODEC, keys);
  tally.rows(batch, batch.to, measuresOf(TS_CODEC, keys));
  const options: ReportOptions = { at: now, share: 1, shards: undefined, target: undefined, ...more, thresholds };
  return reportOf(tally, { sources, functions, memory: { server: 'Redis 7.0', tables: 96, other: 0, guessed: 0 } }, options);
}
