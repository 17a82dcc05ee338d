import { randomInt } from 'node:crypto';
import { mixed } from '../bytes/murmur3.js';
import {
  DEEPEST, KEYS_FOR_HISTOGRAM, LONGEST_NAME, LONGEST_SEGMENT, MOST_HISTOGRAMS, NAME_BYTES, NODE_BUCKETS, NODE_BYTES, NODE_ELEMENTS,
  NODE_EXPIRED, NODE_HASH, NODE_HISTOGRAM, NODE_KEYS, NODE_MEMORY, NODE_NAME, NODE_NAME_LENGTH, NODE_PARENT, NODE_TYPE, NODE_WITH_EXPIRY,
  NODE_WORDS, PREFIX_PRIME, SKETCH, TALLY_LEAST, TALLY_WORTH, TREE_CAPACITY, TREE_COUNT, TREE_DELIMITERS, TREE_DEPTH, TREE_HISTOGRAMS,
  TREE_HISTOGRAMS_USED, TREE_MASK, TREE_MIXED, TREE_MIXES, TREE_NAMES, TREE_NAMES_LENGTH, TREE_NODES, TREE_SKETCH, TREE_TABLE,
} from '../kernels/layout.js';
import { idStart, isUuid, UUID_LENGTH } from './fold.js';
import type { SharedMemory } from './shared-memory.js';

const NODE_DOUBLES = NODE_WORDS / 2;
/** Most nodes, and nodes that stay when there are more. */
const CAPACITY = 1 << 20;
const KEPT = 1 << 15;
/** Nodes that the table has room for at first. */
const FIRST_NODES = 1 << 10;
const STAR = 0x2a;
/** What a counter of the sketch can hold. */
const MOST_SEEN = 0x7fffffff;

export interface PrefixTreeOptions {
  /** The bytes that end a segment. */
  readonly delimiters: Uint8Array;
  /** Most segments of a prefix. */
  readonly depth: number;
  /** How many types there are. */
  readonly types: number;
  /** Most nodes, and nodes that stay when there are more. */
  readonly capacity?: number;
  readonly kept?: number;
  /** Where the hashes of prefixes begin (default: at random, so that nobody can choose keys whose prefixes have the same hashes). */
  readonly seed?: number;
}

/** What one key adds. */
export interface KeyAmounts {
  type: number;
  memory: number;
  bytes: number;
  elements: number;
  /** Bytes of its name. */
  keyBytes: number;
  withExpiry: boolean;
  expired: boolean;
}

interface TreeNode {
  readonly name: Uint8Array;
  readonly keys: number;
  readonly bytes: number;
  readonly memory: number;
  readonly elements: number;
  readonly withExpiry: number;
  readonly expired: number;
  /** Memory by type. */
  readonly types: Float64Array;
  /** Memory of the 99th percentile of its keys, within 19 %; undefined for few keys. */
  readonly p99: number | undefined;
}

/** What a tree has, for another one. */
export interface PrefixTreeParts {
  readonly doubles: Float64Array;
  readonly names: Uint8Array;
  readonly mixes: Float64Array;
  readonly histograms: Int32Array;
  readonly nodes: number;
  readonly missing: { readonly keys: number; readonly memory: number };
  readonly least: number;
}

/**
 * The prefixes of keys, cut at delimiters, with what the keys under each of them take. The root is node 0; its own amounts stay 0, since
 * those of all keys are counted elsewhere. Layout in kernels/layout.ts: `kernels/assembly/tally.ts` counts most keys, and leaves those to
 * `add` for which a table has to grow or nodes have to go.
 *
 * Exact up to `capacity` nodes. When that many are reached, only the heaviest stay, `kept` of them, and whenever there are twice as many,
 * again. What a pruned node held stays in all prefixes above it, but if it comes again, it begins at nothing; and from then on a new
 * prefix only gets a node when its keys have as much memory as the heaviest node had that went, or more, as a sketch counts them. So the
 * amounts of a node may be too low: by `missing` at most. (This is Misra and Gries' way to find frequent items, for a tree.)
 */
export class PrefixTree {
  /** The bytes that end a segment. */
  delimiters: Uint8Array = new Uint8Array(0);
  private readonly kept: number;
  /** Sums over all prunings: memory of the heaviest node that went, and memory below which a prefix had no node until then. */
  private lost = 0;
  private unseen = 0;
  /** What amounts of other trees, which were added, may lack. */
  private readonly missingOfOthers = { keys: 0, memory: 0 };
  private readonly doubles: Float64Array;
  private readonly words: Int32Array;
  /** Pairs of hash and node number, open addressing; node 0 for free. As many as `state[TREE_MASK]` says. */
  private readonly table: Int32Array;
  private readonly names: Uint8Array;
  /** Once nodes were pruned: memory of keys by the hash of the prefix that they have no node for. */
  private sketch: Int32Array | undefined;
  /** Memory by type, of nodes whose keys have several. */
  private readonly mixes: Float64Array;
  private readonly histograms: Int32Array;
  /** How often nodes were pruned, and the numbers that they got the last time: 0 for those that went. */
  private pruned = 0;
  private moved = new Int32Array(0);
  private readonly isDelimiter: Uint8Array;
  /** The segment that is looked up, folded. */
  private readonly name = new Uint8Array(LONGEST_NAME + 1);

  constructor(
    private readonly memory: SharedMemory,
    private readonly state: Int32Array,
    private readonly stateDoubles: Float64Array,
    readonly options: PrefixTreeOptions,
  ) {
    const { capacity = CAPACITY, delimiters, depth, kept = KEPT, types } = options;
    state[TREE_CAPACITY] = capacity;
    state[TREE_COUNT] = 1;
    state[TREE_NAMES_LENGTH] = 0;
    this.kept = Math.min(kept, capacity >> 1);
    this.doubles = memory.doubles((capacity + DEEPEST) * NODE_DOUBLES);
    this.words = memory.wordsOf(this.doubles);
    this.table = memory.words(2 * tableSize(capacity + DEEPEST));
    this.names = memory.bytes(NAME_BYTES);
    this.mixes = memory.doubles((capacity + DEEPEST) * types);
    this.histograms = memory.words(MOST_HISTOGRAMS * NODE_BUCKETS);
    this.isDelimiter = memory.bytes(256);
    this.delimit(delimiters);
    this.words[NODE_HASH] = options.seed ?? randomInt(2 ** 31);
    state[TREE_DELIMITERS] = this.isDelimiter.byteOffset;
    state[TREE_DEPTH] = Math.min(depth, DEEPEST);
    state[TREE_NODES] = this.doubles.byteOffset;
    state[TREE_TABLE] = this.table.byteOffset;
    state[TREE_NAMES] = this.names.byteOffset;
    state[TREE_MIXES] = this.mixes.byteOffset;
    state[TREE_HISTOGRAMS] = this.histograms.byteOffset;
    state[TREE_MIXED] = state[TREE_HISTOGRAMS_USED] = state[TREE_SKETCH] = 0;
    stateDoubles[TALLY_LEAST / 2] = Infinity;
    this.placeAll(Math.min(FIRST_NODES, capacity));
  }

  /** The delimiters, once they were found out. Keys from before keep their prefixes. */
  delimit(delimiters: Uint8Array): void {
    this.delimiters = delimiters;
    for (let byte = 0; byte < 256; byte++) this.isDelimiter[byte] = delimiters.includes(byte) ? 1 : 0;
  }

  /** Nodes, the root included. */
  get nodes(): number {
    return this.state[TREE_COUNT];
  }

  /**
   * How much the amounts of a node may be too low. Between two prunings, a prefix may lose what its node had when it was pruned, and what
   * the sketch saw of it before it got a node again; and so may each prefix above it, and with it the prefix itself.
   */
  get missing(): { readonly keys: number; readonly memory: number } {
    const { stateDoubles, words } = this;
    const levels = new Uint8Array(this.nodes);
    let most = 1;
    for (let node = 1; node < this.nodes; node++) {
      levels[node] = levels[words[node * NODE_WORDS + NODE_PARENT]] + 1; // parents come first
      most = Math.max(most, levels[node]);
    }
    const memory = this.lost + most * (this.unseen + stateDoubles[TALLY_WORTH / 2]);
    const keys = memory === 0 ? 0 : Math.ceil(memory / Math.max(1, stateDoubles[TALLY_LEAST / 2]));
    return { keys: keys + this.missingOfOthers.keys, memory: memory + this.missingOfOthers.memory };
  }

  /** Bytes of memory that a tree takes at most, most of it never touched. */
  static room(types: number): number {
    return CAPACITY * (NODE_WORDS * 4 + 32 + types * 8) + NAME_BYTES + MOST_HISTOGRAMS * NODE_BUCKETS * 4 + SKETCH * 4 + (2 << 20);
  }

  /** Adds a key to its prefixes. */
  add(bytes: Uint8Array, start: number, end: number, key: KeyAmounts): void {
    const { isDelimiter, name, state, stateDoubles } = this;
    const bucket = nodeBucket(key.memory);
    if (key.memory < stateDoubles[TALLY_LEAST / 2]) stateDoubles[TALLY_LEAST / 2] = key.memory;
    let node = 0;
    let pos = start;
    let folded = false;
    for (let level = 0; level < state[TREE_DEPTH] && pos < end; level++) {
      const isId = isUuid(bytes, pos, end);
      let stop = isId ? pos + UUID_LENGTH : pos;
      while (stop < end && isDelimiter[bytes[stop]] === 0) stop++;
      const id = isId && stop === pos + UUID_LENGTH ? pos : idStart(bytes, pos, stop);
      let length = shownLength(bytes, pos, id);
      for (let i = 0; i < length; i++) name[i] = bytes[pos + i];
      if (id < stop) {
        name[length++] = STAR;
        folded = true;
      }
      if (stop < end) {
        name[length++] = bytes[stop];
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
    const { doubles, state, words } = this;
    const d = node * NODE_DOUBLES;
    const w = node * NODE_WORDS;
    doubles[d + NODE_MEMORY] += key.memory;
    doubles[d + NODE_BYTES] += key.bytes;
    doubles[d + NODE_ELEMENTS] += key.elements;
    const keys = ++words[w + NODE_KEYS];
    if (key.withExpiry) words[w + NODE_WITH_EXPIRY]++;
    if (key.expired) words[w + NODE_EXPIRED]++;
    if (words[w + NODE_TYPE] !== key.type + 1) this.countType(node, key);
    const histogram = words[w + NODE_HISTOGRAM];
    if (histogram > 0) this.histograms[(histogram - 1) * NODE_BUCKETS + bucket]++;
    else if (keys === KEYS_FOR_HISTOGRAM && state[TREE_HISTOGRAMS_USED] < MOST_HISTOGRAMS) {
      words[w + NODE_HISTOGRAM] = ++state[TREE_HISTOGRAMS_USED];
    }
  }

  private countType(node: number, key: Pick<KeyAmounts, 'type' | 'memory'>): void {
    const { mixes, state, words } = this;
    const { types } = this.options;
    const w = node * NODE_WORDS;
    const type = words[w + NODE_TYPE];
    if (type === 0) {
      words[w + NODE_TYPE] = key.type + 1;
      return;
    }
    if (type > 0) {
      const mix = state[TREE_MIXED]++;
      words[w + NODE_TYPE] = -1 - mix;
      mixes[mix * types + type - 1] = this.doubles[node * NODE_DOUBLES + NODE_MEMORY] - key.memory;
    }
    mixes[(-1 - words[w + NODE_TYPE]) * types + key.type] += key.memory;
  }

  /** The child of a node whose name is in `name`; it is made if there is none, or -1 if it is not worth a node yet. */
  private child(parent: number, length: number, memory: number): number {
    const { name, state, table, words } = this;
    let hash = words[parent * NODE_WORDS + NODE_HASH];
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ name[i], PREFIX_PRIME);
    hash = mixed(hash);
    const mask = state[TREE_MASK];
    let at = (hash << 1) & mask;
    for (let node = table[at + 1]; node !== 0; node = table[at + 1]) {
      if (table[at] === hash && this.isNamed(node, parent, length)) return node;
      at = (at + 2) & mask;
    }
    if (!this.isWorthNode(hash, memory)) return -1;
    const isFull = this.nodes >= state[TREE_CAPACITY] || state[TREE_NAMES_LENGTH] + length > NAME_BYTES;
    return this.insert(hash, isFull ? this.prune(parent) : parent, length);
  }

  /** Whether a prefix without a node needs one. If not, the memory of the key is added to what the sketch has of it. */
  private isWorthNode(hash: number, memory: number): boolean {
    const { sketch } = this;
    if (sketch === undefined) return true;
    const i = (hash >>> 13) & (SKETCH - 1);
    const sum = sketch[i] + Math.ceil(memory);
    if (sum >= this.stateDoubles[TALLY_WORTH / 2]) return true;
    sketch[i] = sum;
    return false;
  }

  private isNamed(node: number, parent: number, length: number): boolean {
    const { name, names, words } = this;
    const w = node * NODE_WORDS;
    if (words[w + NODE_PARENT] !== parent || words[w + NODE_NAME_LENGTH] !== length) return false;
    const from = words[w + NODE_NAME];
    for (let i = 0; i < length; i++) if (names[from + i] !== name[i]) return false;
    return true;
  }

  private insert(hash: number, parent: number, length: number): number {
    const { state, words } = this;
    const node = state[TREE_COUNT]++;
    const w = node * NODE_WORDS;
    words.fill(0, w, w + NODE_WORDS);
    words[w + NODE_PARENT] = parent;
    words[w + NODE_NAME] = state[TREE_NAMES_LENGTH];
    words[w + NODE_NAME_LENGTH] = length;
    words[w + NODE_HASH] = hash;
    this.names.set(this.name.subarray(0, length), state[TREE_NAMES_LENGTH]);
    state[TREE_NAMES_LENGTH] += length;
    if (this.nodes * 4 > state[TREE_MASK] + 2) this.placeAll(this.nodes);
    else this.place(node);
    return node;
  }

  /** Makes the table anew, with room for this many nodes. */
  private placeAll(nodes: number): void {
    const length = 2 * tableSize(nodes);
    this.state[TREE_MASK] = length - 2;
    this.table.fill(0, 0, length);
    for (let node = 1; node < this.nodes; node++) this.place(node);
  }

  private place(node: number): void {
    const { state, table } = this;
    const mask = state[TREE_MASK];
    const hash = this.words[node * NODE_WORDS + NODE_HASH];
    let at = (hash << 1) & mask;
    while (table[at + 1] !== 0) at = (at + 2) & mask;
    table[at] = hash;
    table[at + 1] = node;
  }

  /** For one of several trees that are merged at the end: if there are more than two, each has a part of the nodes, a quarter at least. */
  share(trees: number): void {
    const { capacity = CAPACITY } = this.options;
    const part = Math.max(this.nodes, Math.floor(capacity / Math.max(1, Math.min(trees - 1, 4))));
    this.state[TREE_CAPACITY] = Math.min(this.state[TREE_CAPACITY], part);
  }

  get parts(): PrefixTreeParts {
    const { doubles, histograms, missing, mixes, names, nodes, stateDoubles } = this;
    return { doubles, histograms, missing, mixes, names, nodes, least: stateDoubles[TALLY_LEAST / 2] };
  }

  /** Adds the amounts of another tree, of the same delimiters and types. After it, only other trees may be added. */
  merge(others: PrefixTreeParts): void {
    const { doubles, least, missing, names, nodes } = others;
    const { state, stateDoubles } = this;
    state[TREE_CAPACITY] = this.options.capacity ?? CAPACITY;
    this.sketch = undefined; // there is room for nodes of all
    const words = new Int32Array(doubles.buffer, doubles.byteOffset, doubles.length * 2);
    stateDoubles[TALLY_LEAST / 2] = Math.min(stateDoubles[TALLY_LEAST / 2], least);
    this.missingOfOthers.keys += missing.keys;
    this.missingOfOthers.memory += missing.memory;
    const numbers = new Int32Array(nodes); // of its nodes here; 0 for the root and for those that got none
    for (let other = 1; other < nodes; other++) {
      const w = other * NODE_WORDS;
      const above = words[w + NODE_PARENT];
      if (above !== 0 && numbers[above] === 0) continue;
      const length = words[w + NODE_NAME_LENGTH];
      const name = words[w + NODE_NAME];
      for (let i = 0; i < length; i++) this.name[i] = names[name + i];
      const { pruned } = this;
      const node = this.child(numbers[above], length, doubles[other * NODE_DOUBLES + NODE_MEMORY]);
      if (this.pruned !== pruned) for (let i = 1; i < other; i++) numbers[i] = this.moved[numbers[i]];
      if (node < 0) continue;
      numbers[other] = node;
      this.addNode(node, others, words, other);
    }
  }

  private addNode(node: number, { doubles, histograms, mixes }: PrefixTreeParts, otherWords: Int32Array, other: number): void {
    const { state, words } = this;
    const { types } = this.options;
    const [d, w, from, fromWords] = [node * NODE_DOUBLES, node * NODE_WORDS, other * NODE_DOUBLES, other * NODE_WORDS];
    this.doubles[d + NODE_BYTES] += doubles[from + NODE_BYTES];
    this.doubles[d + NODE_ELEMENTS] += doubles[from + NODE_ELEMENTS];
    for (const count of [NODE_KEYS, NODE_WITH_EXPIRY, NODE_EXPIRED]) words[w + count] += otherWords[fromWords + count];
    const type = otherWords[fromWords + NODE_TYPE];
    for (let i = 0; i < types; i++) {
      const memory = type > 0 ? (i === type - 1 ? doubles[from + NODE_MEMORY] : 0) : mixes[(-1 - type) * types + i];
      if (memory === 0) continue;
      this.doubles[d + NODE_MEMORY] += memory;
      if (words[w + NODE_TYPE] !== i + 1) this.countType(node, { type: i, memory });
    }
    const histogram = otherWords[fromWords + NODE_HISTOGRAM];
    if (histogram === 0) return;
    if (words[w + NODE_HISTOGRAM] === 0) {
      if (state[TREE_HISTOGRAMS_USED] === MOST_HISTOGRAMS) return;
      words[w + NODE_HISTOGRAM] = ++state[TREE_HISTOGRAMS_USED];
    }
    const at = (words[w + NODE_HISTOGRAM] - 1) * NODE_BUCKETS;
    for (let i = 0; i < NODE_BUCKETS; i++) this.histograms[at + i] += histograms[(histogram - 1) * NODE_BUCKETS + i];
  }

  /** Keeps the heaviest nodes, and the node `wanted` with those above it. Returns its new number. */
  private prune(wanted: number): number {
    const { doubles, names, nodes, state, stateDoubles, words } = this;
    const limit = this.heaviest(this.kept);
    const isKept = new Uint8Array(nodes);
    for (let node = wanted; node !== 0; node = words[node * NODE_WORDS + NODE_PARENT]) isKept[node] = 1;
    const pools = new KeptPools(this.options.types, this.mixes, this.histograms);
    const moved = (this.moved = new Int32Array(nodes));
    this.pruned++;
    let lost = 0;
    state[TREE_COUNT] = state[TREE_NAMES_LENGTH] = 0;
    for (let node = 0; node < nodes; node++) {
      const memory = doubles[node * NODE_DOUBLES + NODE_MEMORY];
      // a node is no lighter than its children, and comes before them: where it goes, they go
      if (node > 0 && memory <= limit && isKept[node] === 0) {
        if (memory > lost) lost = memory;
        continue;
      }
      const to = state[TREE_COUNT]++;
      moved[node] = to;
      words.copyWithin(to * NODE_WORDS, node * NODE_WORDS, (node + 1) * NODE_WORDS);
      const w = to * NODE_WORDS;
      words[w + NODE_PARENT] = moved[words[w + NODE_PARENT]];
      const length = words[w + NODE_NAME_LENGTH];
      names.copyWithin(state[TREE_NAMES_LENGTH], words[w + NODE_NAME], words[w + NODE_NAME] + length);
      words[w + NODE_NAME] = state[TREE_NAMES_LENGTH];
      state[TREE_NAMES_LENGTH] += length;
      pools.keep(words, w);
    }
    [state[TREE_MIXED], state[TREE_HISTOGRAMS_USED]] = pools.restore(state[TREE_MIXED], state[TREE_HISTOGRAMS_USED]);
    const worth = stateDoubles[TALLY_WORTH / 2];
    this.lost += lost;
    this.unseen += worth;
    // doubled, so that few new prefixes get nodes for nothing, and the sum of all is not much more than the last
    stateDoubles[TALLY_WORTH / 2] = Math.min(Math.max(lost, 2 * worth, 1), MOST_SEEN);
    this.sketch ??= this.memory.words(SKETCH);
    this.sketch.fill(0);
    state[TREE_SKETCH] = this.sketch.byteOffset;
    state[TREE_CAPACITY] = 2 * this.kept;
    this.placeAll(Math.max(this.nodes, state[TREE_CAPACITY]));
    return moved[wanted];
  }

  /** The memory that not more than `count` nodes exceed. */
  private heaviest(count: number): number {
    const memory = new Float64Array(this.nodes);
    for (let node = 0; node < this.nodes; node++) memory[node] = this.doubles[node * NODE_DOUBLES + NODE_MEMORY];
    memory.sort();
    return memory[Math.max(0, this.nodes - 1 - count)];
  }

  /** A node as an object. */
  node(index: number): TreeNode {
    const { doubles, mixes, names, words } = this;
    const { types } = this.options;
    const w = index * NODE_WORDS;
    const d = index * NODE_DOUBLES;
    const memory = doubles[d + NODE_MEMORY];
    const type = words[w + NODE_TYPE];
    const byType = new Float64Array(types);
    if (type < 0) byType.set(mixes.subarray((-1 - type) * types, -type * types));
    else if (type > 0) byType[type - 1] = memory;
    return {
      name: names.slice(words[w + NODE_NAME], words[w + NODE_NAME] + words[w + NODE_NAME_LENGTH]),
      keys: words[w + NODE_KEYS] >>> 0,
      bytes: doubles[d + NODE_BYTES],
      memory,
      elements: doubles[d + NODE_ELEMENTS],
      withExpiry: words[w + NODE_WITH_EXPIRY] >>> 0,
      expired: words[w + NODE_EXPIRED] >>> 0,
      types: byType,
      p99: this.p99(words[w + NODE_HISTOGRAM]),
    };
  }

  /** By node: a hash of its prefix, the same in any tree. */
  ranks(): Uint32Array {
    const { names, nodes, words } = this;
    const ranks = new Uint32Array(nodes);
    for (let node = 1; node < nodes; node++) {
      const w = node * NODE_WORDS;
      let rank = ranks[words[w + NODE_PARENT]];
      const end = words[w + NODE_NAME] + words[w + NODE_NAME_LENGTH];
      for (let i = words[w + NODE_NAME]; i < end; i++) rank = Math.imul(rank ^ names[i], PREFIX_PRIME);
      ranks[node] = mixed(rank);
    }
    return ranks;
  }

  /** The memory of a node, without making an object of it. */
  memoryOf(index: number): number {
    return this.doubles[index * NODE_DOUBLES + NODE_MEMORY];
  }

  parentOf(index: number): number {
    return this.words[index * NODE_WORDS + NODE_PARENT];
  }

  private p99(histogram: number): number | undefined {
    if (histogram === 0) return undefined;
    const buckets = this.histograms.subarray((histogram - 1) * NODE_BUCKETS, histogram * NODE_BUCKETS);
    let left = Math.ceil(buckets.reduce((sum, count) => sum + count, 0) * 0.99);
    for (let bucket = 0; bucket < NODE_BUCKETS; bucket++) {
      left -= buckets[bucket];
      if (left <= 0) return Math.round(2 ** ((bucket + 0.5) / 4));
    }
    return undefined;
  }
}

/** What kept nodes have in the pools of mixes and histograms: copied, since the order of nodes is another one there. */
class KeptPools {
  private readonly keptMixes: Float64Array[] = [];
  private readonly keptHistograms: Int32Array[] = [];

  constructor(
    private readonly types: number,
    private readonly mixes: Float64Array,
    private readonly histograms: Int32Array,
  ) {}

  keep(words: Int32Array, w: number): void {
    const { keptHistograms, keptMixes, types } = this;
    const mix = -1 - words[w + NODE_TYPE];
    if (mix >= 0) {
      keptMixes.push(this.mixes.slice(mix * types, (mix + 1) * types));
      words[w + NODE_TYPE] = -keptMixes.length;
    }
    const histogram = words[w + NODE_HISTOGRAM];
    if (histogram === 0) return;
    keptHistograms.push(this.histograms.slice((histogram - 1) * NODE_BUCKETS, histogram * NODE_BUCKETS));
    words[w + NODE_HISTOGRAM] = keptHistograms.length;
  }

  /** Puts them back in place of the given numbers of both. Returns how many of each are left. */
  restore(mixesUsed: number, used: number): [mixes: number, histograms: number] {
    const { histograms, keptHistograms, keptMixes, mixes, types } = this;
    mixes.fill(0, 0, mixesUsed * types);
    histograms.fill(0, 0, used * NODE_BUCKETS);
    keptMixes.forEach((mix, i) => mixes.set(mix, i * types));
    keptHistograms.forEach((buckets, i) => histograms.set(buckets, i * NODE_BUCKETS));
    return [keptMixes.length, keptHistograms.length];
  }
}

/** Bytes of a segment that its name has: not all of a long one, which is cut between characters. */
function shownLength(bytes: Uint8Array, start: number, end: number): number {
  let length = end - start;
  if (length <= LONGEST_SEGMENT) return length;
  length = LONGEST_SEGMENT;
  while (length > LONGEST_SEGMENT - 4 && (bytes[start + length] & 0xc0) === 0x80) length--;
  return length;
}

/** Pairs in the table for this many nodes: at least twice as many, a power of two. */
function tableSize(nodes: number): number {
  return 2 ** Math.ceil(Math.log2(nodes * 2));
}

const bits = new DataView(new ArrayBuffer(8));

/** The bucket of a node's histogram: four for each doubling. */
function nodeBucket(memory: number): number {
  if (!(memory > 1)) return 0;
  bits.setFloat64(0, memory);
  const high = bits.getInt32(0);
  const exponent = (high >>> 20) - 1023;
  const fraction = high & 0xfffff;
  // 2^(1/4), 2^(1/2) and 2^(3/4), as the bits after the point
  const quarter = fraction < 0x306fe ? 0 : fraction < 0x6a09e ? 1 : fraction < 0xae89f ? 2 : 3;
  return Math.min(NODE_BUCKETS - 1, exponent * 4 + quarter);
}
