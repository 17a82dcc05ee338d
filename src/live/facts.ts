import type { DatabaseKeys } from '../pipeline/database-keys.js';
import type { Way } from './options.js';
import type { ReplicationFacts } from './replication-plan.js';

/** What is known of a live source before it is read. */
export interface LiveFacts {
  readonly name: string;
  /** As in `Redis 7.0.15`; undefined if it does not tell. */
  readonly version: string | undefined;
  readonly clustered: boolean;
  readonly way: Way;
  /** Why it is read by scan, if replication is refused. */
  readonly refused: string | undefined;
  readonly shards: readonly ShardFacts[];
  /** What the user should know before it is read, as clauses. */
  readonly notes: readonly string[];
}

/** A server, or a master of a cluster with its slots. */
export interface ShardFacts {
  /** The name of the source. */
  readonly name: string;
  /** The master, or the server that was named, as `host:port`; where sentinels name it, the name that they use. */
  readonly master: string;
  /** The server that is read: the master, or a replica of it. */
  readonly node: string;
  readonly replicaOf: string | undefined;
  /** Node id, in a cluster. */
  readonly id: string;
  readonly runId: string;
  /** Of its data set: a master and its replicas have the same one. */
  readonly replicationId: string;
  /** Ranges, first and last; all slots where there is no cluster. */
  readonly slots: readonly (readonly [from: number, to: number])[];
  /** Bytes; undefined if it refuses INFO, and only the keys of database 0 are counted then, if any. */
  readonly usedMemory: number | undefined;
  readonly keys: readonly DatabaseKeys[];
  /** How it would send its RDB, if it is read by replication. */
  readonly replication: ReplicationFacts | undefined;
}
