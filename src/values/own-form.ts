import type { Frame } from '../rdb/frame.js';

/** Takes the bytes of one large string, piece by piece, decompressed unless `stored`. */
export interface StringTarget {
  /** Whether it takes the bytes as stored, including the length before them. */
  readonly stored?: boolean;
  bytes(bytes: Uint8Array, start: number, end: number): void;
  end(): void;
}

/** Reads values of a form that is like no other, and passes them to a handler of the calls `Calls`. Throws RdbError with `within`. */
export interface OwnForm<Calls> {
  /** A whole value, in `bytes[start, end)`. */
  whole(handler: Calls, frame: Frame, bytes: Uint8Array, start: number, end: number): void;
  /** For a value in parts. A form without these is held until it is whole. */
  readonly parts?: {
    /** What stands before or between large strings, in whole elements. */
    fragment(handler: Calls, bytes: Uint8Array, start: number, end: number): void;
    /** A large string begins; positions in errors count from its first byte. */
    string(handler: Calls): StringTarget;
  };
}
