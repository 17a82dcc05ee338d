import { writeInt } from '../bytes/decimal.js';
import type { Codec } from '../kernels/codec.js';
import type { Frame } from '../rdb/frame.js';
import { hasAbsoluteTtl, type Target } from '../values/targets.js';
import { ascii } from '../json/writer.js';

const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;

/** Bytes around an argument, at most. */
const MARGIN = 64;

/** Shorter arguments are copied byte by byte. */
const SHORT = 32;

const LETTER_A = 0x41;

/** The names of commands and options, which are few. */
const words = new Map<string, Uint8Array>();

function rememberedWord(text: string): Uint8Array {
  const known = words.get(text);
  if (known !== undefined) return known;
  const bytes = ascii(text);
  words.set(text, bytes);
  return bytes;
}

/** The largest argument that servers accept by default (proto-max-bulk-len). */
export const MAX_PAYLOAD = 512 << 20;

/** A growing buffer: bytes are written at `length` after `room(n)`. */
export interface Space {
  bytes: Uint8Array;
  length: number;
  /** Makes room for `size` bytes at `length`; may replace `bytes`. */
  room(size: number): void;
}

/** Writes commands in RESP: `*n` and the arguments, each a `$length` and its bytes. */
export class RespWriter {
  /** Commands begun. */
  commands = 0;

  constructor(
    private readonly output: Space,
    private readonly codec: Codec,
  ) {}

  private line(first: number, value: number): void {
    const { output } = this;
    output.room(MARGIN);
    output.bytes[output.length++] = first;
    output.length = writeInt(value, output.bytes, output.length);
    this.end();
  }

  /** Begins a command with this many arguments, including its name. */
  command(args: number): void {
    this.commands++;
    this.line(STAR, args);
  }

  /** Begins an argument of this many bytes: `raw` writes them, `end` ends it. */
  open(size: number): void {
    this.line(DOLLAR, size);
  }

  raw(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this;
    output.room(end - start + MARGIN);
    if (end - start < SHORT) for (let at = start, to = output.length; at < end; ) output.bytes[to++] = bytes[at++];
    else this.codec.copy(bytes, start, end, output.bytes, output.length);
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
    this.arg(text.charCodeAt(0) < LETTER_A ? ascii(text) : rememberedWord(text));
  }

  words(...texts: string[]): void {
    for (const text of texts) this.word(text);
  }
}

/** The arguments of RESTORE after the payload. */
export function modifiersOf({ freq, hasExpire, idle }: Frame, target: Target | undefined, replaces: boolean): string[] {
  const words = replaces ? ['REPLACE'] : [];
  if (!hasAbsoluteTtl(target)) return words;
  if (hasExpire) words.push('ABSTTL');
  if (idle >= 0) words.push('IDLETIME', `${idle}`);
  else if (freq >= 0) words.push('FREQ', `${freq}`);
  return words;
}

/** The expiry argument of RESTORE: milliseconds; relative to `now` for servers without ABSTTL, where an expired key gets 1. */
export function ttlOf(frame: Frame, target: Target | undefined, now: number): string {
  if (!frame.hasExpire) return '0';
  const ttl = hasAbsoluteTtl(target) ? frame.expireMs : frame.expireMs - BigInt(now);
  return `${ttl < 1n ? 1n : ttl}`;
}

/** Writes the expiry of a key that was written with plain commands, if it has one. */
export function writeExpiry(resp: RespWriter, frame: Frame): void {
  if (!frame.hasExpire) return;
  resp.command(3);
  resp.word('PEXPIREAT');
  resp.arg(frame.keyBytes, frame.keyStart, frame.keyEnd);
  resp.word(`${frame.expireMs}`);
}
