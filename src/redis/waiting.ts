/** Milliseconds without a server before that is told, and between two times. */
const PATIENCE = 1000;
const TELL_EVERY = 5000;

/** Tells that a server is waited for, and for how long still. */
export class Waiting {
  private since = Date.now();
  private told = -Infinity;

  constructor(
    /** Milliseconds to wait; Infinity for no limit. */
    private readonly retryFor: number,
    private readonly onEvent: ((text: string, notable?: boolean) => void) | undefined,
  ) {}

  get tooLong(): boolean {
    return Date.now() - this.since > this.retryFor;
  }

  /** It has been waited for since then (Unix milliseconds). */
  from(since: number): void {
    this.since = since;
  }

  /** `what`: a clause about the server. Tells it after a while, and then every few seconds. */
  tell(what: string, patience = PATIENCE): void {
    const now = Date.now();
    if (now - this.since < patience || now - this.told < TELL_EVERY) return;
    this.told = now;
    this.onEvent?.(`${what}, trying again, ${this.time(now)}`, true);
  }

  private time(now: number): string {
    if (this.retryFor === Infinity) return `for ${Math.round((now - this.since) / 1000)} s so far`;
    return `${Math.max(0, Math.ceil((this.since + this.retryFor - now) / 1000))} s left`;
  }

  /** The server is back. Returns whether it was told that it was gone. */
  over(): boolean {
    const told = this.told > 0;
    this.since = Date.now();
    this.told = -Infinity;
    return told;
  }
}
