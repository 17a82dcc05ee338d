import type { Codec } from '../kernels/codec.js';
import { GROWN, HAS_META, TYPE } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame } from '../rdb/frame.js';
import { typeNumber } from '../rdb/frame-table.js';
import { TABLES, type TypeRow } from '../rdb/types.js';
import { hasListpacks, hasMisreadListpacks, LARGEST_SAFE } from '../values/listpack-borders.js';
import { reads, type Target } from '../values/targets.js';

/** All type numbers are less. */
const TYPE_NUMBERS = 512;

/** Which values can be copied as they are, for kernels (`RestoreRun.largest`) and row by row. */
export class PlainTypes {
  /** By type number: the largest value, in decompressed bytes, that certainly can be copied; below 0 if none. */
  readonly largest: Float64Array;
  private readonly frame = new Frame();

  /** `fits`: whether values of a type can be copied. `most`: stored bytes of a value that can, at most. */
  constructor(
    codec: Codec,
    private readonly target: Target | undefined,
    fits: (type: TypeRow) => boolean,
    private readonly most = Infinity,
  ) {
    const { buffer, byteOffset } = codec.allocate(TYPE_NUMBERS * 8);
    this.largest = new Float64Array(buffer, byteOffset, TYPE_NUMBERS).fill(-1);
    for (const type of [...TABLES.redis.types, ...TABLES.valkey.types]) {
      if (type === undefined || !fits(type) || (target !== undefined && !reads(target, type))) continue;
      this.largest[typeNumber(type)] = Math.min(most, target !== undefined && hasListpacks(type) ? LARGEST_SAFE : Infinity);
    }
  }

  /** Whether the value of a row can be copied, if a kernel could not tell. */
  has(batch: Batch, row: number): boolean {
    const { table } = batch;
    const largest = this.largest[table.word(row, TYPE)];
    if (largest < 0 || table.has(row, HAS_META)) return false;
    if (table.word(row, GROWN) <= largest) return true;
    batch.read(row, this.frame);
    if (this.frame.end - this.frame.start > this.most) return false;
    return this.target === undefined || !hasMisreadListpacks(this.frame, this.target.wide);
  }
}
