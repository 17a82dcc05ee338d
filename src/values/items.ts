import type { Element } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Frame } from '../rdb/frame.js';
import type { TypeRow } from '../rdb/types.js';
import type { Layout } from './layouts.js';
import type { ModuleType } from './module.js';
import type { StreamTail } from './stream-tail.js';

/**
 * What a value says, item by item, whatever its encoding. Whoever wants to know has the methods that it needs; all are optional. What
 * they are given is borrowed: valid until they return, and used again for the next item. The calls for one value:
 *
 *     begin, then by type
 *       text | item… | pair… | scored… | entry… streamTail | module modulePart… | arrayElement… [arrayInsertIndex] |
 *       bitmap bits…
 *     then end
 *
 * A string of a value in parts that is too large to hold comes before the call of its item, in pieces: largeBegin, largeBytes…,
 * largeEnd. In that call, which always follows, it is an element of the kind LARGE. So whoever gathers large strings needs nothing else,
 * and whoever writes them as they come gets what stands before them with largeBegin. A field expiry that stands after a large value
 * is not known then: whoever must write it first has to put the value aside until `pair`.
 */
export interface Items {
  begin?(frame: Frame): void;
  end?(): void;

  /** The value of a string. */
  text?(element: Element): void;
  /** Of a list or set. */
  item?(element: Element): void;
  /** Of a hash; the expiry in Unix milliseconds, 0 for none. */
  pair?(field: Element, value: Element, expireAt: number): void;
  /** Of a sorted set; the score is a DOUBLE, INT or INT64 element, or BYTES with its text. */
  scored?(member: Element, score: Element): void;

  /** Around the items of each node of a list that has nodes; a plain one has a single large item. */
  nodeBegin?(plain: boolean): void;
  nodeEnd?(): void;

  /** An entry of a stream, its names and values, and its end. */
  entry?(id: StreamId): void;
  entryField?(name: Element, value: Element): void;
  entryEnd?(): void;
  /** What follows the nodes of a stream. */
  streamTail?(tail: StreamTail): void;

  module?(type: ModuleType): void;
  /** A part of a module value: the opcode, and its operand as an INT, INT64, DOUBLE or string element. */
  modulePart?(opcode: number, element: Element): void;

  /** Of a sparse array; `index` is an INT or INT64 element, unsigned. */
  arrayElement?(index: Element, value: Element): void;
  /** The index that the next insertion uses; after the elements, where the array has one. */
  arrayInsertIndex?(index: Element): void;

  /** Of a bitmap: its length in bytes, as the halves of an integer of 64 bits, unsigned. */
  bitmap?(lengthHi: number, lengthLo: number): void;
  /** Set bits first to last, inclusive, of the 2^32 that begin at bit hi × 2^32: ascending, and runs that touch are one. */
  bits?(hi: number, first: number, last: number): void;

  /**
   * A large string begins; `role` is TEXT, ITEM, FIELD, VALUE, MEMBER or MODULE_PART, `length` that of the whole string. With a VALUE
   * comes its field, and with a VALUE or FIELD the expiry, or undefined where it stands after the value.
   */
  largeBegin?(role: number, length: number, field: Element | undefined, expireAt: number | undefined): void;
  /** A piece of it, decompressed, or as it stands in the RDB where that is asked for. */
  largeBytes?(bytes: Uint8Array, start: number, end: number): void;
  largeEnd?(): void;
  /** Whether the bytes of large strings are to come as they stand in the RDB, with length and compression. Asked when one begins. */
  readonly wantsStoredLarge?: boolean;

  /**
   * A short cut: takes all elements in `bytes[start, end)`, the first of which begins an item, at once. Returns how many, or -1 where it
   * cannot; then they are told one by one.
   */
  run?(layout: Layout, bytes: Uint8Array, start: number, end: number): number;

  /** The key of a stream node, which begins at `within` for errors. */
  nodeKey?(id: StreamId, within: number): void;
  /** The listpack of a stream node, decompressed: instead of its entries. */
  node?(listpack: Element): void;
  /** Key and listpack of each node, and the tail, as they stand in the RDB: instead of `node`, `entry` and `streamTail`. */
  storedNodeKey?(bytes: Uint8Array, start: number, end: number): void;
  storedNode?(bytes: Uint8Array, start: number, end: number): void;
  storedTail?(type: TypeRow, bytes: Uint8Array, start: number, end: number): void;
}
