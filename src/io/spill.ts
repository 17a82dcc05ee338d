import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OutputError } from './output-error.js';

/** Bytes kept in memory before a file is used. */
const MEMORY = 8 << 20;
/** Bytes given back at a time. */
const PIECE = 1 << 18;

/** Bytes that can be read any number of times, until they are closed. */
export interface HeldBytes {
  readonly size: number;
  /** In order, in pieces that are valid until the next one. */
  read(): Generator<Uint8Array, void, void>;
  close(): void;
}

/**
 * Bytes put aside until it is known what to do with them: in memory while they are few, else in a temporary file (in
 * TMPDIR, readable by this user alone) that loses its name as soon as it is open, so that nothing can leave it behind. Throws
 * OutputError where there is no room for it.
 */
export class Spill implements HeldBytes {
  private chunks: Uint8Array[] = [];
  private inMemory = 0;
  private fd: number | undefined;
  private inFile = 0;

  constructor(private readonly memory = MEMORY) {}

  /** How many bytes there are. */
  get size(): number {
    return this.inMemory + this.inFile;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    if (this.fd === undefined && this.inMemory + end - start <= this.memory) {
      this.chunks.push(bytes.slice(start, end));
      this.inMemory += end - start;
      return;
    }
    guarded(() => {
      this.fd ??= openUnnamed();
      for (let at = start; at < end; ) {
        const written = writeSync(this.fd, bytes, at, end - at, this.inFile);
        at += written;
        this.inFile += written;
      }
    });
  }

  /** Gives the bytes back in order, in pieces that are valid until the next one, and is empty then. */
  *drain(pieceSize = PIECE): Generator<Uint8Array, void, void> {
    yield* this.read(pieceSize);
    this.close();
  }

  /** The same, but keeps them. */
  *read(pieceSize = PIECE): Generator<Uint8Array, void, void> {
    for (const chunk of this.chunks) {
      for (let at = 0; at < chunk.length; at += pieceSize) yield chunk.subarray(at, at + pieceSize);
    }
    if (this.fd === undefined) return;
    const piece = new Uint8Array(pieceSize);
    for (let at = 0; at < this.inFile; ) {
      const { fd, inFile } = this;
      const read = guarded(() => readSync(fd, piece, 0, Math.min(pieceSize, inFile - at), at));
      if (read === 0) throw new Error('a temporary file became shorter');
      at += read;
      yield piece.subarray(0, read);
    }
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
    this.inFile = this.inMemory = 0;
    this.chunks = [];
  }
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { reason } = OutputError.from(tmpdir(), cause);
    throw new OutputError(tmpdir(), `${reason}; large strings are put aside there, TMPDIR can name another folder`, cause);
  }
}

function openUnnamed(): number {
  const folder = mkdtempSync(join(tmpdir(), 'rdbkit-'));
  try {
    return openSync(join(folder, 'spill'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
