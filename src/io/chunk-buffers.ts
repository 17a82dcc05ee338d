import type { Codec } from '../kernels/codec.js';
import { DEFAULT_CHUNK } from './file.js';

/** Records that are cut are mostly smaller. */
const ROOM_BEFORE = 1 << 16;

/**
 * The two buffers that files are read to, one file after another, in the memory of the hot loops. Before each of them is
 * room for a record that the chunk before had the beginning of, so that chunks are used where they are.
 */
export class ChunkBuffers {
  private readonly buffers: readonly [Uint8Array, Uint8Array];
  private turn = 0;

  constructor(codec: Codec) {
    const buffer = (): Uint8Array => codec.allocate(ROOM_BEFORE + DEFAULT_CHUNK).subarray(ROOM_BEFORE);
    this.buffers = [buffer(), buffer()];
  }

  readonly allocate = (size: number): Uint8Array => {
    this.turn = 1 - this.turn;
    return size <= DEFAULT_CHUNK ? this.buffers[this.turn].subarray(0, size) : new Uint8Array(size);
  };

  readonly roomBefore = (chunk: Uint8Array): number => {
    const ours = this.buffers.some(({ buffer, byteOffset }) => chunk.buffer === buffer && chunk.byteOffset === byteOffset);
    return ours ? ROOM_BEFORE : 0;
  };
}
