import { ServerError } from '../../redis/errors.js';
import type { Servers } from '../../redis/servers.js';
import { type Detached, detachedBy } from './detached.js';
import type { TargetConnection } from './target-connection.js';

export interface ReplicasOptions {
  readonly servers: Servers;
  readonly connections: readonly TargetConnection[];
  /** Replicas may have confirmed more. */
  readonly answered: () => void;
  /** Nothing more is sent, for a reason that is returned. */
  readonly breakOff: (reason: Detached) => Detached;
  readonly onNote: (text: string) => void;
}

/** Sent between two WAITs, at most. */
const WAIT_BYTES = 1 << 20;
const WAIT_COMMANDS = 5000;
/** Milliseconds for replicas to confirm. */
export const REPLICA_PATIENCE = 1000;

/** Asks the replicas of the masters, with WAIT, to confirm what was sent. */
export class Replicas {
  private readonly waits = new Set<TargetConnection>();

  constructor(private readonly options: ReplicasOptions) {}

  /** Asks those that were sent enough, or, `now`, anything. */
  confirmIfDue(now = false): void {
    for (const connection of this.options.connections) {
      const due = now ? connection.confirmed < connection.sent : isDue(connection);
      if (connection.replicas > 0 && due && !this.waits.has(connection)) void this.confirm(connection);
    }
  }

  private async confirm(connection: TargetConnection): Promise<void> {
    const { answered, breakOff, onNote } = this.options;
    const number = connection.sent;
    this.waits.add(connection);
    connection.unconfirmedBytes = connection.unconfirmedCommands = 0;
    try {
      const { error, integer } = await connection.ask('WAIT', `${connection.replicas}`, `${REPLICA_PATIENCE}`);
      if (error !== undefined) {
        onNote(`${connection.name} refuses WAIT (${error}): writes count as done without its replicas`);
        connection.replicas = 0;
      } else if (integer >= connection.replicas) {
        connection.confirmed = number;
      } else await this.fewer(connection, integer);
      answered();
    } catch (error) {
      // a connection that is lost is told elsewhere
      if (error instanceof ServerError && error.code === 'REFUSED') breakOff(detachedBy(connection.name, error.reason));
    } finally {
      this.waits.delete(connection);
    }
  }

  /** Replicas that are no longer connected do not count. */
  private async fewer(connection: TargetConnection, confirmed: number): Promise<void> {
    const { onNote, servers } = this.options;
    const master = servers.masters.find(({ name }) => name === connection.name);
    if (master === undefined) return;
    const { replicas } = await servers.ask(master, (client) => servers.infoOf(client));
    if (replicas >= connection.replicas) return;
    const names = replicas === 1 ? 'one replica' : `${replicas} replicas`;
    onNote(`${connection.name} has ${names} now, and ${confirmed} confirmed in time`);
    connection.replicas = replicas;
  }
}

const isDue = ({ unconfirmedBytes, unconfirmedCommands }: TargetConnection): boolean =>
  unconfirmedBytes >= WAIT_BYTES || unconfirmedCommands >= WAIT_COMMANDS;
