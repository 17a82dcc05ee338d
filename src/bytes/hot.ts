import { Crc64 } from './crc64.js';
import { writeJsonText } from './json.js';
import { lzfDecompress } from './lzf.js';

/** What a run of elements is, for `Hot.jsonRun`. */
export const RUN_ITEMS = 0; // of a list or set
export const RUN_PAIRS = 1; // fields and values of a hash
export const RUN_SCORES = 2; // members and scores of a sorted set

/**
 * The hot loops, which have two makes: this one in TypeScript, and one in WebAssembly (kernels/) that does the same, faster,
 * for bytes in its own memory. Functions have the signatures of the TypeScript ones.
 */
export interface Hot {
  /** Bytes that the hot loops are best at. */
  allocate(size: number): Uint8Array;
  /** Copies `src[start, end)` to `dst` from `to` on. */
  copy(src: Uint8Array, start: number, end: number, dst: Uint8Array, to: number): void;
  crc64(): Crc64;
  lzfDecompress: typeof lzfDecompress;
  writeJsonText: typeof writeJsonText;
  /**
   * Writes a run of elements as JSON, without what stands around it; `reads` as in values/layouts.ts, `first` where nothing
   * stands before them. Returns the position behind it, or -1 where the run takes the long way: nothing is written then.
   */
  jsonRun(kind: number, reads: readonly number[], bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number, first: boolean): number;
  /** Elements of the last run. */
  readonly walked: number;
}

export const PLAIN: Hot = {
  allocate: (size) => new Uint8Array(size),
  copy: (src, start, end, dst, to) => dst.set(src.subarray(start, end), to),
  crc64: () => new Crc64(),
  lzfDecompress,
  writeJsonText,
  jsonRun: () => -1,
  walked: 0,
};
