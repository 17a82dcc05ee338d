import type { RateLimit } from '../../redis/rate-limit.js';
import type { LatencyGuard } from './latency-guard.js';

/** Keys asked for at once: at first, at least, and at most. */
const FIRST_BATCH = 100;
const LEAST_BATCH = 10;
const MOST_BATCH = 1000;
/** Bytes of replies that a batch should have; up to two batches and a half are in flight. */
const BATCH_BYTES = 1 << 19;
/** Keys looked at by one SCAN where few of them are wanted. */
const MOST_COUNT = 2000;

/** How many keys a scan asks for at once, by what the replies are like and what limits allow. */
export class ScanPace {
  /** Not limited by how long others wait, unless there is one. */
  guard: LatencyGuard | undefined;
  private batch: number;
  /** Keys that one SCAN looks at: more than a batch where few are wanted. */
  private looked: number;
  private meanBytes = 0;

  constructor(
    readonly limit: RateLimit,
    /** A number of keys that does not change. */
    private readonly fixed: number | undefined,
  ) {
    this.batch = this.looked = fixed ?? FIRST_BATCH;
  }

  /** Keys to ask for at once: a batch, or what limits leave of it. */
  get portion(): number {
    const { guard, limit, meanBytes } = this;
    const most = limit.limited ? Math.min(limit.burst, limit.burstBytes / Math.max(1, meanBytes)) : Infinity;
    return Math.max(1, Math.floor(Math.min(this.batch * (guard?.share ?? 1), most)));
  }

  /** COUNT of the next SCAN. */
  get count(): number {
    return this.guard === undefined ? this.looked : this.portion;
  }

  /** Keys in flight from which on no more are asked for: where others must not wait, one batch at a time. */
  get most(): number {
    return this.guard === undefined ? 2 * this.portion : 1;
  }

  /** Waits until more may be asked for. */
  async untilAllowed(signal: AbortSignal | undefined): Promise<void> {
    if (this.limit.owes) await this.limit.untilAllowed(signal);
    if (this.guard !== undefined) await this.guard.untilCalm();
  }

  /** A SCAN gave `found` wanted keys: where few keys are wanted, each SCAN looks at more. */
  scanned(found: number): void {
    if (this.fixed !== undefined) return;
    const share = Math.max(found / this.looked, 0.05);
    const most = Math.min(Math.max(this.batch, MOST_COUNT), this.looked * 2);
    this.looked = Math.round(Math.min(Math.max(this.batch / share, this.batch), most));
  }

  /** A batch of `keys` had `bytes` of replies. */
  answered(keys: number, bytes: number): void {
    this.limit.spend(0, bytes);
    if (this.fixed !== undefined || keys === 0) return;
    const mean = bytes / keys;
    this.meanBytes = this.meanBytes === 0 ? mean : (this.meanBytes + mean) / 2;
    const fitting = Math.floor(BATCH_BYTES / Math.max(1, this.meanBytes));
    this.batch = Math.max(LEAST_BATCH, Math.min(fitting, MOST_BATCH, this.batch * 2));
    this.looked = Math.max(this.batch, Math.min(this.looked, MOST_COUNT));
  }
}
