import type { Frame } from '../rdb/frame.js';

/** What takes the keys that passed the filters. */
export interface RecordSink {
  /** A whole value (RECORD) or a part of one (FRAGMENT, PIECE). Throws RdbError where the value is damaged. */
  frame(kind: number, frame: Frame): void;
  /** Must be awaited after every part of a value. */
  settle(): Promise<void>;
  /** A record that is no key. */
  meta(frame: Frame): void;
  /** The end of a file. */
  fileEnd(file: FileEnd): void;
  /** Takes back the key at hand after an error. Returns false where a part of it was handed on already. */
  rollback(): boolean;
}

export interface FileEnd {
  readonly version: number;
  readonly checksum: 'ok' | 'none';
  /** Keys written, of this file. */
  readonly keys: number;
}
