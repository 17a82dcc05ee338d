import type { Word } from './random-draw.js';

const CRLF = Buffer.from('\r\n');

/** Commands one after another, as clients send them: `*<words>\r\n`, and for each word `$<length>\r\n<bytes>\r\n`. */
export class RespWriter {
  private buffer = Buffer.allocUnsafe(1 << 17);
  /** Bytes written since `take`. */
  size = 0;

  command(...words: readonly Word[]): void {
    this.head('*', words.length);
    for (const word of words) this.word(word);
  }

  private word(word: Word): void {
    const text = typeof word === 'number' ? String(word) : word;
    const size = Buffer.byteLength(text);
    this.head('$', size);
    this.reserve(size + CRLF.length);
    if (typeof text === 'string') this.buffer.write(text, this.size);
    else text.copy(this.buffer, this.size);
    CRLF.copy(this.buffer, this.size + size);
    this.size += size + CRLF.length;
  }

  private head(type: string, count: number): void {
    this.reserve(16);
    this.size += this.buffer.write(`${type}${count}\r\n`, this.size, 'latin1');
  }

  private reserve(size: number): void {
    if (this.size + size <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * Math.max(this.buffer.length, size));
    this.buffer.copy(larger, 0, 0, this.size);
    this.buffer = larger;
  }

  /** What was written; the bytes are the caller's. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.size));
    this.size = 0;
    return taken;
  }
}
