import { claimsBase64, jsonTextSize, writeBase64, writeBase64Prefix, writeEscaped } from '../bytes/json.js';
import { Utf8Checker } from '../bytes/utf8.js';
import type { Output } from './output.js';
import { Spill } from './spill.js';

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
  private readonly rest = new Uint8Array(2);
  private restLength = 0;

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
      if (this.base64) this.writeBase64(piece, output);
      else output.length = writeEscaped(piece, 0, piece.length, output.bytes, output.length);
      await output.flushIfFull();
    }
    if (!this.ended) return false;
    output.room(16);
    output.length = writeBase64(this.rest, 0, this.restLength, output.bytes, output.length);
    output.bytes[output.length++] = QUOTE;
    return true;
  }

  close(): void {
    this.spill.close();
  }

  /** Whole groups of three bytes; one or two wait for the next piece. */
  private writeBase64(piece: Uint8Array, output: Output): void {
    let start = 0;
    if (this.restLength > 0) {
      const group = new Uint8Array(3);
      group.set(this.rest.subarray(0, this.restLength));
      start = Math.min(3 - this.restLength, piece.length);
      group.set(piece.subarray(0, start), this.restLength);
      this.restLength += start;
      if (this.restLength < 3) {
        this.rest.set(group.subarray(0, this.restLength));
        return;
      }
      output.length = writeBase64(group, 0, 3, output.bytes, output.length);
    }
    const whole = piece.length - ((piece.length - start) % 3);
    output.length = writeBase64(piece, start, whole, output.bytes, output.length);
    this.rest.set(piece.subarray(whole));
    this.restLength = piece.length - whole;
  }
}
