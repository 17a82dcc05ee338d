import type { Writable } from 'node:stream';
import type { RunProgress } from '../pipeline/run.js';
import { bytesText, countText, keysText, longText, rateText } from './numbers.js';
import { printable } from './printable.js';

/** Shows how far a run is, on standard error, and writes its lines there. This one shows nothing. */
export class Progress {
  /** Whether it shows anything. */
  readonly shows: boolean = false;
  protected latest: RunProgress = { bytesRead: 0, totalBytes: undefined, keys: 0 };
  /** What is shown instead of bytes and keys, the most important first. */
  protected shown: readonly string[] | undefined;
  private started = performance.now();
  /** Lines that wait for the end of `pause`. */
  private held: string[] | undefined;

  constructor(protected readonly stderr: Writable) {}

  /** Called for every chunk, never for a key; must be cheap. */
  update(progress: RunProgress): void {
    this.latest = progress;
  }

  /** From now on these parts are shown, the most important first, instead of bytes and keys. */
  show(parts: readonly string[]): void {
    this.shown = parts;
  }

  /** Writes a line; a bar moves down for it. */
  line(text: string): void {
    if (this.held === undefined) this.write(text);
    else this.held.push(text);
  }

  /** Draws and writes nothing while `work` has the terminal, like a question. Its time does not count. */
  async pause<T>(work: () => Promise<T>): Promise<T> {
    const from = performance.now();
    this.held = [];
    this.clear();
    try {
      return await work();
    } finally {
      const { held } = this;
      this.held = undefined;
      this.started += performance.now() - from;
      for (const text of held) this.write(text);
    }
  }

  /** Restores the terminal. May be called twice. */
  stop(): void {
    // nothing is drawn
  }

  protected get paused(): boolean {
    return this.held !== undefined;
  }

  protected get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  protected write(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  /** Removes what is drawn. */
  protected clear(): void {
    // nothing is drawn
  }
}

/** Milliseconds between two lines. */
const PLAIN_EVERY = 5000;

/** For logs: a line every few seconds. */
export class PlainProgress extends Progress {
  override readonly shows: boolean = true;
  private readonly timer: NodeJS.Timeout;

  constructor(stderr: Writable, every = PLAIN_EVERY) {
    super(stderr);
    this.timer = setInterval(() => this.tick(), every);
  }

  private tick(): void {
    if (this.paused) return;
    const { latest, seconds, shown } = this;
    this.line(`rdbkit: ${(shown ?? progressParts(latest, seconds)).join(', ')}`);
    if (shown !== undefined) return;
    for (const { keys, name } of latest.servers ?? []) {
      this.line(`rdbkit:   ${printable(name)}: ${keysText(keys)}, ${countText(Math.round(keys / seconds))} keys/s`);
    }
  }

  override stop(): void {
    clearInterval(this.timer);
  }
}

/** `42%`, `227 MB of 540 MB`, keys, rate, time left; without a total `227 MB`, keys, rate, time elapsed. */
export function progressParts({ bytesRead, keys, totalBytes }: RunProgress, seconds: number): string[] {
  const rate = rateText(bytesRead, seconds);
  if (totalBytes === undefined || totalBytes === 0) return [bytesText(bytesRead), keysText(keys), rate, longText(Math.floor(seconds))];
  const done = Math.min(1, bytesRead / totalBytes);
  const left = done > 0 ? `${longText(Math.ceil((seconds / done) * (1 - done)))} left` : 'starting';
  return [`${Math.floor(done * 100)}%`, `${bytesText(bytesRead)} of ${bytesText(totalBytes)}`, keysText(keys), rate, left];
}
