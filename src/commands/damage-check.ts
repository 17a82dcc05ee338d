import { RowCheck } from '../check/row-check.js';
import { findingError } from '../check/value-check.js';
import type { LargeValue } from '../io/large-value.js';
import type { Codec } from '../kernels/codec.js';
import { DROPPED, SOURCE_DB } from '../kernels/layout.js';
import type { Damage, DamageCheck } from '../pipeline/damage.js';
import { Frame, shownKey } from '../rdb/frame.js';

/** Finds the damage that `check --level structure` finds, for sinks that copy values as they are. */
export function damageCheck(codec: Codec, damage: Damage): DamageCheck {
  const rows = new RowCheck(codec, 'structure', false);
  const frame = new Frame();
  return {
    rows: (batch) => {
      const { table, to } = batch;
      for (let row = rows.next(batch, batch.from, to); row < to; row = rows.next(batch, row + 1, to)) {
        batch.mark(row, DROPPED);
        batch.read(row, frame);
        damage.take(findingError(rows.findings.list[0]).at({ db: table.word(row, SOURCE_DB), key: shownKey(frame) }));
      }
    },
    large: async (value: LargeValue) => {
      const finding = await rows.firstIn(value);
      return finding && findingError(finding);
    },
  };
}
