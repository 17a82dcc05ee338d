import { Crc64 } from '../bytes/crc64.js';
import { digestOf } from '../bytes/digest.js';
import { writeJsonText } from '../bytes/json.js';
import { lzfDecompress } from '../bytes/lzf.js';
import { countRows } from './count-rows.js';

export { RUN_ITEMS, RUN_PAIRS, RUN_SCORES } from './layout.js';

/** How keys are restored, for `Codec.restoreRecords`: bits. */
export const RESTORE_REPLACE = 1; // with REPLACE
export const RESTORE_EXISTS = 2; // EXISTS and the key before every RESTORE

/** A `now` at which nothing has expired: the least that 64 bits hold. */
export const NEVER = -(2 ** 63);

/** What `Codec.restoreRecords` works with. All but `bytes` are in memory of the same Codec. */
export interface RestoreRun {
  readonly table: Int32Array;
  /** Positions of the rows are in these. */
  readonly bytes: Uint8Array;
  /** By slot: the output for its keys; the first one where it is undefined. */
  readonly routes: Uint16Array | undefined;
  /**
   * By database, ROUTED_DATABASES of them: how many outputs stand before its own, NO_OUTPUT where it has none and its records are not
   * plain. Where it is undefined all have the same, with SELECT where the database is another one.
   */
  readonly databases: Uint16Array | undefined;
  /** By number of a type: the largest value, in decompressed bytes, that is a plain record; any where it is undefined. */
  readonly largest: Float64Array | undefined;
  /** The checksum of `bytes`, which may get ahead in passing: most of the work for it is that for payloads. */
  readonly running: RunningCrc | undefined;
  /** Unix milliseconds for each of the outputs, over and over: records that have expired are not plain. */
  readonly now: readonly number[];
  /** The database that is selected. */
  readonly db: number;
  /** By number of a type: the RDB version of payloads. */
  readonly versions: Uint16Array;
  /** Bits of RESTORE_…. */
  readonly options: number;
}

/** What `Codec.copyRecords` works with. */
export interface CopyRun {
  readonly table: Int32Array;
  /** Positions of the rows are in these. */
  readonly bytes: Uint8Array;
  /** By number of a type: the largest value, in decompressed bytes, that is a plain record. */
  readonly largest: Float64Array;
  /** Records of other databases are not plain. */
  readonly db: number;
  /** Whether records with idle times or frequencies are plain. */
  readonly modifiers: boolean;
}

/** Where records are copied to: there must be room for all. */
export interface CopyOut {
  readonly bytes: Uint8Array;
  length: number;
  keys: number;
  /** Those of the keys that have an expiry. */
  expiring: number;
}

/** What `Codec.tallyRows` adds up, by row. */
export interface TallyColumns {
  readonly memory: Float64Array;
  readonly elements: Float64Array;
  readonly encoding: Uint8Array;
}

/** A checksum of bytes as they go by: it has all before `at`. */
export interface RunningCrc {
  readonly crc: Crc64;
  at: number;
}

/** Commands for one server. */
export interface RestoreOut {
  readonly bytes: Uint8Array;
  length: number;
  keys: number;
}

/** Bytes for each type number in the `structures` of `Codec.checkRows`. */
export const STRUCTURE = 2;

/** What `Codec.jsonRecords` has to know of a type. */
export interface RecordForm {
  /** RECORD_… */
  readonly container: number;
  /** RUN_…, and how elements are read, as in values/layouts.ts; nodes and intsets say that themselves. */
  readonly kind: number;
  readonly reads: readonly number[];
  /** What stands between the key and its modifiers, before the first element, and after the last; at most 32 bytes. */
  readonly texts: readonly [Uint8Array, Uint8Array, Uint8Array];
}

/** What `Codec.frameRows` has to know of a file. */
export interface FramePrograms {
  /** By first byte: value types, and opcodes that mean nothing to the framer; others take the long way. */
  readonly entries: readonly ({
    /** The operations of rdb/shapes.ts; those with a number of bytes, lengths, strings, ASCII doubles and loops only. */
    readonly program: readonly number[];
    /** What the type is called in rows; of an opcode, OPCODES and its byte. */
    readonly number: number;
  } | undefined)[];
  /** The opcodes that the file may have. */
  readonly opcodes: readonly number[];
}

/** What `Codec.frameRows` is asked for; it changes what is not `readonly`. */
export interface FrameRun {
  readonly programs: FramePrograms;
  /** Rows from `row` on may be filled, up to `rows` (kernels/layout.ts). */
  readonly table: Int32Array;
  row: number;
  readonly rows: number;
  /** Records are looked for in [pos, end), and those that begin before `stop` are taken. Positions of rows are in these bytes. */
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;
  readonly stop: number;
  /** Offset of the first of the bytes in the RDB. */
  readonly offset: number;
  /** Values of this many bytes, decompressed, are not plain. */
  readonly limit: number;
  /** Whether opcodes get rows, too. */
  readonly meta: boolean;
  /** Keys that are no bytes in the file are written here, from `arenaLength` on. */
  readonly arena: Uint8Array;
  arenaLength: number;
  /** The database of what comes next, and the modifiers before `pos` of the next key: flags, expiry, idle time, frequency as in a row. */
  db: number;
  flags: number;
  expireHi: number;
  expireLo: number;
  idle: number;
  freq: number;
  keysRead: number;
  /** Records that have expired at `now`, Unix milliseconds. */
  expired: number;
  readonly now: number;
}

/** What `Codec.ownRows` is asked for; it changes what is not `readonly`. */
export interface OwnRun {
  readonly from: { readonly table: Int32Array; readonly bytes: Uint8Array };
  readonly to: { readonly table: Int32Array; readonly bytes: Uint8Array };
  /** Rows of `to` up to `toRows` may be filled from `toRow` on, and its bytes from `length` on. */
  toRow: number;
  readonly toRows: number;
  length: number;
  /** Keys read before these, and expired ones among them, since `to` began. */
  readonly read: number;
  expired: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** What a filter lets through, for `Codec.filterRows`: all that is not undefined must hold. values/filters.ts is the reference. */
export interface RowFilter {
  readonly dbs: readonly number[] | undefined;
  /** By type number. */
  readonly types: readonly boolean[] | undefined;
  /** None is empty. */
  readonly prefixes: readonly Uint8Array[] | undefined;
  readonly notPrefixes: readonly Uint8Array[] | undefined;
  /** Bits of TTL_…, by the clock `now` in Unix milliseconds. */
  readonly ttl: number;
  readonly now: number;
  /** Bytes, inclusive. */
  readonly minSize: number;
  readonly maxSize: number;
}

/** Keys that begin with `from` begin with `to` instead. */
export interface PrefixPair {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** What `Codec.renameRows` is asked for; it changes what is not `readonly`. */
export interface RenameRun {
  /** The first that fits a key counts. The same object for the same pairs. */
  readonly pairs: readonly PrefixPair[];
  readonly table: Int32Array;
  /** Positions of the rows are in these. */
  readonly bytes: Uint8Array;
  /** New names are written here, from `arenaLength` on. */
  readonly arena: Uint8Array;
  arenaLength: number;
}

/**
 * The hot loops, which have two makes: this one in TypeScript, and one in WebAssembly (kernels/) that does the same, faster,
 * for bytes in its own memory. Functions have the signatures of the TypeScript ones.
 */
export interface Codec {
  /** A buffer in the memory that the hot loops work in. */
  allocate(size: number): Uint8Array;
  /** Copies `src[start, end)` to `dst` from `to` on. */
  copy(src: Uint8Array, start: number, end: number, dst: Uint8Array, to: number): void;
  crc64(): Crc64;
  lzfDecompress: typeof lzfDecompress;
  writeJsonText: typeof writeJsonText;
  digest: typeof digestOf;
  /**
   * Writes a run of elements as JSON, without what stands around it; `reads` as in values/layouts.ts, `first` where nothing
   * stands before them. Returns the position after it, or -1 (nothing written) if the caller must write the run itself.
   */
  jsonRun(
    kind: number,
    reads: readonly number[],
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    at: number,
    first: boolean,
  ): number;
  /** Elements of the last run. */
  readonly walked: number;
  /**
   * Writes rows [row, rows) of a batch as whole lines, as long as they are plain; positions of the rows are in `bytes`.
   * `forms` by type number. Returns the first row that was not written; `recordsEnd` is the position after the last line.
   */
  jsonRecords(forms: RecordForms, table: Int32Array, row: number, rows: number, bytes: Uint8Array, out: Uint8Array, at: number): number;
  readonly recordsEnd: number;
  /**
   * Writes rows [row, rows) of a batch as RESTORE commands, in RESP, each appended to its output, as long as there are
   * plain records and room. Returns the first row that was not written.
   */
  restoreRecords(run: RestoreRun, row: number, rows: number, outs: readonly (RestoreOut | undefined)[]): number;
  /** The database of the last record that it wrote; that of the run where it wrote none. */
  readonly restoredDb: number;
  /** Appends the records of rows [row, rows) as they are, as long as they are plain. Returns the first row that was not copied. */
  copyRecords(run: CopyRun, row: number, rows: number, out: CopyOut): number;
  /** Fills rows with whole records, as long as they are plain. */
  frameRows(run: FrameRun): void;
  /**
   * Marks those of rows [row, rows) as dropped that a filter does not let through; positions of the rows are in `bytes`. Returns the first
   * row that it left to the caller.
   */
  filterRows(filter: RowFilter, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number;
  /** Renames the keys of rows [row, rows). Returns the first row that it left to the caller. pipeline/passes.ts is the reference. */
  renameRows(run: RenameRun, row: number, rows: number): number;
  countRows: typeof countRows;
  /** Copies rows [row, rows) with their bytes, but for records that were dropped. Returns the first row that it left to the caller. */
  ownRows(run: OwnRun, row: number, rows: number): number;
  /**
   * Looks at the values of rows [row, rows) of a batch, whose positions are in `bytes`. Returns the first that may be damaged or is not
   * plain. `structures` has STRUCTURE bytes by type number, RECORD_… and RUN_…, or 0 for types that are not plain.
   */
  checkRows(structures: Uint8Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number;
  /**
   * Counts rows [row, rows) of a batch, whose positions are in `bytes`, in the state of a tally (TALLY_… in layout.ts). Returns the first
   * that it left to the caller, and did not count: a key that needs a new prefix or database, or is held apart.
   */
  tallyRows(state: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array, measures: TallyColumns): number;
  /**
   * Measures the values of rows [row, rows) of a batch, whose positions are in `bytes`, into the columns of a block (MEASURE_… in
   * kernels/layout.ts). Returns the first row that it leaves to the caller.
   */
  measureRows(block: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number;
  /**
   * Digests the keys and values of rows [row, rows) of a batch, whose positions are in `bytes`, into the columns of a block (DIGEST_… in
   * kernels/layout.ts). Returns the first row that it leaves to the caller.
   */
  digestRows(block: Int32Array, table: Int32Array, row: number, rows: number, bytes: Uint8Array): number;
  /** Folds rows [row, rows) with their digests into the buckets of a block. Returns the first row that it leaves to the caller. */
  foldRows(block: Int32Array, table: Int32Array, row: number, rows: number): number;
  /** How far `to` is from `from` in memory, for positions in rows: 0 where they have no memory in common. */
  distance(from: Uint8Array, to: Uint8Array): number;
}

/** By type number; others take the long way. */
export type RecordForms = ReadonlyMap<number, RecordForm>;

export const TS_CODEC: Codec = {
  allocate: (size) => new Uint8Array(size),
  copy: (src, start, end, dst, to) => dst.set(src.subarray(start, end), to),
  crc64: () => new Crc64(),
  lzfDecompress,
  writeJsonText,
  digest: digestOf,
  jsonRun: () => -1,
  walked: 0,
  jsonRecords: (_forms, _table, row) => row,
  recordsEnd: 0,
  restoreRecords: (_run, row) => row,
  restoredDb: 0,
  copyRecords: (_run, row) => row,
  frameRows: () => undefined,
  filterRows: (_filter, _table, row) => row,
  renameRows: (_run, row) => row,
  countRows,
  ownRows: (_run, row) => row,
  checkRows: (_structures, _table, row) => row,
  tallyRows: (_state, _table, row) => row,
  measureRows: (_block, _table, row) => row,
  digestRows: (_block, _table, row) => row,
  foldRows: (_block, _table, row) => row,
  distance: () => 0,
};
