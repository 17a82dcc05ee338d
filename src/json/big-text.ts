import { claimsBase64, jsonTextSize, writeBase64Prefix, writeEscaped } from '../bytes/json.js';
import { Utf8Checker } from '../bytes/utf8.js';
import { Base64Stream } from './base64-stream.js';
import type { Output } from '../io/output.js';
import { Spill } from '../io/spill.js';

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
