import {
  type Codec, RECORD_INTSET, RECORD_ITEMS, RECORD_LISTPACK, RECORD_QUICKLIST, RECORD_QUICKLIST2, RECORD_TEXT, RECORD_ZIPLIST,
  RUN_ITEMS, RUN_PAIRS, RUN_SCORES, STRUCTURE,
} from '../kernels/codec.js';
import { DROPPED, KIND } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { TYPE_NUMBERS, typeNumber } from '../rdb/frame-table.js';
import { type Form, type RedisType, TABLES, type TypeRow } from '../rdb/types.js';
import type { CheckLevel, Findings } from './findings.js';
import { ValueCheck } from './value-check.js';

const CONTAINERS: Readonly<Partial<Record<Form, number>>> = {
  string: RECORD_TEXT,
  items: RECORD_ITEMS,
  ziplist: RECORD_ZIPLIST,
  listpack: RECORD_LISTPACK,
  intset: RECORD_INTSET,
  quicklist: RECORD_QUICKLIST,
  quicklist2: RECORD_QUICKLIST2,
};
const RUNS: Readonly<Partial<Record<RedisType, number>>> = { hash: RUN_PAIRS, zset: RUN_SCORES };
/** Scores that are text, and fields with expiries. */
const SLOW: ReadonlySet<string> = new Set(['ZSET', 'HASH_2']);

/** Whether values of a type hold only lengths, which the framer has checked, and strings: they cannot harm a server. */
export const isHarmless = ({ form, name, redisType }: TypeRow): boolean =>
  form === 'string' || form === 'module' || (form === 'items' && redisType !== 'zset' && !SLOW.has(name));

/**
 * Looks at the values of a batch as ValueCheck does. If it is quick, a kernel passes over sound values, and strings that are not packed are
 * not decompressed: where that fails, the server refuses the key.
 */
export class RowCheck {
  private readonly values: ValueCheck;
  private readonly structures: Uint8Array | undefined;
  private readonly frame = new Frame();

  constructor(
    private readonly codec: Codec,
    level: CheckLevel,
    quick: boolean,
  ) {
    this.values = new ValueCheck({ level, codec });
    if (quick) this.structures = structuresOf(codec);
  }

  /** Of the row that `next` returned. */
  get findings(): Findings {
    return this.values.findings;
  }

  /** The first row in [row, to) in whose value something was found; `to` if there is none. */
  next(batch: Batch, row: number, to: number): number {
    const { codec, frame, structures, values } = this;
    const { bytes, table } = batch;
    for (; row < to; row++) {
      if (structures !== undefined) row = codec.checkRows(structures, table.words, row, to, bytes);
      if (row === to) break;
      if (table.word(row, KIND) !== RECORD || table.has(row, DROPPED)) continue;
      batch.read(row, frame);
      if (structures !== undefined && isHarmless(frame.type)) continue;
      values.frame(RECORD, frame);
      if (values.findings.size > 0) break;
    }
    return row;
  }
}

function structuresOf(codec: Codec): Uint8Array {
  const structures = codec.allocate(TYPE_NUMBERS * STRUCTURE).fill(0);
  for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
    if (type === undefined || SLOW.has(type.name)) continue;
    const container = CONTAINERS[type.form] ?? 0;
    structures.set([container, RUNS[type.redisType] ?? RUN_ITEMS], STRUCTURE * typeNumber(type));
  }
  return structures;
}
