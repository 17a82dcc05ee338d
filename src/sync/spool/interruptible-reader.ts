import type { Spool } from './spool.js';

interface Interruption {
  readonly signal: AbortSignal;
  abort(): void;
}

/** Reads a spool for a lane: waiting for the source ends as soon as there is something else to do. */
export class InterruptibleReader {
  private interruption: Interruption;

  constructor(
    private readonly spool: Pick<Spool, 'read'>,
    /** Ends it for good. */
    private readonly end: AbortSignal,
  ) {
    this.interruption = this.freshInterruption();
  }

  /** Aborted by the next `interrupt`. */
  get signal(): AbortSignal {
    return this.interruption.signal;
  }

  /** Bytes of the spool after an offset; undefined if there is something else to do. */
  async read(offset: number): Promise<{ bytes: Uint8Array; offset: number } | undefined> {
    const { interruption } = this;
    try {
      return await this.spool.read(offset, interruption.signal);
    } catch (error) {
      this.end.throwIfAborted();
      if (interruption.signal.aborted) return undefined;
      throw error;
    }
  }

  /** Ends waiting for the source: there is something else to do. */
  interrupt(): void {
    this.interruption.abort();
    this.interruption = this.freshInterruption();
  }

  private freshInterruption(): Interruption {
    const controller = new AbortController();
    return { signal: AbortSignal.any([this.end, controller.signal]), abort: () => controller.abort() };
  }
}
