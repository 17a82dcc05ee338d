import type { Redis } from 'ioredis';
import { SLOTS } from '../bytes/crc16.js';
import { type ClusterNodes, parseClusterNodes } from '../redis/cluster-nodes.js';
import { type Opened, reachedAt } from '../redis/connect.js';
import { ConnectionLost, reasonOf } from '../redis/errors.js';
import type { Master, Servers } from '../redis/servers.js';
import { addressText } from '../redis/url.js';
import { type Claim, claimOf, COMING, owns, plainClaim } from './claim.js';
import { Lineage } from './lineage.js';

/** A master, and what it says of the slots. */
export interface Claimant {
  readonly master: Master;
  readonly shard: number;
  readonly claim: Claim;
}

/** Where the keys of all slots are, at one moment. */
export interface ClusterView {
  readonly claimants: readonly Claimant[];
  /** By slot: the index of the shard that owns it; -1 if none does. */
  readonly owners: Int16Array;
  /** By slot: the shards that it is on its way to. */
  readonly coming: ReadonlyMap<number, readonly number[]>;
}

/** The shards of a cluster while it is read: who their masters are, and what these say of the slots. */
export class ClusterState {
  private readonly lineage = new Lineage();
  /** By shard: the last master known. */
  private readonly masters: Master[] = [];
  /** By shard: its slots when the reading began. */
  private readonly planned: Int16Array;
  /** Why CLUSTER NODES is refused; then nothing is known of slots that are half-way. */
  refused: string | undefined;

  private constructor(private readonly servers: Servers) {
    this.planned = servers.owners?.slice() ?? new Int16Array(SLOTS);
    for (const [shard, master] of servers.masters.entries()) {
      this.lineage.adopt(master, shard);
      this.masters.push(master);
    }
    this.lineage.learn(servers.masters);
  }

  /** Throws ServerError and ConnectionLost. */
  static async of(servers: Servers): Promise<ClusterState> {
    const state = new ClusterState(servers);
    await state.view();
    return state;
  }

  /** All shards, by their index. Those without slots import some that they do not own yet. */
  get shards(): readonly Master[] {
    return this.masters;
  }

  /** The master of a shard as it is now: another one after a failover. Throws ServerError. */
  async masterOf(shard: number): Promise<Master> {
    await this.refresh();
    return this.masters[shard];
  }

  /** A raw connection to the master of a shard. Throws ServerError and ConnectionLost. */
  async openMaster(shard: number): Promise<Opened> {
    return this.servers.openSocket(await this.masterOf(shard));
  }

  private async refresh(): Promise<void> {
    const { lineage, masters, servers } = this;
    await servers.refresh();
    lineage.learn(servers.masters);
    for (const [index, master] of servers.masters.entries()) {
      if (!lineage.knows(master)) lineage.adopt(master, this.heirs(index) ?? masters.length);
      const shard = lineage.shardOf(master);
      const known = masters.at(shard);
      const still = known !== undefined && servers.masters.some(({ id, name }) => id === known.id && name === known.name);
      if (!still) masters[shard] = master;
    }
  }

  /** The shard that lost its master to one that was never seen: a replica that came and took over meanwhile has its slots. */
  private heirs(index: number): number | undefined {
    const { masters, planned, servers } = this;
    const counts = masters.map(() => 0);
    servers.owners?.forEach((owner, slot) => {
      if (owner === index && planned[slot] >= 0) counts[planned[slot]]++;
    });
    const shard = counts.indexOf(Math.max(...counts));
    return counts[shard] > 0 && !servers.masters.some(({ id }) => id === masters[shard].id) ? shard : undefined;
  }

  /** What the master of a shard says of the slots now. Throws ServerError and ConnectionLost. */
  async claimOf(shard: number): Promise<Claim> {
    return (await this.asked(await this.masterOf(shard))).claim;
  }

  private async asked(master: Master): Promise<{ readonly claim: Claim; readonly nodes: ClusterNodes | undefined }> {
    const { servers } = this;
    const client = await servers.client(master);
    const nodes = await this.nodesOf(client);
    if (nodes === undefined) {
      const index = servers.masters.findIndex(({ name }) => name === master.name);
      return { claim: plainClaim(master.id, index < 0 ? [] : servers.rangesOf(index)), nodes };
    }
    return { claim: claimOf(nodes, await keysOf(client, nodes.migrating.keys())), nodes };
  }

  private async nodesOf(client: Redis): Promise<ClusterNodes | undefined> {
    try {
      const nodes = parseClusterNodes(String(await client.call('CLUSTER', 'NODES')));
      if (nodes === undefined) this.refused = 'its answer has no node that is itself';
      return nodes;
    } catch (error) {
      if (!isReply(error)) throw new ConnectionLost(`CLUSTER NODES: ${reasonOf(error)}`, { cause: error });
      this.refused = reasonOf(error);
      return undefined;
    }
  }

  /** Asks all masters, and those that slots go to. Throws ServerError and ConnectionLost. */
  async view(): Promise<ClusterView> {
    const { lineage, servers } = this;
    await this.refresh();
    const asked = await Promise.all(servers.masters.map(async (master) => ({ master, ...(await this.asked(master)) })));
    for (const master of this.importers(asked)) {
      asked.push({ master, ...(await this.asked(master)) });
      if (!lineage.knows(master)) lineage.adopt(master, this.masters.length);
      this.masters[lineage.shardOf(master)] = master;
    }
    const claimants = asked.map(({ claim, master }) => ({ claim, master, shard: lineage.shardOf(master) }));
    for (const { nodes } of asked) if (nodes !== undefined) lineage.learn(familiesOf(nodes));
    return { claimants, owners: this.ownersBy(claimants), coming: comingTo(claimants) };
  }

  /** Masters that slots go to and that have none yet, so that CLUSTER SLOTS does not name them. */
  private importers(asked: readonly { readonly nodes: ClusterNodes | undefined }[]): Master[] {
    const { access, masters } = this.servers;
    const found = new Map<string, Master>();
    for (const { nodes } of asked) {
      for (const id of nodes?.migrating.values() ?? []) {
        const address = nodes?.nodes.find((node) => node.id === id)?.address;
        if (address === undefined || masters.some((master) => master.id === id)) continue;
        const reached = reachedAt(access, address);
        found.set(id, { name: addressText(reached), address: reached, id, replicas: 0, replicaIds: [] });
      }
    }
    return [...found.values()];
  }

  /** Each master knows its own slots first: the others hear of changes later. */
  private ownersBy(claimants: readonly Claimant[]): Int16Array {
    const { lineage, servers } = this;
    const shards = servers.masters.map((master) => lineage.shardOf(master));
    const owners = new Int16Array(SLOTS).fill(-1);
    const epochs = new Float64Array(SLOTS).fill(-1);
    servers.owners?.forEach((owner, slot) => {
      if (owner >= 0) owners[slot] = shards[owner];
    });
    for (const { claim, shard } of claimants) {
      for (let slot = 0; slot < SLOTS; slot++) {
        if (!owns(claim.states[slot]) || claim.epoch <= epochs[slot]) continue;
        owners[slot] = shard;
        epochs[slot] = claim.epoch;
      }
    }
    return owners;
  }

  /** Of these slots those that have keys, as far as owners and importers tell. Throws ServerError and ConnectionLost. */
  async withKeys(slots: readonly number[], { claimants, coming, owners }: ClusterView): Promise<number[]> {
    const counts = new Map(slots.map((slot) => [slot, 0]));
    for (const { master, shard } of claimants) {
      const own = slots.filter((slot) => owners[slot] === shard || coming.get(slot)?.includes(shard) === true);
      const keys = own.length === 0 ? undefined : await keysOf(await this.servers.client(master), own);
      for (const slot of own) counts.set(slot, (counts.get(slot) ?? 0) + (keys?.get(slot) ?? 1));
    }
    return slots.filter((slot) => owners[slot] < 0 || counts.get(slot) !== 0);
  }
}

const isReply = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError';

/** Masters and their replicas, as a node lists them. */
function familiesOf({ nodes }: ClusterNodes): { id: string; name: string; replicaIds: string[] }[] {
  const families = new Map<string, string[]>();
  for (const { id, master } of nodes) if (master !== undefined) families.set(master, [...(families.get(master) ?? []), id]);
  return [...families].map(([id, replicaIds]) => ({ id, name: id, replicaIds }));
}

function comingTo(claimants: readonly Claimant[]): Map<number, number[]> {
  const coming = new Map<number, number[]>();
  for (const { claim, shard } of claimants) {
    claim.states.forEach((state, slot) => {
      if (state === COMING) coming.set(slot, [...(coming.get(slot) ?? []), shard]);
    });
  }
  return coming;
}

/** How many keys a node has in slots; those that it does not tell are missing. */
async function keysOf(client: Redis, slots: Iterable<number>): Promise<Map<number, number>> {
  const asked = [...slots].map(async (slot) => [slot, await client.call('CLUSTER', 'COUNTKEYSINSLOT', `${slot}`)] as const);
  const told = await Promise.allSettled(asked);
  return new Map(
    told.flatMap((reply) => (reply.status === 'fulfilled' && typeof reply.value[1] === 'number' ? [[reply.value[0], reply.value[1]]] : [])),
  );
}
