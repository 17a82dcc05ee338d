import type { RunningCrc } from '../kernels/codec.js';
import type { Batch } from '../rdb/batch.js';
import type { Frame } from '../rdb/frame.js';
import type { Framer } from '../rdb/framer.js';
import type { Vendor } from '../rdb/types.js';

/** What takes the keys that passed the filters. Frames are borrowed until `release`. */
export interface RecordSink {
  /** The frames of another file follow. */
  fileBegin(file: SourceFile): void;
  /**
   * Takes rows [batch.from, batch.to) but for those that were dropped; marks as dropped those that it refuses, for a reason that it has
   * told. Throws RdbError where the value of row `batch.row` is damaged.
   */
  batch(batch: Batch): void;
  /** Takes a part (ITEMS_PART, STRING_PART) of a value that is too large to come whole. Throws RdbError where it is damaged. */
  frame(kind: number, frame: Frame): void;
  /** Keys that were taken for good so far, where that is known only later: for the limit. */
  accepted?(): Promise<number>;
  /** Whether the key of the last part is left out, for a reason that the sink has told. */
  readonly dropped: boolean;
  /** A key in parts does not come, since the filters left it out. */
  passOver?(): void;
  /** Must be awaited after every part of a value. */
  settle(): Promise<void>;
  /** A record that is no key. */
  meta(frame: Frame): void;
  /** The end of a file. */
  fileEnd(file: FileEnd): void;
  /** The bytes that frames stand in change now. */
  release(): void;
  /** Whether it is time for `flush`: looked at between keys. */
  readonly full: boolean;
  /** Hands on what there is. Throws FrameFailure where a frame taken before was damaged. */
  flush(): Promise<void>;
  /** Waits for the end of work on all frames taken. Throws FrameFailure as `flush` does. */
  finish(): Promise<void>;
  /** Takes back the key at hand after an error. Returns false where a part of it was handed on already. */
  rollback(): boolean;
}

/** A sink at the end of the pipe. */
export interface LastSink extends RecordSink {
  /** Bytes written, or on their way. */
  readonly written: number;
  /** Says how large the input is, where that is known. */
  expect(bytes: number | undefined): void;
  /** The output is damaged so that nothing can follow. */
  readonly stopped?: boolean;
  /** Writes all that is left. */
  end(): Promise<void>;
  /** Nothing runs on behind it. */
  close(): Promise<void>;
}

/** What a file says of itself: known when its first frame comes. */
export interface SourceFile {
  readonly name: string;
  readonly version: number;
  readonly vendor: Vendor;
  /** Its checksum so far, for whoever reads the bytes of batches anyway. */
  readonly running?: RunningCrc | undefined;
  /** Whether a key may come twice. */
  readonly repeats?: boolean;
  /** The highest RDB version that types in it came with: another one in files of Dragonfly. */
  readonly typesUpTo: number;
}

/** What a framer has read of a file so far. */
export function sourceFile(input: { readonly name: string; readonly ofPayloads: boolean }, framer: Framer): SourceFile {
  return {
    name: input.name,
    get version() {
      return framer.version;
    },
    get vendor() {
      return framer.vendor;
    },
    get running() {
      return framer.running;
    },
    get repeats() {
      return input.ofPayloads;
    },
    get typesUpTo() {
      return framer.typesUpTo;
    },
  };
}

export interface FileEnd {
  readonly version: number;
  readonly checksum: 'ok' | 'none';
  /** Keys written, of this file. */
  readonly keys: number;
}

/** What had been seen when a frame was taken. */
export interface Counts {
  /** Keys found, and how many of them were written, left out by filters, and damaged. Others were left out by the sink. */
  read: number;
  keys: number;
  filtered: number;
  damaged: number;
  /** Of the keys written: how many had expired already. */
  expired: number;
  /** Expiries of single members (KeyDB) of keys that were written without them. */
  memberExpiries: number;
  /** Bytes of RDB understood. */
  bytes: number;
}

export const noCounts = (): Counts => ({ read: 0, keys: 0, filtered: 0, damaged: 0, expired: 0, memberExpiries: 0, bytes: 0 });

/** Counts of keys that were taken some time ago: what was filtered out meanwhile is not among them. */
export type TakenCounts = Readonly<Pick<Counts, 'read' | 'keys' | 'expired' | 'bytes'>>;

/** A frame taken some time ago turned out to be damaged: everything before it is written, nothing behind it counts. */
export class FrameFailure extends Error {
  override readonly name = 'FrameFailure';

  constructor(
    override readonly cause: Error,
    /** Where things would stand, had it failed at once; `bytes` is an offset in the file. */
    readonly counts: TakenCounts,
  ) {
    super(cause.message, { cause });
  }
}
