import type { Bulk } from './delivery.js';
import { hasAbsoluteTtl, type Target } from '../values/targets.js';
import type { RestoreBatches } from './batches.js';
import { type Closing, type RestoreConflict, Stretch, type StretchEvents } from './progress.js';

export interface StretchOptions {
  readonly target: Target;
  readonly bulk: Bulk;
  readonly conflict: RestoreConflict;
  /** A stretch is done: all before it are, too. */
  onDone(stretch: Stretch): void;
}

/** Bytes of a source, and milliseconds, after which a stretch ends. */
const STRETCH_BYTES = 2 << 20;
const STRETCH_MS = 250;

/** Unix milliseconds of an expiry in a RESTORE that was made at `builtAt`, where it has one. */
export function expiryOf(ttl: bigint, target: Target, builtAt: number): bigint | undefined {
  if (ttl === 0n) return undefined;
  return hasAbsoluteTtl(target) ? ttl : ttl + BigInt(builtAt);
}

/** The stretches of a source: the one that is being read, and those before it that are not done, in their order. */
export class Stretches {
  current: Stretch;
  /** Where the value of the key at hand is. */
  offset = -1;
  /** There is more to come of the key at hand. */
  midKey = false;
  private readonly before: Stretch[] = [];
  private readonly events: StretchEvents;
  private from = 0;
  private since = performance.now();

  constructor(
    private readonly options: StretchOptions,
    private readonly batches: RestoreBatches,
    onClosing: (stretch: Stretch, closing: Closing) => void,
  ) {
    this.events = {
      version: options.target.rdbVersion,
      onClosing,
      conflictsAre: options.conflict === 'skip' ? 'skipped' : 'rejected',
      expireAt: (ttl, builtAt) => expiryOf(ttl, options.target, builtAt),
      onRelease: (batch) => batches.release(batch),
      onChange: () => this.changed(),
    };
    this.current = new Stretch(this.events);
  }

  private changed(): void {
    while (this.before.length > 0 && this.before[0].done) this.options.onDone(this.before.shift() as Stretch);
    this.options.bulk.notify();
  }

  /** Ends the one at hand if it is long enough: all that was read is on its way. */
  endIfLong(): void {
    const now = performance.now();
    if (this.midKey) return; // nobody has said yet that it is on its way
    if (this.offset - this.from < STRETCH_BYTES && now - this.since < STRETCH_MS) return;
    this.end();
  }

  end(): void {
    this.batches.sendAll();
    const { current } = this;
    this.before.push(current);
    this.current = new Stretch(this.events);
    this.from = this.offset;
    this.since = performance.now();
    current.close(this.midKey ? this.offset : this.offset + 1);
  }

  /** Ends the one at hand, and waits until it is done. */
  async settle(signal: AbortSignal | undefined): Promise<void> {
    this.end();
    await this.untilDone(signal);
  }

  /** Until all that have ended are done, or the signal comes. */
  async untilDone(signal: AbortSignal | undefined): Promise<void> {
    const { bulk } = this.options;
    while (this.before.length > 0 && signal?.aborted !== true) {
      await bulk.calm();
      await bulk.wait();
    }
  }

  /** Those that are not done. */
  get unfinished(): readonly Stretch[] {
    return [...this.before, this.current];
  }
}
