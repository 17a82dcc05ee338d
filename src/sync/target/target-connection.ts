import { Connection } from '../../redis/connection.js';
import { encodeCommand } from '../../redis/commands.js';
import { ConnectionLost, reasonOf } from '../../redis/errors.js';
import type { Opened } from '../../redis/connect.js';
import type { ServerClock } from '../../redis/server-clock.js';
import { type BatchFailure, ChangeBatch } from './change-batch.js';
import { Outgoing } from './outgoing.js';

export interface TargetConnectionOptions {
  /** `host:port` of the master. */
  readonly name: string;
  readonly open: () => Promise<Opened>;
  readonly clock: ServerClock;
  /** Milliseconds without a reply that is due. */
  readonly patience: number;
  /** What CLIENT SETNAME says: later runs find the connection by it. */
  readonly label: string;
}

export interface TargetConnectionEvents {
  /** A batch was answered. */
  answered(): void;
  /** A command of a batch was. */
  refused(connection: TargetConnection, batch: ChangeBatch, failure: BatchFailure): void;
  lost(connection: TargetConnection, reason: string): void;
}

/** What commands of our own were answered with. */
export interface Reply {
  /** The first error. */
  readonly error: string | undefined;
  /** The last integer. */
  readonly integer: number;
}

/** A connection of a lane to one master of the target. Batches are sent at once, and answered in the same order. */
export class TargetConnection {
  readonly name: string;
  /** What is to be sent next. */
  readonly open = new Outgoing();
  /** The database that is selected once everything so far is done, and the one before what is to be sent next. */
  db = 0;
  private openDb = 0;
  /** Number of the last batch that was sent, that was answered, and that the replicas have. */
  sent = 0;
  answered = 0;
  confirmed = 0;
  /** Replicas that have to confirm. */
  replicas = 0;
  /** Bytes and commands without an answer. */
  bytes = 0;
  commands = 0;
  /** Sent since the last WAIT. */
  unconfirmedBytes = 0;
  unconfirmedCommands = 0;
  private readonly connection: Connection;
  private readonly waiting = new Set<(reason: Error) => void>();

  constructor(
    private readonly options: TargetConnectionOptions,
    private readonly events: TargetConnectionEvents,
  ) {
    this.name = options.name;
    this.connection = new Connection(options, {
      opened: () => undefined,
      complete: (item) => {
        if (item instanceof ChangeBatch) item.onComplete(item);
      },
      lost: (_items, cause, reason) => {
        for (const reject of this.waiting) reject(reason);
        this.waiting.clear();
        events.lost(this, reasonOf(cause));
      },
    });
  }

  /** Connects. Throws ServerError and ConnectionLost. */
  async connect(): Promise<void> {
    await this.connection.open();
    await this.connection.ask('CLIENT', 'SETNAME', this.options.label); // it may be refused
  }

  /** The number of the last batch that counts as applied. */
  get done(): number {
    return this.replicas > 0 ? this.confirmed : this.answered;
  }

  /** Adds a command for a database to what is to be sent next. */
  add(db: number, bytes: Uint8Array, start: number, end: number): void {
    if (db !== this.db) this.select(db);
    this.open.add(bytes, start, end);
  }

  /** The same for commands in pieces, of which the first one begins them all. */
  addPieces(db: number, pieces: readonly Uint8Array[], commands: number): void {
    if (db !== this.db) this.select(db);
    for (const [i, piece] of pieces.entries()) this.open.addPart(piece, i === 0 ? commands : 0);
  }

  private select(db: number): void {
    const command = encodeCommand(['SELECT', `${db}`]);
    this.open.add(command, 0, command.length);
    this.db = db;
  }

  /** Sends the open commands; `before` and `after` are others around them, `around` in number. */
  flush(before?: Uint8Array, after?: Uint8Array, around = 0): void {
    if (this.open.commands === 0) return;
    const db = this.openDb;
    this.openDb = this.db;
    const { commands, parts, rooms, size } = this.open.take();
    if (before !== undefined) parts.unshift(before);
    if (after !== undefined) parts.push(after);
    this.put(parts, commands + around, size + (before?.length ?? 0) + (after?.length ?? 0), db, (batch) => {
      for (const failure of batch.failures) this.events.refused(this, batch, failure);
      this.open.giveBack(rooms);
    });
  }

  /** Sends commands of our own. Rejects with ConnectionLost. */
  async ask(...command: (string | Uint8Array)[]): Promise<Reply> {
    return this.askAll([command]);
  }

  /** The same for several commands. */
  askAll(commands: readonly (readonly (string | Uint8Array)[])[]): Promise<Reply> {
    return this.askParts(commands.map(encodeCommand));
  }

  /** The same for the bytes of each command. */
  askParts(parts: readonly Uint8Array[]): Promise<Reply> {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    return new Promise((resolve, reject) => {
      if (!this.connection.isOpen) {
        reject(new ConnectionLost('there is no connection'));
        return;
      }
      this.waiting.add(reject);
      this.put(parts, parts.length, size, this.db, ({ failures, integer }) => {
        this.waiting.delete(reject);
        resolve({ error: failures.at(0)?.error, integer });
      });
    });
  }

  private put(parts: readonly Uint8Array[], commands: number, size: number, db: number, then: (batch: ChangeBatch) => void): void {
    if (!this.connection.isOpen) return; // the lane learns it from `lost`
    const number = ++this.sent;
    this.bytes += size;
    this.commands += commands;
    this.unconfirmedBytes += size;
    this.unconfirmedCommands += commands;
    const batch = new ChangeBatch(parts, commands, db, (done) => {
      this.bytes -= size;
      this.commands -= commands;
      then(done);
      this.answered = number;
      this.events.answered();
    });
    this.connection.sendParts(batch, parts);
  }

  /** Whether the server would run a command, which is not run. Rejects with ConnectionLost. */
  async takes(command: readonly (string | Uint8Array)[]): Promise<boolean> {
    if ((await this.ask('MULTI')).error !== undefined) return false;
    // SET without arguments makes EXEC do nothing; DISCARD is a right that the user may not have
    const { error } = await this.askAll([command, ['SET'], ['EXEC']]);
    return /^ERR wrong number of arguments for 'set'/i.test(error ?? '');
  }

  /** Ends for good; what was sent may be applied all the same. */
  close(): void {
    this.connection.close();
    for (const reject of this.waiting) reject(new ConnectionLost('closed'));
    this.waiting.clear();
  }
}
