import type { Duplex } from 'node:stream';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { Answers } from '../redis/answers.js';
import { BARRIER, WaitBarriers } from './wait-barriers.js';
import { CommandBatch } from './command-batch.js';
import { encodeCommand } from '../redis/commands.js';
import type { Opened } from '../redis/connect.js';
import type { ServerIdentity } from './server-identity.js';
import { ConnectionClosed, ConnectionLost, reasonOf, ServerError } from '../redis/errors.js';
import { InFlight } from './in-flight.js';
import { refusalOf } from '../redis/refusals.js';
import { ERROR, INTEGER, NO_REPLY, OK, ReplyReader } from '../redis/replies.js';
import type { ServerClock } from '../redis/server-clock.js';
import { Signal } from '../redis/signal.js';
import { Watchdog } from '../redis/watchdog.js';
import { ExclusiveConnection } from '../redis/exclusive-connection.js';

export interface DeliveryConnectionOptions {
  /** `host:port`, for people. */
  readonly name: string;
  /** Connects and logs in; database 0 is selected. Rejects with ServerError where it is no use to try again. */
  open(): Promise<Opened>;
  /** Who has what is delivered. */
  readonly identity: ServerIdentity;
  /** Set right whenever a connection is opened. */
  readonly clock: ServerClock;
  /** Bytes and keys that may be on their way at a time. */
  readonly window: number;
  readonly windowKeys: number;
  /** Milliseconds without any reply after which a connection that should answer counts as lost. */
  readonly patience: number;
}

/** What whoever owns a connection has to deal with. */
export interface DeliveryConnectionEvents {
  /** Commands of a key were answered with errors. */
  failed(connection: DeliveryConnection, batch: CommandBatch, index: number, errors: readonly (string | undefined)[]): void;
  /** The connection ended or could not be opened: these batches were sent and may have been applied, or not. A reply was due to one. */
  lost(connection: DeliveryConnection, sent: readonly CommandBatch[], cause: unknown, due: CommandBatch | undefined): void;
  /** Nothing more comes of a batch. */
  released(batch: CommandBatch): void;
  /** The server was restarted: what it had confirmed may be lost. */
  restarted(connection: DeliveryConnection): void;
}

/** One connection to a server, with batches of commands on their way and their replies coming back in the same order. */
export class DeliveryConnection {
  readonly name: string;
  readonly clock: ServerClock;
  private socket: Duplex | undefined;
  private readonly reader = new ReplyReader();
  private readonly change = new Signal();
  private readonly barriers: WaitBarriers;
  private readonly inFlight: InFlight;
  private readonly watchdog: Watchdog;
  /** Not sent yet; answered and waiting for a replica. */
  private queue: CommandBatch[] = [];
  private unsettled: CommandBatch[] = [];
  /** Who waits for the connection or has it exclusively: how many, and until the last of them is done. */
  private taken = 0;
  private turn: Promise<unknown> = Promise.resolve();
  private db = 0;
  /** The server has closed the connection while it waited for a replica: what is sent meanwhile may be more than it takes. */
  private pausesAtBarriers = false;
  /** Why the last connection ended. */
  private endedBy: unknown = new ConnectionLost('there is no connection');
  private working = false;
  private closed = false;
  /** Unix milliseconds since when there is no connection, after one was lost or could not be opened. */
  downSince = 0;

  constructor(
    private readonly options: DeliveryConnectionOptions,
    private readonly events: DeliveryConnectionEvents,
  ) {
    this.name = options.name;
    this.clock = options.clock;
    this.barriers = new WaitBarriers(options.identity);
    this.inFlight = new InFlight({
      keyFailed: (batch, index, errors) => events.failed(this, batch, index, errors),
      batchAnswered: (batch) => this.batchAnswered(batch),
      answered: (answers) => {
        if (this.barriers.answered(answers)) this.settleAll();
      },
    });
    this.watchdog = new Watchdog({ patience: options.patience, expected: () => this.inFlight.size, silent: (reason) => this.reset(reason) });
  }

  set hasReplicas(has: boolean) {
    this.barriers.hasReplicas = has;
  }

  /** Of the server that was connected to last. */
  get runId(): string {
    return this.options.identity.runId;
  }

  /** Replicas did not confirm in time, or the question was refused. */
  get unconfirmed(): boolean {
    return this.barriers.unconfirmed;
  }

  /** Whether batches wait for a connection. */
  get waiting(): boolean {
    return this.queue.length > 0 && this.socket === undefined;
  }

  send(batch: CommandBatch): void {
    this.queue.push(batch);
    void this.work();
  }

  /** Sends what is in the queue, as the window allows. */
  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    try {
      while (this.queue.length > 0 && this.taken === 0 && !this.closed) await this.step(this.queue[0]);
    } catch (error) {
      this.lose(error);
    } finally {
      this.working = false;
    }
  }

  private async step(batch: CommandBatch): Promise<void> {
    const { window, windowKeys } = this.options;
    if (this.socket === undefined) await this.open();
    if (batch.db !== this.db) {
      await this.select(batch.db);
    } else if (!this.inFlight.fits(batch, window, windowKeys) || (this.pausesAtBarriers && this.barriers.pending)) {
      await this.change.wait();
    } else if (this.queue[0] === batch) {
      this.queue.shift();
      this.write(batch);
      if (this.barriers.due) this.barrier();
    }
  }

  private write(batch: CommandBatch): void {
    const { bytes, length } = batch;
    this.inFlight.addBatch(batch);
    this.barriers.sent(length);
    this.put(bytes.subarray(0, length));
  }

  private put(bytes: Uint8Array): void {
    this.watchdog.watch();
    this.connected.write(bytes);
  }

  private get connected(): Duplex {
    if (this.socket === undefined) throw this.endedBy;
    return this.socket;
  }

  private async open(): Promise<void> {
    const { clockAhead, process, socket } = await this.options.open();
    if (this.closed) {
      socket.destroy();
      throw new ConnectionLost('closed');
    }
    if (this.options.identity.met(process)) this.events.restarted(this);
    this.clock.ahead = clockAhead ?? this.clock.ahead;
    this.socket = socket;
    this.downSince = 0;
    this.db = 0;
    this.reader.reset();
    socket.on('data', (chunk: Uint8Array) => this.received(socket, chunk));
    socket.on('error', (error) => this.ended(socket, error));
    for (const event of ['end', 'close'] as const) socket.on(event, () => this.ended(socket, new ConnectionClosed('the server closed the connection')));
    socket.on('drain', () => this.change.fire());
    socket.resume();
  }

  /** Nothing else is on its way then: commands in the wrong database would be worse than a pause. */
  private async select(db: number): Promise<void> {
    await this.settled();
    const { error } = await this.ask('SELECT', `${db}`);
    if (error !== undefined && refusalOf(error) === 'stop') throw new ServerError('REFUSED', this.name, error);
    if (error !== undefined) throw new ConnectionLost(`SELECT ${db}: ${error}`);
    this.db = db;
  }

  private async settled(): Promise<void> {
    while (this.socket !== undefined && (this.inFlight.size > 0 || this.unsettled.length > 0)) await this.change.wait();
    if (this.socket === undefined) throw this.endedBy;
  }

  private ask(...command: string[]): Promise<Answers> {
    const answers = new Answers(1);
    this.expect(answers);
    this.put(encodeCommand(command));
    return answers.all();
  }

  /** Throws without a connection: what waited then would take the answers that come from the next one. */
  private expect(answers: Answers): Duplex {
    const { connected } = this;
    this.inFlight.add(answers);
    return connected;
  }

  private barrier(): Answers {
    const answers = new Answers(1);
    this.expect(answers);
    this.barriers.begun(answers);
    this.put(BARRIER);
    return answers;
  }

  private received(socket: Duplex, chunk: Uint8Array): void {
    if (socket !== this.socket) return;
    const { inFlight, reader } = this;
    this.watchdog.sign();
    try {
      reader.push(chunk);
      for (let kind = reader.next(); kind !== NO_REPLY && socket === this.socket; kind = reader.next()) {
        if (kind === OK) inFlight.oks(reader.count);
        else inFlight.reply(kind === ERROR ? reader.text : undefined, kind === INTEGER ? reader.integer : undefined);
      }
    } catch (error) {
      this.ended(socket, error);
    }
    this.change.fire();
  }

  private batchAnswered(batch: CommandBatch): void {
    this.unsettled.push(batch);
    if (!this.barriers.wanted) {
      this.options.identity.bare = true;
      if (!this.barriers.pending) this.settleAll();
    } else if (this.inFlight.size === 0) {
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

  private ended(socket: Duplex, cause: unknown): void {
    socket.destroy();
    if (socket === this.socket) this.lose(cause);
  }

  /** Gives back what was sent and is not delivered; what was not sent waits for the next attempt. */
  private lose(cause: unknown): void {
    const { socket, unsettled } = this;
    const confirming = this.barriers.wanted || this.barriers.pending;
    const reason = cause instanceof ConnectionLost ? cause : new ConnectionClosed(reasonOf(cause), { cause });
    this.socket = undefined;
    this.endedBy = reason;
    socket?.destroy();
    this.downSince ||= Date.now();
    this.unsettled = [];
    const items = this.inFlight.clear();
    this.pausesAtBarriers ||= reason instanceof ConnectionClosed && items[0] instanceof Answers && this.barriers.has(items[0]);
    this.barriers.clear();
    const sent = [...unsettled];
    for (const item of items) {
      if (item instanceof Answers) item.fail(reason);
      else sent.push(item);
    }
    if (!confirming) for (const batch of sent) this.deliver(batch);
    this.change.fire();
    const [first] = items as readonly (CommandBatch | Answers | undefined)[];
    this.events.lost(this, sent, cause, first instanceof CommandBatch && !first.complete ? first : undefined);
  }

  /** What was answered counts, also of a batch that the end of the connection has cut, though no replica has confirmed it. */
  private deliver(batch: CommandBatch): void {
    if (batch.answered > 0) this.options.identity.bare = true;
    batch.deliver(this.name);
  }

  /** Tries to connect again, where batches wait for that. */
  retry(): void {
    if (this.waiting) void this.work();
  }

  /** Gives back what was not sent: other servers have the keys now. */
  retire(): CommandBatch[] {
    const { queue } = this;
    this.queue = [];
    this.closed = true;
    this.reset('it is no master any more');
    return queue;
  }

  /** The next command opens another connection. */
  reset(reason: string): void {
    if (this.socket !== undefined) this.ended(this.socket, new ConnectionLost(reason));
  }

  /**
   * Takes the connection for commands that are no batches: what was sent before is settled first, what comes later waits.
   * Rejects with ConnectionLost, or what the connection could not be opened for.
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
    while (this.working) await Promise.race([this.change.wait(), delay(1)]);
    if (this.socket === undefined) await this.open();
    await this.settled();
    if (this.db !== db) await this.select(db);
    const answers = new Answers(0, true);
    const socket = this.expect(answers);
    const exclusive = new ExclusiveConnection(answers, (bytes) => this.putAndDrain(socket, bytes), this.runId);
    try {
      const result = await work(exclusive);
      await exclusive.end();
      this.inFlight.remove(answers);
      if (this.barriers.wanted) await this.barrier().all();
      else this.options.identity.bare = true;
      return result;
    } catch (error) {
      if (this.inFlight.has(answers)) this.reset('a command was left unfinished');
      throw error;
    }
  }

  /** Until the bytes are written, and may change. A write that fails ends the connection: what has come before is read first. */
  private async putAndDrain(socket: Duplex, bytes: Uint8Array): Promise<void> {
    await turn();
    if (socket !== this.socket) throw this.endedBy;
    this.watchdog.watch();
    this.watchdog.sign();
    const error = await new Promise<Error | null | undefined>((resolve) => socket.write(bytes, resolve));
    if (error) throw new ConnectionClosed(reasonOf(error), { cause: error });
  }

  /**
   * Everything that was sent before is answered, or given up after so many milliseconds. Returns how many keys may have been
   * done, and were not answered.
   */
  async close(patience: number): Promise<number> {
    this.closed = true;
    const until = performance.now() + patience;
    while (this.inFlight.size > 0 && performance.now() < until) await Promise.race([this.change.wait(), delay(20)]);
    this.watchdog.stop();
    const { queue, socket, unsettled } = this;
    this.socket = undefined;
    socket?.destroy();
    this.unsettled = [];
    const sent = [...unsettled, ...this.inFlight.clear().filter((item) => item instanceof CommandBatch)];
    for (const batch of sent) this.deliver(batch);
    return [...sent, ...queue.filter(({ again }) => again)].reduce((sum, { answered, keys }) => sum + keys - answered, 0);
  }
}
