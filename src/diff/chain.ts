import { Murmur3 } from '../bytes/murmur3.js';
import { type Element, INT64, LARGE } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Codec } from '../kernels/codec.js';
import { Scratch } from '../rdb/string.js';
import { add128 } from './sum.js';

const NUMBER = 8;
/** Most bytes of a block of numbers: a sum and its count. */
const BLOCK = 24;

/**
 * Hashes one after another, each from the one before: a state of 128 bits that depends on all strings and numbers so far, their order and
 * where each of them ends.
 */
export class Chain {
  readonly state = new Int32Array(4);
  private readonly murmur = new Murmur3();
  private readonly block = new Uint8Array(BLOCK);
  private readonly view = new DataView(this.block.buffer);
  private readonly scratch: Scratch;

  constructor(
    /** See domainStates. */
    private readonly domains: Int32Array,
    codec: Codec,
  ) {
    this.scratch = new Scratch(codec);
  }

  begin(domain: number): this {
    for (let i = 0; i < 4; i++) this.state[i] = this.domains[4 * domain + i];
    return this;
  }

  /** Goes on from a state. */
  resume(state: Int32Array): this {
    this.state.set(state);
    return this;
  }

  bytes(bytes: Uint8Array, start: number, end: number): this {
    this.open();
    this.piece(bytes, start, end);
    return this.close();
  }

  /** A string in pieces: `open`, `piece` for each of them, `close`. */
  open(): this {
    const { state } = this;
    this.murmur.begin(state[0], state[1], state[2], state[3]);
    return this;
  }

  piece(bytes: Uint8Array, start: number, end: number): void {
    this.murmur.add(bytes, start, end);
  }

  close(): this {
    this.murmur.end(this.state);
    return this;
  }

  /** A string, or an integer as the text that it is; one that came in pieces has been taken already. */
  text(element: Element): this {
    if (element.kind === LARGE) return this;
    this.inflated(element);
    return this.bytes(element.bytes, element.start, element.end);
  }

  /** Makes bytes of an element: what is compressed, and integers as decimal text. They are valid until the next call. */
  inflated(element: Element): void {
    this.scratch.text(element);
  }

  /** An integer of 64 bits. */
  integer(element: Element): this {
    if (element.kind === INT64) return this.halves(element.hi, element.lo);
    return this.halves(Math.floor(element.num / 0x100000000), element.num >>> 0);
  }

  halves(hi: number, lo: number): this {
    this.put(0, hi, lo);
    return this.bytes(this.block, 0, NUMBER);
  }

  /** A count or a time below 2^53. */
  count(value: number): this {
    return this.halves(Math.floor(value / 0x100000000), value >>> 0);
  }

  /**
   * A score. 0 and -0 are the same: servers turn one into the other as they encode a sorted set anew (redis 7.0 t_zset.c, zzlInsertAt,
   * stores -0 as the integer 0), so no copy keeps the sign for sure.
   */
  score(value: number): this {
    return this.double(value === 0 ? 0 : value);
  }

  /** The bits of a double; all NaNs are one. */
  double(value: number): this {
    if (Number.isNaN(value)) return this.halves(NAN_HI, 0);
    this.view.setFloat64(0, value, true);
    return this.bytes(this.block, 0, NUMBER);
  }

  id({ msHi, msLo, seqHi, seqLo }: StreamId): this {
    this.put(0, msHi, msLo);
    this.put(NUMBER, seqHi, seqLo);
    return this.bytes(this.block, 0, 2 * NUMBER);
  }

  /** The state of another chain, four words. */
  words(words: Int32Array): this {
    this.putWords(words);
    return this.bytes(this.block, 0, 2 * NUMBER);
  }

  /** A sum of states, and how many are in it. */
  sum({ count, words }: Sum): this {
    this.putWords(words);
    this.put(2 * NUMBER, Math.floor(count / 0x100000000), count >>> 0);
    return this.bytes(this.block, 0, BLOCK);
  }

  private put(at: number, hi: number, lo: number): void {
    this.view.setInt32(at, lo, true);
    this.view.setInt32(at + 4, hi, true);
  }

  private putWords(words: Int32Array): void {
    for (let i = 0; i < 4; i++) this.view.setInt32(4 * i, words[i], true);
  }
}

/** The upper half of the one NaN. */
const NAN_HI = 0x7ff80000;

/** Adds states up, so that their order does not matter. Never by XOR: two of the same would be none. */
export class Sum {
  readonly words = new Int32Array(4);
  count = 0;

  begin(): this {
    this.words.fill(0);
    this.count = 0;
    return this;
  }

  add({ state }: Chain): void {
    add128(this.words, 0, state, 0);
    this.count++;
  }
}
