const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file became too large for its file system',
  EIO: 'an input/output error of the device',
  EISDIR: 'it is a directory',
};

const ROOM = 'Make room, or write to another place, and run it again.';
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: ROOM,
  EDQUOT: ROOM,
  EFBIG: ROOM,
  EIO: 'The system log (dmesg) may say more: write to another device, and run it again.',
};

/** The output could not be written. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
  /** What is certain, and how to go on, as sentences. */
  advice: string | undefined;
  /** Where the incomplete output was left. */
  kept: string | undefined;

  constructor(
    readonly path: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`cannot write ${path}: ${reason}`, cause === undefined ? undefined : { cause });
  }

  /** The system's reason in plain words. */
  static from(path: string, cause: unknown): OutputError {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const error = new OutputError(path, REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause)), cause);
    error.advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
    return error;
  }
}

/** Whoever read the output has gone (`| head`). Not an error: there is nothing left to do. */
export class ClosedPipe extends Error {
  override readonly name = 'ClosedPipe';
}

/** What an error of a stream means. */
export function outputFailure(name: string, error: Error): OutputError | ClosedPipe {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return new ClosedPipe('the reader of the output has gone', { cause: error });
  return OutputError.from(name, error);
}
