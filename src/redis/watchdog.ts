/** Milliseconds between two checks. */
const WATCH_EVERY = 500;

export interface WatchdogOptions {
  /** Milliseconds without any reply after which a connection with replies due counts as lost. */
  readonly patience: number;
  /** Number of replies due. */
  expected(): number;
  silent(reason: string): void;
}

/** Detects a connection that no longer answers. */
export class Watchdog {
  private lastSign = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: WatchdogOptions) {}

  /** Call when something is sent that will be answered. */
  watch(): void {
    if (this.options.expected() <= 1) this.sign();
    this.timer ??= setInterval(() => this.look(), WATCH_EVERY);
    this.timer.unref();
  }

  /** Call when a reply arrived, or none was due before now. */
  sign(): void {
    this.lastSign = performance.now();
  }

  private look(): void {
    const { patience } = this.options;
    if (this.options.expected() === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    } else if (performance.now() - this.lastSign > patience) {
      this.options.silent(`no reply for ${Math.round(patience / 1000)} s`);
    }
  }

  /** For good. */
  stop(): void {
    clearInterval(this.timer);
  }
}
