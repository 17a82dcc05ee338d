import type { ModulePart } from './value-types.js';

/** What module classes attached to a key (Redis 8.6). */
export interface KeyMeta<T> {
  /** The four characters that name the class. */
  module: string;
  version: number;
  flags: number;
  parts: ModulePart<T>[];
}

/** What the server says of itself, like `redis-ver`. Both are strings in the text form (see formatText) always. */
export interface AuxRecord {
  type: 'aux';
  key: string;
  value: string;
}

/** The source text of a library of functions, in the text form. */
export interface FunctionRecord {
  type: 'function';
  value: string;
  /** These three: only in files of release candidates of Redis 7.0. */
  name?: string;
  engine?: string;
  description?: string | null;
}

/** Data of a module that belongs to no key. */
export interface ModuleAuxRecord<T> {
  type: 'moduleAux';
  module: string;
  version: number;
  /** When the module wants it on loading: 1 before the keys, 2 after them. */
  when: number;
  parts: ModulePart<T>[];
}

/** How many keys the server says the database `db` has, and how many of these have an expiry. */
export interface ResizeDbRecord {
  type: 'resizeDb';
  db: number;
  keys: number;
  expires: number;
}

/** The same for the cluster slot whose keys follow. */
export interface SlotInfoRecord {
  type: 'slotInfo';
  slot: number;
  keys: number;
  expires: number;
}

/** Slots that were being imported by a cluster node (Valkey 9.1). */
export interface SlotImportRecord {
  type: 'slotImport';
  job: string;
  slots: [from: number, to: number][];
}

/** Names of fields that hashes of the file share (Redis 8.10); records of hashes have them in place already. */
export interface HashTemplateRecord<T> {
  type: 'hashTemplate';
  id: number;
  fields: T[];
}

/** The last record of an input that was read to its end: all of it was there, and what has a checksum agreed with it. */
export interface EndRecord {
  type: 'end';
  /** Of the RDB format. */
  version: number;
  /** 'none' where the server made none or `checksum: false` was asked for. */
  checksum: 'ok' | 'none';
  /** Keys that were given out, those that a filter left out not among them. */
  keys: number;
}

/** Records of a file other than keys; given with the option `meta`. */
export type MetaRecord<T = Buffer> =
  | AuxRecord
  | FunctionRecord
  | ModuleAuxRecord<T>
  | ResizeDbRecord
  | SlotInfoRecord
  | SlotImportRecord
  | HashTemplateRecord<T>
  | EndRecord;
