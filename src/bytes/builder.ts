const LEAST = 1 << 10;

/** Below this a loop is faster than `set`, which needs a new view. */
const SHORT = 32;

/** The halves of a double; machines that run Node are little-endian. */
const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

/** A growable buffer of bytes. `clear` keeps the buffer for the next use. */
export class ByteBuilder {
  /** The first `length` bytes are written; replaced when they no longer fit. */
  bytes: Uint8Array = new Uint8Array(LEAST);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** Makes room for `size` more bytes. Returns `length`, where they go, for writers that take a buffer and a position. */
  room(size: number): number {
    const needed = this.length + size;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.length;
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  /** `size` bytes of an integer, up to 4, little-endian. */
  le(value: number, size: number): void {
    const at = this.room(size);
    for (let i = 0; i < size; i++) this.bytes[at + i] = value >> (8 * i);
    this.length = at + size;
  }

  /** The same, big-endian. */
  be(value: number, size: number): void {
    const at = this.room(size);
    for (let i = 0; i < size; i++) this.bytes[at + i] = value >> (8 * (size - 1 - i));
    this.length = at + size;
  }

  /** A 64-bit integer as two halves, little-endian. */
  le64(hi: number, lo: number): void {
    this.le(lo, 4);
    this.le(hi, 4);
  }

  /** A double, little-endian. */
  double(value: number): void {
    float[0] = value;
    this.le64(words[1], words[0]);
  }

  /** Copies `bytes[start, end)`. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const at = this.room(size);
    if (size < SHORT) for (let i = 0; i < size; i++) this.bytes[at + i] = bytes[start + i];
    else this.bytes.set(bytes.subarray(start, end), at);
    this.length = at + size;
  }

  /** The bytes written: a view, until the next change. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
