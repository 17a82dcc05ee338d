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
  /** Where the bytes of each argument begin and end; longer than `args`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Replication offset after the command. */
  readonly offset: number;
}
