import type { Codec } from '../kernels/codec.js';

type Allocator = Pick<Codec, 'allocate'>;

/** Words where kernels find them, all zeros. */
export function words(codec: Allocator, length: number): Int32Array {
  const { buffer, byteOffset } = codec.allocate(length * 4);
  return new Int32Array(buffer, byteOffset, length).fill(0);
}

export function doubles(codec: Allocator, length: number): Float64Array {
  const { buffer, byteOffset } = codec.allocate(length * 8);
  return new Float64Array(buffer, byteOffset, length).fill(0);
}

/** Whether all are in one memory, where a kernel can work on them. */
export const areTogether = (arrays: readonly ArrayBufferView[]): boolean => arrays.every(({ buffer }) => buffer === arrays[0].buffer);
