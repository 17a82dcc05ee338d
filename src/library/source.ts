import type { ReadableStream } from 'node:stream/web';
import type { InputSource } from '../io/input.js';

/**
 * Where an RDB comes from:
 *
 * - a string: the path of a file, or `-` for the standard input of the process;
 * - a Uint8Array (so also a Buffer) or ArrayBuffer: the whole file in memory; it must not change while it is read;
 * - a Node stream, a web stream or any other async iterable of Uint8Arrays.
 *
 * Input compressed with gzip, LZ4 or zstd (Node 22.15 or later) is recognized by its first bytes, whatever its name.
 */
export type Source = string | Uint8Array | ArrayBuffer | NodeJS.ReadableStream | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** Throws TypeError for anything else. */
export function checkSource(source: unknown): InputSource {
  if (typeof source === 'string' || source instanceof Uint8Array || source instanceof ArrayBuffer || isAsyncIterable(source)) return source;
  throw new TypeError(
    `source: expected a path, a Uint8Array, an ArrayBuffer, a stream or an async iterable of Uint8Arrays, got ${kindOf(source)}`,
  );
}

/** Whether the whole input is in memory, so that reading never waits. */
export function isMemory(source: InputSource): boolean {
  return source instanceof Uint8Array || source instanceof ArrayBuffer;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && typeof value[Symbol.asyncIterator] === 'function';
}

/** How messages describe a wrong value. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return `the ${typeof value} ${value}`;
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' && name !== '' ? `an object of type ${name}` : 'an object';
}
