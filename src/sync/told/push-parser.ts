import { garbled } from '../../redis/reply-link.js';

/** What a server told or answered. Bytes are borrowed: they change with the next chunk. */
export interface PushHandler {
  /** A key was written, deleted or has expired. */
  key(bytes: Uint8Array, start: number, end: number): void;
  /** Keys were flushed. */
  flushed(): void;
  /** A message by its channel. */
  message(channel: Uint8Array): void;
  /** A reply to a command: its first string, number or error; errors begin with `-`. */
  reply(text: string): void;
}

/** What the value that is read belongs to. */
const UNKNOWN = 0; // its first element tells
const KEYS = 1; // an invalidation
const MESSAGE = 2; // of a pattern that is subscribed to
const REPLY = 3;
const IGNORED = 4; // another push

const CR = 0x0d;
const LF = 0x0a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;
const STAR = 0x2a;
const PUSH = 0x3e;
const MAP = 0x25;
const ATTRIBUTE = 0x7c;
const SET = 0x7e;
const NULL = 0x5f;
const VERBATIM = 0x3d;
const BLOB_ERROR = 0x21;
const SIMPLE = new Set([PLUS, MINUS, COLON, 0x23, 0x2c, 0x28]);
/** Bytes of a line at most. */
const LONGEST_LINE = 1 << 16;
/** Bytes of a string at most: those of the longest key. */
const LONGEST_STRING = 512 << 20;
/** How deep values may nest. */
const DEEPEST = 16;
const FIRST_ROOM = 1 << 16;

/** Reads what a server pushes, in RESP 2 or 3, and the replies between. */
export class PushParser {
  private bytes: Uint8Array = new Uint8Array(FIRST_ROOM);
  private pos = 0;
  private end = 0;
  /** Bytes that have to be there before it is worth another look. */
  private need = 1;
  /** Elements that the values around still lack, the outermost first. */
  private readonly left: number[] = [];
  private kind = UNKNOWN;
  private isPush = false;
  /** Elements of the outermost value so far. */
  private index = 0;
  private first: string | undefined;

  constructor(private readonly handler: PushHandler) {}

  /** Takes the bytes, which may be used again then. Throws SyntaxError if they are not RESP. */
  push(chunk: Uint8Array): void {
    if (this.pos === this.end) this.pos = this.end = 0;
    if (this.end + chunk.length > this.bytes.length) this.makeRoom(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
    while (this.end - this.pos >= this.need && this.value());
  }

  private makeRoom(size: number): void {
    const unread = this.end - this.pos;
    const room = unread + size <= this.bytes.length ? this.bytes : new Uint8Array(Math.max(unread + size, 2 * this.bytes.length));
    room.set(this.bytes.subarray(this.pos, this.end));
    this.bytes = room;
    this.pos = 0;
    this.end = unread;
  }

  /** Reads a string, a number, or the beginning of an array. False if it has not arrived. */
  private value(): boolean {
    const { bytes, pos } = this;
    const lineEnd = bytes.indexOf(LF, pos);
    if (lineEnd < 0 || lineEnd >= this.end) {
      if (this.end - pos > LONGEST_LINE) throw garbled(bytes, pos, this.end);
      this.need = this.end - pos + 1;
      return false;
    }
    this.need = 1;
    const after = lineEnd + 1;
    if (lineEnd === pos || bytes[lineEnd - 1] !== CR) throw garbled(bytes, pos, this.end);
    const kind = bytes[pos];
    if (kind === NULL) {
      this.pos = after;
      this.nothing();
    } else if (SIMPLE.has(kind)) {
      this.pos = after;
      this.text(kind === MINUS ? pos : pos + 1, lineEnd - 1);
    } else if (kind === DOLLAR || kind === VERBATIM || kind === BLOB_ERROR) {
      return this.string(kind, this.count(pos, lineEnd - 1), after);
    } else if (kind === STAR || kind === SET || kind === PUSH || kind === MAP || kind === ATTRIBUTE) {
      const count = this.count(pos, lineEnd - 1);
      this.pos = after;
      if (count < 0) this.nothing();
      else this.begin(kind, kind === MAP || kind === ATTRIBUTE ? 2 * count : count);
    } else {
      throw garbled(bytes, pos, this.end);
    }
    return true;
  }

  private string(kind: number, size: number, from: number): boolean {
    const { bytes } = this;
    if (size < 0) {
      this.pos = from;
      this.nothing();
      return true;
    }
    const to = from + size;
    if (this.end < to + 2) {
      this.need = to + 2 - this.pos;
      return false;
    }
    if (bytes[to] !== CR || bytes[to + 1] !== LF) throw garbled(bytes, this.pos, this.end);
    this.pos = to + 2;
    this.text(kind === VERBATIM ? Math.min(from + 4, to) : from, to);
    return true;
  }

  /** The number of a line. */
  private count(pos: number, end: number): number {
    const { bytes } = this;
    let value = 0;
    const isNegative = bytes[pos + 1] === MINUS;
    const from = isNegative ? pos + 2 : pos + 1;
    for (let p = from; p < end; p++) {
      const digit = bytes[p] - 0x30;
      if (digit < 0 || digit > 9) throw garbled(bytes, pos, this.end);
      value = value * 10 + digit;
    }
    if (from === end || value > LONGEST_STRING) throw garbled(bytes, pos, this.end);
    return isNegative ? -value : value;
  }

  private begin(kind: number, count: number): void {
    const { left } = this;
    if (left.length === DEEPEST) throw new SyntaxError('a value is nested too deep');
    if (left.length === 0) {
      this.isPush = kind === PUSH;
      this.kind = UNKNOWN;
      this.index = 0;
      this.first = undefined;
    }
    left.push(count);
    if (count === 0) this.close();
  }

  private nothing(): void {
    const { kind, left } = this;
    if (kind === KEYS && left.length === 1 && this.index === 1) this.handler.flushed();
    if (left.length === 0) this.handler.reply('');
    else this.ended();
  }

  /** A string, a number or an error, `bytes[start, end)`. */
  private text(start: number, end: number): void {
    const { bytes, handler, left } = this;
    if (left.length === 0) {
      handler.reply(textOf(bytes, start, end));
      return;
    }
    if (left.length === 1 && this.index === 0) this.begun(textOf(bytes, start, Math.min(end, start + LONGEST_LINE)));
    else if (this.kind === KEYS && left.length === 2) handler.key(bytes, start, end);
    else if (this.kind === MESSAGE && this.index === 2) handler.message(bytes.subarray(start, end));
    this.ended();
  }

  /** The first element of an array. A push that is a reply is that to SUBSCRIBE. */
  private begun(word: string): void {
    if (this.isPush && word === 'invalidate') this.kind = KEYS;
    else if (word === 'pmessage') this.kind = MESSAGE;
    else this.kind = this.isPush && word !== 'psubscribe' ? IGNORED : REPLY;
    this.first = word;
  }

  /** An element is over. */
  private ended(): void {
    const { left } = this;
    if (left.length === 1) this.index++;
    left[left.length - 1]--;
    if (left[left.length - 1] === 0) this.close();
  }

  /** A value that had elements is over. */
  private close(): void {
    const { left } = this;
    left.pop();
    if (left.length > 0) {
      this.ended();
      return;
    }
    const isReply = this.kind === REPLY || (this.kind === UNKNOWN && !this.isPush);
    this.kind = UNKNOWN;
    if (isReply) this.handler.reply(this.first ?? '');
  }
}

const textOf = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
