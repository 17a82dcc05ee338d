/**
 * One command of a stream of writes: `*<args>\r\n` and, for each argument, `$<length>\r\n<bytes>\r\n`. Borrowed: the parser fills it
 * again, and `bytes` is the parser's.
 */
export interface StreamCommand {
  readonly bytes: Uint8Array;
  /** Where the command begins and ends in `bytes`. */
  readonly start: number;
  readonly end: number;
  /** Number of arguments, the name included. */
  readonly args: number;
  /** Arguments that are there, the first ones: all, or, of a command that is too large to be held, those up to its key. */
  readonly kept: number;
  /** Where the bytes of each argument begin and end; longer than `args`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Bytes that it takes in the stream. */
  readonly size: number;
  /** Replication offset after the command. */
  readonly offset: number;
}
