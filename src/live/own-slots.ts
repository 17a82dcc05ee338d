import { keySlot, SLOTS } from '../bytes/crc16.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, KIND, RECORD, ROW_WORDS } from '../kernels/layout.js';
import type { Pass } from '../pipeline/passes.js';

/** Drops keys in slots that are not wanted of a node. */
export class OwnSlots {
  /** By slot: keys that were kept, and dropped. */
  readonly kept = new Uint32Array(SLOTS);
  readonly dropped = new Uint32Array(SLOTS);
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  /** `wanted`: by slot, 1 where the keys are kept. */
  constructor(readonly wanted: Uint8Array) {}

  readonly pass: Pass = (batch) => {
    const { dropped, kept, key, wanted } = this;
    const { words } = batch.table;
    for (let row = 0, at = 0; row < batch.rows; row++, at += ROW_WORDS) {
      if (words[at + KIND] !== RECORD) continue;
      batch.readKey(row, key);
      const slot = keySlot(key.keyBytes, key.keyStart, key.keyEnd);
      if (wanted[slot] === 1) kept[slot]++;
      else {
        batch.mark(row, DROPPED);
        dropped[slot]++;
      }
    }
  };
}

/** Drops keys of other databases. */
export function onlyDatabase(db: number): Pass {
  return (batch) => {
    const { words } = batch.table;
    for (let row = 0, at = 0; row < batch.rows; row++, at += ROW_WORDS) {
      if (words[at + KIND] === RECORD && words[at + DB] !== db) batch.mark(row, DROPPED);
    }
  };
}
