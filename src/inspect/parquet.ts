import type { ByteSink } from '../io/byte-sink.js';
import type { KeyRows } from './key-rows.js';

export class ParquetRows implements KeyRows {
  written = 0;
  readonly full = false;
  constructor(readonly output: ByteSink) {}
  add(): void {
    // to come
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
  end(): Promise<void> {
    return Promise.resolve();
  }
}
