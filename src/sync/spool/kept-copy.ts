import { type FileHandle, mkdir, open, readFile, rename, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readFailed } from '../../io/file.js';
import { writeJsonFile } from '../../io/json-file.js';
import { OutputError } from '../../io/output-error.js';

/** Bytes after which the system is asked to begin writing to the disk, and how much room is left there is looked at. */
const SYNC_EVERY = 64 << 20;
/** Bytes that are left to the writes since, at most; of a small disk a tenth. */
const RESERVE = 1 << 30;

/** What a full copy of a master of the source is, beside its bytes. */
export interface KeptMark {
  /** Where it stands in the writes of the source. */
  readonly id: string;
  readonly offset: number;
  readonly db: number;
  /** The slots of the master: `0-5460 9000`; empty where the source is no cluster. */
  readonly slots: string;
}

/**
 * A full copy of a master of the source in the folder of its spool, as the RDB that the master sent. It is `copy.rdb.partial` until all of
 * it has come, and counts once `copy.json`, which is written last, says what it is.
 */
export class KeptCopy {
  readonly path: string;
  private readonly partial: string;
  private readonly about: string;

  constructor(private readonly folder: string) {
    this.path = join(folder, 'copy.rdb');
    this.partial = `${this.path}.partial`;
    this.about = join(folder, 'copy.json');
  }

  /** Undefined if there is none; `torn` if something of it is missing. */
  async find(): Promise<KeptMark | 'torn' | undefined> {
    const [text, size, partial] = await Promise.all([
      readFile(this.about, 'utf8').catch(() => undefined),
      stat(this.path).then(
        (found) => found.size,
        () => undefined,
      ),
      stat(this.partial).then(
        () => true,
        () => false,
      ),
    ]);
    if (text === undefined && size === undefined && !partial) return undefined;
    const mark = text === undefined ? undefined : parseMark(text);
    return mark !== undefined && mark.bytes === size ? mark : 'torn';
  }

  /** Makes the file that the copy comes to, in place of any other. Throws OutputError. */
  async create(): Promise<KeptFile> {
    await this.remove();
    await attempt(this.folder, mkdir(this.folder, { recursive: true, mode: 0o700 }));
    return new KeptFile(await attempt(this.partial, open(this.partial, 'w+', 0o600)), this.folder, this.partial, this);
  }

  /** The bytes of a file are all of the copy. Throws OutputError. */
  async commit(mark: KeptMark, bytes: number): Promise<void> {
    await attempt(this.path, rename(this.partial, this.path));
    await writeJsonFile(this.about, { ...mark, bytes }, { mode: 0o600 });
  }

  /** Deletes it, if there is one. Throws OutputError. */
  async remove(): Promise<void> {
    for (const path of [this.about, this.path, this.partial]) {
      await unlink(path).catch((error: unknown) => {
        if (!(error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))) {
          throw OutputError.from(path, error);
        }
      });
    }
  }
}

/** A copy that is written, and read meanwhile. */
export class KeptFile {
  /** Bytes that were written. */
  size = 0;
  /** The file has the last so many of them. */
  capacity = Infinity;
  private unsynced: unknown;
  private syncing: Promise<void> | undefined;
  private sinceSync = 0;

  constructor(
    private readonly handle: FileHandle,
    private readonly folder: string,
    private readonly path: string,
    private readonly copy: KeptCopy,
  ) {}

  /** Adds bytes. `size` says how many of them were written, also where it throws OutputError. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const position = this.size % this.capacity;
      const length = Math.min(bytes.length - at, this.capacity - position);
      const { bytesWritten } = await attempt(this.path, this.handle.write(bytes, at, length, position));
      at += bytesWritten;
      this.size += bytesWritten;
    }
    this.sinceSync += bytes.length;
    if (this.sinceSync < SYNC_EVERY || this.capacity < Infinity) return;
    this.sinceSync = 0;
    await this.assertRoom(0);
    if (this.unsynced !== undefined) throw OutputError.from(this.path, this.unsynced);
    this.syncing ??= this.handle
      .datasync()
      .catch((error: unknown) => void (this.unsynced ??= error))
      .finally(() => (this.syncing = undefined));
  }

  /** Throws OutputError if so many bytes would not leave room on the disk for the writes since. */
  async assertRoom(bytes: number): Promise<void> {
    const disk = await statfs(this.folder).catch(() => undefined);
    if (disk === undefined) return;
    const free = disk.bavail * disk.bsize;
    const reserve = Math.min(RESERVE, Math.ceil((disk.blocks * disk.bsize) / 10));
    if (free - bytes >= reserve) return;
    const rest = bytes === 0 ? '' : `, and ${bytes} more are to come`;
    throw new OutputError(this.path, `${free} bytes are left on the device${rest}, of which ${reserve} are for the writes since`);
  }

  /** Reads from `at` on, which is less than `size`. Throws READ_FAILED. */
  async read(buffer: Uint8Array, at: number): Promise<Uint8Array> {
    const position = at % this.capacity;
    const length = Math.min(buffer.length, this.size - at, this.capacity - position);
    const read = this.handle.read(buffer, 0, length, position);
    const { bytesRead } = await read.catch((cause: unknown) => {
      throw readFailed(this.path, cause);
    });
    if (bytesRead === 0) throw readFailed(this.path, new Error(`a file that ends at byte ${at}, of ${this.size}`));
    return buffer.subarray(0, bytesRead);
  }

  /** It is whole. Throws OutputError. */
  async commit(mark: KeptMark): Promise<void> {
    await this.syncing;
    if (this.unsynced !== undefined) throw OutputError.from(this.path, this.unsynced);
    await attempt(this.path, this.handle.sync());
    await this.copy.commit(mark, this.size);
  }

  /** It does not grow any further: what is written then takes the place of what was read. */
  async wrap(): Promise<void> {
    this.capacity = this.size;
    await this.remove();
  }

  /** What was written can still be read. */
  async remove(): Promise<void> {
    await this.copy.remove().catch(() => undefined); // the next run does
  }

  async close(): Promise<void> {
    await this.syncing;
    await this.handle.close().catch(() => undefined);
  }
}

/** Undefined if it is not what this program wrote. */
function parseMark(text: string): (KeptMark & { readonly bytes: number }) | undefined {
  try {
    const read = JSON.parse(text) as Partial<Record<string, unknown>>;
    const { bytes, db, id, offset, slots } = read;
    const counts = [bytes, db, offset].every((value) => Number.isSafeInteger(value) && Number(value) >= 0);
    return counts && typeof id === 'string' && typeof slots === 'string' ? (read as unknown as KeptMark & { bytes: number }) : undefined;
  } catch {
    return undefined;
  }
}

async function attempt<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw OutputError.from(path, cause);
  }
}
