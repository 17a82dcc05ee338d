import type { Duplex } from 'node:stream';
import { encodeCommand } from './commands.js';
import { ConnectionClosed, ConnectionLost, reasonOf } from './errors.js';
import { Watchdog } from './watchdog.js';

/** Bytes of the window at first. */
const WINDOW = 1 << 21;
/** Unread bytes above which the socket is paused. */
const ENOUGH = 1 << 20;
/** Milliseconds without any byte while replies are due, after which the connection counts as lost. */
const PATIENCE = 60_000;
/** Bytes of a reply to `ask`, and of a line. */
const MOST_ASKED = 64 << 20;
const LONGEST_LINE = 1 << 16;
/** How deep arrays of a reply may nest. */
const DEEPEST = 16;

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const MINUS = 0x2d;
export const PLUS = 0x2b;
export const ERROR = 0x2d;
export const INTEGER = 0x3a;
export const BULK = 0x24;
export const ARRAY = 0x2a;

/** Digits that a double surely holds. */
const EXACT_DIGITS = 15;
const LONGEST_NUMBER = 20;

/** An error reply, as the server words it. */
export class ErrorAnswer {
  constructor(readonly text: string) {}
}

/** A reply of RESP 2. */
export type Answer = number | Uint8Array | null | ErrorAnswer | readonly Answer[];

/** The text of a string reply; undefined for any other. */
export function textOf(answer: Answer): string | undefined {
  return answer instanceof Uint8Array ? Buffer.from(answer.buffer, answer.byteOffset, answer.length).toString('latin1') : undefined;
}

/**
 * A connection whose replies are read where they arrived: in `bytes[pos, end)`. Whenever more arrive, bytes move and `bytes` may be
 * replaced: positions are good until the next await. The socket is paused while nobody reads.
 */
export class ReplyLink {
  bytes: Uint8Array = new Uint8Array(WINDOW);
  /** What is read, and what has arrived. */
  pos = 0;
  end = 0;
  /** The number that `number` read: as a double, and its 64 bits. */
  value = 0;
  hi = 0;
  lo = 0;
  private waiter: { readonly resolve: () => void; readonly reject: (reason: unknown) => void; readonly need: number } | undefined;
  private endedBy: unknown;
  private isOver = false;
  private paused = true;
  private readonly watchdog: Watchdog;
  private readonly abort: () => void;

  constructor(
    private readonly socket: Duplex,
    private readonly onBytes: (count: number) => void,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.watchdog = new Watchdog({
      patience: PATIENCE,
      expected: () => (this.waiter === undefined ? 0 : 1),
      silent: (reason) => this.ended(new ConnectionLost(reason)),
    });
    this.abort = (): void => this.ended(signal?.reason);
    signal?.addEventListener('abort', this.abort, { once: true });
    socket.on('data', (chunk: Uint8Array) => this.received(chunk));
    socket.on('error', (error) => this.ended(new ConnectionClosed(reasonOf(error), { cause: error })));
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => this.ended(new ConnectionClosed('the server closed the connection')));
    }
    socket.pause();
    if (signal?.aborted === true) this.abort();
  }

  /** Writes commands; the bytes must not change until they are answered. */
  write(bytes: Uint8Array): void {
    if (!this.isOver) this.socket.write(bytes);
  }

  /** Waits until `need` bytes are unread. Rejects with ConnectionLost, or with the reason of the signal. */
  async more(need: number): Promise<void> {
    while (this.end - this.pos < need) {
      if (this.isOver) throw this.endedBy;
      await new Promise<void>((resolve, reject) => {
        this.waiter = { resolve, reject, need };
        this.watchdog.watch();
        if (this.paused) {
          this.paused = false;
          this.socket.resume();
        }
      });
    }
  }

  private received(chunk: Uint8Array): void {
    if (this.isOver) return;
    this.onBytes(chunk.length);
    this.watchdog.sign();
    this.append(chunk);
    const { waiter } = this;
    const unread = this.end - this.pos;
    if (waiter !== undefined && unread >= waiter.need) {
      this.waiter = undefined;
      waiter.resolve();
    }
    if (unread > ENOUGH && this.waiter === undefined && !this.paused) {
      this.paused = true;
      this.socket.pause();
    }
  }

  private append(chunk: Uint8Array): void {
    if (this.pos === this.end) {
      this.pos = this.end = 0;
      if (this.bytes.length > WINDOW) this.bytes = new Uint8Array(Math.max(WINDOW, chunk.length));
    }
    if (this.end + chunk.length > this.bytes.length) this.makeRoom(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  private makeRoom(size: number): void {
    const unread = this.end - this.pos;
    if (unread + size <= this.bytes.length) {
      this.bytes.copyWithin(0, this.pos, this.end);
    } else {
      const grown = new Uint8Array(Math.max(unread + size, this.bytes.length * 2));
      grown.set(this.bytes.subarray(this.pos, this.end));
      this.bytes = grown;
    }
    this.pos = 0;
    this.end = unread;
  }

  private ended(reason: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.endedBy = reason;
    this.socket.destroy();
    this.watchdog.stop();
    this.signal?.removeEventListener('abort', this.abort);
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.reject(reason);
  }

  close(): void {
    this.ended(new ConnectionLost('closed'));
  }

  /**
   * Reads the number after the byte at `at`, up to its line end. Returns the position after it, or -1 if it has not arrived whole.
   * Throws SyntaxError where there is none.
   */
  number(at: number): number {
    const { bytes, end } = this;
    let p = at + 1;
    if (p >= end) return -1;
    const isNegative = bytes[p] === MINUS;
    if (isNegative) p++;
    const from = p;
    let value = 0;
    for (; p < end; p++) {
      const digit = bytes[p] - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (p - from > LONGEST_NUMBER) throw garbled(bytes, at, end);
    if (p + 1 >= end) {
      if (p < end && (bytes[p] !== CR || p === from)) throw garbled(bytes, at, end);
      return -1;
    }
    if (p === from || bytes[p] !== CR || bytes[p + 1] !== LF) throw garbled(bytes, at, end);
    if (p - from > EXACT_DIGITS) return this.wide(from, p, isNegative);
    this.value = isNegative ? -value : value;
    this.hi = Math.floor(this.value / 2 ** 32) | 0;
    this.lo = this.value | 0; // modulo 2^32
    return p + 2;
  }

  /** A number that a double may not hold. */
  private wide(from: number, to: number, isNegative: boolean): number {
    const digits = BigInt(Buffer.from(this.bytes.buffer, this.bytes.byteOffset + from, to - from).toString('latin1'));
    const exact = BigInt.asIntN(64, isNegative ? -digits : digits);
    this.value = Number(exact);
    this.hi = Number(exact >> 32n) | 0;
    this.lo = Number(exact & 0xffffffffn) | 0;
    return to + 2;
  }

  /** The end of the line at `at`, after its CR LF; -1 if it has not arrived. Throws SyntaxError for one without an end. */
  lineEnd(at: number): number {
    const { bytes, end } = this;
    for (let p = at; p < end; p++) if (bytes[p] === LF) return p + 1;
    if (end - at > LONGEST_LINE) throw garbled(bytes, at, end);
    return -1;
  }

  /** The text of a line that `lineEnd` found, without its first byte and its end. */
  line(at: number, end: number): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at + 1, Math.max(0, end - at - 3)).toString('latin1');
  }

  /** Sends a command of its own and returns the reply; nothing else may be in flight. */
  async ask(...args: (string | Uint8Array)[]): Promise<Answer> {
    this.send(...args);
    return this.answer();
  }

  send(...args: (string | Uint8Array)[]): void {
    this.write(encodeCommand(args));
  }

  /** Reads a whole reply. Its strings are copies. Throws SyntaxError, and if it has more than 64 MiB. */
  async answer(most = MOST_ASKED): Promise<Answer> {
    const left = { bytes: most };
    return this.element(left, 0);
  }

  private async element(left: { bytes: number }, depth: number): Promise<Answer> {
    await this.more(1);
    const kind = this.bytes[this.pos];
    if (kind === PLUS || kind === ERROR) {
      const end = await this.whole(() => this.lineEnd(this.pos));
      const text = this.line(this.pos, end);
      this.pos = end;
      return kind === ERROR ? new ErrorAnswer(text) : Uint8Array.from(Buffer.from(text, 'latin1'));
    }
    if (kind !== INTEGER && kind !== BULK && kind !== ARRAY) throw garbled(this.bytes, this.pos, this.end);
    this.pos = await this.whole(() => this.number(this.pos));
    const { value } = this;
    if (kind === INTEGER) return value;
    if (value < 0) return null;
    left.bytes -= value;
    if (left.bytes < 0 || depth === DEEPEST) throw new SyntaxError(`a reply has more than ${MOST_ASKED >> 20} MiB`);
    if (kind === BULK) {
      await this.more(value + 2);
      const bytes = this.bytes.slice(this.pos, this.pos + value);
      this.pos += value + 2;
      return bytes;
    }
    const all: Answer[] = [];
    for (let i = 0; i < value; i++) all.push(await this.element(left, depth + 1));
    return all;
  }

  /** What `read` returns, once it is not -1. */
  async whole(read: () => number): Promise<number> {
    for (;;) {
      const end = read();
      if (end >= 0) return end;
      await this.more(this.end - this.pos + 1);
    }
  }

  /** Reads a line that is a number after a byte of this kind. Throws SyntaxError for any other reply. */
  async numberOf(kind: number): Promise<number> {
    await this.more(1);
    if (this.bytes[this.pos] !== kind) throw garbled(this.bytes, this.pos, this.end);
    this.pos = await this.whole(() => this.number(this.pos));
    return this.value;
  }

  /** Reads an error, which the next reply is: its text. */
  async errorLine(): Promise<string> {
    const end = await this.whole(() => this.lineEnd(this.pos));
    const text = this.line(this.pos, end);
    this.pos = end;
    return text;
  }
}

/** For what is not RESP 2. */
export function garbled(bytes: Uint8Array, at: number, end: number): SyntaxError {
  const shown = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(end - at, 32)).toString('latin1');
  return new SyntaxError(`a reply that is not RESP 2: ${JSON.stringify(shown)}`);
}
