import { randomInt } from 'node:crypto';
import { idStart, isUuid } from './fold.js';

/**
 * The prefixes of keys, cut at delimiters, with what the keys under each of them take. Nodes are records of 64 bytes in one buffer, as
 * 8 doubles or 16 words; the root is node 0.
 *
 * Exact up to `capacity` nodes. When that many are reached, only the heaviest stay, KEPT of them, and whenever there are twice as many,
 * again. What a pruned node held stays in all prefixes above it, but if it comes again, it begins at nothing; and from then on a new
 * prefix only gets a node when its keys have as much memory as the lightest node had that stayed (as a sketch counts them). So the
 * amounts of a node may be too low: by `missing` at most. (This is Misra and Gries' way to find frequent items, for a tree.)
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
const HISTOGRAM = 14; // and a word to spare

/** Nodes that stay when there are too many. */
const KEPT = 1 << 16;
/** Counters of the sketch, a power of two. */
const SKETCH = 1 << 20;

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
  /** Most nodes (default 2^20), and nodes that stay when there are more (default KEPT). */
  readonly capacity?: number;
  readonly kept?: number;
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
  readonly missing = { keys: 0, memory: 0 };
  private capacity: number;
  private readonly kept: number;
  /** Once nodes were pruned: memory of keys by the hash of the prefix that they have no node for, and from when on it gets one. */
  private sketch: Uint32Array | undefined;
  private worth = 0;
  /** The least memory of a key so far. */
  private leastMemory = Infinity;
  private doubles = new Float64Array(0);
  private words = new Int32Array(0);
  /** Pairs of hash and node number, open addressing; node 0 for free. */
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
    this.kept = Math.min(options.kept ?? KEPT, this.capacity >> 1);
    for (const byte of options.delimiters) this.isDelimiter[byte] = 1;
    this.grow(Math.min(1 << 12, this.capacity));
    this.words[HASH] = randomInt(2 ** 31); // nobody can choose keys whose prefixes have the same hashes
  }

  /** Adds a key to its prefixes. */
  add(bytes: Uint8Array, start: number, end: number, key: KeyAmounts): void {
    const { isDelimiter, name } = this;
    const { depth } = this.options;
    const bucket = bucketOf(key.memory);
    if (key.memory < this.leastMemory) this.leastMemory = key.memory;
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
      node = this.child(node, length, key.memory);
      if (node < 0) return;
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
      this.roomForMix();
      this.words[w + TYPE] = -1 - this.mixed;
      this.mixes[this.mixed * types + type - 1] = this.doubles[node * NODE_DOUBLES + MEMORY] - key.memory;
      this.mixed++;
    }
    this.mixes[(-1 - this.words[w + TYPE]) * types + key.type] += key.memory;
  }

  private roomForMix(): void {
    const { types } = this.options;
    if ((this.mixed + 1) * types <= this.mixes.length) return;
    const grown = new Float64Array(Math.max(1024 * types, this.mixes.length * 2));
    grown.set(this.mixes);
    this.mixes = grown;
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

  /** The child of a node whose name is in `name`; it is made if there is none, or -1 if it is not worth a node yet. */
  private child(parent: number, length: number, memory: number): number {
    const { name, table, words } = this;
    let hash = words[parent * NODE_WORDS + HASH];
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ name[i], 0x01000193);
    hash = spread(hash);
    const mask = table.length - 2;
    let at = (hash << 1) & mask;
    for (let node = table[at + 1]; node !== 0; node = table[at + 1]) {
      if (table[at] === hash && this.isNamed(node, parent, length)) return node;
      at = (at + 2) & mask;
    }
    if (this.sketch !== undefined) {
      const i = (hash >>> 12) & (SKETCH - 1);
      const seen = this.sketch[i];
      this.sketch[i] = Math.min(seen + memory, 0xffffffff);
      if (seen < this.worth) return -1;
    }
    return this.insert(hash, this.nodes >= this.capacity ? this.prune(parent) : parent, length);
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
    this.roomForName(length);
    if ((this.nodes + 1) * NODE_WORDS > this.words.length) this.grow(Math.min(this.capacity, this.nodes * 4));
    const node = this.nodes++;
    const { words } = this;
    const w = node * NODE_WORDS;
    words.fill(0, w, w + NODE_WORDS);
    words[w + PARENT] = parent;
    words[w + NAME] = this.arenaLength;
    words[w + NAME_LENGTH] = length;
    words[w + HASH] = hash;
    this.arena.set(this.name.subarray(0, length), this.arenaLength);
    this.arenaLength += length;
    this.place(node);
    return node;
  }

  private roomForName(length: number): void {
    if (this.arenaLength + length <= this.arena.length) return;
    const grown = new Uint8Array(this.arena.length * 2);
    grown.set(this.arena);
    this.arena = grown;
  }

  private grow(nodes: number): void {
    const grown = new Float64Array(nodes * NODE_DOUBLES);
    grown.set(this.doubles);
    this.doubles = grown;
    this.words = new Int32Array(grown.buffer);
    this.placeAll(nodes);
  }

  /** Makes the table anew, for so many nodes. */
  private placeAll(nodes: number): void {
    this.table = new Int32Array(2 ** (2 + Math.ceil(Math.log2(nodes))));
    for (let node = 1; node < this.nodes; node++) this.place(node);
  }

  private place(node: number): void {
    const { table } = this;
    const mask = table.length - 2;
    const hash = this.words[node * NODE_WORDS + HASH];
    let at = (hash << 1) & mask;
    while (table[at + 1] !== 0) at = (at + 2) & mask;
    table[at] = hash;
    table[at + 1] = node;
  }

  /** Keeps the heaviest nodes, and `kept`, which is the newest, with those above it. Returns its new number. */
  private prune(kept: number): number {
    const before = { doubles: this.doubles, words: this.words, arena: this.arena, mixes: this.mixes, histograms: this.histograms };
    const { nodes } = this;
    const limit = this.heaviest(this.kept);
    const isKept = new Uint8Array(nodes);
    for (let node = kept; node !== 0; node = before.words[node * NODE_WORDS + PARENT]) isKept[node] = 1;
    this.capacity = 2 * this.kept + this.options.depth;
    this.doubles = new Float64Array(this.capacity * NODE_DOUBLES);
    this.words = new Int32Array(this.doubles.buffer);
    this.arena = new Uint8Array(1 << 16);
    this.mixes = new Float64Array(0);
    this.histograms = new Uint32Array(0);
    this.arenaLength = this.mixed = this.histogramsUsed = this.nodes = 0;
    const moved = new Int32Array(nodes);
    let lost = 0;
    for (let node = 0; node < nodes; node++) {
      const d = node * NODE_DOUBLES;
      const memory = before.doubles[d + MEMORY];
      // a node is no lighter than its children, and comes before them: where it goes, they go
      if (node === 0 || memory > limit || isKept[node] === 1) {
        const to = this.nodes++;
        moved[node] = to;
        this.doubles.set(before.doubles.subarray(d, d + NODE_DOUBLES), to * NODE_DOUBLES);
        this.words[to * NODE_WORDS + PARENT] = moved[this.words[to * NODE_WORDS + PARENT]];
        this.keepParts(to, before);
      } else if (memory > lost) {
        lost = memory;
      }
    }
    // what a node may lack: what it had when it was pruned, and what the sketch has seen of it since
    const missed = lost + this.worth;
    this.missing.memory += missed;
    this.missing.keys += Math.ceil(missed / Math.max(1, this.leastMemory));
    this.worth = Math.max(lost, 1);
    if (this.sketch === undefined) this.sketch = new Uint32Array(SKETCH);
    else this.sketch.fill(0);
    this.placeAll(this.capacity);
    return moved[kept];
  }

  /** The memory that not more than `count` nodes exceed. */
  private heaviest(count: number): number {
    const memory = new Float64Array(this.nodes);
    for (let node = 0; node < this.nodes; node++) memory[node] = this.doubles[node * NODE_DOUBLES + MEMORY];
    memory.sort();
    return memory[Math.max(0, this.nodes - 1 - count)];
  }

  /** Copies what a node refers to from the pools of before. */
  private keepParts(node: number, { arena, histograms, mixes }: Pools): void {
    const { words } = this;
    const { types } = this.options;
    const w = node * NODE_WORDS;
    const length = words[w + NAME_LENGTH];
    this.roomForName(length);
    this.arena.set(arena.subarray(words[w + NAME], words[w + NAME] + length), this.arenaLength);
    words[w + NAME] = this.arenaLength;
    this.arenaLength += length;
    const mix = -1 - words[w + TYPE];
    if (mix >= 0) {
      this.roomForMix();
      this.mixes.set(mixes.subarray(mix * types, (mix + 1) * types), this.mixed * types);
      words[w + TYPE] = -1 - this.mixed++;
    }
    const histogram = words[w + HISTOGRAM];
    if (histogram === 0) return;
    const from = (histogram - 1) * HISTOGRAM_BUCKETS;
    this.addHistogram(w);
    this.histograms.set(histograms.subarray(from, from + HISTOGRAM_BUCKETS), (this.histogramsUsed - 1) * HISTOGRAM_BUCKETS);
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
