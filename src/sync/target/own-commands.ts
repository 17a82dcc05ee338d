import { encodeCommand } from '../../redis/commands.js';
import { reasonOf } from '../../redis/errors.js';
import { type Detached, detachedBy } from './detached.js';
import type { OwnCommand } from './record-commands.js';
import type { TargetConnection } from './target-connection.js';

export interface OwnCommandsOptions {
  readonly connections: readonly TargetConnection[];
  /** Database of the records. */
  readonly recordDb: number;
  /** Why nothing more can be sent; undefined if it can. */
  readonly broken: () => Detached | undefined;
  /** Nothing more is sent, for a reason that is returned. */
  readonly breakOff: (reason: Detached) => Detached;
  /** Sends the commands of the stream that are still being gathered: they come first. */
  readonly flushGathered: () => void;
}

/** Sends commands that are not from the stream over the connections of a lane, and waits for their answers. */
export class OwnCommands {
  constructor(private readonly options: OwnCommandsOptions) {}

  /**
   * Sends commands for one database, and waits for their answer. That of the records is selected afterwards: each transaction begins and
   * ends there, so that one that is refused does not shift the ones after it to another database. Throws Detached.
   */
  async send(connection: TargetConnection, db: number, commands: readonly OwnCommand[]): Promise<number> {
    const { breakOff, recordDb } = this.options;
    this.options.flushGathered();
    const before = connection.db === db ? [] : [['SELECT', `${db}`]];
    const after = db === recordDb ? [] : [['SELECT', `${recordDb}`]];
    connection.db = recordDb;
    const { error, integer } = await this.guarded(connection, connection.askAll([...before, ...commands, ...after]));
    if (error !== undefined) throw breakOff(detachedBy(connection.name, error));
    return integer;
  }

  private async select(connection: TargetConnection, db: number): Promise<void> {
    connection.db = db;
    const { error } = await this.guarded(connection, connection.ask('SELECT', `${db}`));
    if (error !== undefined) throw this.options.breakOff(detachedBy(connection.name, error));
  }

  /** What was asked of a connection. Throws Detached. */
  async guarded<T>(connection: TargetConnection, asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (cause) {
      throw this.options.broken() ?? detachedBy(connection.name, reasonOf(cause));
    }
  }

  /** Does work with the connection to each master, all at once. Throws the first error. */
  async everywhere(work: (connection: TargetConnection, index: number) => Promise<unknown>): Promise<void> {
    const results = await Promise.allSettled(this.options.connections.map(work));
    const failed = results.find((result): result is PromiseRejectedResult => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason as Error;
  }

  /** Runs a command on every master, beside those of the stream. Returns what errors it was answered with. Throws Detached. */
  async alone(db: number, command: Uint8Array | readonly Uint8Array[]): Promise<string[]> {
    const errors: string[] = [];
    this.options.flushGathered();
    await this.everywhere(async (connection) => {
      const { recordDb } = this.options;
      if (connection.db !== db) await this.select(connection, db);
      const { error } = await this.guarded(
        connection,
        connection.askParts([command instanceof Uint8Array ? command : encodeCommand(command)]),
      );
      if (error !== undefined) errors.push(error);
      if (connection.db !== recordDb) await this.select(connection, recordDb);
    });
    return errors;
  }
}
