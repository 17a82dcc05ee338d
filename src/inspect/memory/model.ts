import type { Target } from '../../values/targets.js';
import { releaseNumber } from '../../values/targets.js';
import { allocated, type Allocator } from './allocator.js';

/** What a server's memory depends on besides its release. */
export interface ModelOptions {
  /** That of the servers' own sources unless given. */
  readonly allocator?: Allocator;
}

/** Kinds of tables, for `Model.table`. */
export const SET = 0;
export const HASH = 1;
export const ZSET = 2;
export type Table = typeof SET | typeof HASH | typeof ZSET;

/** Sizes of structures in bytes, on 64-bit machines. */
interface Structures {
  readonly dict: number;
  readonly quicklist: number;
  readonly quicklistNode: number;
  readonly stream: number;
  readonly group: number;
  readonly consumer: number;
  /** With its table, without nodes and elements. */
  readonly zset: number;
}

const OBJECT = 16;
const ENTRY = 24;
const NACK = 24;
const INT_LIMIT = 20;

/** Limits of the packed encodings, by configuration parameters at their defaults. */
export interface Limits {
  readonly hashEntries: number;
  readonly zsetEntries: number;
  readonly setEntries: number;
  readonly intsetEntries: number;
  readonly value: number;
  /** Bytes of a node of a list. */
  readonly node: number;
}

const SKIPLIST_LEVELS = 32;
const SKIPLIST_P = 0.25;

/** A model of the memory of a server. All sizes are in bytes, as allocated. */
export class Model {
  readonly release: number;
  readonly isValkey: boolean;
  readonly allocator: Allocator;
  readonly limits: Limits;
  readonly structures: Structures;
  /** Longest string that is in one piece with its object. */
  readonly embedded = 44;
  /** Whether packed values are listpacks (since 7.0), sets and lists may be such (7.2). */
  readonly hasListpacks: boolean;
  readonly hasListpackSets: boolean;

  constructor(server: Target, { allocator = 'jemalloc' }: ModelOptions = {}) {
    this.allocator = allocator;
    this.release = releaseNumber(server);
    this.isValkey = server.vendor === 'valkey';
    this.hasListpacks = this.release >= 700;
    this.hasListpackSets = this.release >= 702;
    this.limits = {
      hashEntries: 512,
      zsetEntries: 128,
      setEntries: this.hasListpackSets ? 128 : 0,
      intsetEntries: 512,
      value: 64,
      node: 8192,
    };
    const skiplist = 32 + this.alloc(24 + 16 * SKIPLIST_LEVELS);
    this.structures = {
      dict: 56,
      quicklist: 40,
      quicklistNode: 40,
      stream: 80,
      group: 40,
      consumer: this.release >= 702 ? 32 : 24,
      zset: 16 + skiplist,
    };
    this.node = this.expectedNode();
  }

  private readonly node: number;

  alloc(size: number): number {
    return allocated(size, this.allocator);
  }

  /** A string of its own (redis sds.c, sdsReqType and sdsHdrSize). */
  sds(length: number): number {
    return this.alloc(sdsSize(length));
  }

  /** Key, its entry in the database, and the object of its value. */
  object(keyLength: number): number {
    return this.sds(keyLength) + ENTRY + OBJECT;
  }

  /** Key and value of a string that is no integer. */
  text(keyLength: number, hasExpire: boolean, length: number): number {
    if (!this.embeds(keyLength, hasExpire, length)) return this.object(keyLength) + this.sds(length);
    return this.sds(keyLength) + ENTRY + this.alloc(OBJECT + 3 + length + 1);
  }

  /** Whether a string is in one piece with its object. */
  embeds(_keyLength: number, _hasExpire: boolean, length: number): boolean {
    return length <= this.embedded;
  }

  /** A table for `count` elements, without what belongs to each of them. */
  table(kind: Table, count: number): number {
    const slots = count <= 4 ? 4 : 2 ** Math.ceil(Math.log2(count));
    return (kind === ZSET ? this.structures.zset : 0) + this.structures.dict + 8 * slots;
  }

  /** An element of a set in a table. */
  member(length: number): number {
    return ENTRY + this.sds(length);
  }

  /** A field of a hash in a table. */
  pair(field: number, value: number): number {
    return ENTRY + this.sds(field) + this.sds(value);
  }

  /** An element of a sorted set in a skiplist. */
  scored(length: number): number {
    return ENTRY + this.sds(length) + this.node;
  }

  /** A node of a skiplist at the average of levels (redis t_zset.c, zslRandomLevel). */
  private expectedNode(): number {
    let share = 1;
    let size = 0;
    for (let level = 1; level <= SKIPLIST_LEVELS; level++) {
      const here = level < SKIPLIST_LEVELS ? share * (1 - SKIPLIST_P) : share;
      size += here * this.alloc(24 + 16 * level);
      share *= SKIPLIST_P;
    }
    return size;
  }

  /** A radix tree of stream IDs (redis object.c, streamRadixTreeMemoryUsage). */
  rax({ keys, nodes }: { readonly keys: number; readonly nodes: number; readonly bytes: number }): number {
    return keys * 16 + nodes * (4 + 8 * 30);
  }

  /** A consumer group without the trees and consumers; `pending` entries. */
  group(pending: number): number {
    return this.structures.group + NACK * pending;
  }

  consumer(nameLength: number): number {
    return this.structures.consumer + nameLength;
  }

  /** Tables of a database, and what its entries take beyond the sum of `object`. */
  tables(keys: number, expires: number): number {
    const slots = (count: number): number => (count === 0 ? 0 : 8 * Math.max(4, 2 ** Math.ceil(Math.log2(count))));
    const entry = this.alloc(ENTRY);
    return slots(keys) + keys * (entry - ENTRY) + slots(expires) + expires * entry;
  }
}

/** Bytes of a string with header and end (redis sds.h). */
export function sdsSize(length: number): number {
  if (length < 32 && length > 0) return length + 2;
  if (length < 256) return length + 4;
  if (length < 65536) return length + 6;
  return length < 2 ** 32 ? length + 10 : length + 18;
}

/** Whether a text of this length may be an integer. */
export const mayBeInteger = (length: number): boolean => length > 0 && length <= INT_LIMIT;
