import type { Input } from '../io/input.js';
import type { OpenOptions } from '../pipeline/run.js';
import type { Access } from '../redis/connect.js';
import type { Servers } from '../redis/servers.js';
import type { FilterOptions } from '../values/filters.js';
import type { CopyPosition, ExactPosition } from './copy-position.js';

/** How a server is read: as a replica that wants the RDB alone, or key by key with SCAN and DUMP. */
export type Way = 'replication' | 'scan';

/** How to read a live server, the master that sentinels name, or a cluster. */
export interface LiveOptions {
  readonly access: Access;
  /** What it is for the command: a source, or the target of a comparison (default: source). */
  readonly side?: 'source' | 'target' | undefined;
  /** Whether it is a cluster (default: what the server says). */
  readonly cluster?: boolean | undefined;
  /** Default: auto, which is replication unless the server refuses it. */
  readonly via?: Way | 'auto' | undefined;
  /** Read a replica of each master, the one with the smallest lag, where there is one. */
  readonly preferReplica?: boolean | undefined;
  /** The name of PSYNC on servers that renamed it; by `host:port` where each node has its own. */
  readonly psyncCommand?: string | ReadonlyMap<string, string> | undefined;
  /** The same source, reached before: its servers may take a while to come back, and any node of its cluster will do. */
  readonly reached?: { readonly servers: Servers } | undefined;
  /** Milliseconds to retry a server that is lost, loading or not ready (default 60,000). */
  readonly retryFor?: number | undefined;
  /** Keys that pass; applied to what comes out anyway, so a reader may leave out what it can tell early. */
  readonly filter?: FilterOptions | undefined;
  /** Whether function libraries are wanted (default: true). */
  readonly functions?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For SCAN. */
  readonly scan?: ScanOptions | undefined;
  /** Called with what the user should know and need not act on, of a server or a master of a cluster, which is `source`. */
  readonly onNote?: ((source: string, text: string) => void) | undefined;
  /**
   * Called by replication when a server has said where its copy will stand, often long before it sends that, so that somebody can ask for
   * the writes since (`offset` + 1) while the server still has them. Nothing of the copy is read until it resolves. It may be called again
   * for another attempt, which counts instead. A rejection with a ServerError that is `passing` makes another attempt, any other ends it.
   */
  readonly onPosition?: ((source: string, position: CopyPosition) => Promise<void>) | undefined;
  /**
   * Called after `onPosition`, before the first key: where the copy stands by its own account. That is right where they differ: a server
   * that was making a copy for another replica already may have said an offset that is not that of the copy.
   */
  readonly onExactPosition?: ((source: string, position: ExactPosition) => Promise<void>) | undefined;
  /** What is read instead of what replication sends: something that goes on with it, which `open` gives. */
  readonly through?: ((source: string, how: OpenOptions, open: (how: OpenOptions) => Input) => Input) | undefined;
  /** Called with retries and reconnections. `notable`: it explains why nothing happens, or that it goes on. */
  readonly onEvent?: ((text: string, notable?: boolean) => void) | undefined;
}

/** Options of reading with SCAN and DUMP. */
export interface ScanOptions {
  /** COUNT of SCAN (default: adapted to the size of the values). */
  readonly count?: number | undefined;
  /** Ask for OBJECT IDLETIME or FREQ of each key, before DUMP resets it. */
  readonly idleTimes?: boolean | undefined;
  readonly maxKeysPerSecond?: number | undefined;
  /** Bytes of DUMP replies. */
  readonly maxBytesPerSecond?: number | undefined;
  /** Milliseconds that the server may take to answer PING before the reading slows down. */
  readonly maxLatency?: number | undefined;
  /** Keys that SCAN gives twice may come twice: none are remembered, which takes no memory. */
  readonly repeats?: boolean | undefined;
  /** Bytes: larger values are read in ranges instead of with DUMP. */
  readonly maxDump?: number | undefined;
}
