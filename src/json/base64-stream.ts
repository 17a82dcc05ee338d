import { writeBase64 } from '../bytes/json.js';
import type { Output } from '../io/output.js';

/** What is written to, from `length` on. */
type Room = Pick<Output, 'bytes' | 'length' | 'room'>;

/** Base64 of bytes that come in pieces: whole groups of three are written, one or two bytes wait for the next piece. */
export class Base64Stream {
  private readonly rest = new Uint8Array(3);
  private restLength = 0;

  /** Room for all of it is made in the output. */
  write(bytes: Uint8Array, start: number, end: number, output: Room): void {
    output.room(Math.ceil((end - start + 2) / 3) * 4);
    const { rest } = this;
    let from = start;
    if (this.restLength > 0) {
      while (this.restLength < 3 && from < end) rest[this.restLength++] = bytes[from++];
      if (this.restLength < 3) return;
      output.length = writeBase64(rest, 0, 3, output.bytes, output.length);
    }
    const whole = end - ((end - from) % 3);
    output.length = writeBase64(bytes, from, whole, output.bytes, output.length);
    this.restLength = end - whole;
    for (let i = 0; i < this.restLength; i++) rest[i] = bytes[whole + i];
  }

  /** Writes what still waits, padded, and is as new then. */
  end(output: Room): void {
    output.room(4);
    output.length = writeBase64(this.rest, 0, this.restLength, output.bytes, output.length);
    this.restLength = 0;
  }

  /** Forgets what waits. */
  clear(): void {
    this.restLength = 0;
  }
}
