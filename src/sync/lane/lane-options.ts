import type { Servers } from '../../redis/servers.js';
import type { KeyPrefixes } from '../../values/key-prefixes.js';
import type { PauseOptions } from '../barriers.js';
import type { CommandTable } from '../commands/table.js';
import type { Crossing } from '../crossing.js';
import type { KeyName } from '../fences.js';
import type { Positions } from '../positions.js';
import type { LaneRecord, RecordKeys } from '../record.js';
import type { Fetcher } from '../source/fetcher.js';
import type { FetchedWriter } from '../source/write-fetched.js';
import type { Spool } from '../spool/spool.js';
import type { LargeWriterOptions } from '../target/large-writer.js';

export interface LaneOptions {
  readonly number: number;
  /** The source master, for messages. */
  readonly name: string;
  readonly servers: Servers;
  readonly keys: RecordKeys;
  readonly spool: Spool;
  readonly table: CommandTable;
  readonly fetcher: Fetcher;
  readonly fetched: FetchedWriter;
  readonly large: Pick<LargeWriterOptions, 'codec' | 'maxPayload' | 'target'>;
  /** Of this run: no other has it. */
  readonly token: string;
  /** What it shares with the lanes of the other masters of a cluster. */
  readonly crossing: Crossing | undefined;
  readonly wants: ((db: number, bytes: Uint8Array, start: number, end: number) => boolean) | undefined;
  readonly positions: Positions;
  readonly target: (db: number) => number;
  /** Databases of the source that go to one of the target. */
  readonly sources: (db: number) => readonly number[];
  readonly sameDatabases: boolean;
  /** Other names of keys on the target. */
  readonly names: KeyPrefixes | undefined;
  /** Number of databases of the target. */
  readonly databases: number;
  /** Of source and target, 602 for 6.2. */
  readonly releases: { readonly source: number; readonly target: number };
  readonly hold: number | undefined;
  readonly fetchAll: boolean;
  readonly takes: ((name: string) => boolean) | undefined;
  readonly transactions: boolean;
  readonly confirm: boolean;
  readonly patience: number;
  readonly maxOpsPerSecond: number | undefined;
  /** What this run says of itself in records. */
  readonly record: Pick<LaneRecord, 'alone' | 'among' | 'expiries' | 'generation' | 'lanes' | 'options'>;
  readonly pauses: PauseOptions;
  /** Called with the keys that commands name, before they are applied. */
  readonly notices?: ((db: number, bytes: Uint8Array, start: number, end: number) => void) | undefined;
  /** Which keys of the target other sources have. */
  readonly othersHave?: ((db: number, keys: readonly Uint8Array[]) => Promise<readonly boolean[]>) | undefined;
  /** Databases of the target that the source has keys for, as is told on the target. */
  readonly used?: (() => readonly number[]) | undefined;
  /** What is to be awaited before anything is applied. */
  readonly resting?: (() => Promise<void> | undefined) | undefined;
  /** The offset of the last write of the source. Rejects with the reason of the signal. */
  readonly sourceOffset: () => Promise<number>;
  /** Asks the source for a command that the table does not know; false: it does not either. */
  readonly learn: (name: string) => Promise<boolean>;
  readonly signal: AbortSignal;
  /** The source wants to know what was received. */
  readonly onAsked: () => void;
  readonly onEvent: (text: string, notable?: boolean) => void;
  readonly onNote: (text: string) => void;
  /** A key could not be brought to the target. */
  readonly onProblem: (problem: KeyName & { readonly reason: string }) => void;
}

/** A place in the stream, and the database that is selected there. */
export interface Place {
  readonly offset: number;
  readonly db: number;
}
