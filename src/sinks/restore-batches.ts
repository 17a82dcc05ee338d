import type { Hot } from '../bytes/hot.js';
import { NO_OUTPUT, ROUTED_DATABASES } from '../kernels/layout.js';
import { Batch, type Delivery } from '../redis/batch.js';
import type { Bulk } from '../redis/bulk.js';
import type { Link } from '../redis/link.js';
import { hasReplace, type Target } from '../values/targets.js';
import type { Pace } from './pace.js';
import type { RestoreConflict } from './restore-progress.js';
import type { SourceFile } from './sink.js';

export interface BatchOptions {
  readonly target: Target;
  readonly bulk: Bulk;
  readonly conflict: RestoreConflict;
  /** Counts the keys that are replaced: the target has some, or may have by the time that another source or database has them, too. */
  readonly countReplaced: boolean;
  readonly pace: Pace;
  /** Bytes of commands that one server may be sent at a time. */
  readonly window: number;
}

/** Room for the largest record that comes whole, its command, and a key of some length. */
export const BATCH_BYTES = (1 << 20) + (1 << 18);
/** Buffers that there should be, beside those for the batches that are being filled, before more is read. */
const LEAST_FREE = 2;

/** Room in a batch for which there is no buffer: many wait at a time where little may be sent at a time (`withRoom` makes it larger). */
const SPARE_BYTES = 1 << 10;

/** Databases for which batches are filled at a time. */
const MOST_DATABASES = 16;

/** How many buffers there are for the batches of so many servers: some are being filled for each, others are on their way. */
export const batchBuffers = (links: number): number => 2 * links + 8 + MOST_DATABASES;

/** The batch that is being filled for each database of each server, and the buffers of all that are on their way. */
export class RestoreBatches {
  /** Bytes that were sent. */
  sent = 0;
  /** What is read. */
  file: SourceFile | undefined;
  private readonly filling = new Map<number, Map<Link, Batch>>();
  /** For kernels: see RestoreRun. */
  private readonly databases: Uint16Array;
  private readonly free: Uint8Array[];
  private readonly pool: ReadonlySet<Uint8Array>;
  /** Buffers that are free or being filled, before more is read. */
  private readonly least: number;
  private readonly bulk: Bulk;

  constructor(
    hot: Hot,
    private readonly options: BatchOptions,
  ) {
    const { bulk } = options;
    this.bulk = bulk;
    this.least = bulk.servers.masters.length + MOST_DATABASES + LEAST_FREE;
    this.free = Array.from({ length: batchBuffers(bulk.servers.masters.length) }, () => hot.allocate(BATCH_BYTES));
    this.pool = new Set(this.free);
    const { buffer, byteOffset } = hot.allocate(ROUTED_DATABASES * 2);
    this.databases = new Uint16Array(buffer, byteOffset, ROUTED_DATABASES);
  }

  /** Whether keys that are replaced are counted. */
  get counts(): boolean {
    const { conflict, countReplaced } = this.options;
    return conflict === 'replace' && (countReplaced || this.file?.repeats === true);
  }

  /** Commands that write one key: see Batch. */
  get perUnit(): number {
    const { conflict, target } = this.options;
    return this.counts || (conflict === 'replace' && !hasReplace(target)) ? 2 : 1;
  }

  get hasFree(): boolean {
    return this.free.length > 0;
  }

  /** Whether buffers should come back before more is read: too many batches are on their way. */
  get scarce(): boolean {
    let filling = 0;
    for (const ofDb of this.filling.values()) filling += ofDb.size;
    return this.free.length + filling < this.least;
  }

  /** Until there are buffers. */
  async untilFree(): Promise<void> {
    while (this.scarce) {
      await this.bulk.wait();
      await this.bulk.calm();
    }
  }

  /** The way to the server that owns a key. */
  linkOf(start: number, end: number, bytes: Uint8Array): Link {
    return this.bulk.link(this.bulk.slotOf(bytes, start, end));
  }

  /** The batch that is being filled for a database of a server; a new one tells `delivery` what becomes of it. */
  at(link: Link, db: number, delivery: Delivery): Batch {
    const filling = this.filling.get(db)?.get(link);
    if (filling !== undefined) return filling;
    if (this.free.length <= LEAST_FREE || this.filling.size >= MOST_DATABASES || this.options.pace.limited) this.sendOthers(db);
    const batch = new Batch(delivery, this.free.pop() ?? new Uint8Array(SPARE_BYTES), db, this.perUnit);
    batch.builtAt = link.clock.now();
    const ofDb = this.filling.get(db) ?? new Map<Link, Batch>();
    this.filling.set(db, ofDb.set(link, batch));
    return batch;
  }

  /** All that are being filled, by database and in the order of the links: `outs` of a RestoreRun, and which of them are whose. */
  outputs(links: readonly Link[]): { outs: (Batch | undefined)[]; databases: Uint16Array } {
    const { databases } = this;
    databases.fill(NO_OUTPUT);
    const outs: (Batch | undefined)[] = [];
    for (const [db, ofDb] of this.filling) {
      if (db >= ROUTED_DATABASES) continue;
      databases[db] = outs.length;
      for (const link of links) outs.push(ofDb.get(link));
    }
    return { outs, databases };
  }

  /** As `at`, with room for `size` bytes. */
  withRoom(link: Link, db: number, delivery: Delivery, size: number): Batch {
    let batch = this.at(link, db, delivery);
    if (batch.units > 0 && batch.length + size > batch.bytes.length) {
      this.sendOff(link, batch);
      batch = this.at(link, db, delivery);
    }
    if (size > batch.bytes.length) {
      this.release(batch);
      batch.bytes = new Uint8Array(size);
    }
    return batch;
  }

  /** Whether its bytes are one of the buffers, which kernels can write to. */
  isPooled({ bytes }: Batch): boolean {
    return this.pool.has(bytes);
  }

  isFull({ length, units }: Batch): boolean {
    const { pace, window } = this.options;
    return length >= Math.min(window / 2, pace.burstBytes) || units >= pace.burst;
  }

  sendOff(link: Link, batch: Batch): void {
    const ofDb = this.filling.get(batch.db);
    ofDb?.delete(link);
    if (ofDb?.size === 0) this.filling.delete(batch.db);
    if (batch.units === 0) {
      this.release(batch); // its only key so far was refused; no reply would ever come
      return;
    }
    this.options.pace.spend(batch.units, batch.length);
    this.sent += batch.length;
    this.bulk.send(link, batch);
  }

  /** Those that have enough in them. */
  sendFull(): void {
    for (const ofDb of this.filling.values()) for (const [link, batch] of ofDb) if (this.isFull(batch)) this.sendOff(link, batch);
  }

  sendAll(): void {
    for (const ofDb of this.filling.values()) for (const [link, batch] of ofDb) this.sendOff(link, batch);
  }

  private sendOthers(db: number): void {
    for (const [other, ofDb] of this.filling) if (other !== db) for (const [link, batch] of ofDb) this.sendOff(link, batch);
  }

  /** The bytes of a batch are free again. */
  release({ bytes }: Batch): void {
    if (this.pool.has(bytes)) this.free.push(bytes);
    this.bulk.notify();
  }
}
