import type { Kernels } from '../kernels/kernels.js';
import { ROW_WORDS } from '../kernels/layout.js';
import type { Setup, Slot } from './messages.js';
import { SLOT_BYTES, SLOT_ROWS, SLOTS, WORKER_BYTES } from './sizes.js';

/** The memory of threads, by number: a thread that takes the place of another takes its memory, too. */
export class Setups {
  private readonly made: Setup[] = [];

  constructor(private readonly kernels: Kernels | undefined) {}

  of(thread: number): Setup {
    return (this.made[thread] ??= this.make());
  }

  /** From the memory of the kernels where that has room, so that they copy and decode without a detour. */
  private make(): Setup {
    const { kernels } = this;
    const share = kernels?.share(WORKER_BYTES);
    const bytes = (size: number): Uint8Array =>
      (share === undefined ? undefined : kernels?.allocate(size)) ?? new Uint8Array(new SharedArrayBuffer(size));
    const slot = (): Slot => {
      const table = bytes(SLOT_ROWS * ROW_WORDS * 4);
      return { bytes: bytes(SLOT_BYTES), table: new Int32Array(table.buffer, table.byteOffset, SLOT_ROWS * ROW_WORDS) };
    };
    return { share, slots: Array.from({ length: SLOTS }, slot) };
  }
}
