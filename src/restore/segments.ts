import type { Delivery } from './delivery.js';
import { hasAbsoluteTtl, type Target } from '../values/targets.js';
import type { OpenBatches } from './batches.js';
import { type Closing, type RestoreConflict, Segment, type SegmentEvents } from './progress.js';

export interface SegmentOptions {
  readonly target: Target;
  readonly delivery: Delivery;
  readonly conflict: RestoreConflict;
  /** A segment is done: all before it are, too. */
  onDone(segment: Segment): void;
}

/** Bytes of a source, and milliseconds, after which a segment ends. */
const SEGMENT_BYTES = 2 << 20;
const SEGMENT_MS = 250;

/** Unix milliseconds of an expiry in a RESTORE that was made at `builtAt`, where it has one. */
export function expiryOf(ttl: bigint, target: Target, builtAt: number): bigint | undefined {
  if (ttl === 0n) return undefined;
  return hasAbsoluteTtl(target) ? ttl : ttl + BigInt(builtAt);
}

/** The segments of a source: the one that is being read, and those before it that are not done, in their order. */
export class Segments {
  current: Segment;
  /** Where the value of the key at hand is. */
  offset = -1;
  /** There is more to come of the key at hand. */
  midKey = false;
  private readonly before: Segment[] = [];
  private readonly events: SegmentEvents;
  private from = 0;
  private since = performance.now();

  constructor(
    private readonly options: SegmentOptions,
    private readonly batches: OpenBatches,
    onClosing: (segment: Segment, closing: Closing) => void,
  ) {
    this.events = {
      version: options.target.rdbVersion,
      onClosing,
      conflictsAre: options.conflict === 'skip' ? 'skipped' : 'rejected',
      expireAt: (ttl, builtAt) => expiryOf(ttl, options.target, builtAt),
      onRelease: (batch) => batches.release(batch),
      onChange: () => this.changed(),
    };
    this.current = new Segment(this.events);
  }

  private changed(): void {
    while (this.before.length > 0 && this.before[0].done) this.options.onDone(this.before.shift() as Segment);
    this.options.delivery.notify();
  }

  /** Ends the one at hand if it is long enough: all that was read is on its way. */
  endIfLong(): void {
    const now = performance.now();
    if (this.midKey) return; // nobody has said yet that it is on its way
    if (this.offset - this.from < SEGMENT_BYTES && now - this.since < SEGMENT_MS) return;
    this.end();
  }

  end(): void {
    this.batches.sendAll();
    const { current } = this;
    this.before.push(current);
    this.current = new Segment(this.events);
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
    const { delivery } = this.options;
    while (this.before.length > 0 && signal?.aborted !== true) {
      await delivery.calm();
      await delivery.wait();
    }
  }

  /** Those that are not done. */
  get unfinished(): readonly Segment[] {
    return [...this.before, this.current];
  }
}
