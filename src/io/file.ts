/**
 * Reads a path into two buffers in turn: while the consumer works on one, the thread pool fills the other.
 */
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { RdbError } from '../bytes/errors.js';

export const DEFAULT_CHUNK = 1 << 20;

export interface FileOptions {
  /** Bytes of each of the two buffers. */
  readonly chunkSize?: number | undefined;
  /** Makes the buffers. */
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** Called once after the open: bytes of the file, undefined for a pipe or device. */
  readonly onOpen?: ((size: number | undefined) => void) | undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file: a part of the path is not a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'a directory',
  ELOOP: 'a circle of symbolic links',
  ENAMETOOLONG: 'a path that is too long',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EIO: 'an input/output error of the device',
};

/** READ_FAILED with the system's reason in plain words. */
export function readFailed(file: string, cause: unknown): RdbError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const got = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new RdbError('READ_FAILED', { file, expected: 'a readable file', got, cause });
}

async function attempt<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw readFailed(file, cause);
  }
}

/** Names of the files of an AOF (redis aof.c, since 7.0). */
const AOF_FILE = /\.(?:manifest|incr\.aof|base\.(?:rdb|aof))$/;

async function directory(file: string): Promise<RdbError> {
  const names = await readdir(file).catch((): string[] => []);
  if (names.some((name) => AOF_FILE.test(name))) return new RdbError('AOF', { file, expected: 'an RDB file', got: 'the folder of an AOF' });
  return new RdbError('READ_FAILED', { file, expected: 'a readable file', got: 'a directory' });
}

/** Bytes of the file, or undefined where the system does not know: pipes, devices, and the files of /proc, which say 0. */
async function sizeOf(path: string, handle: FileHandle): Promise<number | undefined> {
  const stat = await attempt(path, handle.stat());
  if (stat.isDirectory()) throw await directory(path);
  return stat.isFile() && stat.size > 0 ? stat.size : undefined;
}

const changed = (file: string, before: number, after: number): RdbError =>
  new RdbError('INPUT_CHANGED', { file, expected: `${before} bytes, as when it was opened`, got: `${after} bytes` });

/** A file of known size: reads exactly that, then looks whether it is still so. */
async function* readRegular(
  path: string, handle: FileHandle, size: number, chunkSize: number, allocate: (size: number) => Uint8Array,
): AsyncGenerator<Uint8Array, void, void> {
  const length = Math.min(chunkSize, size);
  let filling = allocate(length);
  let lent = allocate(length < size ? length : 0);
  let position = 0;
  const start = (): Promise<number> => {
    const read = handle.read(filling, 0, Math.min(length, size - position), position).then((result) => result.bytesRead);
    read.catch(() => undefined);
    return read;
  };
  let pending = start();
  for (;;) {
    const count = await attempt(path, pending);
    position += count;
    const chunk = filling.subarray(0, count);
    [filling, lent] = [lent, filling];
    const more = count > 0 && position < size;
    if (more) pending = start();
    if (count > 0) yield chunk;
    if (!more) break;
  }
  const after = (await attempt(path, handle.stat())).size;
  if (position !== size) throw changed(path, size, position);
  if (after !== size) throw changed(path, size, after);
}

/** A pipe or device. No read-ahead: a read that never returns would keep a consumer that has seen enough from leaving. */
async function* readUnsized(path: string, handle: FileHandle, chunkSize: number): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(chunkSize);
  for (;;) {
    const { bytesRead } = await attempt(path, handle.read(buffer, 0, chunkSize, null));
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/**
 * The bytes of a file, FIFO or device. A chunk is valid until the next one is asked for. The handle is closed when the loop
 * over it ends, however it ends. Throws READ_FAILED, and INPUT_CHANGED after the last bytes when a regular file became
 * shorter or longer.
 */
export async function* readFile(path: string, options: FileOptions = {}): AsyncGenerator<Uint8Array, void, void> {
  const chunkSize = options.chunkSize ?? DEFAULT_CHUNK;
  const handle = await attempt(path, open(path, 'r'));
  try {
    const size = await sizeOf(path, handle);
    options.onOpen?.(size);
    if (size === undefined) yield* readUnsized(path, handle, chunkSize);
    else yield* readRegular(path, handle, size, chunkSize, options.allocate ?? ((length) => new Uint8Array(length)));
  } finally {
    await handle.close();
  }
}
