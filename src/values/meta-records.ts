import type { ModulePart } from './js-values.js';

/** What a module class attached to a key (Redis 8.6). */
export interface KeyMeta<T> {
  /** The four characters that name the class. */
  module: string;
  version: number;
  flags: number;
  parts: ModulePart<T>[];
}

/** What the server says of itself, like `redis-ver`. Both strings are always in the text form (see formatText). */
export interface AuxRecord {
  type: 'aux';
  key: string;
  value: string;
}

/** The source text of a library of functions, in the text form. */
export interface FunctionRecord {
  type: 'function';
  value: string;
  /** These three only exist in files of Redis 7.0 release candidates. */
  name?: string;
  engine?: string;
  description?: string | null;
}

/** Data of a module that belongs to no key. */
export interface ModuleAuxRecord<T> {
  type: 'moduleAux';
  module: string;
  version: number;
  /** When the module wants it during loading: 1 before the keys, 2 after them. */
  when: number;
  parts: ModulePart<T>[];
}

/** Number of keys that the server counted in the database `db`, and number of those with an expiry. */
export interface ResizeDbRecord {
  type: 'resizeDb';
  db: number;
  keys: number;
  expires: number;
}

/** The same for the cluster slot of the following keys. */
export interface SlotInfoRecord {
  type: 'slotInfo';
  slot: number;
  keys: number;
  expires: number;
}

/** Slots that a cluster node was importing (Valkey 9.1). */
export interface SlotImportRecord {
  type: 'slotImport';
  job: string;
  slots: [from: number, to: number][];
}

/** Field names shared by hashes of the file (Redis 8.10); records of hashes already include them. */
export interface HashTemplateRecord<T> {
  type: 'hashTemplate';
  id: number;
  fields: T[];
}

/** The last record of an input that was read to its end: it was complete, and its checksum matched if it has one. */
export interface EndRecord {
  type: 'end';
  /** RDB version. */
  version: number;
  /** 'none' if the server computed none, or with `checksum: false`. */
  checksum: 'ok' | 'none';
  /** Keys yielded; those that a filter left out are not included. */
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
