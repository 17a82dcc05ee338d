/**
 * Compressed bytes as a decompressor wants them: an exact number, or whatever is buffered. Views that it hands out are valid
 * until the next call; a range that spans two chunks of the source is gathered in a separate buffer.
 */
import { RdbError } from '../bytes/errors.js';

const NONE: Uint8Array = new Uint8Array(0);

export class ByteReader {
  private current: Uint8Array = NONE;
  private position = 0;
  /** What follows `current` when that is the gathering buffer. */
  private rest: Uint8Array = NONE;
  private gathered: Uint8Array = NONE;

  /** `file` is named in errors. */
  constructor(
    private readonly source: AsyncIterator<Uint8Array, void, void>,
    readonly file: string,
  ) {}

  /** BAD_COMPRESSION in this file. */
  damage(expected: string, got: string, cause?: unknown): RdbError {
    return new RdbError('BAD_COMPRESSION', { expected, got, file: this.file, ...(cause === undefined ? {} : { cause }) });
  }

  endsEarly(expected: string, cause?: unknown): RdbError {
    return this.damage(expected, 'the compressed data ends early', cause);
  }

  private async pull(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.rest.length > 0) {
        const chunk = this.rest;
        this.rest = NONE;
        return chunk;
      }
      const { done, value } = await this.source.next();
      if (done === true) return undefined;
      this.rest = value;
    }
  }

  /** Up to `length` bytes without taking them; fewer only at the end of the input. */
  async peek(length: number): Promise<Uint8Array> {
    if (this.position === this.current.length) await this.available();
    if (this.current.length - this.position < length) await this.gather(length);
    return this.current.subarray(this.position, this.position + length);
  }

  private async gather(length: number): Promise<void> {
    let have = this.current.length - this.position;
    const into = this.gathered.length < length ? new Uint8Array(length) : this.gathered;
    into.set(this.current.subarray(this.position));
    this.gathered = into;
    this.current = into.subarray(0, have);
    this.position = 0;
    while (have < length) {
      const chunk = await this.pull();
      if (chunk === undefined) break;
      const take = Math.min(length - have, chunk.length);
      into.set(chunk.subarray(0, take), have);
      this.rest = chunk.subarray(take);
      have += take;
      this.current = into.subarray(0, have);
    }
  }

  /** Takes exactly `length` bytes; an input that ends before is an error that names `what`. */
  async take(length: number, what: string): Promise<Uint8Array> {
    const bytes = await this.peek(length);
    if (bytes.length < length) throw this.endsEarly(what);
    this.position += length;
    return bytes;
  }

  /** All buffered bytes, at least one, without consuming them; undefined at the end of the input. */
  async available(): Promise<Uint8Array | undefined> {
    if (this.position === this.current.length) {
      const chunk = await this.pull();
      if (chunk === undefined) return undefined;
      this.current = chunk;
      this.position = 0;
    }
    return this.current.subarray(this.position);
  }

  /** Takes `length` bytes of those that `available` or `peek` showed. */
  consume(length: number): void {
    this.position += length;
  }

  async skip(length: number, what: string): Promise<void> {
    while (length > 0) {
      const bytes = await this.available();
      if (bytes === undefined) throw this.endsEarly(what);
      const step = Math.min(length, bytes.length);
      this.consume(step);
      length -= step;
    }
  }
}

export const readU32 = (b: Uint8Array, i = 0): number =>
  (b[i] | (b[i + 1] << 8) | (b[i + 2] << 16) | (b[i + 3] << 24)) >>> 0;
