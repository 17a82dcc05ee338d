import type { Redis } from 'ioredis';
import { RedisNode } from './redis-node.js';
import { until } from './until.js';

const SLOTS = 16384;
const NODE = [
  ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '10000'],
  ...['--repl-diskless-sync', 'yes', '--repl-ping-replica-period', '1'],
];

/** A cluster of its own: three masters with a replica each, on the loopback interface. */
export class TestCluster {
  private constructor(readonly nodes: RedisNode[]) {}

  static async start(...options: string[]): Promise<TestCluster> {
    const nodes = await Promise.all(Array.from({ length: 6 }, () => RedisNode.start(...NODE, ...options)));
    const made = new TestCluster(nodes);
    try {
      await made.form();
      return made;
    } catch (error) {
      await made.stop();
      throw error;
    }
  }

  private async form(): Promise<void> {
    const { nodes } = this;
    const [first, ...others] = nodes;
    await Promise.all(nodes.map(({ client }, i) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`)));
    for (const { port } of others) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', `${port}`);
    for (let i = 0; i < 3; i++) {
      await nodes[i].client.call('CLUSTER', 'ADDSLOTSRANGE', `${Math.ceil((SLOTS * i) / 3)}`, `${Math.ceil((SLOTS * (i + 1)) / 3) - 1}`);
    }
    await until('all nodes know each other', async () => (await Promise.all(nodes.map((node) => clusterInfo(node.client)))).every((info) => info.includes('cluster_known_nodes:6')));
    for (let i = 3; i < 6; i++) {
      const master = await idOf(nodes[i - 3]);
      await until('the replica knows its master', () => nodes[i].client.call('CLUSTER', 'REPLICATE', master).then(() => true, () => false));
    }
    await this.settled();
  }

  /** Another master, which has no slots. */
  async join(): Promise<RedisNode> {
    const node = await RedisNode.start(...NODE);
    this.nodes.push(node);
    await this.nodes[0].client.call('CLUSTER', 'MEET', '127.0.0.1', `${node.port}`);
    const known = `cluster_known_nodes:${this.nodes.length}`;
    await until('all nodes know the new one', async () => (await Promise.all(this.running.map(({ client }) => clusterInfo(client)))).every((info) => info.includes(known)));
    await this.settled();
    return node;
  }

  /** Until all nodes that run say that all is well, and all replicas have what their masters have. */
  async settled(): Promise<void> {
    await until('the cluster is well', async () => (await Promise.all(this.running.map(({ client }) => isWell(client).catch(() => false)))).every(Boolean));
  }

  private get running(): RedisNode[] {
    return this.nodes.filter((node) => node.runs);
  }

  /** The masters that have slots, as the nodes that run see themselves. */
  async masters(): Promise<RedisNode[]> {
    const found: RedisNode[] = [];
    await until('no node is loading', async () => (await Promise.all(this.running.map(({ client }) => clusterInfo(client).then(() => true, () => false)))).every(Boolean));
    for (const node of this.running) {
      const own = ((await node.client.call('CLUSTER', 'NODES')) as string).split('\n').find((line) => line.includes('myself')) ?? '';
      if (own.includes('master') && own.split(' ').length > 8) found.push(node);
    }
    return found;
  }

  /** Lets a replica of the master that was killed take over: its slots have another one then. */
  async failedOver(killed: RedisNode): Promise<void> {
    await until(`a replica stands in for ${killed.name}`, async () => {
      await this.takeOver(killed);
      const masters = await this.masters();
      return masters.length === 3 && !masters.includes(killed);
    });
    await this.settled();
  }

  /** A replica of a master, if there is one, takes over: on a busy machine, a node timeout that is short would count slow nodes as dead. */
  private async takeOver(master: RedisNode): Promise<void> {
    for (const node of this.running) {
      const [role, , port] = ((await node.client.call('ROLE').catch(() => [])) as unknown[]).map(String);
      if (role !== 'slave' || port !== `${master.port}`) continue;
      await node.client.call('CLUSTER', 'FAILOVER', 'TAKEOVER').catch(() => undefined);
      return;
    }
  }

  /** Empties it. */
  async flush(): Promise<void> {
    for (const { client } of await this.masters()) await client.flushall();
  }

  /** Keys on all masters. */
  async size(): Promise<number> {
    const sizes = await Promise.all((await this.masters()).map(({ client }) => client.dbsize()));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /**
   * Moves a slot with its keys to another master, a few keys at a time, as redis-cli does. The others hear of it from that one,
   * by and by; where two masters take slots at the same time they may come to own the same one, and one of them drops its keys.
   */
  async migrateSlot(slot: number, from: RedisNode, to: RedisNode, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const [fromId, toId] = await Promise.all([idOf(from), idOf(to)]);
    await to.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', fromId);
    await from.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', toId);
    for (;;) {
      const keys = (await from.client.callBuffer('CLUSTER', 'GETKEYSINSLOT', `${slot}`, '10')) as Buffer[];
      if (keys.length > 0) await from.client.call('MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '10000', 'KEYS', ...keys);
      else break;
      await meanwhile();
    }
    await meanwhile();
    await to.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId);
    await from.client.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', toId);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

const clusterInfo = (client: Redis): Promise<string> => client.call('CLUSTER', 'INFO') as Promise<string>;

async function isWell(client: Redis): Promise<boolean> {
  const role = (await client.call('ROLE')) as unknown[];
  return (role[0] !== 'slave' || role[3] === 'connected') && (await clusterInfo(client)).includes('cluster_state:ok');
}

const idOf = ({ client }: RedisNode): Promise<string> => client.call('CLUSTER', 'MYID') as Promise<string>;
