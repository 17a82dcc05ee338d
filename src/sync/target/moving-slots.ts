import { keySlot } from '../../bytes/crc16.js';
import { encodeCommand } from '../../redis/commands.js';
import { refusalOf } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import { type Address, addressText } from '../../redis/url.js';
import { commandsOfParts } from '../stream-parser.js';
import { type Detached, detachedBy } from './detached.js';
import type { OwnCommands } from './own-commands.js';
import { REPLICA_PATIENCE } from './replicas.js';
import type { TargetConnection } from './target-connection.js';

export interface MovingSlotsOptions {
  readonly servers: Servers;
  /** The connections to masters that had slots when the writer was attached. */
  readonly connections: readonly TargetConnection[];
  readonly connectionTo: (master: Master) => TargetConnection;
  readonly own: OwnCommands;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  /** Nothing more is sent, for a reason that is returned. */
  readonly breakOff: (reason: Detached) => Detached;
  readonly onNote: (text: string) => void;
}

const ASKING = encodeCommand(['ASKING']);

/** Slots of the target that are on their way to another master, and how values get there. */
export class MovingSlots {
  private readonly slots = new Set<number>();
  /** Connections to masters that had no slot when the writer was attached. */
  private readonly others = new Map<string, TargetConnection>();

  constructor(private readonly options: MovingSlotsOptions) {}

  /** A slot is on its way to another master: each key is at one of them, and new ones are at that one. */
  learn(connection: TargetConnection, error: string): void {
    const to = this.options.servers.redirected(connection.name, error);
    if (to === undefined || this.slots.has(to.slot)) return;
    this.slots.add(to.slot);
    this.options.onNote(`${connection.name} gives slot ${to.slot} to ${addressText(to)}: meanwhile, its keys are fetched from the source`);
  }

  /** Whether the slot of a key is on its way to another master, so that a value is to be sent with `send`. */
  has(key: Uint8Array): boolean {
    return this.slots.size > 0 && this.slots.has(keySlot(key));
  }

  /**
   * Sends the commands that set a key to the master that has it; `connection`: to the owner of its slot, with nothing on its way. It is
   * done when this resolves. Throws Detached.
   */
  async send(connection: TargetConnection, pieces: readonly Uint8Array[]): Promise<void> {
    const { breakOff, connections, own, servers } = this.options;
    const commands = commandsOf(pieces);
    const { error } = await own.guarded(connection, connection.askParts(commands));
    if (error === undefined) return;
    const to = refusalOf(error) === 'ask' ? servers.redirected(connection.name, error) : undefined;
    if (to === undefined) throw breakOff(detachedBy(connection.name, error));
    const other = await this.newOwner(to);
    const asked = await own.guarded(other, other.askParts(commands.flatMap((command) => [ASKING, command])));
    if (asked.error !== undefined) throw breakOff(detachedBy(other.name, asked.error));
    if (!connections.includes(other)) await this.confirmed(other, to);
  }

  /** The connection to a master that takes over a slot; it may have had none so far. */
  private async newOwner(to: Address): Promise<TargetConnection> {
    const name = addressText(to);
    const { connections, connectionTo, own } = this.options;
    const known = connections.find((connection) => connection.name === name) ?? this.others.get(name);
    if (known !== undefined) return known;
    const made = connectionTo({ name, address: to, id: '', replicas: 0, replicaIds: [] });
    this.others.set(name, made);
    await own.guarded(made, made.connect());
    return made;
  }

  /** Waits for the replicas of a master that has no slots yet. */
  private async confirmed(connection: TargetConnection, address: Address): Promise<void> {
    const { confirm, own, servers } = this.options;
    for (let is = !confirm; !is;) {
      const { replicas } = await own.guarded(
        connection,
        servers.clientTo(address).then((client) => servers.infoOf(client)),
      );
      const { error, integer } = await own.guarded(connection, connection.ask('WAIT', `${replicas}`, `${REPLICA_PATIENCE}`));
      is = error !== undefined || integer >= replicas;
    }
  }

  close(): void {
    for (const connection of this.others.values()) connection.close();
  }
}

/** The bytes of each command. */
const commandsOf = (pieces: readonly Uint8Array[]): Uint8Array[] =>
  Array.from(commandsOfParts(pieces), ({ bytes, end, start }) => bytes.slice(start, end));
