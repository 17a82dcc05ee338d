import { setTimeout as delay } from 'node:timers/promises';
import { Answers } from '../redis/answers.js';
import { Connection, type ConnectionOptions } from '../redis/connection.js';
import { ConnectionClosed, ConnectionLost } from '../redis/errors.js';
import type { ExclusiveConnection } from '../redis/exclusive-connection.js';
import type { Pending } from '../redis/in-flight.js';
import type { ServerClock } from '../redis/server-clock.js';
import { CommandBatch } from './command-batch.js';
import { PlainBatch, type PlainWriter } from './plain-batch.js';
import type { ServerIdentity } from './server-identity.js';
import { BARRIER, WaitBarriers } from './wait-barriers.js';

export interface DeliveryConnectionOptions extends ConnectionOptions {
  /** The identity of the server that has the delivered keys. */
  readonly identity: ServerIdentity;
  /** Limits on bytes and keys in flight. */
  readonly window: number;
  readonly windowKeys: number;
  /** Writes batches with payloads that are too large. */
  readonly plain?: PlainWriter | undefined;
  /** Whether the server is one of several, by slot. */
  readonly sharded?: (() => boolean) | undefined;
}

/** Events of a connection. */
export interface DeliveryConnectionEvents {
  /** Commands of a key were answered with errors. */
  failed(connection: DeliveryConnection, batch: CommandBatch, index: number, errors: readonly (string | undefined)[]): void;
  /**
   * The connection ended or could not be opened. The batches were sent and may have been applied. `due`: the one whose reply came
   * next.
   */
  lost(connection: DeliveryConnection, sent: readonly CommandBatch[], cause: unknown, due: CommandBatch | undefined): void;
  /** The batch is finished. */
  released(batch: CommandBatch): void;
  /** `address`: `host:port`, if it is known. */
  opened(connection: DeliveryConnection, address: string | undefined): void;
  /** The server refuses MULTI: keys that need it are sent one by one. */
  noTransactions(connection: DeliveryConnection, error: string): void;
  /** The server was restarted: keys that it confirmed may be lost. */
  restarted(connection: DeliveryConnection): void;
}

/**
 * The connection to one server. Batches queue until the window has room, are sent in order, and count as delivered when they are
 * answered and, if the server has replicas, confirmed by one.
 */
export class DeliveryConnection {
  readonly name: string;
  readonly clock: ServerClock;
  private readonly connection: Connection;
  private readonly barriers: WaitBarriers;
  /** Batches not sent yet, and batches answered that wait for a replica. */
  private queue: CommandBatch[] = [];
  private unsettled: CommandBatch[] = [];
  /** Bytes of the batches in flight. */
  private bytes = 0;
  private keys = 0;
  /** Users of the exclusive connection: how many wait or hold it, and the promise of the last one. */
  private taken = 0;
  private turn: Promise<unknown> = Promise.resolve();
  /**
   * The server closed the connection during a WAIT: commands sent meanwhile may overrun its query buffer, so nothing is sent during
   * one.
   */
  private pausesAtBarriers = false;
  /** Whether the connected server has transactions; undefined until it was asked. */
  private transactions: boolean | undefined;
  private working = false;
  private closed = false;

  constructor(
    private readonly options: DeliveryConnectionOptions,
    private readonly events: DeliveryConnectionEvents,
  ) {
    this.name = options.name;
    this.clock = options.clock;
    this.barriers = new WaitBarriers(options.identity);
    this.connection = new Connection(options, {
      opened: (process) => {
        this.transactions = undefined;
        if (options.identity.met(process)) events.restarted(this);
        events.opened(this, process.address);
      },
      complete: (item) => this.completed(item),
      lost: (items, cause, reason) => this.lost(items, cause, reason),
    });
  }

  set hasReplicas(has: boolean) {
    this.barriers.hasReplicas = has;
  }

  /** The run id of the server that was connected last. */
  get runId(): string {
    return this.options.identity.runId;
  }

  /** Whether replicas did not confirm in time, or WAIT was refused. */
  get unconfirmed(): boolean {
    return this.barriers.unconfirmed;
  }

  /** Why WAIT was refused, if it was. */
  get waitRefusal(): string | undefined {
    return this.barriers.refusal;
  }

  /** Whether batches wait for a connection. */
  get waiting(): boolean {
    return this.queue.length > 0 && !this.connection.isOpen;
  }

  /** Unix milliseconds since when there has been no connection; 0 while there is one, or none was tried yet. */
  get downSince(): number {
    return this.connection.downSince;
  }

  send(batch: CommandBatch): void {
    this.queue.push(batch);
    void this.work();
  }

  /** Sends the queue, as the window allows. */
  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    try {
      while (this.queue.length > 0 && this.taken === 0 && !this.closed) await this.step(this.queue[0]);
    } catch (error) {
      this.connection.lose(error);
    } finally {
      this.working = false;
    }
  }

  private async step(batch: CommandBatch): Promise<void> {
    const { connection } = this;
    if (!connection.isOpen) await connection.open();
    if (batch.db !== connection.db) {
      await this.select(batch.db);
    } else if (this.transactions === undefined && this.options.plain?.concerns(batch) === true) {
      await this.askForTransactions();
    } else if (!this.fits(batch) || (this.pausesAtBarriers && this.barriers.pending)) {
      await connection.change.wait();
    } else if (this.queue[0] === batch) {
      this.queue.shift();
      this.write(batch);
      if (this.barriers.due) this.barrier();
    }
  }

  /** Whether the batch fits in the window; a single batch always does. */
  private fits({ keys, length }: CommandBatch): boolean {
    const { window, windowKeys } = this.options;
    return this.connection.inFlight === 0 || (this.bytes + length <= window && this.keys + keys <= windowKeys);
  }

  private write(batch: CommandBatch): void {
    const { bytes, keys, length } = batch;
    batch.onKeyFailed = (index, errors) => this.events.failed(this, batch, index, errors);
    this.bytes += length;
    this.keys += keys;
    this.barriers.sent(length);
    const { plain } = this.options;
    if (plain?.concerns(batch) === true) this.writePlain(batch, plain);
    else this.connection.send(batch, bytes.subarray(0, length));
  }

  private writePlain(batch: CommandBatch, plain: PlainWriter): void {
    const { sharded } = this.options;
    const written = plain.write(batch, { node: this.name, sharded: sharded?.() === true, transactions: this.transactions === true });
    written.skip();
    if (written.complete) this.batchAnswered(batch);
    else this.connection.send(written, written.bytes);
  }

  /** A transaction is begun and discarded: some proxies and services have none. */
  private async askForTransactions(): Promise<void> {
    const { connection } = this;
    const { error } = await connection.ask('MULTI');
    if (error === undefined) await connection.ask('DISCARD');
    else if (/^LOADING/.test(error)) throw new ConnectionLost(error);
    else this.events.noTransactions(this, error);
    this.transactions = error === undefined;
  }

  /** Waits until nothing is in flight: commands in the wrong database would be worse than a pause. */
  private async select(db: number): Promise<void> {
    await this.settled();
    await this.connection.select(db);
  }

  private async settled(): Promise<void> {
    const { connection } = this;
    while (connection.isOpen && (connection.inFlight > 0 || this.unsettled.length > 0)) await connection.change.wait();
    connection.assertOpen();
  }

  private barrier(): Answers {
    const answers = new Answers(1);
    this.connection.send(answers, BARRIER);
    this.barriers.begun(answers);
    return answers;
  }

  private completed(item: Pending): void {
    const batch = batchOf(item);
    if (batch !== undefined) this.batchAnswered(batch);
    else if (item instanceof Answers && this.barriers.answered(item)) this.settleAll();
  }

  private batchAnswered(batch: CommandBatch): void {
    this.bytes -= batch.length;
    this.keys -= batch.keys;
    this.unsettled.push(batch);
    if (!this.barriers.wanted) {
      this.options.identity.bare = true;
      if (!this.barriers.pending) this.settleAll();
    } else if (this.connection.inFlight === 0) {
      this.barrier();
    }
  }

  private settleAll(): void {
    const { unsettled } = this;
    this.unsettled = [];
    for (const batch of unsettled) {
      batch.deliver(this.name);
      this.events.released(batch);
    }
  }

  /** Returns what was sent and not delivered to the owner; the queue waits for the next connection. */
  private lost(items: readonly Pending[], cause: unknown, reason: ConnectionLost): void {
    const confirming = this.barriers.wanted || this.barriers.pending;
    const first = items.at(0);
    this.pausesAtBarriers ||= reason instanceof ConnectionClosed && first instanceof Answers && this.barriers.has(first);
    this.barriers.clear();
    const sent = this.takeSent(items);
    if (!confirming) for (const batch of sent) this.deliver(batch);
    this.events.lost(this, sent, cause, first?.complete === false ? batchOf(first) : undefined);
  }

  private takeSent(items: readonly Pending[]): CommandBatch[] {
    const sent = [...this.unsettled, ...items.flatMap((item) => batchOf(item) ?? [])];
    this.unsettled = [];
    this.bytes = this.keys = 0;
    return sent;
  }

  /** Answered keys count even if the connection ended in the middle of the batch, and no replica has confirmed them. */
  private deliver(batch: CommandBatch): void {
    if (batch.answered > 0) this.options.identity.bare = true;
    batch.deliver(this.name);
  }

  /** Connects again if batches wait for that. */
  retry(): void {
    if (this.waiting) void this.work();
  }

  /** Returns the unsent batches: their keys belong to other servers now. */
  retire(): CommandBatch[] {
    const { queue } = this;
    this.queue = [];
    this.closed = true;
    this.connection.retire();
    this.reset('it is no longer a master');
    return queue;
  }

  /** The next command opens another connection. */
  reset(reason: string): void {
    this.connection.reset(reason);
  }

  /**
   * Holds the connection for commands outside batches. Earlier batches are settled first, later ones wait. Rejects with
   * ConnectionLost, or with the reason why no connection could be opened.
   */
  async exclusive<T>(db: number, work: (exclusive: ExclusiveConnection) => Promise<T>): Promise<T> {
    this.taken++;
    const before = this.turn;
    const done = before.then(() => this.alone(db, work));
    this.turn = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      this.taken--;
      void this.work();
    }
  }

  private async alone<T>(db: number, work: (exclusive: ExclusiveConnection) => Promise<T>): Promise<T> {
    const { connection } = this;
    while (this.working) await Promise.race([connection.change.wait(), delay(1)]);
    if (!connection.isOpen) await connection.open();
    await this.settled();
    if (connection.db !== db) await this.select(db);
    const result = await connection.exclusive(work);
    if (this.barriers.wanted) await this.barrier().all();
    else this.options.identity.bare = true;
    return result;
  }

  /** Waits at most `patience` milliseconds for replies. Returns how many keys may have been written and were not answered. */
  async close(patience: number): Promise<number> {
    const { connection } = this;
    this.closed = true;
    connection.retire();
    const until = performance.now() + patience;
    while (connection.inFlight > 0 && performance.now() < until) await Promise.race([connection.change.wait(), delay(20)]);
    const sent = this.takeSent(connection.close());
    for (const batch of sent) this.deliver(batch);
    return [...sent, ...this.queue.filter(({ again }) => again)].reduce((sum, { answered, keys }) => sum + keys - answered, 0);
  }
}

/** The batch that an item in flight is or stands for. */
const batchOf = (item: Pending): CommandBatch | undefined =>
  item instanceof CommandBatch ? item : item instanceof PlainBatch ? item.batch : undefined;
