import { writeInt64 } from '../../bytes/decimal.js';
import { RdbError } from '../../bytes/errors.js';
import { BYTES, DOUBLE, Element, INT, INT64, LARGE, LZF } from '../../encodings/element.js';
import { integerWidth, toInteger } from '../../encodings/integer.js';
import { StreamId, StreamNode } from '../../encodings/stream.js';
import type { Frame } from '../../rdb/frame.js';
import type { Codec } from '../../kernels/codec.js';
import { readString, Scratch } from '../../rdb/string.js';
import type { Form, TypeRow } from '../../rdb/types.js';
import type { Items } from '../../values/items.js';
import { FIELD } from '../../values/layouts.js';
import { type GroupVisitor, StreamTail } from '../../values/stream-tail.js';
import { HASHED_NAME, nameHash } from '../../bytes/digest.js';
import { ENCODINGS, type Encoding } from '../encodings.js';
import { HASH, type Model, SET, ZSET } from './model.js';
import { RaxCount } from './rax.js';

const code = (encoding: Encoding): number => ENCODINGS.indexOf(encoding);
const CODES = {
  int: code('int'),
  embstr: code('embstr'),
  raw: code('raw'),
  quicklist: code('quicklist'),
  listpack: code('listpack'),
  listpackex: code('listpackex'),
  hashtable: code('hashtable'),
  intset: code('intset'),
  skiplist: code('skiplist'),
  stream: code('stream'),
  module: code('module'),
  array: code('array'),
  bitmap: code('bitmap-roaring'),
};
const LISTPACKS: ReadonlySet<Form> = new Set(['listpack', 'listpack-ex', 'quicklist2']);
const ZIPLISTS: ReadonlySet<Form> = new Set(['ziplist', 'quicklist']);
const ID_BYTES = 16;
/** Strings over this size are decompressed elsewhere. */
const SCRATCH = 1 << 20;
const INTSET_HEADER = 8;
/** What servers take a new element of a list node for beyond its own bytes (redis 7.0 quicklist.c, SIZE_ESTIMATE_OVERHEAD). */
const NODE_ESTIMATE = 8;

/** Adds up what one value takes, from its items. */
export class ValueMemory implements Items {
  /** As in `Measures`. */
  memory = 0;
  elements = 0;
  largest = 0;
  encoding = 0;
  fields = 0;
  fieldBytes = 0;
  /** Whether the memory is a guess. */
  guessed = false;
  /** What the value takes beyond what MEMORY USAGE counts; below 0 where it counts too much. */
  beside = 0;

  private keyLength = 0;
  private hasExpire = false;
  private frame!: Frame;
  /** Entries of a listpack, and what elements take in a table. */
  private entries = 0;
  private loose = 0;
  /** Longest element that would be in a table. */
  private longest = 0;
  /** Of a hash: its first element too long for a listpack, -1 for none; fields with expiries; what expiries take in a listpack. */
  private longAt = -1;
  private expiries = 0;
  private expiryEntries = 0;
  /** Whether all elements of a set are integers, and the bytes that each needs. */
  private allIntegers = true;
  private width = 2;
  /** Bytes of a packed value that servers keep as it is in the file; 0 for others. */
  private stored = 0;
  /** Of the nodes of a list: bytes as allocated, their number, and the bytes of the listpack that is being filled. */
  private nodeBytes = 0;
  private nodes = 0;
  private filled = 0;
  private lastNode = 0;
  private inPlain = false;
  private hasPlain = false;
  private storedNodes = false;

  private readonly largeName = new Uint8Array(HASHED_NAME);
  private nameLength = 0;
  private readonly scratch: Scratch;
  private readonly copy = new Element();
  private readonly id = new StreamId();
  private readonly node = new StreamNode();
  private readonly rax: RaxCount;
  private readonly groups: GroupMemory;

  constructor(
    private readonly model: Model,
    codec: Codec,
  ) {
    this.scratch = new Scratch(codec, codec.allocate(SCRATCH));
    const alloc = (size: number): number => model.alloc(size);
    this.rax = new RaxCount(alloc);
    this.groups = new GroupMemory(model, alloc, this.scratch);
  }

  begin(frame: Frame): void {
    this.frame = frame;
    this.keyLength = frame.keyEnd - frame.keyStart;
    this.hasExpire = frame.hasExpire;
    this.memory = this.beside = this.elements = this.largest = this.encoding = this.fields = this.fieldBytes = 0;
    this.longAt = -1;
    this.expiries = this.expiryEntries = this.stored = 0;
    this.entries = this.loose = this.longest = this.nodeBytes = this.nodes = this.filled = 0;
    this.guessed = this.inPlain = this.hasPlain = false;
    this.storedNodes = frame.type.form.startsWith('quicklist');
    this.allIntegers = true;
    this.width = 2;
    this.rax.clear();
    if (frame.redisType === 'module') this.guessed = true;
  }

  text(element: Element): void {
    const { model } = this;
    const length = this.lengthOf(element);
    this.elements = this.largest = length;
    if (this.asInteger(element)) {
      this.encoding = CODES.int;
      this.memory = model.object(this.keyLength, this.hasExpire);
      return;
    }
    this.encoding = model.embeds(this.keyLength, this.hasExpire, length) ? CODES.embstr : CODES.raw;
    this.memory = model.text(this.keyLength, this.hasExpire, length);
  }

  item(element: Element): void {
    const length = this.seen(element);
    this.elements++;
    const size = this.entrySize(element, length);
    if (this.frame.redisType === 'list') {
      this.listItem(length, size);
      return;
    }
    this.entries += size;
    this.loose += this.model.member(length);
    if (this.copy.kind === INT || this.copy.kind === INT64) this.width = Math.max(this.width, intsetWidth(this.copy));
    else this.allIntegers = false;
  }

  private listItem(length: number, size: number): void {
    const { model } = this;
    const { node } = model.limits;
    if (this.inPlain || (!this.storedNodes && model.hasPlainNodes && length > node)) {
      this.closeNode();
      this.nodeBytes += model.blob(length);
      this.nodes++;
      this.hasPlain = true;
      return;
    }
    if (!this.storedNodes && this.filled > 0 && this.filled + length + NODE_ESTIMATE > node) this.closeNode();
    if (this.filled === 0) this.filled = model.packedFrame;
    this.filled += size;
  }

  private closeNode(): void {
    if (this.filled === 0) return;
    this.lastNode = this.stored > 0 ? this.stored : this.filled;
    this.nodeBytes += this.model.blob(this.lastNode);
    this.stored = 0;
    this.nodes++;
    this.filled = 0;
  }

  packedBegin(size: number): void {
    const { form, redisType } = this.frame.type;
    const kept = this.model.hasListpacks ? LISTPACKS : ZIPLISTS;
    const isRebuilt = form === 'ziplist' && redisType === 'list';
    this.stored = form === 'intset' || (kept.has(form) && !isRebuilt) ? size : 0;
  }

  nodeBegin(plain: boolean): void {
    this.inPlain = plain;
  }

  nodeEnd(): void {
    this.inPlain = false;
    this.closeNode();
  }

  pair(field: Element, value: Element, expireAt: number): void {
    const name = this.seen(field);
    this.elements++;
    this.entries += this.entrySize(field, name);
    this.name(field, name);
    const length = this.seen(value);
    this.entries += this.entrySize(value, length);
    this.loose += this.model.pair(name, length, expireAt > 0);
    if (this.longAt < 0 && this.longest > this.model.limits.value) this.longAt = this.elements - 1;
    if (expireAt > 0) this.expiries++;
    this.copy.setInt(expireAt);
    this.expiryEntries += backlenSize(integerSize(this.copy));
  }

  largeBegin(role: number): void {
    this.nameLength = role === FIELD ? 0 : HASHED_NAME;
  }

  /** Keeps the beginning of a large field name. */
  largeBytes(bytes: Uint8Array, start: number, end: number): void {
    const more = Math.min(HASHED_NAME - this.nameLength, end - start);
    if (more <= 0) return;
    this.largeName.set(bytes.subarray(start, start + more), this.nameLength);
    this.nameLength += more;
  }

  scored(member: Element, score: Element): void {
    const length = this.seen(member);
    this.elements++;
    this.entries += this.entrySize(member, length) + this.entrySize(score, this.lengthOf(score));
    this.loose += this.model.scored(length);
  }

  storedNodeKey(bytes: Uint8Array, start: number, end: number): void {
    this.string(bytes, start, end);
    const { copy } = this;
    if (copy.end - copy.start !== ID_BYTES)
      throw new RdbError('BAD_STREAM', { within: start, expected: 'an ID of 16 bytes', got: 'other bytes' });
    this.id.read(copy.bytes, copy.start);
    this.rax.add(this.id);
  }

  storedNode(bytes: Uint8Array, start: number, end: number): void {
    const { copy, node } = this;
    this.string(bytes, start, end);
    this.memory += this.model.blob(copy.end - copy.start);
    node.open(this.id, copy.bytes, copy.start, copy.end);
    while (node.next()) {
      this.elements++;
      while (node.nextField()) {
        this.seen(node.field);
        this.seen(node.value);
      }
    }
  }

  storedTail(type: TypeRow, bytes: Uint8Array, start: number, end: number): void {
    const { groups, model } = this;
    groups.memory = groups.beside = 0;
    new StreamTail(type, bytes, start, end).groups(groups);
    this.memory += model.stream() + groups.memory;
    this.beside += groups.beside;
  }

  /** Reads the string in `bytes[start, end)` to `copy`, decompressed. */
  private string(bytes: Uint8Array, start: number, end: number): void {
    readString(bytes, start, end, this.copy);
    this.scratch.text(this.copy);
  }

  module(): void {
    this.encoding = CODES.module;
  }

  modulePart(_opcode: number, element: Element): void {
    this.elements++;
    const length = element.kind === DOUBLE || element.kind === INT || element.kind === INT64 ? 8 : this.seen(element);
    this.memory += this.model.alloc(length);
  }

  arrayElement(_index: Element, value: Element): void {
    this.elements++;
    this.guessed = true;
    const length = this.seen(value);
    this.loose += 8 + (this.asInteger(value) || length < 8 ? 0 : this.model.sds(length));
  }

  bitmap(lengthHi: number, lengthLo: number): void {
    this.elements = this.largest = lengthHi * 0x100000000 + lengthLo;
  }

  end(): void {
    const { model } = this;
    const { redisType } = this.frame;
    if (redisType === 'string') return;
    this.memory += model.object(this.keyLength, this.hasExpire);
    switch (redisType) {
      case 'list':
        this.list();
        return;
      case 'set':
        this.set();
        return;
      case 'hash':
        this.hash();
        return;
      case 'zset':
        this.zset();
        return;
      case 'stream':
        this.encoding = CODES.stream;
        this.memory += model.rax(this.rax.end());
        this.beside += model.besideRax(this.rax);
        return;
      case 'array':
        this.encoding = CODES.array;
        this.memory += this.loose;
        return;
      case 'bitmap':
        this.encoding = CODES.bitmap;
        this.guessed = true;
        this.memory += this.frame.end - this.frame.start;
        return;
      default:
        this.encoding = CODES.module;
    }
  }

  private list(): void {
    const { model } = this;
    this.closeNode();
    const isConverted = this.frame.type.form !== 'ziplist'; // as a list of one ziplist is not (redis 7.2 rdb.c, RDB_TYPE_LIST_ZIPLIST)
    if (model.hasListpackSets && isConverted && this.nodes === 1 && !this.hasPlain && this.lastNode <= model.limits.node) {
      this.encoding = CODES.listpack;
      this.memory += this.nodeBytes;
      return;
    }
    this.encoding = CODES.quicklist;
    this.beside = model.besideList(this.nodes);
    this.memory += model.list() + this.nodes * model.listNode() + this.nodeBytes;
  }

  private set(): void {
    const { elements, model } = this;
    const { limits } = model;
    if (this.allIntegers && elements <= limits.intsetEntries && this.frame.type.form !== 'listpack') {
      this.encoding = CODES.intset;
      this.memory += model.blob(this.stored > 0 ? this.stored : INTSET_HEADER + this.width * elements);
    } else if (elements <= limits.setEntries && (this.isPacked || this.longest <= limits.value)) {
      this.listpack();
    } else {
      this.encoding = CODES.hashtable;
      this.memory += model.table(SET, elements) + this.loose;
      this.beside = model.besideTable(SET, elements);
    }
  }

  private hash(): void {
    const { elements, model } = this;
    const { limits } = model;
    const hasExpiries = this.expiries > 0;
    const fits = elements <= limits.hashEntries && (this.isPacked || this.longest <= limits.value);
    if (fits && (!hasExpiries || model.hasListpackEx)) {
      if (hasExpiries) this.entries += this.expiryEntries;
      this.listpack();
      if (!hasExpiries) return;
      this.encoding = CODES.listpackex;
      this.memory += model.listpackEx();
      return;
    }
    this.encoding = CODES.hashtable;
    this.beside = model.besideTable(HASH, elements);
    this.memory += (this.longAt < 0 ? model.table(HASH, elements) : model.converted(this.longAt, elements)) + this.loose;
  }

  private zset(): void {
    const { elements, model } = this;
    const { limits } = model;
    if (elements <= limits.zsetEntries && (this.isPacked || this.longest <= limits.value)) {
      this.listpack();
      return;
    }
    this.encoding = CODES.skiplist;
    this.beside = model.besideTable(ZSET, elements);
    this.memory += Math.round(model.table(ZSET, elements) + this.loose);
  }

  /** Whether the file has it packed: then servers look at the number of elements only. */
  private get isPacked(): boolean {
    return ['listpack', 'listpack-ex', 'ziplist'].includes(this.frame.type.form);
  }

  private listpack(): void {
    const { model } = this;
    this.encoding = model.packedCode;
    this.memory += model.blob(this.stored > 0 ? this.stored : model.packedFrame + this.entries);
  }

  /** The length of an element of a collection. */
  private seen(element: Element): number {
    const length = this.lengthOf(element);
    if (length > this.largest) this.largest = length;
    if (length > this.longest) this.longest = length;
    return length;
  }

  private lengthOf(element: Element): number {
    switch (element.kind) {
      case LZF:
      case LARGE:
        return element.num;
      case INT:
      case INT64:
        return decimals(element);
      case DOUBLE:
        return String(element.num).length;
      default:
        return element.end - element.start;
    }
  }

  /** Whether a server stores it as an integer; then `copy` is that. */
  private asInteger(element: Element): boolean {
    const { copy } = this;
    copy.copy(element);
    if (element.kind === INT || element.kind === INT64) return true;
    if (element.kind === DOUBLE && Number.isSafeInteger(element.num)) {
      copy.setInt(element.num);
      return true;
    }
    if (element.kind !== BYTES) return false;
    return toInteger(copy);
  }

  /** Bytes of an entry of a listpack (redis listpack.c, lpEncodeGetType, lpEncodeBacklen). */
  private entrySize(element: Element, length: number): number {
    let size: number;
    if (this.asInteger(element)) size = integerSize(this.copy);
    else size = length + (length < 64 ? 1 : length < 4096 ? 2 : 5);
    return backlenSize(size);
  }

  private name(field: Element, length: number): void {
    const { copy } = this;
    this.fieldBytes += length;
    copy.copy(field);
    if (field.kind === LARGE) {
      this.fields = (this.fields + nameHash(this.largeName, 0, length)) >>> 0;
      return;
    }
    this.scratch.text(copy);
    this.fields = (this.fields + nameHash(copy.bytes, copy.start, length)) >>> 0;
  }
}

/** Adds up the memory of consumer groups. */
class GroupMemory implements GroupVisitor {
  memory = 0;
  beside = 0;
  private readonly pel: RaxCount;
  private readonly consumers = new Map<string, RaxCount>();
  private readonly copy = new Element();

  constructor(
    private readonly model: Model,
    private readonly alloc: (size: number) => number,
    private readonly scratch: Scratch,
  ) {
    this.pel = new RaxCount(alloc);
  }

  groupBegin(): void {
    this.pel.clear();
    this.consumers.clear();
  }

  pending(id: StreamId, consumer: Element | undefined): void {
    this.pel.add(id);
    if (consumer !== undefined) this.consumer(consumer).add(id);
  }

  consumer(consumer: Element): RaxCount {
    const { consumers, copy } = this;
    this.scratch.text(copy.copy(consumer));
    const name = latin1(copy);
    let tree = consumers.get(name);
    if (tree === undefined) consumers.set(name, (tree = new RaxCount(this.alloc)));
    return tree;
  }

  groupEnd(): void {
    const { consumers, model, pel } = this;
    this.memory += model.group(pel.keys) + model.rax(pel.end());
    this.beside += model.besideRax(pel);
    for (const [name, tree] of consumers) {
      this.memory += model.consumer(name.length) + model.rax(tree.end());
      this.beside += model.besideRax(tree);
    }
  }
}

function latin1({ bytes, end, start }: Element): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** An entry of a listpack with its backward length. */
function backlenSize(size: number): number {
  if (size <= 127) return size + 1;
  return size + (size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5);
}

function integerSize(element: Element): number {
  const width = integerWidth(element);
  if (width <= 2 && element.num >= 0 && element.num < 0x80) return 1;
  if (width <= 2 && element.num >= -0x1000 && element.num < 0x1000) return 2;
  return 1 + Math.max(width, 2);
}

function intsetWidth(element: Element): number {
  const width = integerWidth(element);
  return width <= 2 ? 2 : width <= 4 ? 4 : 8;
}

const digits = new Uint8Array(32);

function decimals({ hi, kind, lo, num }: Element): number {
  if (kind === INT64) return writeInt64(hi, lo, digits, 0);
  let length = num < 0 ? 2 : 1;
  for (let rest = Math.abs(num); rest >= 10; rest = Math.floor(rest / 10)) length++;
  return length;
}
