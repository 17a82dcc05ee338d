import { ByteBuilder } from '../bytes/builder.js';

const LF = 0x0a;
const BOM: readonly number[] = [0xef, 0xbb, 0xbf];

/** Lines up to this many bytes are handed on as a whole. */
const LONGEST_WHOLE = 1 << 20;
const EMPTY: Uint8Array = new Uint8Array(0);

/** Who takes lines, without the line feed. Bytes are borrowed until the method returns. */
export interface LineTaker {
  /** A whole line. */
  line(bytes: Uint8Array, start: number, end: number): void;
  /** A part of a line that is too long to be held. After an error, the rest of the line is left out. */
  part(bytes: Uint8Array, start: number, end: number, first: boolean, last: boolean): void;
}

/**
 * Cuts chunks into lines, one for each call of `next`; a byte order mark at the beginning is left out. Memory: a line of a
 * mebibyte.
 */
export class Lines {
  /** Of the current line, or the last one that ended: its number, from 1, and the offset of its first byte. */
  number = 0;
  offset = 0;
  private chunk = EMPTY;
  private pos = 0;
  private base = 0;
  private inLine = false;
  /** Bytes of the byte order mark seen so far; -1 if there is none, or after it. */
  private mark = 0;
  private held = new ByteBuilder();
  /** The line comes in parts; the rest of it is left out. */
  private parted = false;
  private skipping = false;

  constructor(private readonly taker: LineTaker) {}

  /** Bytes read so far. */
  get position(): number {
    return this.base + this.pos;
  }

  /** Takes a chunk, borrowed until `next` returned false. */
  push(chunk: Uint8Array): void {
    this.base += this.chunk.length;
    this.chunk = chunk;
    this.pos = 0;
  }

  /** Hands on the rest of the current line. Returns whether there may be another one in the chunk. */
  next(): boolean {
    if (this.mark >= 0) this.passMark();
    const { chunk, pos } = this;
    if (pos === chunk.length) return false;
    this.begin(this.base + pos);
    const found = chunk.indexOf(LF, pos);
    const end = found < 0 ? chunk.length : found;
    this.pos = found < 0 ? end : end + 1;
    this.inLine = found < 0;
    this.take(chunk, pos, end, found >= 0);
    return found >= 0;
  }

  /** The end of the input: hands on a last line that has no line feed. */
  finish(): void {
    if (this.mark > 0) this.keepMark();
    if (!this.inLine) return;
    this.inLine = false;
    this.take(EMPTY, 0, 0, true);
  }

  private begin(offset: number): void {
    if (this.inLine) return;
    this.inLine = true;
    this.number++;
    this.offset = offset;
  }

  private passMark(): void {
    while (this.pos < this.chunk.length && this.mark < BOM.length) {
      if (this.chunk[this.pos] !== BOM[this.mark]) {
        this.keepMark();
        return;
      }
      this.pos++;
      this.mark++;
    }
    if (this.mark === BOM.length) this.mark = -1;
  }

  /** What looked like one was the beginning of the line. */
  private keepMark(): void {
    if (this.mark > 0) {
      this.begin(0);
      for (let i = 0; i < this.mark; i++) this.held.byte(BOM[i]);
    }
    this.mark = -1;
  }

  private take(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const { held, taker } = this;
    if (this.skipping) {
      this.skipping = !complete;
      return;
    }
    if (this.parted || held.length + end - start > LONGEST_WHOLE) {
      this.part(bytes, start, end, complete);
    } else if (held.length === 0 && complete) {
      taker.line(bytes, start, end);
    } else {
      held.copy(bytes, start, end);
      if (!complete) return;
      const { length } = held;
      held.clear();
      taker.line(held.bytes, 0, length);
    }
  }

  private part(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    const { held, taker } = this;
    let first = !this.parted;
    this.parted = false;
    this.skipping = !complete; // unless all of it is well
    if (held.length > 0) {
      const { length } = held;
      held.clear();
      taker.part(held.bytes, 0, length, first, false);
      first = false;
    }
    taker.part(bytes, start, end, first, complete);
    this.skipping = false;
    this.parted = !complete;
  }
}
