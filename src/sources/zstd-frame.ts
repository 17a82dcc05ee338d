/** The blocks of a zstd frame, decoded by ourselves (layout: zstd.ts). */
import { RdbError } from '../bytes/errors.js';
import type { ByteReader } from './reader.js';
import { readU32 } from './reader.js';
import { Xxh64 } from '../bytes/xxh64.js';
import { BlockState, decodeZstdBlock, MARGIN, MAX_BLOCK } from '../bytes/zstd/block.js';

export const WHAT = 'a whole zstd frame';

export interface FrameHeader {
  /** Bytes behind the magic. */
  readonly length: number;
  /** How far back a match may reach, in bytes. */
  readonly window: number;
  /** Bytes of content, if stated. */
  readonly content: number | undefined;
  readonly checksum: boolean;
}

/** The last `window` bytes and one block more, in a buffer that grows as the frame fills it. */
class Window {
  private readonly limit: number;
  bytes: Uint8Array;
  /** End of what is there. */
  at = 0;

  constructor(
    readonly window: number,
    private readonly block: number,
  ) {
    this.limit = window + Math.max(block, Math.min(window, 64 * MAX_BLOCK));
    this.bytes = new Uint8Array(Math.min(this.limit, 4 * MAX_BLOCK));
  }

  get low(): number {
    return Math.max(0, this.at - this.window);
  }

  /** Makes room for one block. */
  prepare(): void {
    while (this.at + this.block > this.bytes.length) {
      if (this.bytes.length < this.limit) {
        const grown = new Uint8Array(Math.min(this.limit, this.bytes.length * 2));
        grown.set(this.bytes.subarray(0, this.at));
        this.bytes = grown;
      } else {
        const { low } = this;
        this.bytes.copyWithin(0, low, this.at);
        this.at -= low;
      }
    }
  }
}

/** Decodes one block to the window; returns whether it was the last. */
async function readBlock(
  reader: ByteReader, state: BlockState, packed: Uint8Array, window: Window, max: number,
): Promise<boolean> {
  const head = await reader.take(3, WHAT);
  const last = (head[0] & 1) !== 0;
  const type = (head[0] >> 1) & 3;
  const size = (head[0] >> 3) | (head[1] << 5) | (head[2] << 13);
  if (type === 3) throw reader.damage('a zstd block of type 0 to 2', 'type 3');
  if (size > max) throw reader.damage(`a zstd block of at most ${max} bytes`, `${size} bytes`);
  const data = await reader.take(type === 1 ? 1 : size, WHAT);
  const { bytes, at } = window;
  if (type === 0) {
    bytes.set(data, at);
    window.at += size;
  } else if (type === 1) {
    bytes.fill(data[0], at, at + size);
    window.at += size;
  } else {
    packed.set(data, MARGIN);
    try {
      window.at = decodeZstdBlock(state, packed, MARGIN, MARGIN + size, bytes, at, at + max, window.low);
    } catch (error) {
      throw error instanceof RdbError ? error.at({ file: reader.file }) : error;
    }
  }
  return last;
}

/** The content of a frame whose header is taken already, a chunk a block. */
export async function* zstdFrame(reader: ByteReader, header: FrameHeader): AsyncGenerator<Uint8Array, void, void> {
  const max = Math.min(header.window, MAX_BLOCK);
  const window = new Window(header.window, max);
  const state = new BlockState();
  const packed = new Uint8Array(MAX_BLOCK + 2 * MARGIN);
  const checksum = header.checksum ? new Xxh64() : undefined;
  let total = 0;
  for (let last = false; !last; ) {
    window.prepare();
    const start = window.at;
    last = await readBlock(reader, state, packed, window, max);
    const chunk = window.bytes.subarray(start, window.at);
    checksum?.update(chunk);
    total += chunk.length;
    if (header.content !== undefined && total > header.content) break;
    if (chunk.length > 0) yield chunk;
  }
  if (header.content !== undefined && total !== header.content) {
    throw reader.damage(`${header.content} bytes in the zstd frame`, total > header.content ? 'more bytes' : `${total} bytes`);
  }
  if (checksum === undefined) return;
  const expected = readU32(await reader.take(4, WHAT));
  const got = Number(checksum.digest() & 0xffffffffn);
  if (got !== expected) throw reader.damage(`zstd content with the checksum ${expected}`, `${got}`);
}
