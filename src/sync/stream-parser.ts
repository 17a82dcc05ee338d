import { plain } from '../bytes/plain.js';
import type { StreamCommand } from './stream-command.js';

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;

/** Bytes of an argument at most: what a buffer of Node holds with the rest of its command. */
const MOST_BYTES = 2 ** 31 - 1 - 4096;
const MOST_ARGS = 2 ** 31 - 1;
const FIRST_ARGS = 64;
const FIRST_ROOM = 1 << 16;
/** Bytes of a command above which it is not held whole, if that is allowed. */
const LARGE = 32 << 20;

/** How many arguments of a large command, of which the first ones are there, have to be kept; 0: it is held whole. */
export type Kept = (command: StreamCommand) => number;

/**
 * Finds the commands in a stream of writes. A command that lies within one chunk is not copied: its `bytes` are the chunk; nor is one in
 * chunks that are neighbours in memory. Another that is cut is put together in a buffer of its own, which grows with the bytes that have
 * arrived, not with the lengths that are announced. Of a large one, only the arguments are kept that `kept` asks for.
 *
 *     parser.push(chunk);
 *     for (let command = parser.next(); command !== undefined; command = parser.next()) …
 *
 * Throws SyntaxError for bytes that are no commands in RESP; the parser is of no use afterwards.
 */
export class StreamParser {
  private readonly command: { -readonly [K in keyof StreamCommand]: StreamCommand[K] };
  private bytes: Uint8Array = new Uint8Array(0);
  /** Bytes of `bytes` that are filled. */
  private size = 0;
  /** Where the command begins that is looked at, and where looking goes on. */
  private start = 0;
  private pos = 0;
  /** Arguments found so far of that command, and how many it has; 0 before its first line. */
  private found = 0;
  private expected = 0;
  /** `bytes` is a buffer of the parser, with the beginning of a command. */
  private own = false;
  /** Of a large command: its first bytes, which are kept; how many before `start` were passed; and what is left of an argument. */
  private head: Uint8Array | undefined;
  private passed = 0;
  private inArg = false;
  private unread = 0;

  /**
   * `offset`: replication offset of the first byte, less one. `kept`: for commands of more than `large` bytes (default: all are held
   * whole).
   */
  constructor(
    offset: number,
    private readonly kept?: Kept,
    private readonly large = LARGE,
  ) {
    this.command = {
      bytes: this.bytes,
      start: 0,
      end: 0,
      args: 0,
      kept: 0,
      starts: new Int32Array(FIRST_ARGS),
      ends: new Int32Array(FIRST_ARGS),
      size: 0,
      offset,
    };
  }

  /** Replication offset after the last complete command. */
  get offset(): number {
    return this.command.offset;
  }

  /** The next bytes of the stream; they must not change as long as commands in them are used. All commands before were taken. */
  push(bytes: Uint8Array): void {
    const chunk = plain(bytes);
    const left = this.size - this.start;
    if (left === 0) {
      this.bytes = chunk;
      this.size = chunk.length;
      this.start = this.pos = 0;
      this.own = false;
      return;
    }
    if (this.continues(chunk)) this.extend(chunk, left);
    else this.gather(chunk, left);
  }

  /** Whether a chunk comes right after the one before it in memory. */
  private continues({ buffer, byteOffset }: Uint8Array): boolean {
    const { bytes, size } = this;
    return !this.own && buffer === bytes.buffer && byteOffset === bytes.byteOffset + size;
  }

  /** Takes a chunk with the beginning of a command before it, where they are. */
  private extend(chunk: Uint8Array, left: number): void {
    const { buffer, byteOffset } = this.bytes;
    this.bytes = new Uint8Array(buffer, byteOffset + this.start, left + chunk.length);
    this.shift();
    this.size = this.bytes.length;
  }

  /** What is known of the command stays right when its beginning becomes that of `bytes`. */
  private shift(): void {
    if (this.head === undefined) this.shiftArgs();
    this.pos -= this.start;
    this.start = 0;
  }

  private shiftArgs(): void {
    const { ends, starts } = this.command;
    for (let i = 0; i < this.found; i++) {
      starts[i] -= this.start;
      ends[i] -= this.start;
    }
  }

  /** Puts a chunk after the beginning of a command. */
  private gather(chunk: Uint8Array, left: number): void {
    const needed = left + chunk.length;
    if (!this.own || this.start > 0 || needed > this.bytes.length) {
      const room = new Uint8Array(Math.max(needed, this.own ? 2 * left : 0, Math.min(FIRST_ROOM, 2 * needed)));
      room.set(this.bytes.subarray(this.start, this.size));
      this.shift();
      this.bytes = room;
      this.own = true;
    }
    this.bytes.set(chunk, left);
    this.size = needed;
  }

  /** The next command, valid until this is called again; undefined if more bytes are needed. */
  next(): StreamCommand | undefined {
    if (this.head !== undefined) return this.nextLarge(this.head);
    const { bytes, command, size } = this;
    let { pos } = this;
    if (this.expected === 0) {
      while (pos < size && (bytes[pos] === LF || bytes[pos] === CR)) pos++; // signs of life
      command.offset += pos - this.start;
      this.start = pos;
      this.pos = pos;
      if (pos === size) return undefined;
      if (bytes[pos] !== ASTERISK) throw this.wrong('*');
      const end = this.number(pos + 1, MOST_ARGS);
      if (end < 0) return undefined;
      if (this.value === 0) throw this.wrong('an argument');
      this.expected = this.value;
      this.found = 0;
      pos = this.pos = end;
    }
    let { found } = this;
    const { expected } = this;
    while (found < expected) {
      if (pos >= size) return this.more(size);
      if (bytes[pos] !== DOLLAR) throw this.wrong('$');
      // most lengths have one digit; a read beyond the end would cost the optimized code
      let from: number;
      if (pos + 3 < size && bytes[pos + 2] === CR && bytes[pos + 3] === LF && bytes[pos + 1] >= ZERO && bytes[pos + 1] <= NINE) {
        this.value = bytes[pos + 1] - ZERO;
        from = pos + 4;
      } else {
        from = this.number(pos + 1, MOST_BYTES);
        if (from < 0) return undefined;
      }
      const end = from + this.value;
      if (end + 2 > size) return this.more(end);
      if (bytes[end] !== CR || bytes[end + 1] !== LF) throw this.wrong('the end of an argument');
      if (found === command.starts.length) this.grow();
      command.starts[found] = from;
      command.ends[found] = end;
      found++;
      pos = end + 2;
      this.found = found;
      this.pos = pos;
    }
    command.bytes = bytes;
    command.start = this.start;
    command.end = pos;
    command.args = command.kept = found;
    command.size = pos - this.start;
    command.offset += command.size;
    this.start = pos;
    this.expected = 0;
    this.own = false; // the next chunk must not be written after it: the caller may keep the command
    return command;
  }

  /** More bytes are needed, up to `end` at least: of a large command, those that are there are dropped, but for the first ones. */
  private more(end: number): StreamCommand | undefined {
    const { bytes, command, found, kept, pos, start } = this;
    if (kept === undefined || end - start <= this.large || found === 0) return undefined;
    command.bytes = bytes;
    command.args = this.expected;
    command.kept = found;
    const most = kept(command);
    if (most === 0 || most > found) return undefined;
    this.shiftArgs();
    command.kept = most;
    const head = (this.head = bytes.slice(start, start + command.ends[most - 1]));
    this.passed = pos - start;
    this.start = pos;
    return this.nextLarge(head);
  }

  /** The end of a command of which only the first bytes are kept. */
  private nextLarge(head: Uint8Array): StreamCommand | undefined {
    const { command } = this;
    const isWhole = this.skipArgs();
    this.passed += this.pos - this.start;
    this.start = this.pos;
    if (!isWhole) return undefined;
    command.bytes = head;
    command.start = 0;
    command.end = head.length;
    command.size = this.passed;
    command.offset += this.passed;
    this.head = undefined;
    this.passed = this.expected = 0;
    this.own = false;
    return command;
  }

  /** Goes past the arguments of the command, as far as they are there. */
  private skipArgs(): boolean {
    const { bytes, expected, size } = this;
    while (this.inArg || this.found < expected) {
      if (!this.inArg) {
        if (this.pos >= size) return false;
        if (bytes[this.pos] !== DOLLAR) throw this.wrong('$');
        const from = this.number(this.pos + 1, MOST_BYTES);
        if (from < 0) return false;
        this.pos = from;
        this.unread = this.value;
        this.inArg = true;
      }
      const step = Math.min(this.unread, size - this.pos);
      this.pos += step;
      this.unread -= step;
      if (this.unread > 0 || this.pos + 2 > size) return false;
      if (bytes[this.pos] !== CR || bytes[this.pos + 1] !== LF) throw this.wrong('the end of an argument');
      this.pos += 2;
      this.inArg = false;
      this.found++;
    }
    return true;
  }

  private value = 0;

  /** Reads a number and its line end; returns where the next line begins, -1 if bytes are missing. */
  private number(at: number, most: number): number {
    const { bytes, size } = this;
    let value = 0;
    let pos = at;
    for (; pos < size; pos++) {
      const digit = bytes[pos] - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > most) throw this.wrong('a length');
    }
    if (pos + 2 > size) return -1;
    if (pos === at || bytes[pos] !== CR || bytes[pos + 1] !== LF) throw this.wrong('a number');
    this.value = value;
    return pos + 2;
  }

  private grow(): void {
    for (const name of ['starts', 'ends'] as const) {
      const wider = new Int32Array(this.command[name].length * 2);
      wider.set(this.command[name]);
      this.command[name] = wider;
    }
  }

  private wrong(expected: string): SyntaxError {
    const offset = this.command.offset + this.passed + (this.pos - this.start);
    return new SyntaxError(`the stream of writes is no RESP at offset ${offset}: expected ${expected}`);
  }
}

/** The commands in some parts of a stream; each is valid until the next one. */
export function* commandsOfParts(parts: Iterable<Uint8Array>): Generator<StreamCommand, void, void> {
  const parser = new StreamParser(0);
  for (const part of parts) {
    parser.push(part);
    for (let command = parser.next(); command !== undefined; command = parser.next()) yield command;
  }
}
