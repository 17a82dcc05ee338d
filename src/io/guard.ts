/** Makes any source of chunks a well-behaved one: plain Uint8Arrays, counted, with our errors, ended by a signal. */
import { Readable } from 'node:stream';
import { RdbError } from '../bytes/errors.js';
import { readFailed } from './file.js';
import { plain } from '../bytes/plain.js';

/** Waits for `work`, but not past an abort. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * The chunks of `source`, none of them empty. An error of the source that is not an RdbError becomes READ_FAILED with it as
 * its cause; an abort throws the signal's reason. The source is closed at the end, without waiting for it after an abort: a
 * read that never returns must not hold that up.
 */
export async function* guard(
  source: AsyncIterable<unknown>, file: string, onBytes: (count: number) => void, signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<unknown>> => {
    try {
      return await iterator.next();
    } catch (cause) {
      throw cause instanceof RdbError ? cause : readFailed(file, cause);
    }
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      const result = await (signal === undefined ? next() : orAborted(next(), signal));
      if (result.done === true) return;
      const value: unknown = result.value;
      if (!(value instanceof Uint8Array)) {
        throw new RdbError('READ_FAILED', { file, expected: 'a stream of bytes', got: `a chunk that is a ${typeof value}` });
      }
      onBytes(value.length);
      if (value.length > 0) yield plain(value);
    }
  } finally {
    if (signal?.aborted === true && source instanceof Readable) source.destroy();
    const closed = iterator.return?.();
    closed?.catch(() => undefined);
    if (signal?.aborted !== true) await closed;
  }
}
