import { EMPTY } from '../encodings/element.js';

/** Bytes that arrive in pieces and are needed in one. */
export class Gathered {
  /** The first `length` bytes are the ones gathered. */
  bytes: Uint8Array = EMPTY;
  length = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    const size = this.length + end - start;
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, Math.ceil(this.bytes.length * 1.5)));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = size;
  }

  /** Forgets the first `count` bytes. */
  drop(count: number): void {
    if (count === 0) return;
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }

  /** Forgets all of them, and gives back the memory where it was much. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > 1 << 22) this.bytes = EMPTY;
  }
}
