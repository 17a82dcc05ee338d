import type { CommandBatch } from './command-batch.js';
import { openSocket } from '../redis/connect.js';
import { ServerIdentity, type ServerIdentityState } from './server-identity.js';
import { DeliveryConnection, type DeliveryConnectionEvents } from './delivery-connection.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';

export interface DeliveryConnectionsOptions {
  /** Bytes and commands on their way to one server at a time. */
  readonly window: number;
  readonly windowKeys: number;
  /** Milliseconds for which a command is tried again while the server is lost, loading, failing over. */
  readonly retryFor: number;
  /** Who had what a run before this one delivered. */
  readonly identities?: readonly ServerIdentityState[] | undefined;
  /** What a server had confirmed may be lost, and why. */
  readonly onLoss: (server: string, reason: string) => void;
}

export interface DeliveryConnectionsEvents extends DeliveryConnectionEvents {
  /** A batch was not sent to a server that is no master any more. */
  unsent(batch: CommandBatch): void;
}

/** A connection for every master, and who has what was delivered. */
export class DeliveryConnections {
  private readonly byName = new Map<string, DeliveryConnection>();
  private readonly byServer: Map<string, ServerIdentity>;
  /** In the order of the masters, as `owners` names them: what is known of slots changes with them only. */
  private current: readonly DeliveryConnection[] = [];
  /** By slot: the index of its connection, -1 where nobody has it; undefined where there is but one. */
  owners: Int16Array | undefined;
  /** To nodes that slots are on their way to, and that have none yet. */
  private readonly atGuests = new Set<DeliveryConnection>();

  constructor(
    private readonly servers: Servers,
    private readonly options: DeliveryConnectionsOptions,
    private readonly events: DeliveryConnectionsEvents,
  ) {
    this.byServer = new Map(options.identities?.map((state) => [state.name, ServerIdentity.from(state)]));
  }

  /** Those of the masters that there are. */
  get ofMasters(): readonly DeliveryConnection[] {
    return this.current;
  }

  get all(): DeliveryConnection[] {
    return [...this.byName.values()];
  }

  /** Those of nodes that slots are on their way to, and that have none yet. */
  get guests(): DeliveryConnection[] {
    return [...this.atGuests];
  }

  /** Who has what was delivered so far. */
  get identities(): ServerIdentityState[] {
    return [...this.byServer.values()].map(({ bare, name, runId, since }) => ({ name, runId, since, bare }));
  }

  /** The connection with this name, where there is one. */
  named(name: string): DeliveryConnection | undefined {
    return this.byName.get(name);
  }

  /** The connection that a slot's keys go through. */
  ofSlot(slot: number): DeliveryConnection {
    const index = this.owners?.[slot] ?? 0;
    return this.current[index < 0 ? 0 : index];
  }

  /** Whether it is the connection of a master. */
  has(connection: DeliveryConnection): boolean {
    return this.current.includes(connection);
  }

  /** Connections for the current masters; those of others are given up. */
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

  /** What was delivered to servers that there is no connection to any more is on others, or lost. */
  passOn(): void {
    for (const [name, identity] of this.byServer) {
      if (!this.byName.has(name) && identity.passed()) {
        this.options.onLoss(name, 'another server has its place now, and no replica had confirmed all that was written');
      }
    }
  }

  /** The connection to a node, which need not be a master with slots yet. */
  at(address: Address): DeliveryConnection {
    const connection = this.connectionTo({ name: addressText(address), address, id: '', replicas: 0 });
    if (!this.has(connection)) this.atGuests.add(connection);
    return connection;
  }

  /** A connection has ended; only those of masters are opened again. */
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
    const { retryFor, window, windowKeys } = this.options;
    const open = (): ReturnType<typeof openSocket> => openSocket(this.servers.access, master.address);
    const identity = this.identityOf(master.name);
    const connection = new DeliveryConnection(
      {
        name: master.name,
        open,
        identity,
        clock: this.servers.clockOf(master.name),
        window,
        windowKeys,
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
