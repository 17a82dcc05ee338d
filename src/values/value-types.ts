/*
 * Redis values as JavaScript values. `T` is the type of Redis strings (keys, elements, fields, members, names): a Buffer or a
 * string. All of it is plain data that belongs to the caller.
 *
 * Counts and times are numbers; one above 2^53 (which only a command like XSETID can set) is the nearest number, as JSON.parse
 * would read it. Integers that commonly use all 64 bits (of modules, indexes of arrays) are bigints, whatever their size. Times
 * are Unix milliseconds.
 */

/** A field of a hash. Fields are in the order of the file; a damaged hash that names a field twice has it twice here. */
export interface HashField<T> {
  field: T;
  value: T;
  /** Unix milliseconds; only if the field has its own expiry. */
  expireAt?: number;
}

/** A member of a sorted set. Scores may be Infinity, -Infinity, NaN and -0. */
export interface ZsetMember<T> {
  member: T;
  score: number;
}

/** An entry of a stream. IDs are text, `milliseconds-sequence`, as commands print them. */
export interface StreamEntry<T> {
  id: string;
  /** In the order they were added; names may repeat. */
  fields: [name: T, value: T][];
}

/** An entry that was delivered to a consumer and not acknowledged yet. */
export interface StreamPending<T> {
  id: string;
  /** Null for an entry that was handed back (Redis 8.8). */
  consumer: T | null;
  /** Unix milliseconds. */
  deliveredAt: number;
  deliveries: number;
}

export interface StreamConsumer<T> {
  name: T;
  /** Unix milliseconds of its last attempt to read. */
  seenTime: number;
  /** Unix milliseconds of its last successful read, null for never; absent in files of servers before 7.2. */
  activeTime?: number | null;
}

/** A consumer group. */
export interface StreamGroup<T> {
  name: T;
  lastId: string;
  /** Null if the server does not know. */
  entriesRead: number | null;
  pending: StreamPending<T>[];
  consumers: StreamConsumer<T>[];
}

/** Idempotent producing (Redis 8.6). */
export interface StreamIdempotence<T> {
  /** Seconds. */
  duration: number;
  maxEntries: number;
  producers: { id: T; entries: { id: T; streamId: string }[] }[];
  added: number;
  duplicates: number;
}

export interface StreamValue<T> {
  /** Deleted entries are left out. */
  entries: StreamEntry<T>[];
  length: number;
  lastId: string;
  /** This and the next two: since Redis 7.0. */
  firstId?: string;
  maxDeletedId?: string;
  entriesAdded?: number;
  groups: StreamGroup<T>[];
  idempotence?: StreamIdempotence<T>;
}

/** What a module wrote, part by part: only the module knows what the parts mean. */
export type ModulePart<T> =
  | { kind: 'sint' | 'uint'; value: bigint }
  | { kind: 'float' | 'double'; value: number }
  | { kind: 'string'; value: T };

/** A value of a type that a module defines. */
export interface ModuleValue<T> {
  /** The nine characters that name the type. */
  module: string;
  /** Version of the module's own format. */
  version: number;
  parts: ModulePart<T>[];
}

/** A sparse array (Redis 8.8). */
export interface ArrayValue<T> {
  elements: { index: bigint; value: T }[];
  /** The index of the next insertion, if the array has one. */
  insertIndex?: bigint;
}

/** A bitmap with a type of its own (Redis 8.12). */
export interface BitmapValue {
  /** In bytes, with zeros at its end. */
  length: bigint;
  /** The bits that are set, in ascending order: the first and the last of each run, the same for a single bit. */
  runs: [first: bigint, last: bigint][];
}

/** The value of a key by its type. */
export interface Values<T> {
  string: T;
  /** In order. */
  list: T[];
  /** In the order of the file, which has no meaning. */
  set: T[];
  zset: ZsetMember<T>[];
  hash: HashField<T>[];
  stream: StreamValue<T>;
  module: ModuleValue<T>;
  array: ArrayValue<T>;
  bitmap: BitmapValue;
}
