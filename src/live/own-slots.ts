import { keySlot } from '../bytes/crc16.js';
import { EMPTY } from '../encodings/element.js';
import { DB, DROPPED, FLAGS, KIND, RECORD, ROW_WORDS } from '../kernels/layout.js';
import type { Pass } from '../pipeline/passes.js';

/** Drops keys in slots that a node does not own: an interrupted migration left them there. */
export class OwnSlots {
  /** Keys dropped. */
  dropped = 0;
  private readonly key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };

  /** `wanted`: by slot, 1 where the keys are kept. */
  constructor(private readonly wanted: Uint8Array) {}

  readonly pass: Pass = (batch) => {
    const { key, wanted } = this;
    const { words } = batch.table;
    for (let row = 0, at = 0; row < batch.rows; row++, at += ROW_WORDS) {
      if (words[at + KIND] !== RECORD) continue;
      batch.readKey(row, key);
      if (wanted[keySlot(key.keyBytes, key.keyStart, key.keyEnd)] === 1) continue;
      batch.mark(row, DROPPED);
      this.dropped++;
    }
  };
}

/** Drops keys of other databases. */
export function onlyDatabase(db: number): Pass {
  return (batch) => {
    const { words } = batch.table;
    for (let row = 0, at = 0; row < batch.rows; row++, at += ROW_WORDS) {
      if (words[at + KIND] === RECORD && words[at + DB] !== db) words[at + FLAGS] |= DROPPED;
    }
  };
}
