import { setTimeout as delay } from 'node:timers/promises';

export interface RateLimits {
  readonly keysPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
}

/** Milliseconds of the limit that may be used at once. */
const BURST = 100;
/** Milliseconds of one wait at most: timers take no more than 2^31. */
const LONGEST = 60_000;

/** Limits keys and bytes per second: a budget that grows with time, and that may be overdrawn by one batch. */
export class RateLimit {
  private keys = 0;
  private bytes = 0;
  private last = performance.now();

  constructor(private readonly limits: RateLimits) {}

  get limited(): boolean {
    return this.limits.keysPerSecond !== undefined || this.limits.bytesPerSecond !== undefined;
  }

  /** Whether `untilAllowed` would wait. */
  get owes(): boolean {
    return this.limited && (this.keys > 0 || this.bytes > 0);
  }

  /** Keys, and bytes, that should be sent at once at most. */
  get burst(): number {
    const { keysPerSecond = Infinity } = this.limits;
    return Math.max(1, Math.floor((keysPerSecond * BURST) / 1000));
  }

  get burstBytes(): number {
    const { bytesPerSecond = Infinity } = this.limits;
    return Math.max(1, (bytesPerSecond * BURST) / 1000);
  }

  /** Counts keys and bytes as sent. */
  spend(keys: number, bytes: number): void {
    this.keys += keys;
    this.bytes += bytes;
  }

  /** Waits until what was sent is within the limits. Rejects when `signal` is aborted. */
  async untilAllowed(signal?: AbortSignal): Promise<void> {
    const { bytesPerSecond = Infinity, keysPerSecond = Infinity } = this.limits;
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    this.last = now;
    this.keys = left(this.keys, seconds, keysPerSecond);
    this.bytes = left(this.bytes, seconds, bytesPerSecond);
    const debt = Math.max(this.keys / keysPerSecond, this.bytes / bytesPerSecond);
    if (debt * 1000 > 1) {
      await delay(Math.min(debt * 1000, LONGEST), undefined, { signal });
      await this.untilAllowed(signal);
    }
  }
}

const left = (spent: number, seconds: number, limit: number): number => (limit === Infinity ? 0 : Math.max(0, spent - seconds * limit));
