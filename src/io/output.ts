import type { Codec } from '../kernels/codec.js';
import type { ByteSink } from './byte-sink.js';

const FULL = 1 << 20;
/** Extra room, for what is written between two checks of the fill. */
const EXTRA = 1 << 18;
/** Size where memory costs nothing until touched: leaves room for a large value in a nearly full buffer. */
const HOT_SIZE = 8 << 20;

export interface OutputOptions {
  readonly codec?: Codec | undefined;
  /** How many buffers take turns (default 2). */
  readonly buffers?: number | undefined;
  /** A buffer over this many bytes is handed on (default 1 MiB). */
  readonly fullAt?: number | undefined;
}

/**
 * The buffer that sinks write to: `bytes` from `length` on, after `room(n)`. Buffers take turns, so that one is filled while
 * others are on their way to the disk.
 */
export class Output {
  bytes: Uint8Array;
  length = 0;
  /** Bytes handed on so far. */
  flushed = 0;
  private readonly fullAt: number;
  private readonly buffers: readonly Uint8Array[];
  /** The last write of each buffer. */
  private readonly writes: Promise<void>[];
  private turn = 0;

  constructor(
    private readonly sink: ByteSink,
    { buffers = 2, fullAt = FULL, codec }: OutputOptions = {},
  ) {
    this.fullAt = fullAt;
    this.buffers = Array.from({ length: buffers }, () => codec?.allocate(HOT_SIZE) ?? new Uint8Array(fullAt + EXTRA));
    this.bytes = this.buffers[0];
    this.writes = this.buffers.map(() => Promise.resolve());
  }

  /** Makes sure that `size` bytes fit after `length`. `bytes` may be another buffer afterwards, until the next flush. */
  room(size: number): void {
    if (this.length + size > this.bytes.length) this.grow(size);
  }

  /** Appends bytes. */
  add(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
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
    if (this.full) await this.flush();
  }

  /** Starts writing the current buffer; waits for the next buffer to be free, not for this write. */
  async flush(): Promise<void> {
    if (this.length === 0) return;
    const { bytes, length, turn } = this;
    this.flushed += length;
    this.length = 0;
    const write = this.sink.write(bytes.subarray(0, length));
    write.catch(() => undefined); // it is thrown where it is awaited
    this.writes[turn] = write;
    this.turn = (turn + 1) % this.buffers.length;
    this.bytes = this.buffers[this.turn];
    await this.writes[this.turn];
  }

  /** Waits until all that was handed on is written. */
  async written(): Promise<void> {
    await Promise.all(this.writes);
  }
}
