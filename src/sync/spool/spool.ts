import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Crc64 } from '../../bytes/crc64.js';
import { OutputError } from '../../io/output-error.js';
import { ReadSlabs } from '../../redis/read-slabs.js';
import { DiskFull, DiskLog, forgetTurns } from './disk-log.js';
import { CAN_PACK, type Turn } from './format.js';
import { KeptCopy } from './kept-copy.js';
import { MemoryLog, type Piece } from './memory-log.js';

/** Bytes that a spool holds in memory. */
export const MEMORY = 32 << 20;
const KEEP = 16 << 20;
/** Less than this on the way to the disk waits this many milliseconds for more. */
const FEW = 256 << 10;
const GATHER_MS = 5;
/** Milliseconds until a full disk is tried again. */
const RETRY_MS = 1000;
/** A few segments of a few blocks each. */
const MIN_DISK = 1 << 20;
const MAX_NAME = 150;

export interface SpoolOptions {
  /** Whose stream it is: the source master, by a name that stays. */
  readonly lane: string;
  /** Bytes in memory at most, and one piece more (default 32 MiB). */
  readonly memory?: number | undefined;
  /** Where the lane gets a folder of its own for its segments; undefined: memory only. */
  readonly dir?: string | undefined;
  /** Bytes on disk at most; a mebibyte or more. */
  readonly max: number;
  /** Bytes before the trimmed offset that can still be read (default 16 MiB), as long as `memory` or `max` leaves room for them. */
  readonly keep?: number | undefined;
  /** The disk or the limit is full: once, until `onRoom`. `text` is a clause that says where and why. */
  readonly onFull?: ((text: string) => void) | undefined;
  /** There is room again. */
  readonly onRoom?: (() => void) | undefined;
  /** A segment of an earlier run was cut or removed, or cannot be deleted. */
  readonly onEvent?: ((text: string) => void) | undefined;
}

/**
 * The log of a replication stream between the connection that appends to it and one reader. Offsets are those of the replication: the
 * spool holds the bytes (begin, end]. The newest bytes are in memory, as they were appended; with `dir` all go to segment files beside it,
 * in order and without fsync, so that only a crash of the machine loses what was written. A reader that is far back reads the files.
 */
export class Spool {
  /** From which offset on the stream has which replication id, oldest first. */
  readonly history: readonly Turn[];
  private readonly turns: Turn[];
  private readonly memory: MemoryLog;
  private readonly limit: number;
  private readonly keep: number;
  private trimmed: number;
  private readTo: number;
  private queue = Promise.resolve();
  private writing: Promise<void> | undefined;
  private full = false;
  private failure: OutputError | undefined;
  private state: 'open' | 'closing' | 'closed' = 'open';
  /** Where the bytes that are appended may be read to: they are used again once they are certain and forgotten. */
  readonly reads = new ReadSlabs();
  /** The bytes of a piece are released, unless the reader has them: until they are certain, they are on their way to the target. */
  private readonly gone = ({ bytes, offset }: Piece): void => {
    if (offset <= this.trimmed || offset - bytes.length >= this.readTo) this.reads.release(bytes);
  };
  private readonly more = new Bell();
  private readonly room = new Bell();
  private readonly hurry = new Bell();

  private constructor(
    private readonly options: SpoolOptions,
    private readonly disk: DiskLog | undefined,
  ) {
    this.history = this.turns = disk?.history ?? [];
    this.memory = new MemoryLog(disk?.end ?? 0);
    this.limit = options.memory ?? MEMORY;
    this.keep = options.keep ?? KEEP;
    this.trimmed = this.readTo = this.begin;
  }

  /**
   * Opens what an earlier run left of the lane: what joins and is whole. Throws OutputError if another process has it or the folder cannot
   * be used, READ_FAILED, and BAD_SPOOL for files of another lane or form.
   */
  static async open(options: SpoolOptions): Promise<Spool> {
    const { dir, lane, max } = options;
    if (dir === undefined) return new Spool(options, undefined);
    const note = (text: string): void => options.onEvent?.(text);
    return new Spool(options, await DiskLog.open(join(dir, folderName(lane)), lane, Math.max(Math.floor(max), MIN_DISK), note));
  }

  /** Where the full copy is kept that its writes come after; undefined without files. */
  get kept(): KeptCopy | undefined {
    return this.disk === undefined ? undefined : new KeptCopy(this.disk.folder);
  }

  /** The first byte that is held comes after this offset. */
  get begin(): number {
    return this.disk === undefined ? this.memory.begin : Math.min(this.disk.begin, this.memory.begin);
  }

  /** Offset of the last byte. */
  get end(): number {
    return this.memory.end;
  }

  /** Offset up to which bytes are in files; `begin` without files. */
  get flushed(): number {
    return this.disk?.end ?? this.begin;
  }

  /** Bytes in memory and in files. */
  get held(): { memory: number; disk: number } {
    return { memory: this.memory.used, disk: this.disk?.used ?? 0 };
  }

  /**
   * Adds bytes, which it owns from now on; small ones must not be parts of large buffers. Returns a promise if the writer has to wait with
   * more: it is fulfilled when there is room, and rejected with OutputError. Throws OutputError if the files cannot be written.
   */
  append(bytes: Uint8Array): void | Promise<void> {
    this.checkOpen();
    if (this.failure !== undefined) throw this.failure;
    if (bytes.length === 0) return undefined;
    this.memory.append(bytes);
    if (this.disk !== undefined) this.writing ??= this.write();
    this.forget();
    this.more.ring();
    return this.memory.used > this.limit ? this.untilRoom() : undefined;
  }

  private async untilRoom(): Promise<void> {
    while (this.memory.used > this.limit && this.state === 'open') {
      if (this.failure !== undefined) throw this.failure;
      if (this.isStarving) return;
      if (this.disk === undefined) this.tellFull(`the spool in memory has reached its limit, ${this.limit.toLocaleString('en')} bytes`);
      this.hurry.ring();
      await this.room.wait();
    }
    if (this.disk === undefined) this.tellRoom();
  }

  /** The reader has everything and waits for more: a command is larger than what may be held. */
  private get isStarving(): boolean {
    return this.readTo === this.end && (this.disk === undefined || this.full);
  }

  /**
   * The next bytes after an offset, up to the end of a piece that was appended or of some blocks of a file; waits for them. They stay as
   * they are until `trim` passes them, and are not to be changed. One call at a time. Throws RangeError for offsets that are not held,
   * READ_FAILED, BAD_SPOOL, and the reason of `signal`.
   */
  async read(offset: number, signal?: AbortSignal): Promise<Piece> {
    for (;;) {
      signal?.throwIfAborted();
      const piece = this.readNow(offset) ?? (offset < this.end ? await this.disk?.read(offset) : undefined);
      if (piece !== undefined) {
        this.readTo = piece.offset;
        return piece;
      }
      if (offset !== this.end) continue;
      this.room.ring();
      await this.more.wait(undefined, signal);
    }
  }

  /** The same, if they are in memory. */
  readNow(offset: number): Piece | undefined {
    const piece = this.memory.read(offset);
    if (piece !== undefined) this.readTo = piece.offset;
    else this.check(offset);
    return piece;
  }

  private check(offset: number): void {
    this.checkOpen();
    if (offset >= this.begin && offset <= this.end) return;
    throw new RangeError(`offset ${offset} is not in the spool, which holds ${this.begin} to ${this.end}`);
  }

  /** The bytes up to here are certainly on the target: what is older than `keep` before it may be forgotten. */
  trim(offset: number): void {
    if (offset <= this.trimmed) return;
    this.trimmed = Math.min(offset, this.end);
    if (this.disk !== undefined) {
      this.disk.trimmed = this.trimmed;
      this.disk.drop(this.trimmed - this.keep);
      if (this.full) this.hurry.ring();
    }
    this.forget();
  }

  /** Forgets what need not be in memory. */
  private forget(): void {
    const { gone } = this;
    if (this.disk === undefined) {
      this.memory.drop(this.trimmed - this.keep, -1, gone);
      this.memory.drop(this.trimmed, this.limit, gone);
      forgetTurns(this.turns, this.begin);
    } else {
      this.memory.drop(Math.min(this.trimmed, this.disk.end), -1, gone);
      this.memory.drop(this.disk.end, this.limit, gone);
    }
    if (this.memory.used <= this.limit) this.room.ring();
  }

  /** Writes what is in memory to files, until nothing is left. Never rejects. */
  private async write(): Promise<void> {
    const { disk, memory } = this;
    try {
      while (disk !== undefined && disk.end < memory.end && this.state !== 'closed') {
        if (memory.end - disk.end < FEW) await this.hurry.wait(GATHER_MS);
        await this.persist(() => this.writeBlock(disk));
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.writing = undefined;
    }
  }

  private async writeBlock(disk: DiskLog): Promise<void> {
    const { end } = disk;
    if (end >= this.memory.end || this.state === 'closed') return;
    await disk.write(this.memory.gather(end, disk.blockSize), this.lags(end));
    this.forget();
  }

  /** Whether the bytes after `offset` will be read from files: only then it is worth compressing them. */
  private lags(offset: number): boolean {
    return CAN_PACK && offset - this.readTo > this.limit / 2;
  }

  /** Does `work` when nothing else is done with the files, and again as long as there is no room. */
  private async persist(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      const full = await this.alone(work);
      if (full === undefined) {
        this.tellRoom();
        return;
      }
      if (this.state !== 'open') throw full;
      this.tellFull(full.message);
      await this.hurry.wait(RETRY_MS);
    }
  }

  private alone(work: () => Promise<unknown>): Promise<DiskFull | undefined> {
    const done = this.queue.then(work).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof DiskFull) return error;
        throw error;
      },
    );
    this.queue = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  private tellFull(text: string): void {
    if (this.full) return;
    this.full = true;
    this.options.onFull?.(text);
    if (this.isStarving) this.room.ring();
  }

  private tellRoom(): void {
    if (!this.full) return;
    this.full = false;
    this.options.onRoom?.();
  }

  private fail(error: unknown): void {
    this.failure ??= error instanceof OutputError ? error : OutputError.from(this.options.dir ?? '', error);
    this.room.ring();
  }

  /** The source has failed over: what comes after `offset` has another replication id. It is saved when the promise is fulfilled. */
  async turn(id: string, offset: number): Promise<void> {
    this.checkOpen();
    this.turns.push({ id, from: offset });
    const { disk } = this;
    this.hurry.ring();
    if (disk !== undefined) await this.persist(() => disk.roll());
  }

  /** A new full copy: forgets everything. What is appended comes after `offset` of the replication `id`. */
  async reset(id: string, offset: number): Promise<void> {
    this.checkOpen();
    const inMemory = (): void => {
      this.memory.reset(offset);
      this.turns.splice(0, Infinity, { id, from: offset });
      this.trimmed = this.readTo = offset;
    };
    await this.change(inMemory, (disk) => disk.reset(offset));
  }

  /** The bytes after `offset` are of a dead history: forgets them, and ids that begin after it. */
  async truncate(offset: number): Promise<void> {
    this.checkOpen();
    if (offset >= this.end) return;
    const inMemory = (): void => {
      if (offset < this.memory.begin) this.memory.reset(offset);
      else this.memory.truncate(offset);
      this.turns.splice(0, Infinity, ...this.turns.filter(({ from }) => from <= offset));
      this.trimmed = Math.min(this.trimmed, offset);
      this.readTo = Math.min(this.readTo, offset);
    };
    await this.change(inMemory, (disk) => disk.truncate(offset));
  }

  private async change(inMemory: () => void, onDisk: (disk: DiskLog) => Promise<void>): Promise<void> {
    const { disk } = this;
    let changed = false;
    const work = async (): Promise<void> => {
      if (!changed) inMemory();
      changed = true;
      if (disk === undefined) return;
      disk.trimmed = this.trimmed;
      await onDisk(disk);
    };
    this.hurry.ring();
    await this.persist(work);
    this.forget();
    this.more.ring();
  }

  /** Writes what is in memory, syncs, and leaves the files. Throws OutputError if it cannot; the lane is free all the same. */
  async close(): Promise<void> {
    if (this.state !== 'open') return;
    this.state = 'closing';
    this.ringAll();
    try {
      while (this.writing !== undefined) await this.writing;
    } finally {
      this.state = 'closed';
      this.ringAll();
      await this.disk?.close();
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** Ends without writing what is in memory, and deletes the files. Throws OutputError. */
  async remove(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.ringAll();
    while (this.writing !== undefined) await this.writing;
    await this.queue;
    await this.kept?.remove();
    await this.disk?.remove();
  }

  private ringAll(): void {
    for (const bell of [this.more, this.room, this.hurry]) bell.ring();
  }

  private checkOpen(): void {
    if (this.state !== 'open') throw new Error('the spool is closed');
  }
}

/** Whether there is something left of a lane's spool. */
export const hasSpool = (dir: string, lane: string): boolean => existsSync(join(dir, folderName(lane)));

/** Deletes what is left of a lane's spool. False if there is none. Throws as Spool.open. */
export async function forgetSpool(dir: string, lane: string): Promise<boolean> {
  if (!hasSpool(dir, lane)) return false;
  await (await Spool.open({ lane, dir, max: MIN_DISK })).remove();
  return true;
}

/** Wakes those who wait. */
class Bell {
  private waiting: (() => void)[] = [];

  ring(): void {
    if (this.waiting.length === 0) return;
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** Until it rings, or for some milliseconds, or until the signal is aborted. */
  wait(ms?: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.ring(), ms);
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        this.waiting = this.waiting.filter((other) => other !== wake);
        resolve();
      };
      signal?.addEventListener('abort', wake);
      this.waiting.push(wake);
    });
  }
}

/** The name of a lane as that of a folder. */
function folderName(lane: string): string {
  const name = lane.replace(/[^\w.-]/gu, (sign) => `%${Buffer.from(sign).toString('hex')}`);
  if (name.length <= MAX_NAME) return `lane-${name}`;
  return `lane-${name.slice(0, MAX_NAME)}-${new Crc64().update(Buffer.from(lane)).toString()}`;
}
