import type { ByteSink } from './byte-sink.js';

/** A buffer over this many bytes is handed on. */
const FULL = 1 << 20;

/**
 * The buffer that sinks write to: `bytes` from `length` on, after `room(n)`. Two buffers take turns, so that one is filled
 * while the other is on its way to the disk.
 */
export class Output {
  bytes = new Uint8Array(FULL + (1 << 18));
  length = 0;
  /** Bytes handed on so far. */
  flushed = 0;
  private spare = new Uint8Array(FULL + (1 << 18));
  private writing: Promise<void> | undefined;

  constructor(private readonly sink: ByteSink) {}

  /** Makes sure that `size` bytes fit behind `length`. `bytes` may be another buffer afterwards. */
  room(size: number): void {
    if (this.length + size > this.bytes.length) this.grow(size);
  }

  private grow(size: number): void {
    const grown = new Uint8Array(Math.max(this.length + size, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  get full(): boolean {
    return this.length >= FULL;
  }

  async flushIfFull(): Promise<void> {
    if (this.full) await this.flush();
  }

  /** Hands on what there is; waits for the buffer before, not for this one. */
  async flush(): Promise<void> {
    await this.written();
    if (this.length === 0) return;
    const { bytes, length } = this;
    this.bytes = this.spare;
    this.spare = bytes.length > 4 * FULL ? new Uint8Array(FULL + (1 << 18)) : bytes;
    this.length = 0;
    this.flushed += length;
    this.writing = this.sink.write(bytes.subarray(0, length));
    this.writing.catch(() => undefined); // it is thrown where it is awaited
  }

  /** Waits until all that was handed on is written. */
  async written(): Promise<void> {
    await this.writing;
    this.writing = undefined;
  }
}
