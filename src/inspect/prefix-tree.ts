import { randomInt } from 'node:crypto';
import { idStart, isUuid } from './fold.js';

/**
 * The prefixes of keys, cut at delimiters, with what the keys under each of them take. Nodes are records of 64 bytes in one buffer, as
 * 8 doubles or 16 words; the root is node 0.
 *
 * Exact up to `capacity` nodes. When that many are reached, the lightest leaves are pruned: what they held stays in all prefixes above
 * them, but a pruned prefix that comes again begins at nothing. So the amounts of a node may be too low, by at most the sum of what
 * the heaviest leaf of each pruning had: `missing`. (This is Misra and Gries' way to find frequent items, for a tree.)
 */
export const NODE_WORDS = 16;
const NODE_DOUBLES = NODE_WORDS / 2;

/** Doubles of a node. */
const MEMORY = 0;
const BYTES = 1;
const ELEMENTS = 2;
/** Words of a node. */
const KEYS = 6;
const WITH_EXPIRY = 7;
const EXPIRED = 8;
const PARENT = 9;
/** Where its name begins in the arena, and its length. */
const NAME = 10;
const NAME_LENGTH = 11;
const HASH = 12;
/** 1 + the number of its type while all its keys have the same, or minus (1 + its index in `mixes`). */
const TYPE = 13;
/** 1 + its index among the histograms; 0 for none. */
const HISTOGRAM = 14;
const CHILDREN = 15;

/** Keys of a node before it gets a histogram, and most histograms. */
const KEYS_FOR_HISTOGRAM = 16;
const MOST_HISTOGRAMS = 1 << 14;
/** Four buckets for each doubling of memory: the 99th percentile is right within 19 %. */
const PER_DOUBLING = 4;
export const HISTOGRAM_BUCKETS = 128;

const STAR = 0x2a;
const MOST_NAME = 255;

export interface PrefixTreeOptions {
  /** The bytes that end a segment. */
  readonly delimiters: Uint8Array;
  /** Most segments of a prefix. */
  readonly depth: number;
  /** How many types there are. */
  readonly types: number;
  /** Most nodes (default 2^20). */
  readonly capacity?: number;
}

/** What nodes refer to. */
interface Pools {
  readonly arena: Uint8Array;
  readonly mixes: Float64Array;
  readonly histograms: Uint32Array;
}

/** What one key adds. */
export interface KeyAmounts {
  type: number;
  memory: number;
  bytes: number;
  elements: number;
  withExpiry: boolean;
  expired: boolean;
}

export interface TreeNode {
  readonly index: number;
  readonly parent: number;
  readonly name: Uint8Array;
  readonly keys: number;
  readonly bytes: number;
  readonly memory: number;
  readonly elements: number;
  readonly withExpiry: number;
  readonly expired: number;
  /** Memory by type. */
  readonly types: Float64Array;
  /** Memory of the 99th percentile of its keys; undefined for few keys. */
  readonly p99: number | undefined;
}

export class PrefixTree {
  /** Nodes, the root included. */
  nodes = 1;
  /** How much the amounts of a node may be too low. */
  readonly missing = { keys: 0, bytes: 0, memory: 0, elements: 0 };
  private readonly capacity: number;
  private doubles = new Float64Array(0);
  private words = new Int32Array(0);
  /** Node numbers by hash, open addressing; 0 for free. */
  private table = new Int32Array(0);
  private arena = new Uint8Array(1 << 16);
  private arenaLength = 0;
  /** Memory by type, of nodes whose keys have several. */
  private mixes = new Float64Array(0);
  private mixed = 0;
  private histograms = new Uint32Array(0);
  private histogramsUsed = 0;
  private readonly isDelimiter = new Uint8Array(256);
  /** The segment being looked up, folded. */
  private readonly name = new Uint8Array(MOST_NAME + 1);

  constructor(readonly options: PrefixTreeOptions) {
    this.capacity = options.capacity ?? 1 << 20;
    for (const byte of options.delimiters) this.isDelimiter[byte] = 1;
    this.grow(Math.min(1 << 12, this.capacity));
    this.words[HASH] = randomInt(2 ** 31); // nobody can choose keys whose prefixes have the same hashes
  }

  /** Adds a key to its prefixes. */
  add(bytes: Uint8Array, start: number, end: number, key: KeyAmounts): void {
    const { isDelimiter, name } = this;
    const { depth } = this.options;
    const bucket = bucketOf(key.memory);
    this.count(0, key, bucket);
    let node = 0;
    let pos = start;
    let folded = false;
    for (let level = 0; level < depth && pos < end; level++) {
      let stop = pos;
      if (isUuid(bytes, pos, end)) stop += 36;
      while (stop < end && isDelimiter[bytes[stop]] === 0) stop++;
      const id = isUuid(bytes, pos, stop) ? pos : idStart(bytes, pos, stop);
      let length = Math.min(id - pos, MOST_NAME - 2);
      for (let i = 0; i < length; i++) name[i] = bytes[pos + i];
      if (id < stop) {
        name[length++] = STAR;
        folded = true;
      }
      if (stop < end) {
        const delimiter = bytes[stop];
        if (length < MOST_NAME) name[length++] = delimiter;
        while (stop < end && isDelimiter[bytes[stop]] === 1) stop++;
      } else if (!folded) {
        return; // the rest of the key is its own, and no prefix
      }
      node = this.child(node, length);
      this.count(node, key, bucket);
      pos = stop;
    }
  }

  private count(node: number, key: KeyAmounts, bucket: number): void {
    const { doubles, words } = this;
    const d = node * NODE_DOUBLES;
    const w = node * NODE_WORDS;
    doubles[d + MEMORY] += key.memory;
    doubles[d + BYTES] += key.bytes;
    doubles[d + ELEMENTS] += key.elements;
    const keys = ++words[w + KEYS];
    if (key.withExpiry) words[w + WITH_EXPIRY]++;
    if (key.expired) words[w + EXPIRED]++;
    const type = words[w + TYPE];
    if (type !== key.type + 1) this.countType(node, type, key);
    const histogram = words[w + HISTOGRAM];
    if (histogram > 0) this.histograms[(histogram - 1) * HISTOGRAM_BUCKETS + bucket]++;
    else if (keys === KEYS_FOR_HISTOGRAM && this.histogramsUsed < MOST_HISTOGRAMS) this.addHistogram(w);
  }

  private countType(node: number, type: number, key: KeyAmounts): void {
    const { types } = this.options;
    const w = node * NODE_WORDS;
    if (type === 0) {
      this.words[w + TYPE] = key.type + 1;
      return;
    }
    if (type > 0) {
      if ((this.mixed + 1) * types > this.mixes.length) this.mixes = resized(this.mixes, Math.max(1024 * types, this.mixes.length * 2));
      this.words[w + TYPE] = -1 - this.mixed;
      this.mixes[this.mixed * types + type - 1] = this.doubles[node * NODE_DOUBLES + MEMORY] - key.memory;
      this.mixed++;
    }
    this.mixes[(-1 - this.words[w + TYPE]) * types + key.type] += key.memory;
  }

  private addHistogram(w: number): void {
    const size = (this.histogramsUsed + 1) * HISTOGRAM_BUCKETS;
    if (size > this.histograms.length) {
      const grown = new Uint32Array(Math.max(256 * HISTOGRAM_BUCKETS, this.histograms.length * 2));
      grown.set(this.histograms);
      this.histograms = grown;
    }
    this.words[w + HISTOGRAM] = ++this.histogramsUsed;
  }

  /** The child of a node whose name is in `name`; it is made if there is none. */
  private child(parent: number, length: number): number {
    const { name, words } = this;
    let hash = words[parent * NODE_WORDS + HASH];
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ name[i], 0x01000193);
    hash = spread(hash);
    const { table } = this;
    const mask = table.length - 1;
    let at = hash & mask;
    for (let node = table[at]; node !== 0; node = table[at]) {
      if (words[node * NODE_WORDS + HASH] === hash && this.isNamed(node, parent, length)) return node;
      at = (at + 1) & mask;
    }
    return this.insert(hash, this.nodes === this.capacity ? this.prune(parent) : parent, length);
  }

  private isNamed(node: number, parent: number, length: number): boolean {
    const { arena, name, words } = this;
    const w = node * NODE_WORDS;
    if (words[w + PARENT] !== parent || words[w + NAME_LENGTH] !== length) return false;
    const from = words[w + NAME];
    for (let i = 0; i < length; i++) if (arena[from + i] !== name[i]) return false;
    return true;
  }

  private insert(hash: number, parent: number, length: number): number {
    if (this.arenaLength + length > this.arena.length) {
      const grown = new Uint8Array(this.arena.length * 2);
      grown.set(this.arena);
      this.arena = grown;
    }
    if ((this.nodes + 1) * NODE_WORDS > this.words.length) this.grow(Math.min(this.capacity, this.nodes * 4));
    const node = this.nodes++;
    const { words } = this;
    const w = node * NODE_WORDS;
    words.fill(0, w, w + NODE_WORDS);
    words[w + PARENT] = parent;
    words[w + NAME] = this.arenaLength;
    words[w + NAME_LENGTH] = length;
    words[w + HASH] = hash;
    words[parent * NODE_WORDS + CHILDREN]++;
    this.arena.set(this.name.subarray(0, length), this.arenaLength);
    this.arenaLength += length;
    this.place(node);
    return node;
  }

  private grow(nodes: number): void {
    const grown = new Float64Array(nodes * NODE_DOUBLES);
    grown.set(this.doubles);
    this.doubles = grown;
    this.words = new Int32Array(grown.buffer);
    this.table = new Int32Array(2 ** Math.ceil(Math.log2(nodes * 2)));
    this.placeAll();
  }

  private placeAll(): void {
    this.table.fill(0);
    for (let node = 1; node < this.nodes; node++) this.place(node);
  }

  private place(node: number): void {
    const { table } = this;
    const mask = table.length - 1;
    let at = this.words[node * NODE_WORDS + HASH] & mask;
    while (table[at] !== 0) at = (at + 1) & mask;
    table[at] = node;
  }

  /** Removes the lighter half of the leaves, but not `kept`. Returns its new number. */
  private prune(kept: number): number {
    const { doubles, missing, nodes, words } = this;
    const limit = this.medianLeaf();
    const moved = new Int32Array(nodes);
    const most = { keys: 0, bytes: 0, memory: 0, elements: 0 };
    const before = { arena: this.arena, mixes: this.mixes, histograms: this.histograms };
    this.arena = new Uint8Array(before.arena.length);
    this.mixes = new Float64Array(before.mixes.length);
    this.histograms = new Uint32Array(before.histograms.length);
    this.arenaLength = this.mixed = this.histogramsUsed = 0;
    this.nodes = 1;
    this.keepParts(0, before);
    for (let node = 1; node < nodes; node++) {
      const w = node * NODE_WORDS;
      const d = node * NODE_DOUBLES;
      const parent = moved[words[w + PARENT]]; // parents come before their children
      if (node !== kept && words[w + CHILDREN] === 0 && doubles[d + MEMORY] <= limit) {
        words[parent * NODE_WORDS + CHILDREN]--;
        most.keys = Math.max(most.keys, words[w + KEYS]);
        most.bytes = Math.max(most.bytes, doubles[d + BYTES]);
        most.memory = Math.max(most.memory, doubles[d + MEMORY]);
        most.elements = Math.max(most.elements, doubles[d + ELEMENTS]);
        continue;
      }
      const to = this.nodes++;
      moved[node] = to;
      doubles.copyWithin(to * NODE_DOUBLES, d, d + NODE_DOUBLES);
      words[to * NODE_WORDS + PARENT] = parent;
      this.keepParts(to, before);
    }
    missing.keys += most.keys;
    missing.bytes += most.bytes;
    missing.memory += most.memory;
    missing.elements += most.elements;
    this.placeAll();
    return moved[kept];
  }

  /** The median of the memory of leaves, as estimated from some of them. */
  private medianLeaf(): number {
    const { doubles, nodes, words } = this;
    const leaves: number[] = [];
    for (let node = 1; node < nodes; node += Math.max(1, nodes >> 12)) {
      if (words[node * NODE_WORDS + CHILDREN] === 0) leaves.push(doubles[node * NODE_DOUBLES + MEMORY]);
    }
    leaves.sort((a, b) => a - b);
    return leaves.length === 0 ? Infinity : leaves[leaves.length >> 1];
  }

  /** Copies what a node refers to from the pools of before. */
  private keepParts(node: number, { arena, histograms, mixes }: Pools): void {
    const { words } = this;
    const { types } = this.options;
    const w = node * NODE_WORDS;
    const length = words[w + NAME_LENGTH];
    this.arena.set(arena.subarray(words[w + NAME], words[w + NAME] + length), this.arenaLength);
    words[w + NAME] = this.arenaLength;
    this.arenaLength += length;
    const mix = -1 - words[w + TYPE];
    if (mix >= 0) {
      this.mixes.set(mixes.subarray(mix * types, (mix + 1) * types), this.mixed * types);
      words[w + TYPE] = -1 - this.mixed++;
    }
    const histogram = words[w + HISTOGRAM];
    if (histogram === 0) return;
    const from = (histogram - 1) * HISTOGRAM_BUCKETS;
    this.histograms.set(histograms.subarray(from, from + HISTOGRAM_BUCKETS), this.histogramsUsed * HISTOGRAM_BUCKETS);
    words[w + HISTOGRAM] = ++this.histogramsUsed;
  }

  /** A node as an object. */
  node(index: number): TreeNode {
    const { arena, doubles, words } = this;
    const { types } = this.options;
    const w = index * NODE_WORDS;
    const d = index * NODE_DOUBLES;
    const memory = doubles[d + MEMORY];
    const type = words[w + TYPE];
    const byType = new Float64Array(types);
    if (type < 0) byType.set(this.mixes.subarray((-1 - type) * types, -type * types));
    else if (type > 0) byType[type - 1] = memory;
    return {
      index,
      parent: words[w + PARENT],
      name: arena.subarray(words[w + NAME], words[w + NAME] + words[w + NAME_LENGTH]),
      keys: words[w + KEYS] >>> 0,
      bytes: doubles[d + BYTES],
      memory,
      elements: doubles[d + ELEMENTS],
      withExpiry: words[w + WITH_EXPIRY] >>> 0,
      expired: words[w + EXPIRED] >>> 0,
      types: byType,
      p99: this.p99(words[w + HISTOGRAM]),
    };
  }

  /** The memory of a node, without making an object of it. */
  memoryOf(index: number): number {
    return this.doubles[index * NODE_DOUBLES + MEMORY];
  }

  parentOf(index: number): number {
    return this.words[index * NODE_WORDS + PARENT];
  }

  private p99(histogram: number): number | undefined {
    if (histogram === 0) return undefined;
    const buckets = this.histograms.subarray((histogram - 1) * HISTOGRAM_BUCKETS, histogram * HISTOGRAM_BUCKETS);
    const keys = buckets.reduce((sum, count) => sum + count, 0);
    let left = Math.ceil(keys * 0.99);
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
      left -= buckets[bucket];
      if (left <= 0) return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING));
    }
    return undefined;
  }
}

function bucketOf(memory: number): number {
  return memory <= 1 ? 0 : Math.min(HISTOGRAM_BUCKETS - 1, Math.floor(Math.log2(memory) * PER_DOUBLING));
}

/** Spreads the bits of a hash (the end of MurmurHash3). */
function spread(hash: number): number {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function resized(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(length);
  grown.set(from);
  return grown;
}
