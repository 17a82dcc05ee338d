import type { LargeValue } from '../io/large-value.js';
import { DOUBTFUL, KEY_RENAMED, RENAMED_BY, SOURCE_DB } from '../kernels/layout.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';

/** The head of a large value as row 0 of a batch that has nothing else. */
export function largeRow(batch: Batch, { doubtful, head, renamedBy, sourceDb }: LargeValue): Batch {
  batch.clear(head.keyBytes, head.templates);
  batch.add(RECORD, Object.assign(new Frame(), head, { bytes: head.keyBytes, start: 0, end: 0 }));
  batch.table.setWord(0, SOURCE_DB, sourceDb);
  batch.table.setWord(0, RENAMED_BY, renamedBy);
  batch.mark(0, (renamedBy >= 0 ? KEY_RENAMED : 0) | (doubtful ? DOUBTFUL : 0));
  return batch;
}
