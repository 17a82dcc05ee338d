import type { Target } from '../../values/targets.js';
import { releaseNumber } from '../../values/targets.js';
import { ENCODINGS } from '../encodings.js';
import { allocated, type Allocator } from './allocator.js';
import { bucketBytes, convertedSlots, nextPower, sharedSlots } from './tables.js';

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

/** An object with a pointer to its value, and with the value after it (Valkey 9). */
const OBJECT = 16;
const SHORT_OBJECT = 8;
const POINTER = 8;
const ENTRY = 24;
/** An entry without a value (redis 7.2 dict.c, dictEntryNoValue). */
const KEY_ENTRY = 16;
/** Longest string that is in one piece with its object (object.c, OBJ_ENCODING_EMBSTR_SIZE_LIMIT), and that was encoded so on its own. */
const EMBEDDED = 44;
/** Keys of at least this length have room for an expiry (KEY_SIZE_TO_INCLUDE_EXPIRE_THRESHOLD). */
const ROOMY_KEY = 128;
/** The largest allocation that holds a field and its value together, in bytes (valkey entry.c, EMBED_VALUE_MAX_ALLOC_SIZE). */
const EMBEDDED_PAIR = 128;
/** An expiry of a field with its place among others (redis 7.4 ebuckets.h, ExpireMeta). */
const EXPIRE_META = 16;
const SDS8_HEADER = 4; // with the end
const SKIPLIST_LEVELS = 32;
const SKIPLIST_P = 0.25;

/** Where the key of the database is. */
const APART = 0; // a string of its own
const IN_ENTRY = 1; // valkey 8.0
const IN_OBJECT = 2; // redis 8.2, valkey 8.1

/** Limits of the packed encodings: configuration parameters at their defaults. */
export interface Limits {
  readonly hashEntries: number;
  readonly zsetEntries: number;
  readonly setEntries: number;
  readonly intsetEntries: number;
  /** Bytes of the longest element. */
  readonly value: number;
  /** Bytes of a node of a list. */
  readonly node: number;
}

const DEFAULTS: Limits = { hashEntries: 512, zsetEntries: 128, setEntries: 128, intsetEntries: 512, value: 64, node: 8192 };

/**
 * What values take in a server, in bytes: what MEMORY USAGE says (redis 7.0 object.c, objectComputeSize; redis 8.2,
 * kvobjComputeSize), which counts some structures at their size and others as allocated. Models of servers before 7.0 are rough: MEMORY
 * USAGE changed in their patch releases, and 2.8 to 3.2 have none. Those of Valkey 8.0 and Redis 8.6 and later are from the sources, with
 * no server to compare with; and sorted sets of Valkey 9.2, which are trees, are taken to be skiplists as in 9.1.
 */
export class Model {
  readonly limits: Limits;
  /** Small collections are listpacks since 7.0, ziplists before: the encoding, and the bytes around the entries. */
  readonly hasListpacks: boolean;
  readonly packedCode: number;
  readonly packedFrame: number;
  /** Whether sets and lists may be listpacks (since 7.2), and lists have nodes of a single large element (7.4). */
  readonly hasListpackSets: boolean;
  readonly hasPlainNodes: boolean;
  /** Redis since 7.4 keeps expiries of fields in listpacks, and before fields. */
  readonly hasListpackEx: boolean;

  readonly allocator: Allocator;
  private readonly release: number;
  readonly isValkey: boolean;
  /** APART, IN_ENTRY or IN_OBJECT. */
  readonly keys: number;
  /** Valkey's tables of buckets of 64 bytes (since 8.1), with elements in one piece; the size of their head. */
  readonly buckets: number;
  /** An embedded string takes the place of the pointer to it (valkey 9.0), in how many bytes at most. */
  readonly embeddedObject: number;
  readonly embedLimit: number;
  /** A field and its value are one entry if they are short (valkey 8.1, redis 8.6 entry.c). */
  readonly hasEntries: boolean;
  /** Nodes of skiplists have their element in them (valkey 9.1, redis 8.6). */
  private readonly hasOneNode: boolean;
  private readonly nodes: readonly number[];
  readonly dict: number;
  private readonly streams: Readonly<Record<'stream' | 'group' | 'consumer' | 'pending' | 'rax', number>>;

  constructor(server: Target, { allocator = 'jemalloc' }: ModelOptions = {}) {
    const release = releaseNumber(server);
    const isValkey = server.vendor === 'valkey';
    this.allocator = allocator;
    this.release = release;
    this.isValkey = isValkey;
    this.hasListpacks = release >= 700;
    this.packedCode = ENCODINGS.indexOf(this.hasListpacks ? 'listpack' : 'ziplist');
    this.packedFrame = this.hasListpacks ? 7 : 11;
    this.hasListpackSets = release >= 702;
    this.hasPlainNodes = isValkey ? release >= 800 : release >= 704;
    this.hasListpackEx = !isValkey && release >= 704;
    this.limits = this.hasListpackSets ? DEFAULTS : { ...DEFAULTS, setEntries: 0 };
    if (isValkey) this.keys = release >= 801 ? IN_OBJECT : release >= 800 ? IN_ENTRY : APART;
    else this.keys = release >= 802 ? IN_OBJECT : APART;
    this.buckets = isValkey && release >= 801 ? (release >= 900 ? 80 : 72) : 0;
    this.embeddedObject = isValkey && release >= 900 ? SHORT_OBJECT : OBJECT;
    this.embedLimit = isValkey && release >= 901 ? 128 : 64;
    this.hasEntries = this.buckets > 0 || (!isValkey && release >= 806);
    this.hasOneNode = release >= (isValkey ? 901 : 806);
    this.nodes = skiplistNodes();
    const hasReferences = !isValkey && release >= 802; // of groups to entries (XACKDEL)
    this.dict = release >= 700 ? 56 : 96;
    this.streams = {
      stream: hasReferences ? 112 : release >= 700 ? 80 : 0,
      group: release >= 700 ? 40 : 32,
      consumer: this.hasListpackSets ? 32 : 24,
      pending: hasReferences ? 32 : 24,
      rax: this.buckets > 0 ? this.alloc(32) : 0,
    };
  }

  alloc(size: number): number {
    return allocated(size, this.allocator);
  }

  /** A packed value, which MEMORY USAGE counts as allocated only since 7.0. */
  blob(size: number): number {
    return this.hasListpacks ? this.alloc(size) : size;
  }

  /** A string of its own. */
  sds(length: number): number {
    return this.alloc(sdsSize(length));
  }

  /** Key, its entry in the database, and the object of its value. */
  object(keyLength: number, hasExpire: boolean): number {
    const key = sdsSize(keyLength);
    if (this.keys === APART) return this.sds(keyLength) + ENTRY + OBJECT;
    if (this.keys === IN_ENTRY) return this.alloc(ENTRY + key) + OBJECT;
    return this.alloc(OBJECT + 1 + key + (hasExpire || keyLength >= ROOMY_KEY ? POINTER : 0));
  }

  /** Key and value of a string that is no integer. */
  text(keyLength: number, hasExpire: boolean, length: number): number {
    if (!this.embeds(keyLength, hasExpire, length)) return this.object(keyLength, hasExpire) + this.sds(length);
    if (this.keys === IN_OBJECT) return this.alloc(this.embeddedSize(keyLength, length) + (hasExpire ? POINTER : 0));
    const whole = this.hasListpacks ? this.alloc(OBJECT + SDS8_HEADER + length) : OBJECT + 2 + length; // (redis 6.0, sdslen + 2)
    return this.object(keyLength, hasExpire) - OBJECT + whole;
  }

  /** Whether a string is in one piece with its object, and with its key if that is. */
  embeds(keyLength: number, hasExpire: boolean, length: number): boolean {
    if (length > this.longestEmbedded) return false;
    if (this.keys !== IN_OBJECT) return true;
    const size = this.embeddedSize(keyLength, length);
    // the expiry is set after loading, where there may be room for it
    const roomy = this.isValkey && size <= this.embedLimit && this.alloc(size) >= size + POINTER;
    return size + (hasExpire && !roomy ? POINTER : 0) <= this.embedLimit;
  }

  /** The longest string that may be in one piece with its object. */
  get longestEmbedded(): number {
    return this.isValkey && this.keys === IN_OBJECT ? 255 : EMBEDDED;
  }

  private embeddedSize(keyLength: number, length: number): number {
    return this.embeddedObject + 1 + sdsSize(keyLength) + SDS8_HEADER + length;
  }

  /** A listpack of a hash with field expiries, beside its bytes (redis t_hash.c, listpackEx). */
  listpackEx(): number {
    return this.alloc(this.release >= 802 ? 24 : 32);
  }

  /** A list, without its nodes. */
  list(): number {
    return 40;
  }

  listNode(): number {
    return this.hasListpacks ? 40 : 32;
  }

  /** A table for `count` elements, without what belongs to each of them. */
  table(kind: Table, count: number): number {
    const own = kind === ZSET ? this.skiplist() : 0;
    if (this.buckets > 0) return own + this.buckets + (kind === HASH && this.release >= 900 ? POINTER : 0) + bucketBytes(count);
    const slots = nextPower(count);
    const shared = this.keys === IN_ENTRY && kind === SET ? KEY_ENTRY * (count - sharedSlots(slots, count)) : 0;
    return own + this.dict + POINTER * slots + Math.round(shared);
  }

  /** What a table with its entries takes beyond what MEMORY USAGE counts; below 0 where it counts entries that there are not. */
  besideTable(kind: Table, count: number): number {
    if (this.buckets > 0 || this.keys === IN_ENTRY) return 0;
    const dict = this.alloc(this.dict) - this.dict;
    // elements of sets have no entry if they are alone in their slot (redis 7.2)
    if (kind === SET && this.hasListpackSets) {
      return dict + Math.round(KEY_ENTRY * (count - sharedSlots(nextPower(count), count))) - ENTRY * count;
    }
    return dict + count * (this.alloc(ENTRY) - ENTRY);
  }

  besideList(nodes: number): number {
    return this.alloc(this.list()) - this.list() + nodes * (this.alloc(this.listNode()) - this.listNode());
  }

  besideRax(tree: { readonly keys: number; readonly nodes: number; readonly bytes: number }): number {
    return this.buckets > 0 ? 0 : this.alloc(24) + tree.bytes - this.rax(tree);
  }

  /** The same of a hash that was a listpack until its element number `longAt`, which is too long for that. */
  converted(longAt: number, count: number): number {
    if (this.buckets > 0 || count > this.limits.hashEntries) return this.table(HASH, count);
    return this.dict + POINTER * convertedSlots(longAt, count);
  }

  private skiplist(): number {
    if (this.hasOneNode && this.isValkey) return 16 + this.alloc(16 + 16 * SKIPLIST_LEVELS);
    return 16 + 32 + this.alloc(24 + 16 * SKIPLIST_LEVELS);
  }

  /** An element of a set in a table. */
  member(length: number): number {
    if (this.buckets > 0) return this.sds(length);
    return (this.keys === IN_ENTRY ? 0 : ENTRY) + this.sds(length);
  }

  /** A field of a hash in a table. */
  pair(field: number, value: number, hasExpire: boolean): number {
    if (this.hasEntries) return this.entry(field, value, hasExpire) + (this.buckets > 0 ? 0 : KEY_ENTRY);
    if (!this.hasListpackEx) return ENTRY + this.sds(field) + this.sds(value);
    return ENTRY + this.alloc(mstrSize(field) + (hasExpire ? EXPIRE_META + 2 : 0)) + this.sds(value);
  }

  /** Field and value in one piece, or with a pointer to the value (valkey 9.0 entry.c, entryReqSize; redis 8.6, setEntryWriteInfo). */
  private entry(field: number, value: number, hasExpire: boolean): number {
    const expiry = !hasExpire ? 0 : this.isValkey ? POINTER : EXPIRE_META;
    const long = field < 32 && field > 0 ? field + SDS8_HEADER : sdsSize(field);
    const name = (hasExpire ? long : sdsSize(field)) + expiry;
    if (name + SDS8_HEADER + value <= EMBEDDED_PAIR) return this.alloc(name + SDS8_HEADER + value);
    return this.alloc(long + POINTER + expiry) + this.sds(value);
  }

  /** An element of a sorted set in a skiplist, at the average of levels (t_zset.c, zslRandomLevel). */
  scored(length: number): number {
    let size = 0;
    const { nodes } = this;
    const own = this.hasOneNode ? 17 + sdsSize(length) : 24;
    for (let level = 1; level <= SKIPLIST_LEVELS; level++) size += nodes[level] * this.alloc(own + 16 * level);
    if (this.hasOneNode) return size + (this.buckets > 0 ? 0 : KEY_ENTRY);
    if (this.buckets > 0) return size + this.sds(length);
    return size + (this.keys === IN_OBJECT ? KEY_ENTRY : ENTRY) + this.sds(length);
  }

  /** A stream without its trees, nodes and groups. */
  stream(): number {
    return this.streams.stream;
  }

  /** A radix tree of stream IDs (redis object.c, streamRadixTreeMemoryUsage; valkey since 8.1 knows the bytes). */
  rax({ bytes, keys, nodes }: { readonly keys: number; readonly nodes: number; readonly bytes: number }): number {
    return this.buckets > 0 ? this.streams.rax + bytes : keys * 16 + nodes * (4 + 8 * 30);
  }

  /** A consumer group without the trees and consumers; `pending` entries. */
  group(pending: number): number {
    return this.streams.group + this.streams.pending * pending;
  }

  consumer(nameLength: number): number {
    return this.streams.consumer + nameLength;
  }

  /** Tables of a database, and what its entries take that MEMORY USAGE does not count. */
  tables(keys: number, expires: number): number {
    if (this.buckets > 0) return bucketBytes(keys) + bucketBytes(expires);
    const slots = (count: number): number => (count === 0 ? 0 : POINTER * nextPower(count));
    const entry = this.alloc(ENTRY);
    const beside = this.keys === APART ? entry - ENTRY : this.keys === IN_ENTRY ? 0 : KEY_ENTRY;
    return slots(keys) + keys * beside + slots(expires) + expires * entry;
  }
}

/** The part of nodes of a skiplist that have each level. */
function skiplistNodes(): number[] {
  const nodes = [0];
  let share = 1;
  for (let level = 1; level <= SKIPLIST_LEVELS; level++) {
    nodes.push(level < SKIPLIST_LEVELS ? share * (1 - SKIPLIST_P) : share);
    share *= SKIPLIST_P;
  }
  return nodes;
}

/** Bytes of a string with header and end (redis sds.c, sdsReqType and sdsHdrSize). */
export function sdsSize(length: number): number {
  if (length < 32 && length > 0) return length + 2;
  if (length < 256) return length + 4;
  if (length < 65536) return length + 6;
  return length < 2 ** 32 ? length + 10 : length + 18;
}

/** The same of a field name since Redis 7.4 (mstr.h). */
function mstrSize(length: number): number {
  if (length < 32) return length + 2;
  return length < 65536 ? length + 4 : length + 10;
}
