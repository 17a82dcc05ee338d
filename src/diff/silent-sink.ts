import type { LargeValue } from '../io/large-value.js';
import type { LastSink } from '../pipeline/sink.js';
import type { Batch } from '../rdb/batch.js';

/** A sink that writes nothing, and never has to wait. */
export abstract class SilentSink implements LastSink {
  readonly written = 0;
  readonly full: boolean = false;

  abstract batch(batch: Batch): void;
  abstract large(value: LargeValue): Promise<void>;

  fileBegin(): void {}
  fileEnd(): void {}
  expect(): void {}
  async flush(): Promise<void> {}
  async finish(): Promise<void> {}
  async end(): Promise<void> {}
  async close(): Promise<void> {}

  rollback(): boolean {
    return true;
  }
}
