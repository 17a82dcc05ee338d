import type { StreamCommand } from '../stream-command.js';

export type CommandKind =
  /** Changes keys, all of them found by its rule unless that says so. */
  | 'write'
  /** A script or function: may touch keys that it does not declare. */
  | 'script'
  | 'select'
  | 'multi'
  | 'exec'
  | 'flushall'
  | 'flushdb'
  /** CLUSTER FLUSHSLOT slot: deletes the keys of a slot. Valkey 9 sends it as it came, and no DEL. */
  | 'flushslot'
  | 'swapdb'
  /** MOVE and COPY: `otherDatabase` says where to. */
  | 'move'
  | 'copy'
  /** FUNCTION LOAD, DELETE, FLUSH, RESTORE. */
  | 'functions'
  /** Definitions of search indexes, without keys: FT.CREATE, FT.ALTER, FT.DROPINDEX, which come as FT._CREATEIFNX and the like. */
  | 'indexes'
  | 'publish'
  /** Nothing to apply: PING, REPLCONF, SCRIPT LOAD, CLUSTER SYNCSLOTS, TRIMSLOTS (its keys live on at another master) … */
  | 'quiet';

/** Where the keys of a command are, by number of argument; the name is 0. Filled again by each call. */
export interface KeyArgs {
  /** Keys that it changes, or deletes; it may read them, too. */
  readonly writes: number[];
  /** Keys that it only reads. */
  readonly reads: number[];
  /** Whether it may read or change further keys: SORT … BY, scripts, samples of a time series that has rules. */
  undeclared: 'none' | 'reads' | 'writes';
}

export function newKeyArgs(): KeyArgs {
  return { writes: [], reads: [], undeclared: 'none' };
}

/** Adds the keys of a command. False: the arguments make no sense, so no server can have applied it. */
export type KeyRule = (command: StreamCommand, found: KeyArgs) => boolean;

/** How a command states an expiry. */
export type ExpiryForm =
  /** An option EX, PX, EXAT or PXAT among the arguments from `from` on, up to the word `until`, if it is not empty. */
  | { readonly form: 'option'; readonly from: number; readonly until: string }
  /** MSETEX number key value … [EX time …]. */
  | { readonly form: 'msetex' }
  /** SETEX key time value. */
  | { readonly form: 'setex'; readonly unit: number }
  /** EXPIRE key time [NX|XX|GT|LT]. */
  | { readonly form: 'key'; readonly unit: number; readonly relative: boolean }
  /** HEXPIRE key time [NX|XX|GT|LT] FIELDS number field …, and the same for members of sets. */
  | { readonly form: 'elements'; readonly as: string; readonly unit: number; readonly relative: boolean }
  /** GETEX key [EX time …|PERSIST]. */
  | { readonly form: 'getex' }
  /** HGETEX key [EX time …|PERSIST] FIELDS number field …. */
  | { readonly form: 'hgetex' }
  /** RESTORE or RESTORE-ASKING key ttl payload [REPLACE] [ABSTTL] …. */
  | { readonly form: 'restore' };

export interface CommandSpec {
  /** Lower case. */
  readonly name: string;
  readonly kind: CommandKind;
  /** The number of its only key, which it writes, if that needs no look at other arguments; 0 if `keys` has to be asked. */
  readonly key: number;
  /** Replaces what `found` has by its keys. False: the arguments make no sense. */
  keys(command: StreamCommand, found: KeyArgs): boolean;
  /** What it does to each key that it writes: bits of `Effect`. */
  effect(command: StreamCommand): number;
  /** For commands that keep their meaning when taken apart by key: the number of the first, and how many arguments a key has. */
  readonly split: { readonly first: number; readonly step: number } | undefined;
  /**
   * The release from which on servers do something else with it, though no error tells it (602 for 6.2); 0 if all do the same with this
   * one.
   */
  changed(command: StreamCommand): number;
  /** How it states expiries, if it can: see `heldExpiry`. */
  readonly expiry: ExpiryForm | undefined;
  /** Specs of its own by the second word, for those that differ: CLUSTER FLUSHSLOT. `CommandTable.of` looks there. */
  readonly parts: readonly CommandSpec[] | undefined;
}
