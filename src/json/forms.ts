import {
  type Codec,
  RECORD_INTSET,
  RECORD_ITEMS,
  RECORD_LISTPACK,
  RECORD_QUICKLIST,
  RECORD_QUICKLIST2,
  RECORD_TEXT,
  RECORD_ZIPLIST,
  type RecordForm,
  type RecordForms,
  RUN_ITEMS,
  RUN_PAIRS,
  RUN_SCORES,
} from '../kernels/codec.js';
import { type FrameTable, typeNumber } from '../rdb/frame-table.js';
import { type Form, TABLES, type TypeRow } from '../rdb/types.js';
import { FIELD, ITEM, LAYOUTS, type Layout } from '../values/layouts.js';
import { packedOf } from '../values/packed.js';
import { itemsLayout } from '../values/reader.js';
import { VALUES } from './values.js';
import type { Output } from '../io/output.js';

const CONTAINERS: Partial<Readonly<Record<Form, number>>> = {
  string: RECORD_TEXT,
  items: RECORD_ITEMS,
  ziplist: RECORD_ZIPLIST,
  listpack: RECORD_LISTPACK,
  intset: RECORD_INTSET,
  quicklist: RECORD_QUICKLIST,
  quicklist2: RECORD_QUICKLIST2,
};

const NO_BYTES = new Uint8Array(16);

/** Of the containers whose elements are read in one way only. */
function layoutOf(type: TypeRow): Layout {
  if (type.form === 'items') return itemsLayout(type);
  if (type.form === 'ziplist' || type.form === 'listpack') return packedOf(type).layout(NO_BYTES, 0);
  return LAYOUTS.list;
}

/** What `Codec.jsonRun` calls a layout, or -1. */
export function runKind({ roles }: Layout): number {
  if (roles.length === 1) return roles[0] === ITEM ? RUN_ITEMS : -1;
  if (roles.length > 2) return -1;
  return roles[0] === FIELD ? RUN_PAIRS : RUN_SCORES;
}

function formOf(type: TypeRow): RecordForm | undefined {
  const container = CONTAINERS[type.form];
  if (container === undefined) return undefined;
  const layout = layoutOf(type);
  const kind = runKind(layout);
  return kind < 0 ? undefined : { container, kind, reads: layout.reads, texts: VALUES[type.redisType] };
}

/** Writes rows as lines, as long as a kernel can; returns the first that it cannot. */
export function plainRows(codec: Codec, output: Output, { words }: FrameTable, row: number, rows: number, bytes: Uint8Array): number {
  const done = codec.jsonRecords(JSON_FORMS, words, row, rows, bytes, output.bytes, output.length);
  if (done > row) output.length = codec.recordsEnd;
  return done;
}

/** The types whose lines `Codec.jsonRecords` can write. */
export const JSON_FORMS: RecordForms = new Map(
  [...TABLES.redis.types, ...TABLES.valkey.types].flatMap((type): [number, RecordForm][] => {
    const form = type === undefined ? undefined : formOf(type);
    return type === undefined || form === undefined ? [] : [[typeNumber(type), form]];
  }),
);
