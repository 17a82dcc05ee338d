import type { ErrorCode } from '../bytes/errors.js';
import { RdbError } from '../bytes/errors.js';

/** `structure`: what is known to crash servers, in one pass and without memory. `all`: members and fields that come twice, too. */
export const CHECK_LEVELS = ['structure', 'all'] as const;
export type CheckLevel = (typeof CHECK_LEVELS)[number];

/** One thing that a careful server refuses in a value. */
export interface Finding {
  readonly code: ErrorCode;
  /** Offset in the RDB or payload: of the place itself, or of the string (packed or compressed) that it is in. */
  readonly offset: number;
  /** Position in that string, decompressed. */
  readonly within: number | undefined;
  /** Which part of the value, like `field 3`, counted from 0. */
  readonly part: string | undefined;
  readonly expected: string;
  readonly got: string;
}

/** A finding as the error that it is to those who cannot go on. */
export function findingError({ code, expected, got, offset, part, within }: Finding): RdbError {
  return new RdbError(code, { offset, within, expected, got: part === undefined ? got : `${got}, at ${part}` });
}

/** Findings of one value that are kept; the others are counted. */
const MOST = 16;

/** What was found in one value, and where the bytes that are looked at stand. */
export class Findings {
  readonly list: Finding[] = [];
  /** Findings that are not in the list. */
  more = 0;
  /** What offset in the RDB index 0 of the current bytes has. */
  base = 0;
  /** Where the current string begins in the current bytes, or -1 where none is looked into. */
  private stringAt = -1;
  private stringOffset = 0;

  constructor(private readonly most = MOST) {}

  clear(): void {
    this.list.length = this.more = 0;
    this.leave();
  }

  get size(): number {
    return this.list.length + this.more;
  }

  /** From now on, positions are those in the string at this offset; its first byte is at `at` in the bytes that are looked at. */
  enter(offset: number, at: number): void {
    this.stringOffset = offset;
    this.stringAt = at;
  }

  leave(): void {
    this.stringAt = -1;
  }

  add(code: ErrorCode, pos: number, expected: string, got: string, part?: string): void {
    if (this.list.length >= this.most) {
      this.more++;
      return;
    }
    const inside = this.stringAt >= 0;
    this.list.push({
      code,
      offset: inside ? this.stringOffset : this.base + pos,
      within: inside ? pos - this.stringAt : undefined,
      part,
      expected,
      got,
    });
  }

  /** What an error says, that ended the reading of a string or value at `pos`. Throws what is no RdbError. */
  failed(error: unknown, pos: number, part?: string): void {
    if (!(error instanceof RdbError)) throw error;
    const inside = this.stringAt >= 0;
    this.add(
      error.code,
      inside ? (error.within ?? this.stringAt) : pos,
      error.expected ?? 'a whole value',
      error.got ?? 'something else',
      part,
    );
  }
}
