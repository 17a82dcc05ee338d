import { constants } from 'node:buffer';
import { claimsBase64, utf8Length } from '../bytes/json.js';
import { viewOf } from '../bytes/view.js';
import { BYTES, type Element, INT } from '../encodings/element.js';
import { Scratch } from '../rdb/string.js';

/** Makes JavaScript values of Redis strings. They share no memory with their source. */
export interface Texts<T> {
  /** Most bytes that one string can have. */
  readonly greatest: number;
  element(element: Element): T;
  bytes(bytes: Uint8Array, start: number, end: number): T;
  /** Makes a value of a buffer that the caller gives up. */
  own(bytes: Buffer): T;
}

/** Below this a loop is faster than a call of `set`, which needs a new view. */
const SHORT = 40;

/** A copy. As usual with Node, small ones share pools of 8 KiB. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  const size = end - start;
  const copy = Buffer.allocUnsafe(size);
  if (size < SHORT) for (let i = 0; i < size; i++) copy[i] = bytes[start + i];
  else copy.set(bytes.subarray(start, end));
  return copy;
}

export class BufferTexts implements Texts<Buffer> {
  readonly greatest = constants.MAX_LENGTH;
  private readonly scratch = new Scratch();

  element(element: Element): Buffer {
    this.scratch.text(element);
    return copyOf(element.bytes, element.start, element.end);
  }

  bytes(bytes: Uint8Array, start: number, end: number): Buffer {
    return copyOf(bytes, start, end);
  }

  own(bytes: Buffer): Buffer {
    return bytes;
  }
}

/** The text form of bytes/text.ts: valid UTF-8 as that text, any other bytes as `base64:…`. */
export class StringTexts implements Texts<string> {
  /** V8's limit. Base64 makes four characters of three bytes. */
  readonly greatest = constants.MAX_STRING_LENGTH;
  private readonly scratch = new Scratch();
  private readonly viewed = new BufferView();

  element(element: Element): string {
    if (element.kind === INT) return String(element.num);
    if (element.kind !== BYTES) this.scratch.text(element);
    return this.bytes(element.bytes, element.start, element.end);
  }

  bytes(bytes: Uint8Array, start: number, end: number): string {
    return textOf(this.viewed.of(bytes), bytes, start, end);
  }

  own(bytes: Buffer): string {
    return textOf(bytes, bytes, 0, bytes.length);
  }
}

/** `buffer` and `bytes` are the same memory. */
function textOf(buffer: Buffer, bytes: Uint8Array, start: number, end: number): string {
  const plain = asciiUntil(bytes, start, end);
  if (claimsBase64(bytes, start, end)) return base64(buffer, start, end);
  if (plain === end) return buffer.toString('latin1', start, end);
  for (let i = plain; i < end; ) {
    const size = utf8Length(bytes, i, end);
    if (size === 0) return base64(buffer, start, end);
    i += size;
  }
  return buffer.toString('utf8', start, end);
}

function base64(buffer: Buffer, start: number, end: number): string {
  return `base64:${buffer.toString('base64', start, end)}`;
}

/** Position of the first non-ASCII byte, at most three bytes too early, or `end`. */
function asciiUntil(bytes: Uint8Array, start: number, end: number): number {
  const view = viewOf(bytes);
  let i = start;
  for (const stop = end - 3; i < stop; i += 4) if ((view.getInt32(i, true) & 0x80808080) !== 0) return i;
  for (; i < end; i++) if ((bytes[i]) >= 0x80) return i;
  return end;
}

/** The same memory as a Buffer, which can make strings. Caches the last two, like bytes/view.ts. */
class BufferView {
  private bytesA: Uint8Array | undefined;
  private bufferA: Buffer = Buffer.alloc(0);
  private bytesB: Uint8Array | undefined;
  private bufferB = this.bufferA;

  of(bytes: Uint8Array): Buffer {
    if (bytes === this.bytesA) return this.bufferA;
    if (bytes === this.bytesB) return this.bufferB;
    this.bytesB = this.bytesA;
    this.bufferB = this.bufferA;
    this.bytesA = bytes;
    this.bufferA = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.bufferA;
  }
}

const FIRST_ROOM = 1 << 20;

/**
 * Collects the pieces of one large string. Its stated length is only trusted once an eighth of it has arrived; until then the
 * buffer grows with the data, so that a forged length of terabytes allocates nothing.
 */
export class GrowingString {
  private room: Buffer = Buffer.alloc(0);
  private filled = 0;

  constructor(private readonly length: number) {}

  add(bytes: Uint8Array, start: number, end: number): void {
    const filled = this.filled + end - start;
    if (filled > this.room.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.length, Math.max(filled * 8, FIRST_ROOM)));
      grown.set(this.room.subarray(0, this.filled));
      this.room = grown;
    }
    this.room.set(bytes.subarray(start, end), this.filled);
    this.filled = filled;
  }

  bytes(): Buffer {
    return this.filled === this.room.length ? this.room : this.room.subarray(0, this.filled);
  }
}
