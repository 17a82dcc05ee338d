import type { Crc64 } from '../bytes/crc64.js';
import type { Codec, RunningCrc } from '../kernels/codec.js';
import { EMPTY } from '../encodings/element.js';

/** Buffers double, but grow by no more than this. */
const MAX_GROWTH = 1 << 26;

/**
 * The buffered part of the input as contiguous bytes, however it was chunked: `bytes[keep, end)`, of which those before `pos` were
 * read. Chunks are borrowed, and used in place if nothing of the one before is kept.
 */
export class Window {
  bytes: Uint8Array = EMPTY;
  /** First byte still needed, first byte not read yet, end: positions in `bytes`. */
  keep = 0;
  pos = 0;
  end = 0;
  /** Offset of bytes[0] in the input. */
  base = 0;

  /** Updated with the bytes that were read, in order; undefined without a checksum, and after `checksum`. */
  running: RunningCrc | undefined;
  private own: Uint8Array;

  constructor(
    crc: Crc64 | undefined,
    /** Where to keep bytes; if given, chunks are copied to it. */
    private readonly buffer: Uint8Array | undefined,
    private readonly codec: Codec,
    /** Number of writable bytes before a chunk; 0 also means that it is best copied to the buffer. */
    private readonly roomBefore: (chunk: Uint8Array) => number,
    /** Bytes moved: positions in `before` are now less by `by`, in `bytes`. */
    private readonly onMove: (before: Uint8Array, by: number) => void,
  ) {
    this.own = buffer ?? EMPTY;
    this.running = crc === undefined ? undefined : { crc, at: 0 };
  }

  /** Takes the next bytes, borrowed until `release`. */
  push(chunk: Uint8Array): void {
    const left = this.end - this.keep;
    const room = this.roomBefore(chunk);
    if (left === 0 && this.buffer === undefined) {
      this.move(chunk, chunk.length);
    } else if (room > 0 && left <= room) {
      const whole = new Uint8Array(chunk.buffer, chunk.byteOffset - left, left + chunk.length);
      this.codec.copy(this.bytes, this.keep, this.end, whole, 0);
      this.move(whole, whole.length);
    } else {
      this.hold(left, left + chunk.length);
      this.codec.copy(chunk, 0, chunk.length, this.own, this.end);
      this.end += chunk.length;
    }
  }

  /** Gives back the chunk: what is still needed moves to our own buffer. */
  release(): void {
    this.hash();
    const left = this.end - this.keep;
    if (left > 0 && this.bytes !== this.own) this.hold(left, left + this.bytes.length);
  }

  /** Moves the last `left` bytes to the beginning of our own buffer, with room for `size` in all. */
  private hold(left: number, size: number): void {
    if (this.bytes === this.own && this.keep === 0 && this.own.length >= size) return;
    if (this.own.length < size) this.own = new Uint8Array(Math.max(size, Math.min(left * 2, size + MAX_GROWTH)));
    if (this.bytes === this.own) this.own.copyWithin(0, this.keep, this.end);
    else this.own.set(this.bytes.subarray(this.keep, this.end));
    this.move(this.own, left);
  }

  private move(bytes: Uint8Array, end: number): void {
    const { keep } = this;
    const before = this.bytes;
    this.bytes = bytes;
    this.base += keep;
    this.pos -= keep;
    if (this.running !== undefined) this.running.at -= keep;
    this.keep = 0;
    this.end = end;
    this.onMove(before, keep);
  }

  /** Brings the checksum up to `pos`. */
  private hash(): void {
    const { bytes, pos, running } = this;
    if (running === undefined) return;
    running.crc.update(bytes, running.at, pos);
    running.at = pos;
  }

  /** Ends the checksum and returns it: all bytes before `pos`, no later ones. */
  checksum(): Crc64 | undefined {
    this.hash();
    const { running } = this;
    this.running = undefined;
    return running?.crc;
  }
}
