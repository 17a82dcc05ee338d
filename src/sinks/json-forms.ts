import {
  RECORD_INTSET, RECORD_ITEMS, RECORD_LISTPACK, RECORD_QUICKLIST, RECORD_QUICKLIST2, RECORD_TEXT, RECORD_ZIPLIST, type RecordForm, type RecordForms,
} from '../bytes/hot.js';
import { typeNumber } from '../rdb/frame-table.js';
import { type Form, TABLES, type TypeRow } from '../rdb/types.js';
import { LAYOUTS, type Layout } from '../values/layouts.js';
import { packedOf } from '../values/packed.js';
import { itemsLayout } from '../values/reader.js';
import { VALUES } from './json-head.js';
import { runKind } from './json-lines.js';

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

function formOf(type: TypeRow): RecordForm | undefined {
  const container = CONTAINERS[type.form];
  if (container === undefined) return undefined;
  const layout = layoutOf(type);
  const kind = runKind(layout);
  return kind < 0 ? undefined : { container, kind, reads: layout.reads, texts: VALUES[type.redisType] };
}

/** The types whose lines `Hot.jsonRecords` can write. */
export const JSON_FORMS: RecordForms = new Map(
  [...TABLES.redis.types, ...TABLES.valkey.types].flatMap((type): [number, RecordForm][] => {
    const form = type === undefined ? undefined : formOf(type);
    return type === undefined || form === undefined ? [] : [[typeNumber(type), form]];
  }),
);
