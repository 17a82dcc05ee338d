import { DumpSink, type DumpSinkOptions } from './dump-sink.js';
import type { Output } from '../io/output.js';

/** Common to dumps with one output: where the current key begins in it, so that it can be taken back. */
export abstract class SingleOutputSink extends DumpSink {
  private inKey = false;
  private keyAt = 0;
  /** Bytes flushed before the key. */
  private keyFlushed = 0;

  constructor(
    protected readonly output: Output,
    options: DumpSinkOptions,
  ) {
    super(options);
  }

  /** A key begins here in the output. */
  protected mark(): void {
    const { output } = this;
    this.inKey = true;
    this.keyAt = output.length;
    this.keyFlushed = output.flushed;
  }

  /** The key is complete. */
  protected unmark(): void {
    this.inKey = false;
  }

  /** Forgets what is kept of the key besides the output. */
  protected abstract forget(): void;
  /** Leaves a key that was flushed in part as it is. */
  protected abstract leaveTorn(): void;

  rollback(): boolean {
    this.forget();
    if (!this.inKey) return true;
    this.inKey = false;
    if (this.keyFlushed === this.output.flushed) {
      this.output.length = this.keyAt;
      return true;
    }
    this.leaveTorn();
    return false;
  }

  get full(): boolean {
    return this.output.full;
  }

  get written(): number {
    return this.output.flushed;
  }

  flush(): Promise<void> {
    return this.output.flush();
  }

  async end(): Promise<void> {
    this.forget();
    await this.output.flush();
    await this.output.written();
  }
}
