import type { Codec } from '../../kernels/codec.js';
import * as layout from '../../kernels/layout.js';
import { TYPE_NUMBERS, typeNumber } from '../../rdb/frame-table.js';
import { type RedisType, TABLES } from '../../rdb/types.js';
import { CONTAINERS } from '../../values/layouts.js';
import { type Encoding, ENCODINGS } from '../encodings.js';
import { ALLOCATORS } from './allocator.js';
import { HASH, type Model, SET, ZSET } from './model.js';

const MEASURED: Readonly<Partial<Record<RedisType, number>>> = {
  string: layout.MEASURED_STRING,
  list: layout.MEASURED_LIST,
  set: layout.MEASURED_SET,
  hash: layout.MEASURED_HASH,
  zset: layout.MEASURED_ZSET,
};
/** Scores that are text, and fields with expiries. */
const SLOW: ReadonlySet<string> = new Set(['ZSET', 'HASH_2']);

/**
 * The block that `Codec.measureRows` is given: a model, and columns by MEASURE_…. Undefined if they are not all in one memory, where
 * kernels can work.
 */
export function measureBlock(
  codec: Codec,
  model: Model,
  columns: readonly (readonly [which: number, column: ArrayBufferView])[],
): Int32Array | undefined {
  const block = words(codec, layout.MEASURE_WORDS);
  const { buffer } = block;
  const arrays = [...columns, ...tablesOf(codec, model)];
  if (arrays.some(([, array]) => array.buffer !== buffer)) return undefined;
  for (const [which, array] of arrays) block[which] = array.byteOffset;
  for (const [which, value] of numbersOf(model)) block[which] = value;
  return block;
}

function tablesOf(codec: Codec, model: Model): [which: number, table: ArrayBufferView][] {
  const structures = codec.allocate(TYPE_NUMBERS * layout.MEASURE_STRUCTURE).fill(0);
  for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
    if (type === undefined || SLOW.has(type.name)) continue;
    const container = CONTAINERS[type.form] ?? 0;
    if (container > 0) structures.set([container, MEASURED[type.redisType] ?? 0], layout.MEASURE_STRUCTURE * typeNumber(type));
  }
  const sizes = words(codec, layout.MEASURED_SIZES);
  for (let size = 0; size < sizes.length; size++) sizes[size] = model.alloc(size);
  const scored = codec.allocate(layout.MEASURED_LENGTHS * 8);
  const doubles = new Float64Array(scored.buffer, scored.byteOffset, layout.MEASURED_LENGTHS);
  for (let length = 0; length < doubles.length; length++) doubles[length] = model.scored(length);
  const sets = words(codec, layout.MEASURED_COUNTS + 1);
  const hashes = words(codec, layout.MEASURED_COUNTS + 1);
  const beside = words(codec, layout.MEASURED_COUNTS + 1);
  for (let count = 0; count < sets.length; count++) {
    sets[count] = model.table(SET, count);
    hashes[count] = model.table(HASH, count);
    beside[count] = model.besideTable(SET, count);
  }
  return [
    [layout.MEASURE_STRUCTURES, structures],
    [layout.MEASURE_ALLOC, sizes],
    [layout.MEASURE_SCORED, doubles],
    [layout.MEASURE_SETS, sets],
    [layout.MEASURE_HASHES, hashes],
    [layout.MEASURE_BESIDE_SETS, beside],
  ];
}

function numbersOf(model: Model): [which: number, value: number][] {
  const { buckets, dict, hasEntries, limits } = model;
  const code = (encoding: Encoding): number => ENCODINGS.indexOf(encoding);
  const none = model.sds(0);
  return [
    [layout.MEASURE_SKIPLIST, model.table(ZSET, 1) - model.table(HASH, 1)],
    [layout.MEASURE_MEMBER, model.member(0) - none],
    [layout.MEASURE_FIELD, model.pair(1, 0, false) - (hasEntries ? model.alloc(7) : model.sds(1) + none)],
    [layout.MEASURE_ALLOCATOR, ALLOCATORS.indexOf(model.allocator)],
    [layout.MEASURE_KEYS, model.keys],
    [layout.MEASURE_EMBEDDED, model.embeddedObject],
    [layout.MEASURE_EMBED_MOST, model.embedLimit],
    [layout.MEASURE_EMBED_LENGTH, model.longestEmbedded],
    [layout.MEASURE_EMBED_ROOMY, model.isValkey ? 1 : 0],
    [layout.MEASURE_PAIRS, hasEntries ? 2 : model.hasListpackEx ? 1 : 0],
    [layout.MEASURE_DICT, buckets > 0 ? 0 : dict],
    [layout.MEASURE_HASH_ENTRIES, limits.hashEntries],
    [layout.MEASURE_ZSET_ENTRIES, limits.zsetEntries],
    [layout.MEASURE_SET_ENTRIES, limits.setEntries],
    [layout.MEASURE_INTSET_ENTRIES, limits.intsetEntries],
    [layout.MEASURE_VALUE, limits.value],
    [layout.MEASURE_NODE, limits.node],
    [layout.MEASURE_LIST, model.list()],
    [layout.MEASURE_LIST_NODE, model.listNode()],
    [layout.MEASURE_LIST_CONVERTS, model.hasListpackSets ? 1 : 0],
    [layout.MEASURE_FRAME, model.packedFrame],
    [layout.MEASURE_PACKED, model.packedCode],
    [layout.MEASURE_KEEPS, model.hasListpacks ? 1 : 0],
    [layout.MEASURE_BESIDE_LIST, model.besideList(0)],
    [layout.MEASURE_BESIDE_NODE, model.besideList(1) - model.besideList(0)],
    [layout.MEASURE_BESIDE_DICT, model.besideTable(HASH, 0)],
    [layout.MEASURE_BESIDE_ENTRY, model.besideTable(HASH, 1) - model.besideTable(HASH, 0)],
    [layout.MEASURE_INT, code('int')],
    [layout.MEASURE_EMBSTR, code('embstr')],
    [layout.MEASURE_RAW, code('raw')],
    [layout.MEASURE_QUICKLIST, code('quicklist')],
    [layout.MEASURE_HASHTABLE, code('hashtable')],
    [layout.MEASURE_INTSET, code('intset')],
    [layout.MEASURE_SKIPLISTS, code('skiplist')],
  ];
}

function words(codec: Codec, count: number): Int32Array {
  const { buffer, byteOffset } = codec.allocate(count * 4);
  return new Int32Array(buffer, byteOffset, count);
}
