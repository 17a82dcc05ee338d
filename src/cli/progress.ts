import type { Writable } from 'node:stream';
import type { RunProgress } from '../pipeline/run.js';
import { bytesText, countText, keysText, longText, rateText } from './numbers.js';
import { printable } from './printable.js';

/** Shows how far a run is, on standard error. */
export interface Progress {
  /** Called for every chunk, never for a key; must be cheap. */
  update(progress: RunProgress): void;
  /** Writes a line; a bar moves down for it. */
  line(text: string): void;
  /** Restores the terminal. May be called twice. */
  stop(): void;
}

export class NoProgress implements Progress {
  constructor(private readonly stderr: Writable) {}

  update(): void {
    // no progress was asked for
  }

  line(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  stop(): void {
    // nothing is drawn
  }
}

/** Milliseconds between two lines. */
const PLAIN_EVERY = 5000;

/** For logs: a line every few seconds. */
export class PlainProgress implements Progress {
  private latest: RunProgress = { bytesRead: 0, totalBytes: undefined, keys: 0 };
  private readonly started = performance.now();
  private readonly timer = setInterval(() => this.tick(), PLAIN_EVERY);

  constructor(private readonly stderr: Writable) {}

  update(progress: RunProgress): void {
    this.latest = progress;
  }

  line(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  private tick(): void {
    const seconds = (performance.now() - this.started) / 1000;
    this.line(`rdbkit: ${progressParts(this.latest, seconds).join(', ')}`);
    for (const { keys, name } of this.latest.servers ?? []) {
      this.line(`rdbkit:   ${printable(name)}: ${keysText(keys)}, ${countText(Math.round(keys / seconds))} keys/s`);
    }
  }

  stop(): void {
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
