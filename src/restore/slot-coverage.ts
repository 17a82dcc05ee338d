import { keySlot, SLOTS } from '../bytes/crc16.js';
import { EMPTY } from '../encodings/element.js';
import { KIND, RECORD } from '../kernels/layout.js';
import type { Pass } from '../pipeline/passes.js';

/** A range of slots without keys is no accident if it is this many times the average distance between slots with keys. */
const TOO_LONG = 20;

/** Notes which slots the sources have keys in: a shard that was forgotten leaves a long range without any. */
export class SlotCoverage {
  private readonly seen = new Uint8Array(SLOTS);
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  /** Looks at all keys, also those that are left out. */
  readonly pass: Pass = (batch) => {
    const { key, seen } = this;
    const { rows, table } = batch;
    for (let row = 0; row < rows; row++) {
      if (table.word(row, KIND) !== RECORD) continue;
      batch.readKey(row, key);
      seen[keySlot(key.keyBytes, key.keyStart, key.keyEnd)] = 1;
    }
  };

  /** Ranges of slots, first and last, that no key is in, and that are too long to be empty by chance. */
  get gaps(): [from: number, to: number][] {
    const { seen } = this;
    const least = (TOO_LONG * SLOTS) / seen.reduce((sum, one) => sum + one, 0);
    const gaps: [number, number][] = [];
    for (let from = 0, slot = 0; slot <= SLOTS; slot++) {
      if (slot < SLOTS && seen[slot] === 0) continue;
      if (slot - from >= least) gaps.push([from, slot - 1]);
      from = slot + 1;
    }
    return gaps;
  }
}
