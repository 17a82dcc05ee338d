import { ByteBuilder } from '../bytes/builder.js';
import { KeyedHash } from '../bytes/keyed-hash.js';
import type { Words128 } from '../bytes/murmur3.js';
import { uint32 } from '../encodings/element.js';
import { Spill } from '../io/spill.js';

const WORDS = 4;
const FIRST_SLOTS = 1 << 12;
/** Share of the slots in use above which the table doubles. */
const FULL = 0.7;

/** Digests of 128 bits: an open hash table of 23 to 46 bytes each. */
export class DigestSet {
  private slots: number;
  private table: Uint32Array;
  private used = 0;

  constructor(private readonly firstSlots = FIRST_SLOTS) {
    this.slots = firstSlots;
    this.table = new Uint32Array(firstSlots * WORDS);
  }

  get size(): number {
    return this.used;
  }

  /** Returns whether the digest is new, and adds it. All zeros count as 1, 0, 0, 0. */
  add(words: Readonly<Words128>): boolean {
    const [a, b, c, d] = words;
    if (!this.put((a | b | c | d) === 0 ? 1 : a, b, c, d)) return false;
    if (++this.used > this.slots * FULL) this.grow();
    return true;
  }

  /** Removes all, and frees the memory if it is large. */
  clear(): void {
    if (this.slots > this.firstSlots) {
      this.slots = this.firstSlots;
      this.table = new Uint32Array(this.slots * WORDS);
      this.used = 0;
    } else if (this.used > 0) {
      this.empty();
    }
  }

  /** Removes all, and keeps the memory. */
  empty(): void {
    this.table.fill(0);
    this.used = 0;
  }

  has(words: Readonly<Words128>): boolean {
    const [a, b, c, d] = words;
    return this.find((a | b | c | d) === 0 ? 1 : a, b, c, d) < 0;
  }

  private put(a: number, b: number, c: number, d: number): boolean {
    const { table } = this;
    const at = this.find(a, b, c, d);
    if (at < 0) return false;
    table[at] = a;
    table[at + 1] = b;
    table[at + 2] = c;
    table[at + 3] = d;
    return true;
  }

  /** The slot for a digest that is not in the table; -1 if it is. */
  private find(a: number, b: number, c: number, d: number): number {
    const { table } = this;
    const mask = this.slots - 1;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if ((table[at] | table[at + 1] | table[at + 2] | table[at + 3]) === 0) return at;
      if (((table[at] ^ a) | (table[at + 1] ^ b) | (table[at + 2] ^ c) | (table[at + 3] ^ d)) === 0) return -1;
    }
  }

  private grow(): void {
    const before = this.table;
    this.slots *= 2;
    this.table = new Uint32Array(this.slots * WORDS);
    for (let at = 0; at < before.length; at += WORDS) {
      const [a, b, c, d] = [before[at], before[at + 1], before[at + 2], before[at + 3]];
      if ((a | b | c | d) !== 0) this.put(a, b, c, d);
    }
  }
}

/** Digests in memory at a time: at most 46 MB. */
const MOST_IN_MEMORY = 1 << 20;
/** Digests beyond that go to as many temporary files, by their last word, so that each is looked through on its own. */
const FILES = 64;
/** Four words of a digest, and 48 bits of the element's number. */
const ROW = 24;
const BUFFER = 1 << 14;
/** Longer strings are told by the digest of the digests of their blocks, so that they need not be held. */
const BLOCK = 1 << 16;

/**
 * Says which members or fields of one value come twice. They are told by digests of 128 bits with a key that nobody knows: none that
 * comes twice is missed, and two that differ meet with a chance of one in 10^23 among 100 million.
 *
 * Memory: up to 46 MB for the first million, and 2 MB of buffers; 24 bytes per further member in temporary files (in TMPDIR, without a
 * name), which are read once per million that one of them has. Throws OutputError where there is no room for them.
 */
export class Duplicates {
  private readonly first = new DigestSet(64);
  private readonly keyed = new KeyedHash();
  private readonly words: Words128 = [0, 0, 0, 0];
  private files: { readonly spill: Spill; readonly rows: ByteBuilder }[] = [];
  private readonly blocks = new ByteBuilder();
  private readonly block = new ByteBuilder();

  constructor(private readonly most = MOST_IN_MEMORY) {}

  begin(): void {
    this.first.clear();
    this.closeFiles();
  }

  /** Whether `bytes[start, end)` is new, as far as that is known before `end`. */
  isNew(bytes: Uint8Array, start: number, end: number, index: number): boolean {
    if (end - start > BLOCK) {
      this.beginLarge();
      this.addLarge(bytes, start, end);
      return this.isNewLarge(index);
    }
    this.keyed.of(bytes, start, end, this.words);
    return this.put(index);
  }

  /** A string that comes in pieces: beginLarge, addLarge…, isNewLarge. It may be short after all. */
  beginLarge(): void {
    this.blocks.clear();
    this.block.clear();
  }

  addLarge(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.block.length === BLOCK) this.endBlock();
      const next = Math.min(end, at + BLOCK - this.block.length);
      this.block.copy(bytes, at, next);
      at = next;
    }
  }

  isNewLarge(index: number): boolean {
    const { block, blocks, keyed, words } = this;
    if (blocks.length > 0) this.endBlock();
    const { bytes, length } = blocks.length > 0 ? blocks : block;
    keyed.of(bytes, 0, length, words);
    return this.put(index);
  }

  private endBlock(): void {
    const { block, blocks, keyed, words } = this;
    keyed.of(block.bytes, 0, block.length, words);
    for (const word of words) blocks.le(word, 4);
    block.clear();
  }

  private put(index: number): boolean {
    const { first, most, words } = this;
    if (first.size < most) return first.add(words);
    if (first.has(words)) return false;
    if (this.files.length === 0) this.files = Array.from({ length: FILES }, () => ({ spill: new Spill(0), rows: new ByteBuilder() }));
    const { rows, spill } = this.files[words[3] % FILES];
    for (const word of words) rows.le(word, 4);
    rows.le(index >>> 0, 4);
    rows.le(Math.floor(index / 2 ** 32), 4);
    if (rows.length >= BUFFER) drain(rows, spill);
    return true;
  }

  /** The end of the value: tells of those that were not told yet. */
  end(again: (index: number) => void): void {
    const { first, most } = this;
    for (const { rows, spill } of this.files) {
      drain(rows, spill);
      const passes = Math.ceil(spill.size / ROW / most);
      for (let pass = 0; pass < passes; pass++) {
        first.empty();
        this.look(spill, passes, pass, again);
      }
    }
    this.begin();
  }

  /** Through the digests of one file whose third word leaves this rest. */
  private look(spill: Spill, divisor: number, rest: number, again: (index: number) => void): void {
    const { words } = this;
    for (const piece of spill.read(BUFFER * 3)) {
      for (let at = 0; at < piece.length; at += ROW) {
        words[2] = uint32(piece, at + 8);
        if (words[2] % divisor !== rest) continue;
        words[0] = uint32(piece, at);
        words[1] = uint32(piece, at + 4);
        words[3] = uint32(piece, at + 12);
        if (!this.first.add(words)) again(uint32(piece, at + 20) * 2 ** 32 + uint32(piece, at + 16));
      }
    }
  }

  private closeFiles(): void {
    for (const { spill } of this.files) spill.close();
    this.files = [];
  }
}

function drain(rows: ByteBuilder, spill: Spill): void {
  spill.add(rows.bytes, 0, rows.length);
  rows.clear();
}
