import type { Hot } from '../bytes/hot.js';
import type { ByteSink } from './byte-sink.js';

/** A buffer over this many bytes is handed on, unless the caller says another number. */
const FULL = 1 << 20;
/** Room behind that for what is written before anybody looks. */
const EXTRA = 1 << 18;
/** Where memory costs only what is touched: room for a large value behind a buffer that is nearly full. */
const HOT_SIZE = 8 << 20;

/**
 * The buffer that sinks write to: `bytes` from `length` on, after `room(n)`. Two buffers take turns, so that one is filled
 * while the other is on its way to the disk.
 */
export class Output {
  bytes: Uint8Array;
  length = 0;
  /** Bytes handed on so far. */
  flushed = 0;
  /** A position in `bytes` is still needed: it stays where it is, however full. */
  held = false;
  private readonly buffers: readonly [Uint8Array, Uint8Array];
  private turn = 0;
  private writing: Promise<void> | undefined;

  constructor(
    private readonly sink: ByteSink,
    hot?: Hot,
    private readonly fullAt = FULL,
  ) {
    const allocate = (): Uint8Array => hot?.allocate(HOT_SIZE) ?? new Uint8Array(fullAt + EXTRA);
    this.buffers = [allocate(), allocate()];
    this.bytes = this.buffers[0];
  }

  /** Makes sure that `size` bytes fit behind `length`. `bytes` may be another buffer afterwards, until the next flush. */
  room(size: number): void {
    if (this.length + size > this.bytes.length) this.grow(size);
  }

  private grow(size: number): void {
    const grown = new Uint8Array(Math.max(this.length + size, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  get full(): boolean {
    return this.length >= this.fullAt;
  }

  async flushIfFull(): Promise<void> {
    if (this.full && !this.held) await this.flush();
  }

  /** Hands on what there is; waits for the buffer before, not for this one. */
  async flush(): Promise<void> {
    await this.written();
    if (this.length === 0) return;
    const { bytes, length } = this;
    this.turn = 1 - this.turn;
    this.bytes = this.buffers[this.turn];
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
