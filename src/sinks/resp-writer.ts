import { writeInt } from '../bytes/decimal.js';
import type { Hot } from '../bytes/hot.js';
import { ascii } from './json-writer.js';
import type { Output } from './output.js';

const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;

/** The most that stands around an argument. */
const MARGIN = 64;

/** Commands as servers take them (RESP): `*n` and the arguments, each a `$length` and its bytes. */
export class RespWriter {
  constructor(
    readonly output: Output,
    private readonly hot: Hot,
  ) {}

  private line(first: number, value: number): void {
    const { output } = this;
    output.room(MARGIN);
    output.bytes[output.length++] = first;
    output.length = writeInt(value, output.bytes, output.length);
    this.end();
  }

  /** Begins a command of so many arguments, its name among them. */
  command(args: number): void {
    this.line(STAR, args);
  }

  /** Begins an argument of so many bytes, which `raw` writes and `end` ends. */
  open(size: number): void {
    this.line(DOLLAR, size);
  }

  raw(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    output.room(end - start + MARGIN);
    this.hot.copy(bytes, start, end, output.bytes, output.length);
    output.length += end - start;
  }

  end(): void {
    const { output } = this;
    output.room(2);
    output.bytes[output.length++] = CR;
    output.bytes[output.length++] = LF;
  }

  arg(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.open(end - start);
    this.raw(bytes, start, end);
    this.end();
  }

  /** ASCII. */
  word(text: string): void {
    this.arg(ascii(text));
  }

  words(...texts: string[]): void {
    for (const text of texts) this.word(text);
  }
}
