import { type Codec, RUN_ITEMS, RUN_PAIRS, RUN_SCORES, STRUCTURE } from '../kernels/codec.js';
import type { LargeValue } from '../io/large-value.js';
import { DROPPED, KIND } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';
import { TYPE_NUMBERS, typeNumber } from '../rdb/frame-table.js';
import { type RedisType, TABLES, type TypeRow } from '../rdb/types.js';
import { CONTAINERS } from '../values/layouts.js';
import type { CheckLevel, Finding, Findings } from './findings.js';
import { ValueCheck } from './value-check.js';

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
  /** Also for values that come in parts. */
  readonly values: ValueCheck;
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
      batch.row = row;
      values.frame(RECORD, frame);
      if (values.findings.size > 0) break;
    }
    return row;
  }

  /** The first thing that is found in a large value. It is held, to be read again. */
  async firstIn(value: LargeValue): Promise<Finding | undefined> {
    const { values } = this;
    value.hold();
    for await (const { frame, kind } of value.parts()) values.frame(kind, frame);
    return values.findings.list.at(0);
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
