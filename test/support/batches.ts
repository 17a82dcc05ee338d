import { Kernels } from '../../src/kernels/kernels.js';
import { Batch } from '../../src/rdb/batch.js';
import { FULL } from '../../src/rdb/frame.js';
import { Framer } from '../../src/rdb/framer.js';

/** Batches of files, with their bytes where kernels find them. The memory is used again and again. */
export class KernelBatches {
  readonly kernels: Kernels;
  private readonly room: Uint8Array;
  private readonly buffer: Uint8Array;
  private readonly batch: Batch;

  constructor() {
    const kernels = Kernels.create();
    if (kernels === undefined) throw new Error('the kernels are not there: npm run kernels');
    this.kernels = kernels;
    this.room = kernels.allocate(1 << 23);
    this.buffer = kernels.allocate(1 << 20);
    this.batch = new Batch(kernels);
  }

  *of(file: Uint8Array): Generator<Batch> {
    const { batch, buffer, kernels, room } = this;
    room.set(file);
    const framer = new Framer({ codec: kernels, buffer, meta: false, checksum: false });
    framer.push(room.subarray(0, file.length));
    for (let kind = FULL; kind === FULL; ) {
      kind = framer.fill(batch);
      batch.from = 0;
      batch.to = batch.rows;
      yield batch;
    }
  }
}
