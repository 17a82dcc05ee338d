import { EMPTY } from '../encodings/element.js';

/** Collects bytes that arrive in pieces and are needed contiguously. */
export class Gathered {
  /** The first `length` bytes are collected. */
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

  /** Removes the first `count` bytes. */
  drop(count: number): void {
    if (count === 0) return;
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }

  /** Removes all, and frees the memory if it is large. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > 1 << 22) this.bytes = EMPTY;
  }
}
