import { type Check, isBoolean, isCount, isFunction, isObject, isSignal } from './checks.js';
import type { FilterOptions } from './filter-options.js';

/** Options of both decode and frames. */
export interface ReadOptions {
  /** Which keys to yield; default: all. */
  filter?: FilterOptions | undefined;
  /** Stop after this many keys. What follows is not read, so no checksum is verified. */
  limit?: number | undefined;
  /** Also yield what is not a key: AUX fields, functions, the end of the file. Default false. */
  meta?: boolean | undefined;
  /** Verify the CRC-64 at the end of the file, if it has one. Default true. */
  checksum?: boolean | undefined;
  /** Refuse unknown versions of the format, and bytes after the end of the RDB. Default: read on, and warn. */
  strict?: boolean | undefined;
  /** Aborts the reading: the loop throws the signal's reason, and the source is closed. */
  signal?: AbortSignal | undefined;
  /** Called with a sentence about anything odd that is no error. */
  onWarning?: ((warning: string) => void) | undefined;
}

export interface DecodeOptions extends ReadOptions {
  /**
   * Redis strings become JavaScript strings instead of Buffers, in the text form: bytes that are valid UTF-8 are that text,
   * any others, and text that itself begins with `base64:`, are `base64:` and their base64. Nothing is lost: parseText gives
   * the bytes back. Default false.
   */
  text?: boolean | undefined;
}

export interface FramesOptions extends ReadOptions {
  /** Larger values, in decompressed bytes, come in parts of about this size. Default 1 MiB, at least 64. */
  partSize?: number | undefined;
}

const COMMON: Readonly<Record<keyof ReadOptions, Check>> = {
  filter: isObject,
  limit: isCount,
  meta: isBoolean,
  checksum: isBoolean,
  strict: isBoolean,
  signal: isSignal,
  onWarning: isFunction,
};

export const DECODE_CHECKS: Readonly<Record<keyof DecodeOptions, Check>> = { ...COMMON, text: isBoolean };
export const FRAMES_CHECKS: Readonly<Record<keyof FramesOptions, Check>> = { ...COMMON, partSize: isCount };
