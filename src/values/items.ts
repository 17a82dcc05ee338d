import type { Element } from '../encodings/element.js';
import type { StreamId } from '../encodings/stream.js';
import type { Frame } from '../rdb/frame.js';
import type { TypeRow } from '../rdb/types.js';
import type { Layout } from './layouts.js';
import type { ModuleType } from './module.js';
import type { StreamTail } from './stream-tail.js';

/**
 * Receives the content of values item by item, whatever the encoding; all methods are optional. Arguments are borrowed: valid until
 * the method returns, and reused for the next item. The calls for one value:
 *
 *     begin, then by type
 *       text | item… | pair… | scored… | entry… streamTail | module modulePart… | those of a type with calls of its own (by-type.ts)
 *     then end
 *
 * A string that is too large to hold comes in pieces, before its item: largeBegin, largeBytes…, largeEnd. The call for the item
 * always follows, with an element of the kind LARGE in its place. A handler that gathers large strings needs only that call; one that
 * writes them as they come finds what precedes them in the arguments of largeBegin. A field expiry that is stored after a large value
 * is not known at largeBegin: a handler that must write it first has to keep the value until `pair`.
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

  /** A packed value begins, with its decompressed size in bytes: a whole collection, or a node of a list. Its items follow. */
  packedBegin?(size: number): void;

  /** Around the items of each node of a list that has nodes; a `plain` one has a single large item. */
  nodeBegin?(plain: boolean): void;
  nodeEnd?(): void;

  /** An entry of a stream; its fields and `entryEnd` follow. */
  entry?(id: StreamId): void;
  entryField?(name: Element, value: Element): void;
  entryEnd?(): void;
  /** What follows the nodes of a stream. */
  streamTail?(tail: StreamTail): void;

  module?(type: ModuleType): void;
  /** A part of a module value: the opcode, and its operand as an INT, INT64, DOUBLE or string element. */
  modulePart?(opcode: number, element: Element): void;

  /**
   * A large string begins. `role` is TEXT, ITEM, FIELD, VALUE, MEMBER or MODULE_PART, `length` that of the whole string. A VALUE
   * comes with its field, and a VALUE or FIELD with the expiry, or undefined if it is stored after the value.
   */
  largeBegin?(role: number, length: number, field: Element | undefined, expireAt: number | undefined): void;
  /** A piece of it: decompressed, or as stored with `wantsStoredLarge`. */
  largeBytes?(bytes: Uint8Array, start: number, end: number): void;
  largeEnd?(): void;
  /** Whether large strings are wanted as stored in the RDB, with length and compression. Read when one begins. */
  readonly wantsStoredLarge?: boolean;

  /**
   * A shortcut: takes all elements in `bytes[start, end)`, the first of which begins an item, at once. Returns how many, or -1 if
   * it cannot; then the items are passed one by one.
   */
  run?(layout: Layout, bytes: Uint8Array, start: number, end: number): number;

  /** Key and listpack of each node, and the tail, as they stand in the RDB: instead of `entry` and `streamTail`. */
  storedNodeKey?(bytes: Uint8Array, start: number, end: number): void;
  storedNode?(bytes: Uint8Array, start: number, end: number): void;
  storedTail?(type: TypeRow, bytes: Uint8Array, start: number, end: number): void;
}
