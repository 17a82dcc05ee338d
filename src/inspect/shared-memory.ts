import type { Codec } from '../kernels/codec.js';

/** Arrays in the memory of the kernels, all zeros. Untouched pages cost nothing. */
export class SharedMemory {
  constructor(private readonly codec: Pick<Codec, 'allocate'>) {}

  bytes(length: number): Uint8Array {
    return this.codec.allocate(length);
  }

  doubles(length: number): Float64Array {
    const { buffer, byteOffset } = this.codec.allocate(length * 8);
    return new Float64Array(buffer, byteOffset, length);
  }

  words(length: number): Int32Array {
    const { buffer, byteOffset } = this.codec.allocate(length * 4);
    return new Int32Array(buffer, byteOffset, length);
  }

  /** The same memory as words. */
  wordsOf({ buffer, byteOffset, length }: Float64Array): Int32Array {
    return new Int32Array(buffer, byteOffset, length * 2);
  }
}
