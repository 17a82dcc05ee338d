import type { Opened } from '../../redis/connect.js';
import type { FilterOptions } from '../../values/filters.js';
import type { KeySet } from '../../values/key-set.js';
import type { ScanOptions } from '../options.js';
import type { ScanOutput } from './scan-output.js';

/** A server, or a node of a cluster, that is to be scanned. */
export interface NodeScanTarget {
  /** `host:port`, for messages. */
  readonly name: string;
  /** Connects and logs in. Every call may reach another process. Rejects with ServerError or ConnectionLost. */
  open(): Promise<Opened>;
  /** By slot, 1 for those that are wanted of this node (default: all keys that it has). */
  readonly slots?: Uint8Array | undefined;
  /** Counts the keys that are not wanted by their slots. */
  readonly unowned?: Uint32Array | undefined;
  /** The slots are being imported by this node: ASKING before every command. */
  readonly asking?: boolean | undefined;
  /** It is a replica of a cluster: READONLY first. */
  readonly readOnly?: boolean | undefined;
}

/** What became of the keys that SCAN gave. */
export interface ScanCounts {
  written: number;
  /** Deleted or expired between SCAN and DUMP. */
  gone: number;
  /** Given by SCAN again after they were written. */
  repeated: number;
  /** In slots that are not wanted of the node. */
  unowned: number;
  /** Answered with MOVED or ASK. */
  moved: number;
  /** Left out by filters on keys. */
  unwanted: number;
  /** Not to be had; each was named. */
  problems: number;
  /** How often another process answered than the one before: it may lack keys that were not read yet. */
  restarts: number;
  /** Connections during which databases were swapped. */
  swaps: number;
}

export const noScanCounts = (): ScanCounts => ({
  ...{ written: 0, gone: 0, repeated: 0, unowned: 0, moved: 0, unwanted: 0, problems: 0, restarts: 0, swaps: 0 },
});

/** Everything before it is written. */
export interface ScanPosition {
  /** Of the process that gave the cursor; empty if the server does not tell. */
  readonly runId: string;
  readonly db: number;
  /** As the server wrote it. */
  readonly cursor: string;
}

export interface ScanSettings {
  readonly output: ScanOutput;
  readonly counts: ScanCounts;
  readonly keys: KeySet;
  readonly filter: FilterOptions;
  /** Keys of a database that matter (default: all); others are left out, and count as unwanted. */
  readonly wants: ((db: number, key: Uint8Array, start: number, end: number) => boolean) | undefined;
  readonly scan: ScanOptions;
  /** Write function libraries before the first key. */
  readonly functions: boolean;
  /** Milliseconds to retry a server that is lost. */
  readonly retryFor: number;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (count: number) => void;
  readonly onNote: (text: string) => void;
  readonly onEvent: (text: string, notable?: boolean) => void;
  /** A key that cannot be read, and why. The key is a view. */
  readonly onProblem: (db: number, key: Uint8Array, reason: string) => void;
  /** All that the output has now is before this position. */
  readonly onPosition: (position: ScanPosition) => void;
}
