import { type FileHandle, mkdir, open, readdir, rename, rmdir, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { RdbError } from '../../bytes/errors.js';
import { readFailed } from '../../io/file.js';
import { OutputError } from '../../io/output-error.js';
import { FolderLock } from './folder-lock.js';
import {
  BLOCK_HEAD, badSegment, beginOf, encodeBlockHead, encodeHead, isSegmentName, MAX_BLOCK, pack, segmentName, type Turn,
} from './format.js';
import type { Piece } from './memory-log.js';
import { SegmentReader } from './segment-reader.js';

const MAX_SEGMENT = 64 << 20;
/** Pieces that are written as they are; more are copied into one. */
const MAX_PIECES = 64;

const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** There is no room for more: nothing was written, and it may be tried again. */
export class DiskFull extends OutputError {}

interface Segment {
  readonly path: string;
  readonly begin: number;
  /** Bytes of the file up to the end of its last whole block. */
  size: number;
}

/**
 * A log of a replication stream in a folder of segments. Its methods that change it are called one after another; `read` may be called
 * meanwhile. Throws OutputError where files cannot be written, DiskFull where they can be later.
 */
export class DiskLog {
  /** Saved with the next segment. */
  readonly history: Turn[] = [];
  /** Offset up to which bytes are written. */
  end = 0;
  /** Bytes of all segments. */
  used = 0;
  /** Segments up to here may be deleted when there is no room. */
  trimmed = 0;
  private segments: Segment[] = [];
  /** Of the last segment, while it is being written. */
  private handle: FileHandle | undefined;
  private sealing: Promise<void> | undefined;
  private unsynced: OutputError | undefined;
  private removing = Promise.resolve();
  private reader: SegmentReader | undefined;
  private piece: Piece | undefined;
  /** Grows when bytes that were held are not any more. */
  private epoch = 0;
  private readonly segmentSize: number;
  /** Bytes that one write takes at most: a small part of a segment, which is a small part of the limit. */
  readonly blockSize: number;

  private constructor(
    readonly folder: string,
    private readonly lane: string,
    private readonly max: number,
    private readonly lock: FolderLock,
    private readonly note: (text: string) => void,
  ) {
    this.segmentSize = Math.min(MAX_SEGMENT, max / 8);
    this.blockSize = Math.min(MAX_BLOCK, Math.floor(this.segmentSize / 4));
  }

  /** Makes the folder, or opens what an earlier run left in it: the newest segments that join. What is cut or removed is told to `note`. */
  static async open(folder: string, lane: string, max: number, note: (text: string) => void): Promise<DiskLog> {
    await attempt(folder, mkdir(folder, { recursive: true, mode: 0o700 }));
    const lock = await FolderLock.take(folder);
    const log = new DiskLog(folder, lane, max, lock, note);
    try {
      await log.load();
      return log;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Holds the bytes after this offset. */
  get begin(): number {
    return this.segments.length === 0 ? this.end : this.segments[0].begin;
  }

  private async load(): Promise<void> {
    const names = await readdir(this.folder).catch((cause: unknown) => {
      throw readFailed(this.folder, cause);
    });
    for (const name of names) if (isSegmentName(name.replace(/\.tmp$/, '')) && name.endsWith('.tmp')) await unlink(join(this.folder, name));
    const older = names.filter(isSegmentName).sort();
    let previous: number | undefined;
    for (let name = older.pop(); name !== undefined; name = older.pop()) {
      const path = join(this.folder, name);
      const newest = this.segments.length === 0;
      const reader = newest || beginOf(name) === previous ? await SegmentReader.open(path) : undefined;
      if (reader === undefined) {
        const why = newest ? 'its header was not written to its end' : `no whole segment joins ${this.segments[0].path}`;
        this.note(`${path} is removed, since ${why}`);
        await attempt(path, unlink(path));
        continue;
      }
      try {
        await this.take(reader, newest);
      } finally {
        await reader.close();
      }
      previous = reader.head.previous;
    }
  }

  /** Adds a segment of an earlier run before the others; the newest is read to its end. */
  private async take(reader: SegmentReader, newest: boolean): Promise<void> {
    const { file, head } = reader;
    if (head.lane !== this.lane) throw badSegment(file, 0, `a segment of ${this.lane}`, `one of ${head.lane}`);
    let size = await reader.size();
    if (newest) {
      await readToEnd(reader, size);
      if (reader.position < size) {
        this.note(`${file} is cut after offset ${reader.offset}: ${size - reader.position} bytes after it are not a whole block`);
        size = reader.position;
        await attempt(file, truncate(file, size));
      }
      this.end = reader.offset;
      this.history.push(...head.history);
    }
    this.segments.unshift({ path: file, begin: head.begin, size });
    this.used += size;
  }

  /** Writes a block with the bytes after `end`: at most `blockSize`. */
  async write(bytes: readonly Uint8Array[], packed: boolean): Promise<void> {
    if (this.unsynced !== undefined) throw this.unsynced;
    const length = lengthOf(bytes);
    const one = packed || bytes.length > MAX_PIECES ? Buffer.concat(bytes) : undefined;
    const frame = packed && one !== undefined ? await pack(one) : undefined;
    const stored = frame !== undefined ? [frame] : one !== undefined ? [one] : bytes;
    const block = [encodeBlockHead(this.end, length, stored, frame !== undefined), ...stored];
    await this.makeRoom(lengthOf(stored) + BLOCK_HEAD);
    const full = this.handle !== undefined && this.segments[this.segments.length - 1].size >= this.segmentSize;
    await this.add(this.handle === undefined || full ? await this.roll() : this.handle, block, length);
  }

  private async add(handle: FileHandle, block: readonly Uint8Array[], length: number): Promise<void> {
    const segment = this.segments[this.segments.length - 1];
    try {
      await attempt(segment.path, writeAll(handle, block, segment.size));
    } catch (error) {
      if (error instanceof DiskFull) {
        this.drop(this.trimmed);
        if (segment.begin < this.end) await this.seal(); // the file may be too large, rather than the disk full
      }
      throw error;
    }
    const size = lengthOf(block);
    segment.size += size;
    this.used += size;
    this.end += length;
  }

  /** Deletes what may be deleted where the limit leaves no room for `size` bytes. */
  private async makeRoom(size: number): Promise<void> {
    if (this.used + size <= this.max) return;
    this.drop(this.trimmed);
    await this.removing;
    if (this.used + size <= this.max) return;
    throw new DiskFull(this.folder, `the limit of ${this.max} bytes is reached`);
  }

  /** Begins a segment at the end, with the history as it is now. */
  async roll(): Promise<FileHandle> {
    const { folder, lane, history, end: begin } = this;
    const before = this.segments.filter((segment) => segment.begin < begin);
    const header = encodeHead({ lane, begin, previous: before.at(-1)?.begin, history });
    const path = join(folder, segmentName(begin));
    const handle = await attempt(path, createAs(path, header));
    await this.seal();
    for (const { size } of this.segments.slice(before.length)) this.used -= size; // it was empty, and has been replaced
    this.segments = [...before, { path, begin, size: header.length }];
    this.used += header.length;
    return (this.handle = handle);
  }

  /** Ends the segment that is being written: its fsync is waited for when the next one ends. */
  private async seal(): Promise<void> {
    const { handle, segments } = this;
    if (handle === undefined) return;
    this.handle = undefined;
    await this.sealing;
    const path = segments.at(-1)?.path ?? this.folder;
    this.sealing = handle
      .datasync()
      .catch((error: unknown) => void (this.unsynced ??= OutputError.from(path, error)))
      .finally(() => handle.close())
      .catch(() => undefined);
  }

  /**
   * The bytes after an offset that is held, in a buffer of their own. Undefined if they were forgotten meanwhile. Throws BAD_SPOOL with
   * file and offset in it where they are damaged.
   */
  async read(offset: number): Promise<Piece | undefined> {
    const { epoch, piece } = this;
    if (piece !== undefined && offset < piece.offset && offset >= piece.offset - piece.bytes.length) return from(piece, offset);
    const at = this.segments.findLastIndex(({ begin }) => begin <= offset);
    const segment = this.segments[at];
    const { size } = segment;
    const end = Math.min(this.segments.at(at + 1)?.begin ?? Infinity, this.end);
    try {
      const reader = await this.readerFor(segment, offset);
      if (epoch !== this.epoch) return undefined;
      const bytes = await reachOffset(reader, size, offset);
      if (epoch !== this.epoch) return undefined;
      if (bytes === undefined) throw badSegment(segment.path, size, `blocks up to offset ${end}`, `none after offset ${reader.offset}`);
      const over = Math.max(0, reader.offset - end);
      this.piece = { bytes: bytes.subarray(0, bytes.length - over), offset: reader.offset - over };
      return from(this.piece, offset);
    } catch (error) {
      if (epoch !== this.epoch || offset < this.begin) return undefined;
      throw error;
    }
  }

  private async readerFor({ path }: Segment, offset: number): Promise<SegmentReader> {
    if (this.reader?.file === path && this.reader.offset <= offset) return this.reader;
    const { epoch } = this;
    await this.closeReader();
    const reader = await SegmentReader.open(path);
    if (reader === undefined) throw badSegment(path, 0, 'the header of a segment', 'another checksum');
    if (epoch === this.epoch) this.reader = reader;
    else await reader.close(); // the file of this name may be another one now
    return reader;
  }

  private async closeReader(): Promise<void> {
    const { reader } = this;
    this.reader = this.piece = undefined;
    await reader?.close();
  }

  /** Deletes segments that end at or before an offset, but for the last. */
  drop(offset: number): void {
    let count = 0;
    while (count + 1 < this.segments.length && this.segments[count + 1].begin <= offset) count++;
    for (const segment of this.segments.splice(0, count)) this.discard(segment);
    if (count > 0) forgetTurns(this.history, this.begin);
  }

  private discard({ path, size }: Segment): void {
    this.removing = this.removing
      .then(() => unlink(path))
      .then(
        () => void (this.used -= size),
        (error: unknown) => this.note(`${OutputError.from(path, error).message}: it stays, and counts`),
      );
  }

  /** Forgets the bytes after an offset, and saves the history. */
  async truncate(offset: number): Promise<void> {
    this.epoch++;
    this.end = Math.min(this.end, offset);
    await this.closeReader();
    await this.seal();
    for (let last = this.segments.at(-1); last !== undefined && last.begin > offset; last = this.segments.at(-1)) {
      this.segments.pop();
      this.discard(last);
    }
    await this.removing;
    await this.roll();
  }

  /** Forgets all bytes, and saves the history; what is written comes after `offset`. */
  async reset(offset: number): Promise<void> {
    this.epoch++;
    for (const segment of this.segments.splice(0)) this.discard(segment);
    this.end = offset;
    await this.truncate(offset);
  }

  /** Waits until everything is on the disk, and leaves the files. */
  async close(): Promise<void> {
    try {
      await this.closeReader();
      await this.seal();
      await this.sealing;
      await this.removing;
      if (this.unsynced !== undefined) throw this.unsynced;
      await syncFolder(this.folder);
    } finally {
      await this.lock.release();
    }
  }

  /** Deletes the files, and the folder unless it has others. */
  async remove(): Promise<void> {
    this.epoch++;
    await this.closeReader();
    await this.handle?.close();
    this.handle = undefined;
    await this.sealing;
    for (const segment of this.segments.splice(0)) this.discard(segment);
    await this.removing;
    await this.lock.release();
    await rmdir(this.folder).catch(() => undefined);
  }
}

const lengthOf = (pieces: readonly Uint8Array[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** The rest of a piece after an offset in it. */
const from = (piece: Piece, offset: number): Piece => ({
  bytes: piece.bytes.subarray(piece.bytes.length - (piece.offset - offset)),
  offset: piece.offset,
});

/** Forgets the ids of which no byte is held, nor a position at `begin`. */
export function forgetTurns(history: Turn[], begin: number): void {
  while (history.length > 1 && history[1].from < begin) history.shift();
}

/** Reads up to the end, or to what is not a whole block. */
async function readToEnd(reader: SegmentReader, size: number): Promise<void> {
  try {
    while ((await reader.next(size, Infinity)) !== undefined);
  } catch (error) {
    if (!(error instanceof RdbError && error.code === 'BAD_SPOOL')) throw error;
  }
}

/** The next bytes of a reader with the byte after `offset` among them. */
async function reachOffset(reader: SegmentReader, size: number, offset: number): Promise<Uint8Array | undefined> {
  let bytes = await reader.next(size, offset);
  while (bytes !== undefined && reader.offset <= offset) bytes = await reader.next(size, offset);
  return bytes;
}

/** A new file that has its name when `bytes` are in it. An older one of the name is replaced. */
async function createAs(path: string, bytes: Uint8Array): Promise<FileHandle> {
  const beside = `${path}.tmp`;
  const handle = await open(beside, 'w', 0o600);
  try {
    await writeAll(handle, [bytes], 0);
    await rename(beside, path);
    return handle;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(beside).catch(() => undefined);
    throw error;
  }
}

async function writeAll(handle: FileHandle, pieces: readonly Uint8Array[], position: number): Promise<void> {
  const { bytesWritten } = await handle.writev(pieces as Uint8Array[], position);
  if (bytesWritten === lengthOf(pieces)) return;
  const all = Buffer.concat(pieces);
  for (let at = bytesWritten; at < all.length; ) at += (await handle.write(all, at, all.length - at, position + at)).bytesWritten;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined); // not every file system can
  await handle?.close();
}

async function attempt<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const error = OutputError.from(path, cause);
    if (cause instanceof Error && 'code' in cause && FULL.has(cause.code)) throw new DiskFull(path, error.reason, cause);
    throw error;
  }
}
