/**
 * What `inspect` found, as plain data: `--format json` writes it as it is (docs/inspect.md), the other outputs are drawn from it.
 * Sizes are in bytes, times in Unix milliseconds, keys and prefixes in the text form of docs/json-lines.md. With `sample`, all amounts
 * are scaled up to the whole; keys in lists are those of the sample.
 */
export interface Report {
  /** Raised when a field changes its meaning or goes. */
  readonly format: 1;
  /** When the run began; expiries are compared with it. */
  readonly at: number;
  /** False if a source was damaged or not read to its end. */
  readonly complete: boolean;
  /** The part of all keys that was looked at, chosen by the hash of the key. */
  readonly sample?: { readonly share: number; readonly keys: number };
  readonly sources: readonly SourceReport[];
  readonly memory: MemoryReport;
  readonly totals: Group;
  /** The database null stands for all beyond the first 1,024. */
  readonly databases: readonly (Group & { readonly db: number | null })[];
  readonly types: readonly (Group & { readonly type: string; readonly sizes: Sizes })[];
  readonly encodings: readonly (Group & { readonly type: string; readonly encoding: string })[];
  /** By the names of module data types. */
  readonly modules: readonly (Amount & { readonly module: string })[];
  readonly functions: readonly { readonly name: string; readonly source: string; readonly bytes: number }[];
  readonly top: { readonly memory: readonly Key[]; readonly elements: readonly Key[]; readonly largest: readonly Key[] };
  readonly prefixes: PrefixReport;
  readonly expiry: ExpiryReport;
  /** Seconds since the last access, from the file; absent if no key has it. */
  readonly idle?: readonly Bucket[];
  /** The LFU counter, 0–255; absent if no key has it. */
  readonly frequency?: readonly Bucket[];
  readonly slots: SlotReport;
  readonly warnings: readonly Warning[];
  readonly advice: readonly Advice[];
  /** With --target-version. */
  readonly target?: TargetReport;
  /** With --history: earlier runs first, this one last if it is complete. */
  readonly history?: readonly HistoryEntry[];
  /** With --baseline. */
  readonly baseline?: BaselineReport;
}

export interface Amount {
  readonly keys: number;
  /** Of records in the file. */
  readonly bytes: number;
  /** As estimated. */
  readonly memory: number;
  readonly elements: number;
}

export interface Group extends Amount {
  readonly withExpiry: number;
  readonly expired: number;
}

export interface SourceReport extends Group {
  readonly name: string;
  readonly vendor: 'redis' | 'valkey';
  /** The writer, as `7.0.15`; absent if the file does not say. */
  readonly server?: string;
  /** 0 if not even its beginning could be read. */
  readonly rdbVersion: number;
  readonly savedAt?: number;
  /** It was read from a server, and not from a file. */
  readonly live?: boolean;
  /** `used-mem` of the server when it wrote the file. */
  readonly usedMemory?: number;
  /** `unread`: the end was not reached. */
  readonly checksum: 'ok' | 'none' | 'unread';
  /** Bytes of the file as stored; absent if unknown. */
  readonly size?: number;
  readonly complete: boolean;
  readonly warnings: readonly string[];
  /** What ended it early. */
  readonly error?: string;
}

export interface MemoryReport {
  /** The server whose memory is estimated: `redis 7.0`. */
  readonly server: string;
  /** Of keys and values; the sum of the `memory` of all keys. */
  readonly keys: number;
  /** Of the tables of databases and expiries. */
  readonly tables: number;
  /** Of functions. */
  readonly functions: number;
  /** What MEMORY USAGE does not count of keys; below 0 if it counts too much of streams. */
  readonly other: number;
  /** The sum of all four. */
  readonly dataset: number;
  /** Keys whose memory is a guess (module values). */
  readonly guessed: number;
  /** The sum of `used-mem` of the files, where all of them have it. */
  readonly used?: number;
}

/** `encoding` as OBJECT ENCODING of that server names it. */
export interface Key {
  readonly source: number;
  readonly db: number;
  readonly key: string;
  /** Bytes of its name where that is longer than 1,024, of which `key` has no more. */
  readonly keyLength?: number;
  readonly type: string;
  readonly encoding: string;
  readonly bytes: number;
  readonly memory: number;
  readonly elements: number;
  /** The largest element, in bytes. */
  readonly largest: number;
  readonly slot: number;
  readonly expireAt?: number;
  readonly idle?: number;
  readonly freq?: number;
}

/** Percentiles are exact within 2 %. */
export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Sizes {
  readonly memory: Percentiles;
  readonly bytes: Percentiles;
  readonly elements: Percentiles;
  readonly keyLength: Percentiles;
}

export interface PrefixReport {
  readonly delimiters: readonly string[];
  readonly depth: number;
  /** The root has name ''. Children are sorted by memory; small ones are summed up in `rest`. */
  readonly root: PrefixNode;
  /** Different prefixes that were counted, and by how much an amount may be too low, at most (0: exact). */
  readonly nodes: number;
  readonly error: Pick<Amount, 'keys' | 'memory'>;
}

export interface PrefixNode extends Group {
  /** The last segment, with its delimiter: `user:`; folded ids are `*`. */
  readonly name: string;
  /** The whole prefix: `user:*:`. */
  readonly prefix: string;
  /** The part of its memory that each type has, of those above 0. */
  readonly types: Readonly<Record<string, number>>;
  readonly p99?: number;
  readonly children?: readonly PrefixNode[];
  /** Keys that are under none of the listed children, and how many children are not listed. */
  readonly rest?: Amount & { readonly prefixes: number };
}

export interface Bucket {
  /** Inclusive; null for no limit. */
  readonly upTo: number | null;
  readonly keys: number;
  readonly memory: number;
}

export interface ExpiryReport {
  readonly none: Amount;
  readonly expired: Amount;
  /** Milliseconds left from `at`. */
  readonly left: readonly Bucket[];
}

export interface SlotReport {
  /** Slot, keys, bytes, memory; slots without keys are left out. */
  readonly slots: readonly (readonly [slot: number, keys: number, bytes: number, memory: number])[];
  readonly hottest: readonly (Amount & { readonly slot: number; readonly share: number })[];
  /** With --shards: equal ranges of slots. */
  readonly shards?: readonly (Amount & { readonly from: number; readonly to: number; readonly share: number })[];
}

export interface Warning {
  readonly kind: 'bigKey' | 'manyElements' | 'hotSlot' | 'bigShard' | 'expired' | 'damage' | 'history';
  readonly text: string;
}

export interface Advice {
  readonly kind: 'fieldSets' | 'bigCollections' | 'noExpiry' | 'duplicates';
  readonly text: string;
  /** Bytes of memory that it would save, as estimated; absent if unknown. */
  readonly saves?: number;
  /** How that was reckoned. */
  readonly basis: string;
}

export interface TargetReport {
  readonly server: string;
  /** Types that it reads in another encoding only, and those it cannot hold. */
  readonly rewritten: readonly (Amount & { readonly type: string })[];
  readonly impossible: readonly (Amount & { readonly type: string; readonly reason: string })[];
}

export interface HistoryEntry {
  readonly at: number;
  readonly savedAt?: number;
  readonly sources: readonly string[];
  readonly keys: number;
  readonly bytes: number;
  readonly memory: number;
  readonly withExpiry: number;
  readonly types: Readonly<Record<string, number>>;
  /** Memory of the largest top-level prefixes. */
  readonly prefixes: Readonly<Record<string, number>>;
}

export interface BaselineReport {
  readonly sources: readonly string[];
  /** False if one of them was damaged or not read to its end. */
  readonly complete: boolean;
  readonly totals: Change;
  readonly types: readonly (Change & { readonly type: string })[];
  /** Sorted by how much their memory changed. */
  readonly prefixes: readonly (Change & { readonly prefix: string })[];
}

export interface Change {
  readonly before: Amount;
  readonly after: Amount;
}
