/*
 * A client for servers. It does not know what it is used for, and imports only `bytes/`.
 *
 * - Single commands: `Servers.open(access)` reaches a server, the master that sentinels name, or a cluster; `client(master)` and
 *   `eachMaster(…)` give ioredis connections, with binary replies and pipelines.
 * - Bulk commands: a `Connection`. The sender implements `Pending`, receives every reply in order, and decides how much may be in
 *   flight (`inFlight`, `change`). A lost connection hands back what waited for replies; `open` opens another one.
 * - Bytes that a server pushes: `openSocket(access, node)` connects and logs in, and hands over the paused socket. With it,
 *   `ReplicationLink` gets the RDB and the writes that a server sends to replicas; `replicationRefused` asks whether it would.
 * - Topology: `servers.masters` and `owners` are the slot map, `redirected` reads MOVED and ASK, `refresh` asks again.
 * - Errors: `refusalOf` classifies error replies; a `ServerError` is for the user.
 */
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Answers } from './answers.js';
import { encodeCommand } from './commands.js';
import type { Opened } from './connect.js';
import { ConnectionClosed, ConnectionLost, reasonOf, ServerError } from './errors.js';
import { ExclusiveConnection } from './exclusive-connection.js';
import { InFlight, type Pending } from './in-flight.js';
import { refusalOf } from './refusals.js';
import { ARRAY, ERROR, INTEGER, NIL, NO_REPLY, OK, QUEUED, ReplyReader } from './replies.js';
import type { ServerClock } from './server-clock.js';
import type { ServerProcess } from './server-info.js';
import { Signal } from './signal.js';
import { Watchdog } from './watchdog.js';

export interface ConnectionOptions {
  /** `host:port`, for messages. */
  readonly name: string;
  /** Connects and logs in, with database 0 selected. Rejects with ServerError if retrying is no use. */
  open(): Promise<Opened>;
  /** Set whenever a connection is opened. */
  readonly clock: ServerClock;
  /** Milliseconds without any reply after which a connection with commands in flight counts as lost. */
  readonly patience: number;
}

export interface ConnectionEvents {
  opened(process: ServerProcess): void;
  /** All replies to `item` are in. */
  complete(item: Pending): void;
  /** The connection ended or could not be opened. `items` were waiting for replies; `reason` is what they are rejected with. */
  lost(items: readonly Pending[], cause: unknown, reason: ConnectionLost): void;
}

/** A connection to one server, with commands in flight and replies in the same order. It can be opened again after it ended. */
export class Connection {
  readonly name: string;
  readonly clock: ServerClock;
  /** Fires when replies arrive, when there is room to write, and when the connection is lost. */
  readonly change = new Signal();
  /** The selected database. */
  db = 0;
  /** Unix milliseconds since when there has been no connection, after one was lost or could not be opened; else 0. */
  downSince = 0;
  private socket: Duplex | undefined;
  private readonly reader = new ReplyReader();
  private readonly pending: InFlight;
  private readonly watchdog: Watchdog;
  /** Why the last connection ended. */
  private endedBy: unknown = new ConnectionLost('there is no connection');
  private closed = false;
  private runId = '';

  constructor(
    private readonly options: ConnectionOptions,
    private readonly events: ConnectionEvents,
  ) {
    this.name = options.name;
    this.clock = options.clock;
    this.pending = new InFlight((item) => events.complete(item));
    this.watchdog = new Watchdog({ patience: options.patience, expected: () => this.inFlight, silent: (reason) => this.reset(reason) });
  }

  get isOpen(): boolean {
    return this.socket !== undefined;
  }

  /** How much waits for replies. */
  get inFlight(): number {
    return this.pending.size;
  }

  /** Rejects with the error of `options.open`, or with ConnectionLost after `close`. */
  async open(): Promise<void> {
    const { clockAhead, process, socket } = await this.options.open();
    if (this.closed) {
      socket.destroy();
      throw new ConnectionLost('closed');
    }
    this.runId = process.runId;
    this.events.opened(process);
    this.clock.ahead = clockAhead ?? this.clock.ahead;
    this.socket = socket;
    this.downSince = 0;
    this.db = 0;
    this.reader.reset();
    socket.on('data', (chunk: Uint8Array) => this.received(socket, chunk));
    socket.on('error', (error) => this.ended(socket, error));
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => this.ended(socket, new ConnectionClosed('the server closed the connection')));
    }
    socket.on('drain', () => this.change.fire());
    socket.resume();
  }

  /** Throws without a connection: items queued now would take the replies of the next one. */
  private get socketOrThrow(): Duplex {
    if (this.socket === undefined) throw this.endedBy;
    return this.socket;
  }

  /** Throws the reason why the connection ended, if there is none. */
  assertOpen(): void {
    if (this.socket === undefined) throw this.endedBy;
  }

  /** Writes commands; `item` gets their replies. The bytes must not change until then. Throws without a connection. */
  send(item: Pending, bytes: Uint8Array): void {
    const socket = this.socketOrThrow;
    this.pending.add(item);
    this.watchdog.watch();
    socket.write(bytes);
  }

  /** The same for bytes in several parts. */
  sendParts(item: Pending, parts: readonly Uint8Array[]): void {
    const socket = this.socketOrThrow;
    this.pending.add(item);
    this.watchdog.watch();
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
  }

  /** Rejects if the connection is lost. */
  ask(...command: string[]): Promise<Answers> {
    const answers = new Answers(1);
    this.send(answers, encodeCommand(command));
    return answers.all();
  }

  /** Nothing for another database may be in flight. */
  async select(db: number): Promise<void> {
    if (db === this.db) return;
    const { error } = await this.ask('SELECT', `${db}`);
    if (error !== undefined && refusalOf(error) === 'stop') throw new ServerError('REFUSED', this.name, error);
    if (error !== undefined) throw new ConnectionLost(`SELECT ${db}: ${error}`);
    this.db = db;
  }

  /** Runs `work` with exclusive use of the connection: nothing else may be sent meanwhile. If it fails, the connection ends. */
  async exclusive<T>(work: (exclusive: ExclusiveConnection) => Promise<T>): Promise<T> {
    const answers = new Answers(0, true);
    const socket = this.socketOrThrow;
    this.pending.add(answers);
    const exclusive = new ExclusiveConnection(answers, (bytes) => this.putAndDrain(socket, bytes), this.runId);
    try {
      const result = await work(exclusive);
      await exclusive.end();
      this.pending.remove(answers);
      return result;
    } catch (error) {
      if (this.pending.has(answers)) this.reset('a command was left unfinished');
      throw error;
    }
  }

  /** Resolves when the bytes are written and may change. A failed write ends the connection after what has arrived is read. */
  private async putAndDrain(socket: Duplex, bytes: Uint8Array): Promise<void> {
    await turn();
    if (socket !== this.socket) throw this.endedBy;
    this.watchdog.watch();
    this.watchdog.sign();
    const error = await new Promise<Error | null | undefined>((resolve) => socket.write(bytes, resolve));
    if (error) throw new ConnectionClosed(reasonOf(error), { cause: error });
  }

  private received(socket: Duplex, chunk: Uint8Array): void {
    if (socket !== this.socket) return;
    const { pending, reader } = this;
    this.watchdog.sign();
    try {
      reader.push(chunk);
      for (let kind = reader.next(); kind !== NO_REPLY && socket === this.socket; kind = reader.next()) {
        if (kind === OK) pending.takeOks(reader.count);
        else if (kind === QUEUED) pending.takeQueued(reader.count);
        else {
          const other = kind === NIL ? NIL : kind === ARRAY ? reader.array : undefined;
          pending.takeReply(kind === ERROR ? reader.text : undefined, kind === INTEGER ? reader.integer : undefined, other);
        }
      }
    } catch (error) {
      this.ended(socket, error);
    }
    this.change.fire();
  }

  private ended(socket: Duplex, cause: unknown): void {
    socket.destroy();
    if (socket === this.socket) this.lose(cause);
  }

  /** Ends the connection, or records a failed attempt to open one. */
  lose(cause: unknown): void {
    const { socket } = this;
    const reason = cause instanceof ConnectionLost ? cause : new ConnectionClosed(reasonOf(cause), { cause });
    this.socket = undefined;
    this.endedBy = reason;
    socket?.destroy();
    this.downSince ||= Date.now();
    const items = this.pending.clear();
    for (const item of items) if (item instanceof Answers) item.fail(reason);
    this.events.lost(items, cause, reason);
    this.change.fire();
  }

  /** Ends the connection; it can be opened again. */
  reset(reason: string): void {
    if (this.socket !== undefined) this.ended(this.socket, new ConnectionLost(reason));
  }

  /** It is not opened again; what is in flight may still be answered. */
  retire(): void {
    this.closed = true;
  }

  /** Ends for good, without events. Returns what was in flight. */
  close(): Pending[] {
    const { socket } = this;
    this.closed = true;
    this.watchdog.stop();
    this.socket = undefined;
    socket?.destroy();
    return this.pending.clear();
  }
}
