import type { Frame } from '../rdb/frame.js';
import type { RateLimit } from './rate-limit.js';
import type { LargeValue } from './large-value.js';

/** Values that are too large for a batch: the one whose parts are coming, and those that are whole and wait to be sent. */
export class LargeValues {
  /** Bytes that were sent. */
  sent = 0;
  private coming: LargeValue | undefined;
  private readonly whole: LargeValue[] = [];

  get waiting(): boolean {
    return this.whole.length > 0;
  }

  begin(large: LargeValue): void {
    this.coming = large;
  }

  /** A part of the one that is coming. */
  add(frame: Frame): void {
    this.coming?.add(frame);
    if (!frame.last) return;
    if (this.coming !== undefined) this.whole.push(this.coming);
    this.coming = undefined;
  }

  /** The rest of the one that is coming does not come. */
  forget(): void {
    this.coming?.forget();
    this.coming = undefined;
  }

  /** Until servers have them, or have refused them. Throws ServerError. */
  async send(rateLimit: RateLimit, signal: AbortSignal | undefined): Promise<void> {
    for (let large = this.whole.shift(); large !== undefined; large = this.whole.shift()) {
      rateLimit.spend(1, large.size);
      this.sent += large.size;
      await large.send();
      await rateLimit.wait(signal);
    }
  }

  abandon(): void {
    this.coming?.abandon();
    this.coming = undefined;
    for (const large of this.whole.splice(0)) large.abandon();
  }
}
