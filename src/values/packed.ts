import { type ErrorCode, hexByte, RdbError } from '../bytes/errors.js';
import { int16, uint32 } from '../encodings/element.js';
import { INTSET_HEADER, openIntset } from '../encodings/intset.js';
import { LISTPACK_HEADER, openListpack } from '../encodings/listpack.js';
import { openZiplist, ZIPLIST_HEADER } from '../encodings/ziplist.js';
import { openZipmap, ZIPMAP_HEADER, zipmapElements } from '../encodings/zipmap.js';
import type { TypeRow } from '../rdb/types.js';
import { type Layout, LAYOUTS } from './layouts.js';

/** A value packed into one string: header, elements, and usually an end byte ff. */
export interface Packed {
  /** Bytes before the first element and after the last. */
  readonly header: number;
  readonly footer: number;
  /** Error code if its elements do not add up. */
  readonly code: ErrorCode;
  /** Checks the bytes around the elements in `bytes[start, end)`; returns the stated number of elements, or -1. */
  open(bytes: Uint8Array, start: number, end: number): number;
  /** The same from the header alone, for a value of `size` bytes in all. */
  check(bytes: Uint8Array, start: number, size: number): number;
  /** The layout of the elements, from the header. */
  layout(bytes: Uint8Array, start: number): Layout;
}

/** Ziplists and listpacks begin with their size; the number of elements is `countAt` bytes after that. */
function sized(code: ErrorCode, countAt: number) {
  return (bytes: Uint8Array, start: number, size: number): number => {
    const total = uint32(bytes, start);
    if (total !== size) throw new RdbError(code, { within: start, expected: `a header that says ${size} bytes`, got: `${total}` });
    const count = int16(bytes, start + countAt) & 0xffff;
    return count === 0xffff ? -1 : count;
  };
}

const ziplist = (layout: Layout): Packed => ({
  header: ZIPLIST_HEADER,
  footer: 1,
  code: 'BAD_ZIPLIST',
  open: openZiplist,
  check: sized('BAD_ZIPLIST', 8),
  layout: () => layout,
});

const listpack = (layout: Layout): Packed => ({
  header: LISTPACK_HEADER,
  footer: 1,
  code: 'BAD_LISTPACK',
  open: openListpack,
  check: sized('BAD_LISTPACK', 4),
  layout: () => layout,
});

export const LIST_ZIPLIST = ziplist(LAYOUTS.ziplist);
export const LIST_LISTPACK = listpack(LAYOUTS.listpack);

const PACKED: Readonly<Record<string, Packed>> = {
  'ziplist list': LIST_ZIPLIST,
  'ziplist hash': ziplist(LAYOUTS.ziplistHash),
  'ziplist zset': ziplist(LAYOUTS.ziplistZset),
  'listpack set': LIST_LISTPACK,
  'listpack hash': listpack(LAYOUTS.listpackHash),
  'listpack zset': listpack(LAYOUTS.listpackZset),
  'listpack-ex hash': listpack(LAYOUTS.listpackEx),
  'zipmap hash': {
    header: ZIPMAP_HEADER,
    footer: 1,
    code: 'BAD_ZIPMAP',
    open: openZipmap,
    check: zipmapElements,
    layout: () => LAYOUTS.zipmap,
  },
  'intset set': {
    header: INTSET_HEADER,
    footer: 0,
    code: 'BAD_INTSET',
    open: (bytes, start, end) => (end - start - INTSET_HEADER) / openIntset(bytes, start, end - start),
    check: (bytes, start, size) => (size - INTSET_HEADER) / openIntset(bytes, start, size),
    layout: (bytes, start) => INTSETS[uint32(bytes, start)],
  },
};

const INTSETS: Readonly<Record<number, Layout>> = { 2: LAYOUTS.intset16, 4: LAYOUTS.intset32, 8: LAYOUTS.intset64 };

/** Packed layouts by row of the type table, for types with one packed string. */
const BY_TYPE = new WeakMap<TypeRow, Packed>();

/** The layout of the packed string of this type. */
export function packedOf(type: TypeRow): Packed {
  let packed = BY_TYPE.get(type);
  if (packed === undefined) {
    packed = PACKED[`${type.form} ${type.redisType}`];
    BY_TYPE.set(type, packed);
  }
  return packed;
}

/** The error for a packed value without its end byte. */
export function badEnd(code: ErrorCode, within: number, got: number | undefined): RdbError {
  return new RdbError(code, { within, expected: 'the end byte ff', got: hexByte(got) });
}
