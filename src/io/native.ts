/**
 * Runs a decompressor of node:zlib, which works in the thread pool, as an async generator. Output buffers are fresh ones of
 * zlib's, at most its `chunkSize`; at most two are waiting at any time.
 */
import type { Transform } from 'node:stream';
import { plain } from '../bytes/plain.js';
import type { ByteReader } from './reader.js';

/** Bytes of an output buffer of zlib. Up to this much before a damaged place is lost with it. */
export const OUTPUT_CHUNK = 65536;

/** The high-water mark makes zlib wait as soon as one output buffer is not taken yet. */
export const NATIVE_OPTIONS = { chunkSize: OUTPUT_CHUNK, readableHighWaterMark: 1 };

/** A stream of node:zlib; `bytesWritten` counts the input bytes that the engine has used. */
export type NativeStream = Transform & { bytesWritten: number };

/**
 * Yields what `stream` makes of the input until it meets its end mark, then leaves `reader` right after it; an input that
 * ends is shown to the stream as its end. Everything decompressed before an error comes out before it; the error is
 * BAD_COMPRESSION with zlib's as its cause, or that of the source.
 */
export async function* runNative(
  stream: NativeStream, reader: ByteReader, what: string,
): AsyncGenerator<Uint8Array, void, void> {
  const ready: Uint8Array[] = [];
  let state: 'hungry' | 'busy' | 'finishing' | 'ended' | 'failed' = 'hungry';
  let error: unknown;
  let used = 0;
  let given = 0;
  let inputEnded = false;
  let wake = (): void => undefined;
  stream.on('data', (bytes: Uint8Array) => {
    ready.push(plain(bytes));
    stream.pause();
    wake();
  });
  stream.on('end', () => {
    state = 'ended';
    wake();
  });
  stream.on('error', (cause: unknown) => {
    state = 'failed';
    error = cause;
    wake();
  });
  const take = (): void => {
    reader.consume(stream.bytesWritten - used);
    used = stream.bytesWritten;
  };
  const written = (): void => {
    if (state !== 'busy') return;
    take();
    state = used < given ? 'finishing' : 'hungry';
    wake();
  };
  const current = (): typeof state => state;

  try {
    for (;;) {
      const bytes = ready.shift();
      if (bytes !== undefined) {
        stream.resume();
        yield bytes;
      } else if (current() === 'ended') {
        take();
        return;
      } else if (current() === 'failed') {
        const early = error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR';
        if (early && inputEnded) throw reader.endsEarly(what, error);
        throw reader.damage(what, error instanceof Error ? error.message : String(error), error);
      } else if (current() === 'hungry') {
        const input = await reader.available();
        inputEnded = input === undefined;
        state = inputEnded ? 'finishing' : 'busy';
        given += input?.length ?? 0;
        if (input === undefined) stream.end();
        else stream.write(input, written);
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stream.destroy();
  }
}
