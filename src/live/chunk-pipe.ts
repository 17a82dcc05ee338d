import { DEFAULT_CHUNK } from '../io/file.js';
import { Signal } from '../redis/signal.js';

/** Bytes that are worth handing on. */
const ENOUGH = 1 << 18;
/** Milliseconds after which fewer are handed on. */
const LATEST = 100;

/**
 * Bytes from a writer to a reader: the writer fills one buffer while the reader works on the other one. The writer puts bytes at
 * `bytes[length…)`, and waits for `room` where they do not fit.
 */
export class ChunkPipe {
  /** What is filled; another one after every await. */
  bytes: Uint8Array;
  length = 0;
  readonly capacity: number;
  /** Bytes in the chunks before. */
  private before = 0;
  private other: Uint8Array | undefined;
  private readonly change = new Signal();
  private readonly taken = new Signal();
  /** The writer waits. */
  private isFull = false;
  private isOver = false;
  private isClosed = false;
  private failure: Error | undefined;

  constructor(
    private readonly allocate: ((size: number) => Uint8Array) | undefined,
    capacity = DEFAULT_CHUNK,
  ) {
    this.capacity = capacity;
    this.bytes = this.next();
  }

  private next(): Uint8Array {
    if (this.allocate !== undefined) return this.allocate(this.capacity);
    const { other = new Uint8Array(this.capacity) } = this;
    this.other = this.bytes;
    return other;
  }

  /** Bytes that were written so far. */
  get offset(): number {
    return this.before + this.length;
  }

  /** Whether `size` bytes fit. */
  fits(size: number): boolean {
    return this.length + size <= this.capacity;
  }

  /** Waits until the buffer is empty. */
  async room(): Promise<void> {
    while (this.length > 0) {
      if (this.isClosed) throw new Error('nobody reads');
      this.isFull = true;
      this.change.fire();
      await this.taken.wait();
    }
  }

  /** Copies any number of bytes, which must not change meanwhile. */
  async put(bytes: Uint8Array, start: number, end: number): Promise<void> {
    for (let at = start; at < end; ) {
      if (this.length === this.capacity) await this.room();
      const size = Math.min(end - at, this.capacity - this.length);
      this.bytes.set(bytes.subarray(at, at + size), this.length);
      this.length += size;
      at += size;
    }
    this.told();
  }

  /** Tells the reader if there is enough for it. */
  told(): void {
    if (this.length >= ENOUGH) this.change.fire();
  }

  /** Nothing more is written; `failure` is thrown after the bytes that were. */
  end(failure?: Error): void {
    this.isOver = true;
    this.failure ??= failure;
    this.change.fire();
  }

  /** Nobody reads any more: `room` throws. */
  close(): void {
    this.isClosed = true;
    this.taken.fire();
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      await this.filled();
      if (this.length === 0) {
        if (this.failure !== undefined) throw this.failure;
        return;
      }
      const chunk = this.bytes.subarray(0, this.length);
      this.before += this.length;
      this.length = 0;
      this.isFull = false;
      this.bytes = this.next();
      this.taken.fire();
      yield chunk;
    }
  }

  /** Until there is enough, or something after a while, or the end. */
  private async filled(): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.change.fire();
    }, LATEST);
    const isEnough = (): boolean => this.isOver || this.isFull || this.length >= (isLate ? 1 : ENOUGH);
    while (!isEnough()) await this.change.wait();
    clearTimeout(timer);
  }
}
