import { claimsBase64, jsonTextSize, writeBase64, writeBase64Prefix, writeEscaped } from '../bytes/json.js';
import { Utf8Checker } from '../bytes/utf8.js';
import type { Output } from '../io/output.js';
import { Spill } from '../io/spill.js';

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

const QUOTE = 0x22;

/**
 * One large string as JSON text, without holding it. Whether it is text or base64 may be known at its last byte only, so it
 * is put aside until then; binary data mostly shows itself in the first kilobytes, and flows through from there.
 */
export class BigText {
  private readonly spill = new Spill();
  private readonly utf8 = new Utf8Checker();
  private readonly head = new Uint8Array(7);
  private headLength = 0;
  private base64 = false;
  private opened = false;
  private ended = false;
  private readonly encoder = new Base64Stream();

  add(bytes: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end && this.headLength < 7; i++) this.head[this.headLength++] = bytes[i];
    if (!this.base64) {
      this.utf8.push(bytes, start, end);
      this.base64 = !this.utf8.valid || claimsBase64(this.head, 0, this.headLength);
    }
    this.spill.add(bytes, start, end);
  }

  end(): void {
    this.ended = true;
    if (!this.utf8.finish()) this.base64 = true;
  }

  /** Writes what can be written. Returns whether the text is complete. */
  async settle(output: Output): Promise<boolean> {
    if (!this.base64 && !this.ended) return false;
    if (!this.opened) {
      output.room(16);
      output.bytes[output.length++] = QUOTE;
      if (this.base64) output.length = writeBase64Prefix(output.bytes, output.length);
      this.opened = true;
    }
    for (const piece of this.spill.drain()) {
      output.room(jsonTextSize(piece.length));
      if (this.base64) this.encoder.write(piece, 0, piece.length, output);
      else output.length = writeEscaped(piece, 0, piece.length, output.bytes, output.length);
      await output.flushIfFull();
    }
    if (!this.ended) return false;
    output.room(16);
    this.encoder.end(output);
    output.bytes[output.length++] = QUOTE;
    return true;
  }

  close(): void {
    this.spill.close();
  }
}
