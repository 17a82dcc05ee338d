import { DROPPED, FLAGS, KIND, RECORD, ROW_WORDS } from '../kernels/layout.js';
import { EMPTY } from '../encodings/element.js';
import type { Batch } from '../rdb/batch.js';

/** What may end a segment. */
const CANDIDATES = ':/.|#;,_-+@=~!$%&*';
/** A character ends segments if this share of the keys has it. */
const COMMON = 0.1;

/** The delimiters that the keys of a batch have: punctuation in one of ten keys or more; `:` if there is none. Undefined without keys. */
export function delimitersOf(batch: Batch): Uint8Array | undefined {
  const { words } = batch.table;
  const found = new Uint32Array(256);
  const last = new Int32Array(256).fill(-1);
  const key = { keyBytes: EMPTY, keyStart: 0, keyEnd: 0 };
  let keys = 0;
  for (let row = batch.from; row < batch.to; row++) {
    const at = row * ROW_WORDS;
    if (words[at + KIND] !== RECORD || (words[at + FLAGS] & DROPPED) !== 0) continue;
    keys++;
    batch.readKey(row, key);
    for (let i = key.keyStart; i < key.keyEnd; i++) {
      const byte = key.keyBytes[i];
      if (last[byte] !== row) found[byte]++;
      last[byte] = row;
    }
  }
  if (keys === 0) return undefined;
  const common = Buffer.from(CANDIDATES).filter((byte) => found[byte] > 0 && found[byte] >= keys * COMMON);
  return common.length === 0 ? Buffer.from(':') : common;
}
