import { RdbError } from '../bytes/errors.js';
import { BYTES, DOUBLE, type Element, int32, uint32 } from '../encodings/element.js';
import { readIntset } from '../encodings/intset.js';
import { readListpack } from '../encodings/listpack.js';
import { readZiplist } from '../encodings/ziplist.js';
import { readZipmap } from '../encodings/zipmap.js';
import {
  RECORD_INTSET,
  RECORD_ITEMS,
  RECORD_LISTPACK,
  RECORD_QUICKLIST,
  RECORD_QUICKLIST2,
  RECORD_TEXT,
  RECORD_ZIPLIST,
} from '../kernels/layout.js';
import { type Length, readLength } from '../rdb/length.js';
import { readString } from '../rdb/string.js';
import type { Form } from '../rdb/types.js';

/**
 * A layout describes how the elements of a value are stored: an item is a fixed sequence of elements (a field and its value, a
 * member and its score), each with an encoding and a role; the sequence as a whole has a shape.
 */

/** How an element is read. */
const STRING = 0;
const LISTPACK = 1;
const ZIPLIST = 2;
const ZIPMAP_FIELD = 3;
const ZIPMAP_VALUE = 4;
const INT16 = 5;
const INT32 = 6;
const INT64 = 7;
const FLOAT64 = 8;
const ASCII_DOUBLE = 9;
const LENGTH = 10;
const MILLISECONDS = 11;

/** How kernels read the values of a form, RECORD_…; the others take the long way. */
export const CONTAINERS: Readonly<Partial<Record<Form, number>>> = {
  string: RECORD_TEXT,
  items: RECORD_ITEMS,
  ziplist: RECORD_ZIPLIST,
  listpack: RECORD_LISTPACK,
  intset: RECORD_INTSET,
  quicklist: RECORD_QUICKLIST,
  quicklist2: RECORD_QUICKLIST2,
};

/** The roles of elements. */
export const TEXT = 0; // the value of a string
export const ITEM = 1; // of a list or set
export const FIELD = 2; // of a hash
export const VALUE = 3; // of a hash
export const MEMBER = 4; // of a sorted set
export const SCORE = 5; // of a sorted set
export const EXPIRY = 6; // of a hash field, Unix milliseconds; 0 or below: none
export const RELATIVE_EXPIRY = 7; // the same, 1 + milliseconds after the least expiry of the hash; 0: none

export const MODULE_PART = 8; // a string of a module value

/** The shapes of items, by the roles of their elements. */
export const TEXT_ITEM = 0;
export const PLAIN_ITEM = 1;
export const PAIR = 2;
export const PAIR_EXPIRY = 3;
export const EXPIRY_PAIR = 4;
export const RELATIVE_EXPIRY_PAIR = 5;
export const SCORED = 6;

const SHAPES: readonly (readonly number[])[] = [
  [TEXT],
  [ITEM],
  [FIELD, VALUE],
  [FIELD, VALUE, EXPIRY],
  [EXPIRY, FIELD, VALUE],
  [RELATIVE_EXPIRY, FIELD, VALUE],
  [MEMBER, SCORE],
];

export interface Layout {
  readonly reads: readonly number[];
  readonly roles: readonly number[];
  /** TEXT_ITEM, PLAIN_ITEM, … */
  readonly shape: number;
}

const layout = (...elements: [read: number, role: number][]): Layout => {
  const roles = elements.map(([, role]) => role);
  return { reads: elements.map(([read]) => read), roles, shape: SHAPES.findIndex((shape) => String(shape) === String(roles)) };
};

export const LAYOUTS = {
  string: layout([STRING, TEXT]),
  list: layout([STRING, ITEM]),
  hash: layout([STRING, FIELD], [STRING, VALUE]),
  zset: layout([STRING, MEMBER], [ASCII_DOUBLE, SCORE]),
  zset2: layout([STRING, MEMBER], [FLOAT64, SCORE]),
  /** Valkey 9 */
  hash2: layout([STRING, FIELD], [STRING, VALUE], [MILLISECONDS, EXPIRY]),
  /** Redis 7.4 */
  hashMetadata: layout([LENGTH, RELATIVE_EXPIRY], [STRING, FIELD], [STRING, VALUE]),
  hashMetadataPreGa: layout([LENGTH, EXPIRY], [STRING, FIELD], [STRING, VALUE]),
  ziplist: layout([ZIPLIST, ITEM]),
  ziplistHash: layout([ZIPLIST, FIELD], [ZIPLIST, VALUE]),
  ziplistZset: layout([ZIPLIST, MEMBER], [ZIPLIST, SCORE]),
  listpack: layout([LISTPACK, ITEM]),
  listpackHash: layout([LISTPACK, FIELD], [LISTPACK, VALUE]),
  listpackZset: layout([LISTPACK, MEMBER], [LISTPACK, SCORE]),
  /** Redis 7.4 */
  listpackEx: layout([LISTPACK, FIELD], [LISTPACK, VALUE], [LISTPACK, EXPIRY]),
  zipmap: layout([ZIPMAP_FIELD, FIELD], [ZIPMAP_VALUE, VALUE]),
  intset16: layout([INT16, ITEM]),
  intset32: layout([INT32, ITEM]),
  intset64: layout([INT64, ITEM]),
} as const satisfies Record<string, Layout>;

const length: Length = { value: 0, hi: 0, lo: 0 };
const float = new DataView(new ArrayBuffer(8));

/** Reads an element at `pos`. Returns the position after it, or -1 if it does not end before `end`. */
export function readElement(read: number, bytes: Uint8Array, pos: number, end: number, element: Element): number {
  switch (read) {
    case STRING:
      return readString(bytes, pos, end, element);
    case LISTPACK:
      return readListpack(bytes, pos, end, element);
    case ZIPLIST:
      return readZiplist(bytes, pos, end, element);
    case ZIPMAP_FIELD:
      return readZipmap(bytes, pos, end, 0, element);
    case ZIPMAP_VALUE:
      return readZipmap(bytes, pos, end, 1, element);
    case INT16:
      return readIntset(bytes, pos, end, 2, element);
    case INT32:
      return readIntset(bytes, pos, end, 4, element);
    case INT64:
      return readIntset(bytes, pos, end, 8, element);
    case FLOAT64:
      if (pos + 8 > end) return -1;
      element.kind = DOUBLE;
      element.num = readDouble(bytes, pos);
      return pos + 8;
    case ASCII_DOUBLE:
      return asciiDouble(bytes, pos, end, element);
    case LENGTH: {
      const next = readLength(bytes, pos, end, length);
      element.setInt64(length.hi | 0, length.lo);
      return next;
    }
    case MILLISECONDS:
      if (pos + 8 > end) return -1;
      element.setInt64(int32(bytes, pos + 4), uint32(bytes, pos));
      return pos + 8;
    default:
      throw new TypeError(`no reader ${read}`);
  }
}

/** Eight bytes, little-endian (redis rdb.c, rdbLoadBinaryDoubleValue). */
export function readDouble(bytes: Uint8Array, pos: number): number {
  float.setInt32(0, int32(bytes, pos), true);
  float.setInt32(4, int32(bytes, pos + 4), true);
  return float.getFloat64(0, true);
}

/** A length byte and ASCII text, or 253 nan, 254 inf, 255 -inf (redis rdb.c, rdbLoadDoubleValue). */
function asciiDouble(bytes: Uint8Array, pos: number, end: number, element: Element): number {
  const size = bytes[pos];
  if (size >= 253) {
    element.kind = DOUBLE;
    element.num = size === 253 ? NaN : size === 254 ? Infinity : -Infinity;
    return pos + 1 > end ? -1 : pos + 1;
  }
  element.kind = BYTES;
  element.bytes = bytes;
  element.start = pos + 1;
  element.end = pos + 1 + size;
  if (size === 0) throw new RdbError('BAD_NUMBER', { within: pos, expected: 'a score', got: 'an empty text' });
  return element.end > end ? -1 : element.end;
}
