import type { CommandBatch } from './command-batch.js';
import type { Opened } from '../redis/connect.js';
import { ServerIdentity, type ServerIdentityState } from './server-identity.js';
import { DeliveryConnection, type DeliveryConnectionEvents } from './delivery-connection.js';
import type { PlainWriter } from './plain-batch.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';

export interface DeliveryConnectionsOptions {
  /** Bytes and commands in flight to one server, at most. */
  readonly window: number;
  readonly windowKeys: number;
  /** Milliseconds to retry a command while the server is lost, loading or failing over. */
  readonly retryFor: number;
  /** Writes batches with payloads that are too large. */
  readonly plain?: PlainWriter | undefined;
  /** The servers that an earlier run delivered to. */
  readonly identities?: readonly ServerIdentityState[] | undefined;
  /** Keys that a server confirmed may be lost. */
  readonly onLoss: (server: string, reason: string) => void;
}

export interface DeliveryConnectionsEvents extends DeliveryConnectionEvents {
  /** A batch that was never sent, since its server is no longer a master. */
  unsent(batch: CommandBatch): void;
}

/** A connection for each master, and the identities of the servers that have delivered keys. */
export class DeliveryConnections {
  private readonly byName = new Map<string, DeliveryConnection>();
  private readonly byServer: Map<string, ServerIdentity>;
  /** In the order of the masters, which `owners` refers to: the slot map changes only together with them. */
  private current: readonly DeliveryConnection[] = [];
  /** By slot: the index of its connection, -1 if no master has it; undefined if there is only one connection. */
  owners: Int16Array | undefined;
  /** Connections to nodes that a slot is being migrated to and that own none yet. */
  private readonly atGuests = new Set<DeliveryConnection>();

  constructor(
    private readonly servers: Servers,
    private readonly options: DeliveryConnectionsOptions,
    private readonly events: DeliveryConnectionsEvents,
  ) {
    this.byServer = new Map(options.identities?.map((state) => [state.name, ServerIdentity.from(state)]));
  }

  /** The connections to the current masters. */
  get ofMasters(): readonly DeliveryConnection[] {
    return this.current;
  }

  get all(): DeliveryConnection[] {
    return [...this.byName.values()];
  }

  /** Connections to nodes that a slot is being migrated to and that own none yet. */
  get guests(): DeliveryConnection[] {
    return [...this.atGuests];
  }

  /** The identities of the servers that have delivered keys. */
  get identities(): ServerIdentityState[] {
    return [...this.byServer.values()].map(({ bare, name, runId, since }) => ({ name, runId, since, bare }));
  }

  /** The connection with this name, if any. */
  named(name: string): DeliveryConnection | undefined {
    return this.byName.get(name);
  }

  /** The connection for the keys of a slot. */
  ofSlot(slot: number): DeliveryConnection {
    const index = this.owners?.[slot] ?? 0;
    return this.current[index < 0 ? 0 : index];
  }

  /** Whether it is the connection of a current master. */
  has(connection: DeliveryConnection): boolean {
    return this.current.includes(connection);
  }

  /** Opens connections to the current masters and retires those of other nodes. */
  arrange(): void {
    const { byName, servers } = this;
    this.owners = servers.owners;
    this.current = servers.masters.map((master) => this.connectionTo(master));
    servers.masters.forEach(({ replicas }, i) => (this.current[i].hasReplicas = replicas > 0));
    for (const [name, connection] of byName) {
      if (this.has(connection)) this.atGuests.delete(connection);
      else if (!this.atGuests.has(connection)) this.drop(name, connection);
    }
    this.passOn();
  }

  /** Keys delivered to servers that are no longer connected have moved to others, or are lost. */
  passOn(): void {
    for (const [name, identity] of this.byServer) {
      if (!this.byName.has(name) && identity.passed()) {
        this.options.onLoss(name, 'another server has taken its place, and no replica had confirmed everything written');
      }
    }
  }

  /** The connection to a node, which may be no master with slots yet. */
  at(address: Address): DeliveryConnection {
    const connection = this.connectionTo({ name: addressText(address), address, id: '', replicas: 0, replicaIds: [] });
    if (!this.has(connection)) this.atGuests.add(connection);
    return connection;
  }

  /** A connection ended; only those of masters are opened again. */
  ended(connection: DeliveryConnection): void {
    this.atGuests.delete(connection);
    if (!this.has(connection)) this.drop(connection.name, connection);
  }

  private drop(name: string, connection: DeliveryConnection): void {
    if (this.byName.get(name) === connection) this.byName.delete(name);
    for (const batch of connection.retire()) this.events.unsent(batch);
  }

  private connectionTo(master: Master): DeliveryConnection {
    const known = this.byName.get(master.name);
    if (known !== undefined) return known;
    const { plain, retryFor, window, windowKeys } = this.options;
    const open = (): Promise<Opened> => this.servers.openSocket(master);
    const identity = this.identityOf(master.name);
    const connection = new DeliveryConnection(
      {
        name: master.name,
        open,
        identity,
        clock: this.servers.clockOf(master.name),
        window,
        windowKeys,
        plain,
        sharded: () => this.owners !== undefined,
        patience: Math.max(retryFor, 1000),
      },
      this.events,
    );
    this.byName.set(master.name, connection);
    return connection;
  }

  private identityOf(name: string): ServerIdentity {
    const identity = this.byServer.get(name) ?? new ServerIdentity(name);
    this.byServer.set(name, identity);
    return identity;
  }
}
