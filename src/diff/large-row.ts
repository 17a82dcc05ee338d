import type { LargeValue } from '../io/large-value.js';
import type { Batch } from '../rdb/batch.js';
import { Frame, RECORD } from '../rdb/frame.js';

/** The head of a large value as row 0 of a batch that has nothing else. */
export function largeRow(batch: Batch, { head }: LargeValue): Batch {
  batch.clear(head.keyBytes, head.templates);
  batch.add(RECORD, Object.assign(new Frame(), head, { bytes: head.keyBytes, start: 0, end: 0 }));
  return batch;
}
