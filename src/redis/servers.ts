import type { Redis } from 'ioredis';
import { SLOTS } from '../bytes/crc16.js';
import { type Access, failureOf, openClient, type Opened, openSocket, reachedAt } from './connect.js';
import { reasonOf, ServerError } from './errors.js';
import type { ReadSlabs } from './read-slabs.js';
import { redirection, refusalOf } from './refusals.js';
import { ServerClock } from './server-clock.js';
import { infoOtherwise, type ServerInfo, serverInfo } from './server-info.js';
import { readTopology, slotRangesOf, type Topology } from './topology.js';
import { type Address, addressText } from './url.js';

export interface ServersOptions {
  /** Whether it is a cluster (default: what the server says). */
  readonly cluster?: boolean | undefined;
  /** Nothing is written, so a replica will do, and INFO may be refused. */
  readonly readOnly?: boolean | undefined;
  /** Whether the caller knows the version of the servers, so that INFO may be refused if `cluster` is known, too. */
  readonly versionKnown?: boolean | undefined;
  /** Called when the masters of a cluster or their slots have changed. */
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

/** A server that takes writes. */
export interface Master {
  /** `host:port` where it is reached from here, or the name that the sentinels use. */
  readonly name: string;
  /** Undefined if sentinels give it. */
  readonly address: Address | undefined;
  /** Node id, in a cluster. */
  readonly id: string;
  readonly replicas: number;
  /** The ids of its replicas, in a cluster. */
  readonly replicaIds: readonly string[];
}

/** A single server or the masters of a cluster, and clients for single commands to them. */
export class Servers {
  masters: readonly Master[] = [];
  /** By slot: the index of its master; undefined if there is only one. */
  owners: Int16Array | undefined;
  /** By slot: where MOVED replies said that it is, since the last refresh. */
  private readonly redirections = new Map<number, Address>();
  private readonly clients = new Map<string, Promise<Redis>>();
  private readonly clocks = new Map<string, ServerClock>();
  private seeds: Address[];
  /** The node whose CLUSTER SLOTS named the masters. */
  private toldBy: string | undefined;

  private constructor(
    readonly access: Access,
    readonly clustered: boolean,
    /** INFO of the first server reached. */
    readonly info: ServerInfo,
    private readonly onEvent: ((text: string, notable?: boolean) => void) | undefined,
  ) {
    this.seeds = [...access.url.addresses];
  }

  /** Throws ServerError. */
  static async open(given: Access, { cluster, onEvent, readOnly, versionKnown }: ServersOptions = {}): Promise<Servers> {
    const { access, first, info } = await introduced(given, readOnly === true || (cluster !== undefined && versionKnown === true));
    if (info.loading) {
      first.disconnect();
      throw new ServerError('UNREACHABLE', nameOf(access), 'LOADING: it is loading its data into memory', undefined, undefined, {
        passing: true,
      });
    }
    const clustered = cluster ?? info.mode === 'cluster';
    const servers = new Servers(access, clustered, info, onEvent);
    if (info.mode === 'sentinel' || (!clustered && info.role === 'slave' && readOnly !== true)) {
      first.disconnect();
      throw noTarget(nameOf(access), info, access.url.sentinelMaster);
    }
    if (clustered) {
      void servers.keep(addressText(access.url.addresses[0]), Promise.resolve(first));
      await servers.refresh();
    } else {
      const { addresses, sentinelMaster } = access.url;
      const name = sentinelMaster ?? addressText(addresses[0]);
      void servers.keep(name, Promise.resolve(first));
      const address = sentinelMaster === undefined ? addresses[0] : undefined;
      servers.masters = [{ name, address, id: '', replicas: info.replicas, replicaIds: [] }];
    }
    return servers;
  }

  /**
   * Where MOVED or ASK from a master points; undefined for other errors. An empty host in the reply means the host of that master.
   */
  redirected(master: string, error: string): (Address & { slot: number }) | undefined {
    const to = redirection(error);
    if (to === undefined || to.host === '?') return undefined;
    if (to.host !== '') return { slot: to.slot, ...reachedAt(this.access, { host: to.host, port: to.port }) };
    const asked = this.masters.find(({ name }) => name === master)?.address;
    return asked === undefined ? undefined : { slot: to.slot, host: asked.host, port: to.port };
  }

  /** Records that a slot is at another node. Nodes may disagree for a while: the one that gave the slot away knows best. */
  moved(slot: number, address: Address): void {
    this.redirections.set(slot, address);
  }

  /** Reads the slot map again. Throws ServerError if no node answers. */
  async refresh(): Promise<void> {
    if (!this.clustered) return;
    const known = [...this.redirections.values(), ...this.masters.flatMap(({ address }) => address ?? []), ...this.seeds];
    const nodes = [...new Map(known.map((address) => [addressText(address), address])).values()];
    let failure: unknown;
    for (const node of nodes) {
      try {
        const client = await this.clientAt(addressText(node), node);
        this.use(await readTopology(client, node, (address) => reachedAt(this.access, address)));
        this.toldBy = addressText(node);
        return;
      } catch (error) {
        this.forget(addressText(node));
        failure = error;
      }
    }
    if (failure instanceof ServerError) throw failure;
    throw new ServerError(
      refusalOf(reasonOf(failure)) === 'stop' ? 'REFUSED' : 'UNREACHABLE',
      addressText(nodes[0]),
      reasonOf(failure),
      failure,
    );
  }

  private use(topology: Topology): void {
    if (topology.nodes.length === 0) {
      throw new ServerError(
        'TARGET',
        addressText(this.seeds[0]),
        'no node of the cluster has a slot',
        undefined,
        'Give its slots to nodes first: redis-cli --cluster create.',
      );
    }
    for (const [slot, address] of this.redirections) {
      const index = topology.nodes.findIndex((node) => addressText(node.address) === addressText(address));
      if (index >= 0) topology.owners[slot] = index;
    }
    this.redirections.clear();
    const before = { masters: this.masters, owners: this.owners };
    this.owners = topology.owners;
    this.masters = topology.nodes.map(({ address, id, replicas }) => ({
      ...{ name: addressText(address), address, id },
      ...{ replicas: replicas.length, replicaIds: replicas },
    }));
    this.seeds = [
      ...new Map(
        [...topology.nodes.map(({ address }) => address), ...this.seeds].map((address) => [addressText(address), address]),
      ).values(),
    ];
    if (before.owners !== undefined) this.tellChanges(before.masters, before.owners);
  }

  /** Reports what has changed. */
  private tellChanges(before: readonly Master[], owners: Int16Array): void {
    const after = this.masters;
    const names = (masters: readonly Master[], without: readonly Master[]): string[] =>
      masters.map(({ name }) => name).filter((name) => without.every((other) => other.name !== name));
    const [gone, come] = [names(before, after), names(after, before)];
    const moved = owners.reduce(
      (sum, owner, slot) => sum + (nameAt(before, owner) === nameAt(after, this.owners?.[slot] ?? -1) ? 0 : 1),
      0,
    );
    const parts = [
      ...(come.length > 0 ? [`new masters ${come.join(', ')}`] : []),
      ...(gone.length > 0 ? [`no longer masters ${gone.join(', ')}`] : []),
      ...(moved > 0 ? [`${moved === 1 ? '1 slot' : `${moved} slots`} on another master`] : []),
    ];
    if (parts.length > 0) this.onEvent?.(`the cluster has changed: ${parts.join('; ')}`, come.length > 0 || gone.length > 0);
  }

  /** Ranges of slots that no master owns. */
  get uncovered(): [from: number, to: number][] {
    const { owners } = this;
    return owners === undefined ? [] : slotRangesOf(owners, -1);
  }

  /** The owner of a slot; the first master if there is none. */
  masterOf(slot: number): Master {
    const index = this.owners?.[slot] ?? 0;
    return this.masters[index < 0 ? 0 : index];
  }

  /** How many slots a master owns. */
  slotsOf(index: number): number {
    return this.owners?.reduce((sum, owner) => sum + (owner === index ? 1 : 0), 0) ?? SLOTS;
  }

  /** The slots that a master owns, as ranges, first and last; all slots where there is no cluster. */
  rangesOf(index: number): [from: number, to: number][] {
    const { owners } = this;
    return owners === undefined ? [[0, SLOTS - 1]] : slotRangesOf(owners, index);
  }

  /** The same for a master by its name; none if it has no slots. */
  rangesOfMaster(name: string): [from: number, to: number][] {
    const index = this.masters.findIndex((master) => master.name === name);
    return index < 0 ? [] : this.rangesOf(index);
  }

  /** The nodes that are known, masters first. */
  get nodes(): readonly Address[] {
    return this.seeds;
  }

  /** A client for single commands, one per master. Throws ServerError. */
  client(master: Master): Promise<Redis> {
    return this.clientAt(master.name, master.address);
  }

  /** A client to another node, such as a replica, one per node. Throws ServerError. */
  clientTo(node: Address): Promise<Redis> {
    return this.clientAt(addressText(node), node);
  }

  private clientAt(name: string, address: Address | undefined): Promise<Redis> {
    const known = this.clients.get(name);
    if (known !== undefined) return known;
    return this.keep(name, this.reaching(name, () => openClient(this.access, address)));
  }

  /** A raw connection to a master, or another node: see `openSocket`. */
  openSocket({ address, name }: Pick<Master, 'address' | 'name'>, reads?: ReadSlabs): Promise<Opened> {
    return this.reaching(name, () => openSocket(this.access, address, reads));
  }

  /** The address of a node is what another node says: from here it may be another one. */
  private async reaching<T>(name: string, connect: () => Promise<T>): Promise<T> {
    try {
      return await connect();
    } catch (error) {
      const { toldBy } = this;
      if (toldBy === undefined || toldBy === name || !(error instanceof ServerError) || error.code !== 'UNREACHABLE') throw error;
      throw new ServerError(
        'UNREACHABLE',
        name,
        `${error.reason}; CLUSTER SLOTS of ${toldBy} names this address`,
        error,
        `If the node is up, its address is another one from here: --nat-map ${name}=HOST:PORT.`,
        { passing: true },
      );
    }
  }

  /** INFO of a master; `size` is undefined if it is not known how many keys it has. */
  async infoOf(client: Redis): Promise<ServerInfo & { readonly size: number | undefined }> {
    if (this.access.withoutInfo === true) return infoOtherwise(client);
    const info = await serverInfo(client);
    return { ...info, size: [...info.keys.values()].reduce((sum, keys) => sum + keys, 0) };
  }

  /** Caches a client until it ends. */
  private keep(name: string, client: Promise<Redis>): Promise<Redis> {
    this.clients.set(name, client);
    client.then(
      (open) => open.once('end', () => this.forget(name)),
      () => this.forget(name),
    );
    return client;
  }

  private forget(name: string): void {
    const client = this.clients.get(name);
    this.clients.delete(name);
    client?.then(
      (open) => open.disconnect(),
      () => undefined,
    );
  }

  /** Asks every master. Throws ServerError. */
  eachMaster<T>(question: (client: Redis, master: Master) => Promise<T>): Promise<T[]> {
    return Promise.all(this.masters.map((master) => this.ask(master, (client) => question(client, master))));
  }

  /** Asks one of them. Throws ServerError. */
  async ask<T>(master: Master, question: (client: Redis) => Promise<T>): Promise<T> {
    const client = await this.client(master);
    return asked(this.access, () => question(client), master.name);
  }

  /** The clock of a server. For one that was not asked yet, the slowest of the others: then the fewest keys count as expired. */
  clockOf(name: string): ServerClock {
    const known = this.clocks.get(name);
    if (known !== undefined) return known;
    const clock = new ServerClock(this.slowestClock);
    this.clocks.set(name, clock);
    return clock;
  }

  /** Milliseconds that the slowest clock is ahead of this machine's. */
  get slowestClock(): number | undefined {
    return this.clocks.size === 0 ? undefined : Math.min(...[...this.clocks.values()].map(({ ahead = 0 }) => ahead));
  }

  close(): void {
    for (const name of [...this.clients.keys()]) this.forget(name);
  }
}

/** -1 is no master. */
const nameAt = (masters: readonly Master[], index: number): string | undefined => (index < 0 ? undefined : masters[index].name);

const nameOf = ({ url }: Access): string => addressText(url.addresses[0]);

const WITHOUT_INFO = 'INFO is not needed with --target-version and --standalone (or --cluster).';

/** The first client, and what its server says of itself; `mayRefuse`: INFO is not needed. */
async function introduced(access: Access, mayRefuse: boolean): Promise<{ access: Access; first: Redis; info: ServerInfo }> {
  const first = await openClient(access);
  try {
    return { access, first, info: await serverInfo(first) };
  } catch (error) {
    const refused = error instanceof Error && error.name === 'ReplyError';
    if (!mayRefuse || (refused && error.message.startsWith('NOAUTH'))) {
      first.disconnect();
      if (refused) throw new ServerError('REFUSED', nameOf(access), reasonOf(error), error);
      const failure = await failureOf(access, undefined, error);
      if (!/^Connection is closed/.test(failure.reason)) throw failure;
      throw new ServerError('LOST', nameOf(access), 'it closes the connection at INFO', error, WITHOUT_INFO);
    }
    const without: Access = { ...access, withoutInfo: true };
    if (!refused) first.disconnect();
    const client = refused ? first : await openClient(without);
    return { access: without, first: client, info: await infoOtherwise(client) };
  }
}

function noTarget(name: string, { masterAddress, mode }: ServerInfo, sentinelMaster: string | undefined): ServerError {
  if (mode === 'sentinel') {
    return new ServerError('TARGET', name, 'it is a sentinel', undefined, 'Write it as redis+sentinel://host:port/master.');
  }
  if (sentinelMaster !== undefined) {
    const reason = `the server that the sentinels name as ${sentinelMaster} is a replica: a failover is under way`;
    return new ServerError('UNREACHABLE', name, reason, undefined, undefined, { passing: true });
  }
  return new ServerError(
    'TARGET',
    name,
    `it is a replica${masterAddress === undefined ? '' : ` of ${masterAddress}`}, and takes no writes`,
    undefined,
    'Name its master as the target.',
  );
}

/** Adds the server to errors. */
async function asked<T>(access: Access, question: () => Promise<T>, name = addressText(access.url.addresses[0])): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw new ServerError(error instanceof Error && error.name === 'ReplyError' ? 'REFUSED' : 'LOST', name, reasonOf(error), error);
  }
}
