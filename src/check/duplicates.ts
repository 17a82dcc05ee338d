import { randomInt } from 'node:crypto';
import { ByteBuilder } from '../bytes/builder.js';
import { murmur3, type Words128 } from '../bytes/murmur3.js';
import { uint32 } from '../encodings/element.js';
import { Spill } from '../io/spill.js';
import { DigestSet } from '../values/digest-set.js';

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
 * Says which members or fields of one value come twice. They are told by digests of 128 bits with a seed that nobody knows: none that
 * comes twice is missed, and two that differ meet with a chance of one in 10^23 among 100 million.
 *
 * Memory: up to 46 MB for the first million, and 2 MB of buffers; 24 bytes per further member in temporary files (in TMPDIR, without a
 * name), which are read once per million that one of them has. Throws OutputError where there is no room for them.
 */
export class Duplicates {
  private readonly first = new DigestSet(64);
  private readonly seed = randomInt(2 ** 32);
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
    murmur3(bytes, start, end, this.seed, this.words);
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
    const { block, blocks, seed, words } = this;
    if (blocks.length > 0) this.endBlock();
    const { bytes, length } = blocks.length > 0 ? blocks : block;
    murmur3(bytes, 0, length, seed, words);
    return this.put(index);
  }

  private endBlock(): void {
    const { block, blocks, seed, words } = this;
    murmur3(block.bytes, 0, block.length, seed, words);
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
