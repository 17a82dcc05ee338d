import { Murmur3 } from '../bytes/murmur3.js';
import { EMPTY } from '../encodings/element.js';
import type { LargeValue } from '../io/large-value.js';
import type { Codec } from '../kernels/codec.js';
import {
  DATABASE_FACTOR, DB, DIGEST_DOMAINS, DIGEST_ELEMENTS, DIGEST_KEYS, DIGEST_MASK, DIGEST_READS_VALUES, DIGEST_STRUCTURE,
  DIGEST_STRUCTURES, DIGEST_VALUES, DIGEST_WANTED, DIGEST_WORDS, DOMAIN_COUNT, DOMAIN_HASH, DOMAIN_KEY, DOMAIN_LIST, DOMAIN_SET,
  DOMAIN_STRING, DOMAIN_ZSET, DROPPED, KIND, RECORD,
} from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { TYPE_NUMBERS, typeNumber } from '../rdb/frame-table.js';
import { type RedisType, TABLES } from '../rdb/types.js';
import { CONTAINERS } from '../values/layouts.js';
import { PartsReader } from '../values/parts.js';
import { BucketSet } from './buckets.js';
import { domainStates, type Seed } from './domains.js';
import { areTogether, doubles, words } from './memory.js';
import { ValueDigest, type ValueDigestOptions } from './value-digest.js';

export interface RowDigestsOptions extends ValueDigestOptions {
  readonly seed: Seed;
  /** Whether values are read; otherwise their digests are 0. */
  readonly values: boolean;
  /** Only values of keys in these buckets are read. */
  readonly wanted?: BucketSet | undefined;
}

const DIGESTED: Readonly<Partial<Record<RedisType, number>>> = {
  string: DOMAIN_STRING,
  list: DOMAIN_LIST,
  set: DOMAIN_SET,
  zset: DOMAIN_ZSET,
  hash: DOMAIN_HASH,
};
/** Scores that are text, and fields with expiries. */
const SLOW: ReadonlySet<string> = new Set(['ZSET', 'HASH_2']);

/** Columns beside the rows of a batch: hashes of keys, digests of values. */
export class RowDigests {
  /** Four words for each row: the hash of its database and key. */
  readonly keys: Int32Array;
  /** Four words for each row: the digest of its value. */
  readonly values: Int32Array;
  /** As in ValueDigest. */
  readonly elements: Float64Array;
  /** Of rows with a stream, where they are known: see ValueDigest. */
  readonly offsets = new Map<number, Int32Array>();
  readonly domains: Int32Array;
  /** For kernels; `Fold` has words in it, too. */
  readonly block: Int32Array;
  private readonly wanted: BucketSet | undefined;
  private readonly hasKernel: boolean;
  private readonly value: ValueDigest;
  private readonly reader: PartsReader;
  private readonly murmur = new Murmur3();
  private readonly frame = new Frame();
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  constructor(
    private readonly codec: Codec,
    private readonly options: RowDigestsOptions,
    /** Most rows of a batch. */
    rows: number,
  ) {
    const { wanted } = options;
    this.keys = words(codec, 4 * rows);
    this.values = words(codec, 4 * rows);
    this.elements = doubles(codec, rows);
    this.domains = words(codec, 4 * DOMAIN_COUNT);
    this.block = words(codec, DIGEST_WORDS);
    domainStates(options.seed, this.domains);
    this.wanted = wanted === undefined ? undefined : new BucketSet(wanted.bits, wanted, codec);
    this.value = new ValueDigest(this.domains, options, codec);
    this.reader = new PartsReader(this.value, codec);
    this.hasKernel = this.fillBlock();
  }

  /** Digests rows [batch.from, batch.to) that are records and not dropped. Throws RdbError if the value of row `batch.row` is damaged. */
  rows(batch: Batch): void {
    const { block, codec, hasKernel } = this;
    const { bytes, table, to } = batch;
    this.offsets.clear();
    for (let row = batch.from; row < to; row++) {
      if (hasKernel) row = codec.digestRows(block, table.words, row, to, bytes);
      if (row === to) return;
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.row = row;
      this.row(batch, row);
    }
  }

  private row(batch: Batch, row: number): void {
    const { frame, key, reader } = this;
    batch.readKey(row, key);
    this.hashKey(batch.table.word(row, DB), key.keyBytes, key.keyStart, key.keyEnd, row);
    if (!this.wants(row)) return;
    batch.read(row, frame);
    reader.record(frame);
    this.put(row);
  }

  /** Digests a large value into row 0; its parts are pulled if they are wanted. */
  async large(value: LargeValue): Promise<void> {
    const { head } = value;
    this.offsets.clear();
    this.hashKey(head.db, head.keyBytes, head.keyStart, head.keyEnd, 0);
    if (!this.wants(0)) return;
    for await (const { frame, kind } of value.parts()) this.reader.frame(kind, frame);
    this.put(0);
  }

  private hashKey(db: number, bytes: Uint8Array, start: number, end: number, row: number): void {
    const { domains, keys, murmur } = this;
    const at = 4 * DOMAIN_KEY;
    murmur.begin(domains[at] ^ Math.imul(db, DATABASE_FACTOR), domains[at + 1], domains[at + 2], domains[at + 3]);
    murmur.add(bytes, start, end).end(keys, 4 * row);
  }

  private wants(row: number): boolean {
    const { options, wanted } = this;
    return options.values && (wanted === undefined || wanted.hasKey(this.keys, 4 * row));
  }

  private put(row: number): void {
    const { value } = this;
    this.values.set(value.words, 4 * row);
    this.elements[row] = value.elements;
    if (value.offsets !== undefined) this.offsets.set(row, value.offsets);
  }

  /** Returns whether a kernel can use it. */
  private fillBlock(): boolean {
    const { block, codec, domains, elements, keys, options, values, wanted } = this;
    const structures = codec.allocate(TYPE_NUMBERS * DIGEST_STRUCTURE).fill(0);
    for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
      if (type === undefined || SLOW.has(type.name)) continue;
      const container = CONTAINERS[type.form] ?? 0;
      const domain = DIGESTED[type.redisType];
      if (container > 0 && domain !== undefined) structures.set([container, domain], DIGEST_STRUCTURE * typeNumber(type));
    }
    block[DIGEST_KEYS] = keys.byteOffset;
    block[DIGEST_VALUES] = values.byteOffset;
    block[DIGEST_ELEMENTS] = elements.byteOffset;
    block[DIGEST_STRUCTURES] = structures.byteOffset;
    block[DIGEST_DOMAINS] = domains.byteOffset;
    block[DIGEST_WANTED] = wanted?.words.byteOffset ?? 0;
    block[DIGEST_MASK] = wanted === undefined ? 0 : (1 << wanted.bits) - 1;
    block[DIGEST_READS_VALUES] = options.values ? 1 : 0;
    return areTogether([block, domains, elements, keys, structures, values, ...(wanted === undefined ? [] : [wanted.words])]);
  }
}
