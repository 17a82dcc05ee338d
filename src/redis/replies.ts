/** The results of `ReplyReader.next`. */
export const NO_REPLY = 0; // push more bytes
export const OK = 1; // `count` replies `+OK` in a row
export const INTEGER = 2; // `integer`
export const ERROR = 3; // `text`, without the `-`
export const OTHER = 4; // anything else, skipped
export const NIL = 5; // null, a string or an array
export const ARRAY = 6; // with elements: `array`
export const QUEUED = 7; // `count` replies `+QUEUED` in a row

/** What was in an array, whose other contents are skipped; arrays within it count as their elements. */
export interface ArrayReply {
  /** The first error. */
  readonly error: string | undefined;
  /** All errors, by the index of the element that is one or has one within. */
  readonly errors: readonly ErrorAt[];
  /** The last element and the one before it, if they are integers. */
  readonly beforeLast: number | undefined;
  readonly last: number | undefined;
}

export interface ErrorAt {
  readonly index: number;
  readonly text: string;
}

/** A reply that is neither an error nor an integer, if it is more than a sign of success. */
export type OtherReply = typeof NIL | ArrayReply;

const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;
const STAR = 0x2a;
const CR = 0x0d;
const LF = 0x0a;
const LETTER_O = 0x4f;
const LETTER_K = 0x4b;

/** Bytes of `+OK\r\n`. */
const OK_SIZE = 5;
const LETTER_Q = 0x51;
const LETTER_D = 0x44;
/** Bytes of `+QUEUED\r\n`. */
const QUEUED_SIZE = 9;

/**
 * Reads RESP 2 replies from the chunks of a connection, fast where nearly all are `+OK`. The contents of arrays and bulk strings
 * are skipped. A chunk belongs to the reader from `push` on.
 */
export class ReplyReader {
  count = 0;
  integer = 0;
  text = '';
  array: ArrayReply = NOTHING;
  private bytes: Uint8Array = new Uint8Array(0);
  private pos = 0;
  /** Bytes of a bulk string left to skip, with its line end. */
  private skipping = 0;
  /** Replies within arrays left to skip, at any depth. */
  private nested = 0;
  private errors: ErrorAt[] = [];
  private beforeLast: number | undefined;
  private last: number | undefined;
  /** Of an array: elements begun, and what `nested` was when the last one of them began. */
  private begun = 0;
  private below = 0;

  /** Prepares for another connection. */
  reset(): void {
    this.bytes = new Uint8Array(0);
    this.pos = this.skipping = this.nested = 0;
    this.errors = [];
    this.beforeLast = this.last = undefined;
  }

  push(chunk: Uint8Array): void {
    const left = this.bytes.length - this.pos;
    if (left === 0) {
      this.bytes = chunk;
    } else {
      const joined = new Uint8Array(left + chunk.length);
      joined.set(this.bytes.subarray(this.pos));
      joined.set(chunk, left);
      this.bytes = joined;
    }
    this.pos = 0;
  }

  /** Throws SyntaxError if the bytes are not RESP 2. */
  next(): number {
    for (;;) {
      if (this.skipping > 0 && !this.skip()) return NO_REPLY;
      if (this.nested === 0 && this.okRun()) return OK;
      if (this.nested === 0 && this.queuedRun()) return QUEUED;
      if (this.nested > 1 && this.bytes[this.pos] === PLUS) this.okElements();
      const kind = this.line();
      if (kind === NO_REPLY) return NO_REPLY;
      if (kind !== AGAIN) return kind;
    }
  }

  private okRun(): boolean {
    const { bytes } = this;
    let { pos } = this;
    const from = pos;
    const last = bytes.length - OK_SIZE;
    while (pos <= last && bytes[pos] === PLUS && bytes[pos + 1] === LETTER_O && bytes[pos + 2] === LETTER_K && bytes[pos + 3] === CR) {
      pos += OK_SIZE;
    }
    this.pos = pos;
    this.count = (pos - from) / OK_SIZE;
    return this.count > 0;
  }

  private queuedRun(): boolean {
    const { bytes } = this;
    let { pos } = this;
    const from = pos;
    const last = bytes.length - QUEUED_SIZE;
    while (pos <= last && bytes[pos] === PLUS && bytes[pos + 1] === LETTER_Q && bytes[pos + 6] === LETTER_D && bytes[pos + 7] === CR) {
      pos += QUEUED_SIZE;
    }
    this.pos = pos;
    this.count = (pos - from) / QUEUED_SIZE;
    return this.count > 0;
  }

  /** Elements `+OK` of an array, but for the last one. */
  private okElements(): void {
    const { below, bytes } = this;
    if (this.nested !== below) return;
    let { pos } = this;
    const last = Math.min(bytes.length - OK_SIZE, pos + (below - 2) * OK_SIZE);
    while (pos <= last && bytes[pos] === PLUS && bytes[pos + 1] === LETTER_O && bytes[pos + 2] === LETTER_K && bytes[pos + 3] === CR) {
      pos += OK_SIZE;
    }
    const count = (pos - this.pos) / OK_SIZE;
    if (count === 0) return;
    this.pos = pos;
    this.nested -= count;
    this.below -= count;
    this.begun += count;
    this.beforeLast = this.last = undefined;
  }

  private skip(): boolean {
    const step = Math.min(this.skipping, this.bytes.length - this.pos);
    this.pos += step;
    this.skipping -= step;
    return this.skipping === 0;
  }

  /** Reads one line that is not `+OK`, or is within an array. */
  private line(): number {
    const { bytes, pos } = this;
    const end = bytes.indexOf(LF, pos);
    if (end < 0) return NO_REPLY;
    this.pos = end + 1;
    const first = bytes[pos];
    if (first === PLUS) return this.element(undefined);
    if (first !== MINUS && first !== COLON && first !== DOLLAR && first !== STAR) {
      throw new SyntaxError(`a reply begins with byte ${first}, which is none of RESP 2`);
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + pos + 1, Math.max(end - pos - 2, 0)).toString('latin1');
    if (first === MINUS) {
      if (this.nested > 0) return this.element(undefined, text);
      this.text = text;
      return ERROR;
    }
    const number = Number(text);
    if (!Number.isInteger(number)) throw new SyntaxError(`a reply says ${JSON.stringify(text)} where a number is due`);
    if (first === COLON) {
      if (this.nested > 0) return this.element(number);
      this.integer = number;
      return INTEGER;
    }
    if (number < 0 && this.nested === 0) return NIL;
    if (first === STAR && number > 0) {
      if (this.nested === 0) {
        this.nested = this.below = number;
        this.begun = 0;
        return AGAIN;
      }
      this.beginElement();
      this.nested += number - 1;
      return AGAIN;
    }
    if (first === DOLLAR && number >= 0) this.skipping = number + 2;
    return this.element(undefined);
  }

  /** A reply that is skipped is complete, by itself or in an array. */
  private element(integer: number | undefined, error?: string): number {
    if (this.nested === 0) return OTHER;
    this.beginElement();
    this.beforeLast = this.last;
    this.last = integer;
    if (error !== undefined) this.errors.push({ index: this.begun - 1, text: error });
    this.nested--;
    if (this.nested > 0) return AGAIN;
    const { beforeLast, errors, last } = this;
    this.array = { error: errors.at(0)?.text, errors, beforeLast, last };
    if (errors.length > 0) this.errors = [];
    this.beforeLast = this.last = undefined;
    return ARRAY;
  }

  /** Counts an element of the outermost array, if one begins. */
  private beginElement(): void {
    if (this.nested !== this.below) return;
    this.begun++;
    this.below--;
  }
}

const NOTHING: ArrayReply = { error: undefined, errors: [], beforeLast: undefined, last: undefined };

/** Nothing to return yet. */
const AGAIN = -1;
