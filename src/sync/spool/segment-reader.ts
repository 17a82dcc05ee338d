import { type FileHandle, open } from 'node:fs/promises';
import { readFailed } from '../../io/file.js';
import {
  BLOCK_HEAD, type BlockHead, badSegment, decodeBlockHead, decodeHead, headLength, isWhole, MAX_BLOCK, PREAMBLE_BYTES, type SegmentHead,
  unpack,
} from './format.js';

/** Bytes read from a file at a time. */
const WINDOW = MAX_BLOCK + BLOCK_HEAD;
const NONE = new Uint8Array(0);

/** Reads the blocks of a segment in order. Holds two windows of a mebibyte at most. */
export class SegmentReader {
  /** What was read of the file from `position` on, perhaps not to the end of a block. */
  private window: Uint8Array = NONE;

  private constructor(
    readonly file: string,
    private readonly handle: FileHandle,
    readonly head: SegmentHead,
    /** Where the next block begins in the file. */
    public position: number,
    /** The offset before its bytes. */
    public offset: number,
  ) {}

  /** Undefined if its header was not written to its end. Throws READ_FAILED, and BAD_SPOOL if it is of another form. */
  static async open(file: string): Promise<SegmentReader | undefined> {
    const handle = await open(file, 'r').catch((cause: unknown) => {
      throw readFailed(file, cause);
    });
    let reader: SegmentReader | undefined;
    try {
      const length = headLength(file, await readAt(file, handle, 0, PREAMBLE_BYTES)) ?? 0;
      const bytes = await readAt(file, handle, 0, length);
      const head = length === 0 || bytes.length < length ? undefined : decodeHead(bytes);
      if (head !== undefined) reader = new SegmentReader(file, handle, head, length, head.begin);
      return reader;
    } finally {
      if (reader === undefined) await handle.close();
    }
  }

  /** Bytes of the file. */
  async size(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  /**
   * The bytes of some blocks, in a buffer that is the caller's: `offset` is then after them. Undefined where the blocks in the first
   * `size` bytes of the file are all read. A block that ends at or before `wanted` is checked and given as no bytes. Throws BAD_SPOOL with
   * the place in the file, and `position` stays before the damaged block.
   */
  async next(size: number, wanted = 0): Promise<Uint8Array | undefined> {
    if (this.position >= size) return undefined;
    if (this.window.length < BLOCK_HEAD || !this.hasBlock(this.blockAt(0), 0)) await this.fill(size);
    const block = this.blockAt(0);
    if (!this.hasBlock(block, 0)) throw this.damage(`${BLOCK_HEAD + block.stored} bytes`, `${this.window.length} bytes`);
    return block.packed ? this.packed(block, wanted) : this.plain();
  }

  private async fill(size: number): Promise<void> {
    this.window = await readAt(this.file, this.handle, this.position, Math.min(WINDOW, size - this.position));
    if (this.window.length < BLOCK_HEAD) throw this.damage(`${BLOCK_HEAD} bytes of its head`, `${this.window.length} bytes`);
  }

  private blockAt(at: number): BlockHead {
    const block = decodeBlockHead(this.window, at, this.offset);
    if (block === undefined) throw this.damage('a head', 'other bytes');
    return block;
  }

  private hasBlock(block: BlockHead, at: number): boolean {
    return at + BLOCK_HEAD + block.stored <= this.window.length;
  }

  private async packed(block: BlockHead, wanted: number): Promise<Uint8Array> {
    if (!isWhole(this.window, 0, block)) throw this.damage('its checksum', 'another one');
    const end = BLOCK_HEAD + block.stored;
    const { window, position } = this;
    const bytes =
      block.offset + block.length > wanted ? await unpack(this.file, position, window.subarray(BLOCK_HEAD, end), block.length) : NONE;
    this.window = window.subarray(end);
    this.position += end;
    this.offset += block.length;
    return bytes;
  }

  /** The bytes of all plain blocks in the window, up to one that is damaged, moved together. */
  private plain(): Uint8Array {
    const { window } = this;
    let [at, to] = [0, 0];
    while (window.length - at >= BLOCK_HEAD) {
      const block = decodeBlockHead(window, at, this.offset);
      if (block === undefined || block.packed || !this.hasBlock(block, at)) break;
      if (!isWhole(window, at, block)) break;
      const end = at + BLOCK_HEAD + block.stored;
      window.copyWithin(to, at + BLOCK_HEAD, end);
      to += block.stored;
      this.position += end - at;
      this.offset += block.length;
      at = end;
    }
    if (to === 0) throw this.damage('its checksum', 'another one');
    this.window = window.subarray(at);
    return window.subarray(0, to);
  }

  private damage(expected: string, got: string): Error {
    return badSegment(this.file, this.position, `a block of the stream after offset ${this.offset} with ${expected}`, got);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** `length` bytes at `position`, fewer where the file ends. */
async function readAt(file: string, handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await handle.read(bytes, got, length - got, position + got).catch((cause: unknown) => {
      throw readFailed(file, cause);
    });
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return bytes.subarray(0, got);
}
