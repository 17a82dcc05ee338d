import type { Batch } from './command-batch.js';
import { openSocket } from '../redis/connect.js';
import { Custody, type CustodyState } from './server-identity.js';
import { Link, type LinkEvents } from './delivery-connection.js';
import type { Master, Servers } from '../redis/servers.js';
import { type Address, addressText } from '../redis/url.js';

export interface LinksOptions {
  /** Bytes and commands on their way to one server at a time. */
  readonly window: number;
  readonly windowUnits: number;
  /** Milliseconds for which a command is tried again while the server is lost, loading, failing over. */
  readonly retryFor: number;
  /** Who had what a run before this one delivered. */
  readonly custody?: readonly CustodyState[] | undefined;
  /** What a server had confirmed may be lost, and why. */
  readonly onLoss: (server: string, reason: string) => void;
}

export interface LinksEvents extends LinkEvents {
  /** A batch was not sent to a server that is no master any more. */
  unsent(batch: Batch): void;
}

/** A link for every master, and who has what was delivered. */
export class Links {
  private readonly byName = new Map<string, Link>();
  private readonly custodies: Map<string, Custody>;
  /** In the order of the masters, as `owners` names them: what is known of slots changes with them only. */
  private current: readonly Link[] = [];
  /** By slot: the index of its link, -1 where nobody has it; undefined where there is but one. */
  owners: Int16Array | undefined;
  /** To nodes that slots are on their way to, and that have none yet. */
  private readonly atGuests = new Set<Link>();

  constructor(
    private readonly servers: Servers,
    private readonly options: LinksOptions,
    private readonly events: LinksEvents,
  ) {
    this.custodies = new Map(options.custody?.map((state) => [state.name, Custody.from(state)]));
  }

  /** Those of the masters that there are. */
  get ofMasters(): readonly Link[] {
    return this.current;
  }

  get all(): Link[] {
    return [...this.byName.values()];
  }

  /** Those of nodes that slots are on their way to, and that have none yet. */
  get guests(): Link[] {
    return [...this.atGuests];
  }

  /** Who has what was delivered so far. */
  get custody(): CustodyState[] {
    return [...this.custodies.values()].map(({ bare, name, runId, since }) => ({ name, runId, since, bare }));
  }

  /** The link with this name, where there is one. */
  named(name: string): Link | undefined {
    return this.byName.get(name);
  }

  /** The link that a slot's keys go through. */
  ofSlot(slot: number): Link {
    const index = this.owners?.[slot] ?? 0;
    return this.current[index < 0 ? 0 : index];
  }

  /** Whether it is the link of a master. */
  has(link: Link): boolean {
    return this.current.includes(link);
  }

  /** Links for the masters that there are; those of others are given up. */
  arrange(): void {
    const { byName, servers } = this;
    this.owners = servers.owners;
    this.current = servers.masters.map((master) => this.linkTo(master));
    servers.masters.forEach(({ replicas }, i) => (this.current[i].hasReplicas = replicas > 0));
    for (const [name, link] of byName) {
      if (this.has(link)) this.atGuests.delete(link);
      else if (!this.atGuests.has(link)) this.drop(name, link);
    }
    this.passOn();
  }

  /** What was delivered to servers that there is no link to any more is on others, or lost. */
  passOn(): void {
    for (const [name, custody] of this.custodies) {
      if (!this.byName.has(name) && custody.passed()) this.options.onLoss(name, 'another server has its place now, and no replica had confirmed all that was written');
    }
  }

  /** The link to a node, which need not be a master with slots yet. */
  at(address: Address): Link {
    const link = this.linkTo({ name: addressText(address), address, id: '', replicas: 0 });
    if (!this.has(link)) this.atGuests.add(link);
    return link;
  }

  /** A connection has ended; only those of masters are opened again. */
  ended(link: Link): void {
    this.atGuests.delete(link);
    if (!this.has(link)) this.drop(link.name, link);
  }

  private drop(name: string, link: Link): void {
    if (this.byName.get(name) === link) this.byName.delete(name);
    for (const batch of link.retire()) this.events.unsent(batch);
  }

  private linkTo(master: Master): Link {
    const known = this.byName.get(master.name);
    if (known !== undefined) return known;
    const { retryFor, window, windowUnits } = this.options;
    const open = (): ReturnType<typeof openSocket> => openSocket(this.servers.access, master.address);
    const custody = this.custodyOf(master.name);
    const link = new Link({ name: master.name, open, custody, clock: this.servers.clockOf(master.name), window, windowUnits, patience: Math.max(retryFor, 1000) }, this.events);
    this.byName.set(master.name, link);
    return link;
  }

  private custodyOf(name: string): Custody {
    const custody = this.custodies.get(name) ?? new Custody(name);
    this.custodies.set(name, custody);
    return custody;
  }
}
