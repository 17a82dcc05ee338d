import type { Master } from '../redis/servers.js';

type Node = Pick<Master, 'id' | 'name'>;

/** A node without an id (CLUSTER SLOTS before Redis 4.0) is known by its address. */
const idOf = ({ id, name }: Node): string => (id === '' ? name : id);

/** Which nodes belong to which shard: a replica that takes over from its master is no other shard. */
export class Lineage {
  /** By node id: the index of its shard. */
  private readonly shards = new Map<string, number>();

  /** The index of the shard of a master that is known. */
  shardOf(master: Node): number {
    return this.shards.get(idOf(master)) ?? -1;
  }

  /** Says that this master belongs to a shard. */
  adopt(master: Node, shard: number): void {
    this.shards.set(idOf(master), shard);
  }

  knows(master: Node): boolean {
    return this.shards.has(idOf(master));
  }

  /** Learns the replicas of masters that are known. */
  learn(masters: readonly (Node & Pick<Master, 'replicaIds'>)[]): void {
    for (const master of masters) {
      const shard = this.shards.get(idOf(master));
      if (shard === undefined) continue;
      for (const replica of master.replicaIds) if (replica !== '') this.shards.set(replica, shard);
    }
  }
}
