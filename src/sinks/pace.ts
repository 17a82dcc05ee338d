import { setTimeout as delay } from 'node:timers/promises';

export interface PaceLimits {
  readonly keysPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
}

/** Milliseconds of a limit that may be used at a go. */
const BURST = 100;

/** Holds a limit of keys and bytes a second: an allowance that grows with time, and that the next ones wait for where it is used up. */
export class Pace {
  private keys = 0;
  private bytes = 0;
  private last = performance.now();

  constructor(private readonly limits: PaceLimits) {}

  get limited(): boolean {
    return this.limits.keysPerSecond !== undefined || this.limits.bytesPerSecond !== undefined;
  }

  /** The most keys that should be sent at a time. */
  get burst(): number {
    const { keysPerSecond = Infinity } = this.limits;
    return Math.max(1, Math.floor((keysPerSecond * BURST) / 1000));
  }

  /** So many were sent. */
  spend(keys: number, bytes: number): void {
    this.keys += keys;
    this.bytes += bytes;
  }

  /** Until what was spent is within the limits. */
  async wait(): Promise<void> {
    const { bytesPerSecond = Infinity, keysPerSecond = Infinity } = this.limits;
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    this.last = now;
    this.keys = left(this.keys, seconds, keysPerSecond);
    this.bytes = left(this.bytes, seconds, bytesPerSecond);
    const debt = Math.max(this.keys / keysPerSecond, this.bytes / bytesPerSecond);
    if (debt * 1000 > 1) {
      await delay(debt * 1000);
      await this.wait();
    }
  }
}

const left = (spent: number, seconds: number, limit: number): number => (limit === Infinity ? 0 : Math.max(0, spent - seconds * limit));
