import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Answers } from './answers.js';
import type { Batch } from './batch.js';
import { encodeCommand } from './commands.js';
import type { Opened } from './connect.js';
import type { Custody } from './custody.js';
import { ConnectionLost, reasonOf } from './errors.js';
import { ERROR, INTEGER, NO_REPLY, OK, ReplyReader } from './replies.js';
import { Signal } from './signal.js';

export interface LinkOptions {
  /** `host:port`, for people. */
  readonly name: string;
  /** Connects and logs in; database 0 is selected. Rejects with ServerError where it is no use to try again. */
  open(): Promise<Opened>;
  /** Who has what is delivered. */
  readonly custody: Custody;
  /** Bytes and units that may be on their way at a time. */
  readonly window: number;
  readonly windowUnits: number;
  /** Milliseconds without any reply after which a connection that should answer counts as lost. */
  readonly patience: number;
}

/** What whoever owns a link has to deal with. */
export interface LinkEvents {
  /** A unit was answered with an error. */
  failed(link: Link, batch: Batch, unit: number, error: string): void;
  /** The connection ended or could not be opened: these batches were sent and may have been applied, or not. */
  lost(link: Link, sent: readonly Batch[], cause: unknown): void;
  /** Nothing more comes of a batch. */
  released(batch: Batch): void;
  /** The server was restarted: what it had confirmed may be lost. */
  restarted(link: Link): void;
}

/** Between two questions for the replica's confirmation. */
const BARRIER_BYTES = 4 << 20;
/** Milliseconds that a replica may take; then it is not waited for until some time has passed. */
const REPLICA_PATIENCE = 2000;
const REPLICA_PAUSE = 10_000;
/** Milliseconds between two looks at whether replies come. */
const WATCH_EVERY = 500;

/** One connection to a server, with batches of commands on their way and their replies coming back in the same order. */
export class Link {
  readonly name: string;
  private socket: Duplex | undefined;
  private readonly reader = new ReplyReader();
  private readonly change = new Signal();
  /** Not sent yet; sent and waiting for replies; answered and waiting for a replica. */
  private queue: Batch[] = [];
  private flying: (Batch | Answers)[] = [];
  private unsettled: Batch[] = [];
  private inFlight = 0;
  private unitsInFlight = 0;
  private sinceBarrier = 0;
  private readonly barriers = new Set<Answers>();
  private turn: Promise<unknown> = Promise.resolve();
  private noBarrierBefore = 0;
  private db = 0;
  private working = false;
  private taken = 0;
  private closed = false;
  private lastReply = 0;
  private watch: NodeJS.Timeout | undefined;
  /** Units count as delivered when a replica has confirmed them. */
  hasReplicas = false;
  /** Unix milliseconds since when there is no connection, after one was lost or could not be opened. */
  downSince = 0;
  /** Replicas did not confirm in time, or the question was refused. */
  unconfirmed = false;

  constructor(
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
    this.name = options.name;
  }

  send(batch: Batch): void {
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

  private async step(batch: Batch): Promise<void> {
    const { window, windowUnits } = this.options;
    if (this.socket === undefined) await this.open();
    if (batch.db !== this.db) {
      await this.select(batch.db);
    } else if (this.flying.length > 0 && (this.inFlight + batch.length > window || this.unitsInFlight + batch.units > windowUnits)) {
      await this.change.wait();
    } else if (this.queue[0] === batch) {
      this.queue.shift();
      this.write(batch);
      if (this.replicated && this.sinceBarrier >= BARRIER_BYTES) this.barrier();
    }
  }

  private write(batch: Batch): void {
    const { bytes, length } = batch;
    this.flying.push(batch);
    this.inFlight += length;
    this.unitsInFlight += batch.units;
    this.sinceBarrier += length;
    this.put(bytes.subarray(0, length));
  }

  private put(bytes: Uint8Array): boolean {
    this.expectReply();
    return this.connected.write(bytes);
  }

  private get connected(): Duplex {
    if (this.socket === undefined) throw new ConnectionLost('the connection has ended');
    return this.socket;
  }

  private async open(): Promise<void> {
    const { process, socket } = await this.options.open();
    if (this.closed) {
      socket.destroy();
      throw new ConnectionLost('closed');
    }
    if (this.options.custody.met(process)) this.events.restarted(this);
    this.socket = socket;
    this.downSince = 0;
    this.db = 0;
    this.reader.reset();
    socket.on('data', (chunk: Uint8Array) => this.received(socket, chunk));
    socket.on('error', (error) => this.ended(socket, error));
    socket.on('close', () => this.ended(socket, new ConnectionLost('the server closed the connection')));
    socket.on('drain', () => this.change.fire());
    socket.resume();
  }

  /** Nothing else is on its way then: commands in the wrong database would be worse than a pause. */
  private async select(db: number): Promise<void> {
    await this.settled();
    const { error } = await this.ask('SELECT', `${db}`);
    if (error !== undefined) throw new ConnectionLost(`SELECT ${db}: ${error}`);
    this.db = db;
  }

  private async settled(): Promise<void> {
    while (this.flying.length > 0 || this.unsettled.length > 0) {
      if (this.socket === undefined) throw new ConnectionLost('the connection has ended');
      await this.change.wait();
    }
  }

  private ask(...command: string[]): Promise<Answers> {
    const answers = new Answers(1);
    this.flying.push(answers);
    this.put(encodeCommand(command));
    return answers.all();
  }

  /** Asks how many replicas have all of what was sent before. */
  private barrier(): void {
    this.sinceBarrier = 0;
    const answers = new Answers(1);
    this.barriers.add(answers);
    this.flying.push(answers);
    this.put(encodeCommand(['WAIT', '1', `${REPLICA_PATIENCE}`]));
  }

  private get replicated(): boolean {
    return this.hasReplicas && Date.now() >= this.noBarrierBefore;
  }

  private barrierAnswered(barrier: Answers): void {
    this.barriers.delete(barrier);
    if (barrier.error !== undefined || barrier.integer === 0) {
      this.unconfirmed = true;
      this.options.custody.bare = true;
      this.noBarrierBefore = barrier.error === undefined ? Date.now() + REPLICA_PAUSE : Infinity;
    }
    this.settleAll();
  }

  private received(socket: Duplex, chunk: Uint8Array): void {
    if (socket !== this.socket) return;
    const { reader } = this;
    this.lastReply = performance.now();
    try {
      reader.push(chunk);
      for (let kind = reader.next(); kind !== NO_REPLY; kind = reader.next()) {
        if (kind === OK) this.oks(reader.count);
        else this.reply(kind === ERROR ? reader.text : undefined, kind === INTEGER ? reader.integer : undefined);
      }
    } catch (error) {
      this.ended(socket, error);
    }
    this.change.fire();
  }

  /** What the next reply is for. */
  private get head(): Batch | Answers {
    if (this.flying.length === 0) throw new ConnectionLost('a reply came that nothing was sent for');
    return this.flying[0];
  }

  private oks(count: number): void {
    for (let left = count; left > 0; ) {
      const head = this.head;
      if (head instanceof Answers || head.perUnit !== 1) {
        this.reply(undefined, undefined);
        left--;
      } else {
        left -= head.takeOks(left);
        this.afterReply(head);
      }
    }
  }

  private reply(error: string | undefined, integer: number | undefined): void {
    const { head } = this;
    if (head instanceof Answers) {
      head.take(error, integer);
      if (!head.complete) return;
      this.flying.shift();
      if (this.barriers.has(head)) this.barrierAnswered(head);
      return;
    }
    if (head.takeOne(error, integer)) {
      const failure = head.takeError();
      if (failure !== undefined) this.events.failed(this, head, head.answered - 1, failure);
      if (this.flying[0] !== head) return; // the connection was given up for that, and the batch with it
    }
    this.afterReply(head);
  }

  private afterReply(batch: Batch): void {
    if (!batch.complete) return;
    this.flying.shift();
    this.inFlight -= batch.length;
    this.unitsInFlight -= batch.units;
    this.unsettled.push(batch);
    if (!this.replicated) {
      this.options.custody.bare = true;
      if (this.barriers.size === 0) this.settleAll();
    } else if (this.flying.length === 0) {
      this.barrier();
    }
  }

  private settleAll(): void {
    const { unsettled } = this;
    this.unsettled = [];
    for (const batch of unsettled) {
      const { replaced, units } = batch.delivered;
      if (units > 0) batch.delivery.delivered(batch, this.name, units, replaced);
      this.events.released(batch);
    }
  }

  /** A connection that should answer and does not is as good as lost. */
  private expectReply(): void {
    if (this.flying.length <= 1) this.lastReply = performance.now();
    this.watch ??= setInterval(() => {
      const { flying, lastReply, options, socket } = this;
      if (flying.length === 0) {
        clearInterval(this.watch);
        this.watch = undefined;
      } else if (socket !== undefined && performance.now() - lastReply > options.patience) {
        this.ended(socket, new ConnectionLost(`no reply for ${Math.round(options.patience / 1000)} s`));
      }
    }, WATCH_EVERY);
    this.watch.unref();
  }

  private ended(socket: Duplex, cause: unknown): void {
    socket.destroy();
    if (socket === this.socket) this.lose(cause);
  }

  /** Gives back what was sent and is not delivered; what was not sent waits for the next attempt. */
  private lose(cause: unknown): void {
    const { flying, socket, unsettled } = this;
    this.socket = undefined;
    socket?.destroy();
    this.downSince ||= Date.now();
    this.flying = [];
    this.unsettled = [];
    this.barriers.clear();
    this.inFlight = this.unitsInFlight = this.sinceBarrier = 0;
    const sent = [...unsettled];
    for (const item of flying) {
      if (item instanceof Answers) item.fail(cause instanceof ConnectionLost ? cause : new ConnectionLost(reasonOf(cause), { cause }));
      else sent.push(item);
    }
    this.change.fire();
    this.events.lost(this, sent, cause);
  }

  /** Whether batches wait for a connection. */
  get waiting(): boolean {
    return this.queue.length > 0 && this.socket === undefined;
  }

  /** Tries to connect again, where batches wait for that. */
  retry(): void {
    if (this.waiting) void this.work();
  }

  /** Gives back what was not sent: other servers have the keys now. */
  retire(): Batch[] {
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
  async exclusive<T>(db: number, work: (wire: Wire) => Promise<T>): Promise<T> {
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

  private async alone<T>(db: number, work: (wire: Wire) => Promise<T>): Promise<T> {
    while (this.working) await Promise.race([this.change.wait(), delay(1)]);
    if (this.socket === undefined) await this.open();
    await this.settled();
    if (this.db !== db) await this.select(db);
    const answers = new Answers(0, true);
    this.flying.push(answers);
    const wire = new Wire(answers, (bytes) => this.putAndDrain(bytes));
    try {
      const result = await work(wire);
      await wire.end();
      this.flying = this.flying.filter((item) => item !== answers);
      if (this.replicated) await this.confirm();
      else this.options.custody.bare = true;
      return result;
    } catch (error) {
      if (this.flying.includes(answers)) this.reset('a command was left unfinished');
      throw error;
    }
  }

  private async confirm(): Promise<void> {
    this.barrier();
    await (this.flying[0] as Answers).all();
  }

  /** Until the bytes are written, and may change. */
  private async putAndDrain(bytes: Uint8Array): Promise<void> {
    const { connected } = this;
    this.expectReply();
    this.lastReply = performance.now();
    const error = await new Promise<Error | null | undefined>((resolve) => connected.write(bytes, resolve));
    if (error) throw new ConnectionLost(reasonOf(error), { cause: error });
  }

  /** Everything that was sent before is answered, or given up after so many milliseconds. */
  async close(patience: number): Promise<void> {
    this.closed = true;
    const until = performance.now() + patience;
    while (this.flying.length > 0 && performance.now() < until) await Promise.race([this.change.wait(), delay(20)]);
    clearInterval(this.watch);
    const { socket } = this;
    this.socket = undefined;
    socket?.destroy();
  }
}

/** A connection that somebody has for himself. */
export class Wire {
  constructor(
    private readonly answers: Answers,
    private readonly put: (bytes: Uint8Array) => Promise<void>,
  ) {}

  /** Writes bytes of commands; they must not change until this is over. `commands` of them begin there. */
  async write(bytes: Uint8Array, commands: number): Promise<void> {
    this.answers.expect(commands);
    await this.put(bytes);
  }

  /** The first error so far. */
  get error(): string | undefined {
    return this.answers.error;
  }

  /** Until all replies so far have come. */
  drained(): Promise<void> {
    return this.answers.drained();
  }

  /** Sends a command and waits for all replies so far. Returns the integer that the last one of them was. */
  async ask(...command: (string | Uint8Array)[]): Promise<number> {
    await this.write(encodeCommand(command), 1);
    await this.answers.drained();
    return this.answers.integer;
  }

  /** Nothing more is sent; waits for all replies. */
  async end(): Promise<void> {
    this.answers.close();
    await this.answers.all();
  }
}
