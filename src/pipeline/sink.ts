import type { RunningCrc } from '../kernels/codec.js';
import type { Batch } from '../rdb/batch.js';
import type { Framer } from '../rdb/framer.js';
import type { Vendor } from '../rdb/types.js';
import type { LargeValue } from '../io/large-value.js';

/** Takes the keys that passed the filters. */
export interface RecordSink {
  /** The records of another file follow. */
  fileBegin(file: SourceFile): void;
  /**
   * Takes rows [batch.from, batch.to) except dropped ones. Reports the rows that it refuses and marks them as dropped. Throws
   * RdbError if the value of row `batch.row` is damaged. The batch is borrowed.
   */
  batch(batch: Batch): void;
  /**
   * Takes a large value, pulling as many of its parts as it needs. If it refuses the key, it reports the reason and sets
   * `value.dropped`. Rejects with RdbError if a part is damaged or the input ends. The value is borrowed.
   */
  large(value: LargeValue): Promise<void>;
  /** Number of keys accepted so far, for sinks that only learn it later; used for the limit. */
  accepted?(): Promise<number>;
  /** A file has ended. */
  fileEnd(file: FileEnd): void;
  /** Whether it is time for `flush`; checked between keys. */
  readonly full: boolean;
  /** Writes what is buffered. Throws FrameFailure if an earlier frame was damaged. */
  flush(): Promise<void>;
  /** Waits until all frames taken are processed. Throws FrameFailure like `flush`. */
  finish(): Promise<void>;
  /** What users should know of the file that was read, whether it ended well or not; asked once, after `finish`. */
  remark?(): string | undefined;
  /** Removes the unfinished key after an error. Returns false if a part of it was flushed already. */
  rollback(): boolean;
  /** The output is damaged so that nothing can follow. */
  readonly stopped?: boolean;
}

/** The sink at the end of a pipeline. */
export interface LastSink extends RecordSink {
  /** Bytes written or about to be. */
  readonly written: number;
  /** The size of the input, if known. */
  expect(bytes: number | undefined): void;
  /** Writes everything that is left. */
  end(): Promise<void>;
  /** Nothing runs on after it. */
  close(): Promise<void>;
}

/** What is known of a file when its first record arrives. */
export interface SourceFile {
  readonly name: string;
  readonly version: number;
  readonly vendor: Vendor;
  /** Its running checksum, for those that read the bytes of batches anyway. */
  readonly running?: RunningCrc | undefined;
  /** Whether a key may be repeated. */
  readonly repeats?: boolean;
  /** The RDB version that its newest types came with; in Dragonfly files not that of the header. */
  readonly typesUpTo: number;
}

/** Describes a file from what the framer has read so far. */
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
  /** Keys of this file written. */
  readonly keys: number;
}

/** Counts at the time when a frame was taken. */
export interface Counts {
  /** Keys read, and how many of them were written, filtered out, and damaged. The rest were left out by the sink. */
  read: number;
  keys: number;
  filtered: number;
  damaged: number;
  /** Keys written that had expired. */
  expired: number;
  /** Expiries of single members (KeyDB) that were lost with written keys. */
  memberExpiries: number;
  /** Bytes of RDB read. */
  bytes: number;
}

export const noCounts = (): Counts => ({ read: 0, keys: 0, filtered: 0, damaged: 0, expired: 0, memberExpiries: 0, bytes: 0 });

/** Counts at an earlier frame: what was filtered out since is not included. */
export type TakenCounts = Readonly<Pick<Counts, 'read' | 'keys' | 'expired' | 'bytes'>>;

/** A frame taken earlier turned out to be damaged: everything before it is written, nothing after it counts. */
export class FrameFailure extends Error {
  override readonly name = 'FrameFailure';

  constructor(
    override readonly cause: Error,
    /** The counts if it had failed at once; `bytes` is an offset in the file. */
    readonly counts: TakenCounts,
  ) {
    super(cause.message, { cause });
  }
}
