import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ByteSink } from './byte-sink.js';
import { OutputError } from './output-error.js';

/** Bytes after which the system is asked to begin writing to the disk, so that the last fsync has little left to do. */
const SYNC_EVERY = 64 << 20;

/**
 * A file that has its name only when it is complete: written beside it under a name that no other run has, and renamed after
 * fsync. What is left of one that was abandoned becomes `<path>.partial`. Pipes and devices (`/dev/null`) are written directly.
 */
export class FileSink implements ByteSink {
  private writing = Promise.resolve();
  private sinceSync = 0;
  private empty = true;
  private settled = false;
  private syncing: Promise<void> | undefined;
  /** A failed sync is reported only once by the system: the last one may succeed after it. */
  private unsynced: unknown;
  /** The name that users know it by. */
  private readonly name: string;

  readonly patch: ((at: number, bytes: Uint8Array) => Promise<void>) | undefined;

  private constructor(
    private readonly handle: FileHandle,
    private readonly path: string,
    private readonly target: string | undefined,
  ) {
    this.name = target ?? path;
    this.patch = target === undefined ? undefined : (at, bytes) => (this.writing = this.writing.then(() => this.patchNow(at, bytes)));
  }

  static async create(path: string): Promise<FileSink> {
    const target = await realpath(path).catch(() => path);
    const before = await stat(target).catch(() => undefined);
    if (before?.isDirectory() === true) throw new OutputError(path, 'it is a directory');
    if (before !== undefined && !before.isFile()) return new FileSink(await attempt(path, open(target, 'w')), target, undefined);
    const { randomBytes } = await import('node:crypto'); // much to load, and standard output takes none of it
    const file = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
    return new FileSink(await attempt(path, open(file, 'wx', 0o666)), file, target);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.writing = this.writing.then(() => this.writeNow(bytes));
    return this.writing;
  }

  private async writeNow(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await attempt(this.name, this.handle.write(bytes, at, bytes.length - at));
      at += bytesWritten;
      this.empty &&= bytesWritten === 0;
    }
    this.sinceSync += bytes.length;
    if (this.sinceSync < SYNC_EVERY || this.syncing !== undefined || this.target === undefined) return;
    this.sinceSync = 0;
    this.syncing = this.handle
      .datasync()
      .catch((error: unknown) => void (this.unsynced ??= error))
      .finally(() => (this.syncing = undefined));
  }

  private async patchNow(at: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += (await attempt(this.name, this.handle.write(bytes, done, bytes.length - done, at + done))).bytesWritten;
    }
  }

  async settle(): Promise<void> {
    if (this.settled) return;
    await this.syncing;
    if (this.unsynced !== undefined) throw OutputError.from(this.name, this.unsynced);
    if (this.target !== undefined) await attempt(this.name, this.handle.sync());
    await attempt(this.name, this.handle.close());
    this.settled = true;
  }

  async commit(): Promise<void> {
    await this.settle();
    if (this.target === undefined) return;
    await attempt(this.target, rename(this.path, this.target));
    const folder = await open(dirname(this.target), 'r').catch(() => undefined);
    await folder?.sync().catch(() => undefined); // not every file system can
    await folder?.close();
  }

  async abandon(): Promise<string | undefined> {
    await this.writing.catch(() => undefined);
    await this.syncing?.catch(() => undefined);
    if (!this.settled) await this.handle.close().catch(() => undefined);
    if (this.target === undefined) return undefined;
    if (this.empty) {
      await unlink(this.path).catch(() => undefined);
      return undefined;
    }
    const partial = `${this.target}.partial`;
    return rename(this.path, partial).then(
      () => partial,
      () => this.path,
    );
  }
}

async function attempt<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw OutputError.from(path, cause);
  }
}
