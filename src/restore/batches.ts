import type { Codec } from '../kernels/codec.js';
import { NO_OUTPUT, ROUTED_DATABASES } from '../kernels/layout.js';
import { CommandBatch, type KeyListener } from './command-batch.js';
import type { Delivery } from './delivery.js';
import type { DeliveryConnection } from './delivery-connection.js';
import { hasReplace, type Target } from '../values/targets.js';
import type { RateLimit } from '../redis/rate-limit.js';
import type { RestoreConflict } from './outcomes.js';
import type { SourceFile } from '../pipeline/sink.js';

export interface BatchOptions {
  readonly target: Target;
  readonly delivery: Delivery;
  readonly conflict: RestoreConflict;
  /**
   * Whether to count the keys that replace others: the target has keys now, or another source or database may write the same key
   * first.
   */
  readonly countReplaced: boolean;
  readonly rateLimit: RateLimit;
  /** Bytes of commands in flight to one server, at most. */
  readonly window: number;
}

/** Room for the largest record that fits in a batch, with its commands and a key of usual length. */
export const BATCH_BYTES = (1 << 20) + (1 << 18);
/** Free buffers, besides those of the open batches, below which reading waits. */
const LEAST_FREE = 2;

/** Bytes of a batch that gets no buffer, as when a small rate limit keeps many waiting; `withRoom` makes it larger. */
const SPARE_BYTES = 1 << 10;

/** Databases with open batches at the same time, at most. */
const MOST_DATABASES = 16;

/** Buffers for the batches of this many servers, open and in flight. */
export const batchBuffers = (connections: number): number => 2 * connections + 8 + MOST_DATABASES;

/** The open batch for each database of each server, and the buffers of all batches. */
export class OpenBatches {
  /** Bytes sent. */
  sent = 0;
  /** The file being read. */
  file: SourceFile | undefined;
  private readonly filling = new Map<number, Map<DeliveryConnection, CommandBatch>>();
  /** `databases` of a RestoreRun, in kernel memory. */
  private readonly databases: Uint16Array;
  private readonly free: Uint8Array[];
  private readonly pool: ReadonlySet<Uint8Array>;
  /** Buffers that must be free or in open batches before more is read. */
  private readonly least: number;
  private readonly delivery: Delivery;

  constructor(
    codec: Codec,
    private readonly options: BatchOptions,
  ) {
    const { delivery } = options;
    this.delivery = delivery;
    this.least = delivery.servers.masters.length + MOST_DATABASES + LEAST_FREE;
    this.free = Array.from({ length: batchBuffers(delivery.servers.masters.length) }, () => codec.allocate(BATCH_BYTES));
    this.pool = new Set(this.free);
    const { buffer, byteOffset } = codec.allocate(ROUTED_DATABASES * 2);
    this.databases = new Uint16Array(buffer, byteOffset, ROUTED_DATABASES);
  }

  /** Whether replaced keys are counted. */
  get counts(): boolean {
    const { conflict, countReplaced } = this.options;
    return conflict === 'replace' && (countReplaced || this.file?.repeats === true);
  }

  /** Commands per key: see CommandBatch. */
  get perKey(): number {
    const { conflict, target } = this.options;
    return this.counts || (conflict === 'replace' && !hasReplace(target)) ? 2 : 1;
  }

  get hasFree(): boolean {
    return this.free.length > 0;
  }

  /** Whether reading should wait for buffers: too many batches are in flight. */
  get scarce(): boolean {
    let filling = 0;
    for (const ofDb of this.filling.values()) filling += ofDb.size;
    return this.free.length + filling < this.least;
  }

  /** Waits until there are buffers again. Throws ServerError when the restore has failed. */
  async untilFree(): Promise<void> {
    while (this.scarce) {
      await this.delivery.wait();
      await this.delivery.calm();
    }
  }

  /** The connection to the server that owns the key `bytes[start, end)`. */
  connectionOf(start: number, end: number, bytes: Uint8Array): DeliveryConnection {
    return this.delivery.connection(this.delivery.slotOf(bytes, start, end));
  }

  /** The open batch for a database of a server; a new one reports the outcomes of its keys to `listener`. */
  at(connection: DeliveryConnection, db: number, listener: KeyListener): CommandBatch {
    const filling = this.filling.get(db)?.get(connection);
    if (filling !== undefined) return filling;
    if (this.free.length <= LEAST_FREE || this.filling.size >= MOST_DATABASES || this.options.rateLimit.limited) this.sendOthers(db);
    const batch = new CommandBatch(listener, this.free.pop() ?? new Uint8Array(SPARE_BYTES), db, this.perKey);
    batch.builtAt = connection.clock.now();
    const ofDb = this.filling.get(db) ?? new Map<DeliveryConnection, CommandBatch>();
    this.filling.set(db, ofDb.set(connection, batch));
    return batch;
  }

  /**
   * All open batches, by database and in the order of the connections: `outs` of a RestoreRun, and where those of each database
   * begin.
   */
  outputs(connections: readonly DeliveryConnection[]): { outs: (CommandBatch | undefined)[]; databases: Uint16Array } {
    const { databases } = this;
    databases.fill(NO_OUTPUT);
    const outs: (CommandBatch | undefined)[] = [];
    for (const [db, ofDb] of this.filling) {
      if (db >= ROUTED_DATABASES) continue;
      databases[db] = outs.length;
      for (const connection of connections) outs.push(ofDb.get(connection));
    }
    return { outs, databases };
  }

  /** Like `at`, with room for `size` more bytes. */
  withRoom(connection: DeliveryConnection, db: number, listener: KeyListener, size: number): CommandBatch {
    let batch = this.at(connection, db, listener);
    if (batch.keys > 0 && batch.length + size > batch.bytes.length) {
      this.sendOff(connection, batch);
      batch = this.at(connection, db, listener);
    }
    if (size > batch.bytes.length) {
      this.release(batch);
      batch.bytes = new Uint8Array(size);
    }
    return batch;
  }

  /** Whether its bytes are a pooled buffer, which kernels can write to. */
  isPooled({ bytes }: CommandBatch): boolean {
    return this.pool.has(bytes);
  }

  isFull({ length, keys }: CommandBatch): boolean {
    const { rateLimit, window } = this.options;
    return length >= Math.min(window / 2, rateLimit.burstBytes) || keys >= rateLimit.burst;
  }

  sendOff(connection: DeliveryConnection, batch: CommandBatch): void {
    const ofDb = this.filling.get(batch.db);
    ofDb?.delete(connection);
    if (ofDb?.size === 0) this.filling.delete(batch.db);
    if (batch.keys === 0) {
      this.release(batch); // its only key so far was refused, so no reply would ever come
      return;
    }
    this.options.rateLimit.spend(batch.keys, batch.length);
    this.sent += batch.length;
    this.delivery.send(connection, batch);
  }

  /** Sends the batches that are full. */
  sendFull(): void {
    for (const ofDb of this.filling.values()) {
      for (const [connection, batch] of ofDb) if (this.isFull(batch)) this.sendOff(connection, batch);
    }
  }

  sendAll(): void {
    for (const ofDb of this.filling.values()) for (const [connection, batch] of ofDb) this.sendOff(connection, batch);
  }

  private sendOthers(db: number): void {
    for (const [other, ofDb] of this.filling) if (other !== db) for (const [connection, batch] of ofDb) this.sendOff(connection, batch);
  }

  /** Takes the buffer of a finished batch back. */
  release({ bytes }: CommandBatch): void {
    if (this.pool.has(bytes)) this.free.push(bytes);
    this.delivery.notify();
  }
}
