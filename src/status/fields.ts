/** What a sync tells of itself each second: a line of `--json`, and most of what `/status` answers. */
export interface StatusFields {
  readonly phase: string;
  /** Since the beginning. */
  readonly seconds: number;
  readonly keysPerSecond?: number | undefined;
  readonly opsPerSecond?: number | undefined;
  /** Keys that could not be brought over. */
  readonly problems: number;
  readonly lanes: readonly LaneFields[];
  /** Where there are several sources: how each of them stands. */
  readonly bySource?: readonly SourceFields[] | undefined;
  /** Where the source is read by scan, and tells the names of keys that are written. */
  readonly told?: ToldFields | undefined;
}

/** One of several sources. */
export interface SourceFields {
  readonly source: string;
  readonly phase: string;
  /** Of its full copy. */
  readonly keys: number;
  readonly told?: ToldFields | undefined;
}

/** Keys that were told: of all masters, since they do not say whose they are. */
export interface ToldFields {
  /** Keys that are not on the target yet; and for how long the oldest has been told. */
  readonly pending: number;
  readonly lagSeconds: number;
  readonly rounds: number;
  readonly fetched: number;
  readonly written: number;
  readonly gone: number;
  /** Keys that are read again every round. */
  readonly watched: number;
  /** How often all keys were read again. */
  readonly scans: number;
}

/** A master of the source. What a way of reading does not have is left out. */
export interface LaneFields {
  readonly name: string;
  /** Where there are several sources: the one that it is of. */
  readonly from?: string | undefined;
  readonly connected: boolean;
  readonly attached: boolean;
  readonly applied?: number | undefined;
  readonly received?: number | undefined;
  readonly source?: number | undefined;
  readonly lagBytes?: number | undefined;
  readonly lagSeconds: number;
  readonly spool?: { readonly memory: number; readonly disk: number } | undefined;
  readonly counts?: { readonly commands: number } & Readonly<Partial<Record<LeftOut, number>>>;
  readonly fetched?: number | undefined;
  readonly opsPerSecond?: number | undefined;
}

/** Why a command of the source is not applied. */
export const LEFT_OUT = ['filtered', 'ignored', 'positions', 'superseded'] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

export interface CopyFields {
  readonly keys: number;
  readonly bytesRead: number;
  readonly totalBytes?: number | undefined;
}

/** What stays the same. */
export interface StatusFacts {
  readonly version: string;
  /** With several, all of them, separated by commas; and one by one. */
  readonly source: string;
  readonly sources?: readonly string[] | undefined;
  readonly target: string;
  /** How it ends by itself, if it does. */
  readonly until: 'caught-up' | 'copied' | undefined;
  /** Bytes that the files of the spool may have; undefined without files. */
  readonly spoolMax: number | undefined;
}

export interface NamedProblem {
  /** Unix milliseconds. */
  readonly at: number;
  readonly db: number | undefined;
  readonly key: string | undefined;
  readonly reason: string;
}

/** The answer of `/status`. */
export interface StatusNow extends StatusFacts, StatusFields {
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly at: number;
  /** Why it is not well; undefined if it is. */
  readonly unwell: string | undefined;
  readonly copy: CopyFields | undefined;
  readonly lanes: readonly LaneNow[];
  /** The last ones, the newest first. */
  readonly lastProblems: readonly NamedProblem[];
}

export interface LaneNow extends LaneFields {
  /** Seconds without a connection to the master, and without one to the target while changes are applied; undefined if it has one. */
  readonly lostFor: number | undefined;
  readonly detachedFor: number | undefined;
}

/** What is kept of each second. */
export interface Sample {
  readonly at: number;
  readonly lagSeconds: number;
  readonly lagBytes: number;
  readonly opsPerSecond: number | undefined;
  /** Of the full copy. */
  readonly keysPerSecond: number | undefined;
}

/** The answer of `/history`. */
export interface History {
  readonly startedAt: number;
  readonly samples: readonly Sample[];
}
