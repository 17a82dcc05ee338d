import { ByteBuilder } from '../../bytes/builder.js';
import { writeAscii, writeInt } from '../../bytes/decimal.js';
import type { StreamCommand } from '../stream-command.js';

/** The arguments of commands: words and numbers in them, and commands written anew. */
const MINUS = 0x2d;
const ZERO = 0x30;

/** Whether the argument is this word, which is given in lower case. */
export function isWord(command: StreamCommand, arg: number, word: string): boolean {
  const start = command.starts[arg];
  if (command.ends[arg] - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = command.bytes[start + i];
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the argument is one of these words. */
export function isOneOf(command: StreamCommand, arg: number, words: readonly string[]): boolean {
  return words.some((word) => isWord(command, arg, word));
}

/** The first argument in [from, to) that is this word, or `to`. */
export function findWord(command: StreamCommand, word: string, from: number, to = command.args): number {
  for (let arg = from; arg < to; arg++) if (isWord(command, arg, word)) return arg;
  return to;
}

/** The argument as an integer of at most 15 digits; NaN if it is none. */
export function numberArg(command: StreamCommand, arg: number): number {
  const { bytes } = command;
  let at = command.starts[arg];
  const end = command.ends[arg];
  const negative = at < end && bytes[at] === MINUS;
  if (negative) at++;
  if (at === end || end - at > 15) return NaN;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

/** The arguments that are there, copied. */
export const argsOf = ({ bytes, ends, kept, starts }: StreamCommand): Uint8Array[] =>
  Array.from({ length: kept }, (_, i) => bytes.slice(starts[i], ends[i]));

/** An argument, each byte as a character. */
export const textArg = ({ bytes, ends, starts }: StreamCommand, arg: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + starts[arg], ends[arg] - starts[arg]).toString('latin1');

/** A short argument, each byte as a character; longer ones are cut. */
export function shortArg(command: StreamCommand, arg: number, most = 32): string {
  const start = command.starts[arg];
  return String.fromCharCode(...command.bytes.subarray(start, Math.min(command.ends[arg], start + most)));
}

/** Room for an integer in decimal. */
const digits = new Uint8Array(20);

/** A buffer that grew beyond this is not used again. */
const KEPT = 1 << 20;

/** Writes one command in RESP: `begin`, then each argument, then `done`. */
class CommandWriter {
  private out = new ByteBuilder();

  begin(args: number): void {
    this.out.clear();
    this.line(0x2a, args);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.out.length;
  }

  /** An argument of another command. */
  copy(command: StreamCommand, arg: number): void {
    this.slice(command.bytes, command.starts[arg], command.ends[arg]);
  }

  /** An argument. */
  slice(bytes: Uint8Array, start: number, end: number): void {
    this.line(0x24, end - start);
    this.out.copy(bytes, start, end);
    this.end();
  }

  /** Arguments [from, to) of another command, in one piece. */
  copyAll(command: StreamCommand, from: number, to = command.args): void {
    if (from >= to) return;
    const rest = from === 0 ? 1 : from;
    if (from === 0) this.copy(command, 0);
    this.out.copy(command.bytes, command.ends[rest - 1] + 2, command.ends[to - 1] + 2);
  }

  /** An integer: a number that is exact, or its text. */
  integer(value: number | string): void {
    if (typeof value === 'string') {
      this.text(value);
      return;
    }
    const size = writeInt(value, digits, 0);
    this.line(0x24, size);
    this.out.copy(digits, 0, size);
    this.end();
  }

  /** A word. */
  text(text: string): void {
    this.line(0x24, text.length);
    this.out.room(text.length);
    this.out.length = writeAscii(text, this.out.bytes, this.out.length);
    this.end();
  }

  /** The command: bytes of its own. */
  done(): Uint8Array {
    if (this.out.length <= KEPT) return this.out.bytes.slice(0, this.out.length);
    const bytes = this.out.view();
    this.out = new ByteBuilder();
    return bytes;
  }

  private line(sign: number, value: number): void {
    this.out.byte(sign);
    this.out.room(20);
    this.out.length = writeInt(value, this.out.bytes, this.out.length);
    this.end();
  }

  private end(): void {
    this.out.byte(0x0d);
    this.out.byte(0x0a);
  }
}

/** One for all: commands are written one at a time. */
export const writer = new CommandWriter();

/** A command from its arguments. */
export function commandOf(args: readonly Uint8Array[]): StreamCommand {
  const starts = new Int32Array(args.length);
  const ends = new Int32Array(args.length);
  let at = 0;
  args.forEach((arg, i) => {
    starts[i] = at;
    at += arg.length;
    ends[i] = at;
  });
  const bytes = Buffer.concat(args);
  return { bytes, start: 0, end: at, args: args.length, kept: args.length, starts, ends, size: at, offset: 0 };
}
