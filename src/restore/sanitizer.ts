import { type Finding, findingError } from '../check/value-check.js';
import { isHarmless, RowCheck } from '../check/row-check.js';
import type { RdbError } from '../bytes/errors.js';
import type { LargeValue } from '../io/large-value.js';
import type { Codec } from '../kernels/codec.js';
import { DAMAGED } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';

/**
 * Which values are looked into before they are sent. auto: packed values and streams, whose damage can crash servers, and scores that are
 * not numbers; all: duplicates, too, and strings that cannot be decompressed; none: servers get everything.
 */
export type SanitizeLevel = 'auto' | 'all' | 'none';

/** Finds damaged values before they are sent. */
export class Sanitizer {
  private readonly rows: RowCheck;
  /** By row of the current batch. */
  private readonly faults = new Map<number, string>();

  constructor(
    private readonly level: Exclude<SanitizeLevel, 'none'>,
    codec: Codec,
    /** Strings are decompressed, too. */
    private readonly thorough: boolean,
  ) {
    const depth = level === 'all' ? 'all' : 'structure';
    this.rows = new RowCheck(codec, depth, depth === 'structure' && !thorough);
  }

  /** Looks into the values of a batch, and marks the damaged ones. */
  batch(batch: Batch): void {
    const { faults, rows } = this;
    faults.clear();
    for (let row = rows.next(batch, batch.from, batch.to); row < batch.to; row = rows.next(batch, row + 1, batch.to)) {
      batch.mark(row, DAMAGED);
      faults.set(row, faultOf(rows.findings.list[0], this.thorough));
    }
  }

  /** What is wrong with the value of a row of the batch. */
  faultAt(row: number): string | undefined {
    return this.faults.get(row);
  }

  /** What is wrong with a large value. It is held, to be read again. */
  async faultIn(value: LargeValue): Promise<string | undefined> {
    if (this.level === 'auto' && !this.thorough && isHarmless(value.head.type)) return undefined;
    const finding = await this.rows.firstIn(value);
    return finding === undefined ? undefined : faultOf(finding, this.thorough);
  }
}

const faultOf = (finding: Finding, placed: boolean): string => {
  const error = findingError(finding);
  const { expected, got } = error;
  return placed ? damageText(error) : `its value is damaged: expected ${expected}, got ${got}; a server may crash on it`;
};

/** Why a key with a damaged value is left out. */
export function damageText({ expected, got, message, offset }: RdbError): string {
  const what = expected === undefined || got === undefined ? message : `expected ${expected}, got ${got}`;
  return `its value is damaged${offset === undefined ? '' : ` at offset ${offset}`}: ${what}`;
}
