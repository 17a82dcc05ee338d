// What `rdbkit inspect` estimates for every key of a file. No command of its own: see bench/memory.mjs.
import { ENCODINGS, Measurer } from '../dist/inspect/measures.js';
import { openInput } from '../dist/io/input.js';
import { Reading } from '../dist/io/reading.js';
import { TS_CODEC } from '../dist/kernels/codec.js';
import { Kernels } from '../dist/kernels/kernels.js';
import { DROPPED, KIND } from '../dist/kernels/layout.js';
import { Batch } from '../dist/rdb/batch.js';
import { END, Frame, FULL, RECORD } from '../dist/rdb/frame.js';
import { parseTarget } from '../dist/values/targets.js';

/** The keys in file order, and the memory of the tables of a server with them. */
export async function estimates(path, server, allocator, kernels = true) {
  const codec = kernels ? Kernels.create() : undefined;
  const batch = new Batch(codec ?? TS_CODEC);
  const reading = new Reading(openInput(path), batch, { checksum: false, meta: false, codec, buffer: codec?.allocate(4 << 20) });
  const measurer = new Measurer(codec ?? TS_CODEC, parseTarget(server), batch.table.rows, { allocator });
  const { measures } = measurer;
  const keys = [];
  let expires = 0;
  const add = (row, { db, hasExpire, keyBytes, keyEnd, keyStart, type }) => {
    if (hasExpire) expires++;
    keys.push({
      db,
      name: Buffer.from(keyBytes.slice(keyStart, keyEnd)),
      type: type.name,
      encoding: ENCODINGS[measures.encoding[row]],
      memory: measures.memory[row],
      elements: measures.elements[row],
      largest: measures.largest[row],
    });
  };
  const frame = new Frame();
  for (let kind = FULL; kind !== END; ) {
    kind = await reading.next();
    batch.from = 0;
    batch.to = batch.rows;
    measurer.rows(batch);
    for (let row = 0; row < batch.rows; row++) {
      if (batch.table.word(row, KIND) !== RECORD || batch.table.has(row, DROPPED)) continue;
      batch.read(row, frame);
      add(row, frame);
    }
    if (kind !== FULL && kind !== END) {
      const value = reading.large(kind);
      const head = { ...value.head, keyBytes: value.head.keyBytes.slice() };
      await measurer.large(value);
      add(0, head);
    }
  }
  await reading.close();
  return { keys, tables: (count) => measurer.tables(count, expires) + measurer.beside };
}
