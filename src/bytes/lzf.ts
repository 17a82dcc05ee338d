import { RdbError } from './errors.js';
import { viewOf } from './view.js';

/*
 * LZF (liblzf, redis lzf_d.c). A row of instructions, each with a control byte c:
 *   c < 32     a literal run: c + 1 bytes follow as they are
 *   c >= 32    a copy from what was written before: length (c >> 5) + 2, or, where c >> 5 is 7, 9 + the next byte;
 *              distance ((c & 31) << 8) + the last byte of the instruction + 1, so at most 8192
 */
export const MAX_DISTANCE = 8192;

/** The most bytes that `compressed` bytes of LZF can stand for: 3 bytes make 264 at best. */
export function lzfMaxLength(compressed: number): number {
  return compressed * 88;
}

function broken(at: number, expected: string, got: string): RdbError {
  return new RdbError('BAD_LZF', { within: at, expected, got });
}

/** Runs are copied by words of four bytes, 1.9 times as fast as by bytes, where the buffer has room for that. */
const LITERAL_ROOM = 36;
const COPY_ROOM = 268;

function copyLiteral(src: Uint8Array, i: number, dst: Uint8Array, o: number, run: number): void {
  if (i + LITERAL_ROOM < src.length && o + LITERAL_ROOM < dst.length) {
    const from = viewOf(src);
    const into = viewOf(dst);
    for (let k = 0; k < run; k += 4) into.setInt32(o + k, from.getInt32(i + k, true), true);
  } else {
    for (let k = 0; k < run; k++) dst[o + k] = src[i + k];
  }
}

function copyBack(dst: Uint8Array, o: number, distance: number, run: number): void {
  const origin = o - distance;
  if (distance >= 4 && o + COPY_ROOM < dst.length) {
    const view = viewOf(dst);
    for (let k = 0; k < run; k += 4) view.setInt32(o + k, view.getInt32(origin + k, true), true);
  } else {
    for (let k = 0; k < run; k++) dst[o + k] = dst[origin + k];
  }
}

/**
 * Decompresses `src[start, end)` to `dst` at `to`; it must give exactly `length` bytes. Returns the end in `dst`. Up to 3
 * bytes after that, where `dst` has them, may change too.
 */
export function lzfDecompress(src: Uint8Array, start: number, end: number, dst: Uint8Array, to: number, length: number): number {
  const stop = to + length;
  let i = start;
  let o = to;
  while (i < end) {
    const control = src[i++];
    if (control < 32) {
      const run = control + 1;
      if (i + run > end || o + run > stop) throw overrun(i - 1, i + run > end, length);
      copyLiteral(src, i, dst, o, run);
      i += run;
      o += run;
    } else {
      let run = control >> 5;
      if (run === 7) run += src[i++];
      run += 2;
      const distance = ((control & 31) << 8) + src[i++] + 1;
      if (i > end || o + run > stop) throw overrun(i - 1, i > end, length);
      if (distance > o - to) throw broken(i - 1, 'a copy from inside the string', `a copy from ${distance - o + to} bytes before it`);
      copyBack(dst, o, distance, run);
      o += run;
    }
  }
  if (o !== stop) throw broken(end, `${length} bytes`, `${o - to} bytes`);
  return o;
}

function overrun(at: number, input: boolean, length: number): RdbError {
  return input
    ? broken(at, 'a whole instruction', 'the end of the compressed bytes')
    : broken(at, `${length} bytes when decompressed`, 'more than that');
}

/**
 * LZF in pieces, for strings too large to hold: bounded by one output buffer whatever the string weighs.
 * `emit` gets the bytes in order; they are valid only during the call.
 */
export class LzfStream {
  private readonly out: Uint8Array;
  /** End of the bytes written to `out`; those before `sent` were emitted. */
  private o = 0;
  private sent = 0;
  private total = 0;
  private consumed = 0;
  /** An instruction cut by the end of a piece. */
  private readonly held = new Uint8Array(33);
  private heldLength = 0;

  constructor(
    private readonly length: number,
    private readonly emit: (bytes: Uint8Array, start: number, end: number) => void,
    room = 1 << 16,
  ) {
    this.out = new Uint8Array(MAX_DISTANCE + Math.max(room, 1024));
  }

  push(src: Uint8Array, start: number, end: number): void {
    let i = start;
    while (this.heldLength > 0 && i < end) {
      this.held[this.heldLength++] = src[i++];
      if (this.run(this.held, 0, this.heldLength) === this.heldLength) this.heldLength = 0;
    }
    i = this.run(src, i, end);
    while (i < end) this.held[this.heldLength++] = src[i++];
    this.flush();
  }

  finish(): void {
    if (this.heldLength > 0) throw broken(this.consumed, 'a whole instruction', 'the end of the compressed bytes');
    if (this.total !== this.length) throw broken(this.consumed, `${this.length} bytes`, `${this.total} bytes`);
  }

  /** Runs the whole instructions in `src[start, end)`; returns where the first cut one begins. */
  private run(src: Uint8Array, start: number, end: number): number {
    const { out } = this;
    let i = start;
    while (i < end) {
      const control = src[i];
      const literal = control < 32;
      const size = literal ? control + 2 : control >> 5 === 7 ? 3 : 2;
      if (i + size > end) break;
      const run = literal ? control + 1 : (control >> 5) + 2 + (size === 3 ? src[i + 1] : 0);
      this.total += run;
      if (this.total > this.length) throw broken(this.consumed, `${this.length} bytes when decompressed`, 'more than that');
      if (this.o + COPY_ROOM >= out.length) this.flush();
      if (literal) {
        copyLiteral(src, i + 1, out, this.o, run);
      } else {
        const distance = ((control & 31) << 8) + src[i + size - 1] + 1;
        if (distance > this.total - run) throw broken(this.consumed, 'a copy from inside the string', 'a copy from before it');
        copyBack(out, this.o, distance, run);
      }
      this.o += run;
      this.consumed += size;
      i += size;
    }
    return i;
  }

  /** Hands out what is new and keeps the last 8 KiB, which copies may still refer to. */
  private flush(): void {
    if (this.o > this.sent) this.emit(this.out, this.sent, this.o);
    if (this.o > MAX_DISTANCE) {
      this.out.copyWithin(0, this.o - MAX_DISTANCE, this.o);
      this.o = MAX_DISTANCE;
    }
    this.sent = this.o;
  }
}
