/** Milliseconds between two looks at whether replies come. */
const WATCH_EVERY = 500;

export interface WatchdogOptions {
  /** Milliseconds without any reply after which a connection that should answer counts as lost. */
  readonly patience: number;
  /** Replies that are waited for. */
  expected(): number;
  silent(reason: string): void;
}

/** A connection that should answer and does not is as good as lost. */
export class Watchdog {
  private lastSign = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: WatchdogOptions) {}

  /** Something that is answered is sent. */
  watch(): void {
    if (this.options.expected() <= 1) this.sign();
    this.timer ??= setInterval(() => this.look(), WATCH_EVERY);
    this.timer.unref();
  }

  /** A reply came, or it is too early for one. */
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
