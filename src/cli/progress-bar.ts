import type { Writable } from 'node:stream';
import type { SingleBar } from 'cli-progress';
import type { RunProgress } from '../pipeline/run.js';
import { columns } from './io.js';
import { type Progress, progressParts } from './progress.js';

/** Milliseconds before the bar appears, so that short runs show none. */
const PATIENCE = 700;
const REDRAWS_PER_SECOND = 10;
const WIDEST_BAR = 40;
const NARROWEST_BAR = 10;
const GAP = '  ';

/** Indexes of progressParts, most important first: percent or bytes, then time left, bytes, keys, rate. */
const IMPORTANCE = { total: [0, 4, 1, 2, 3], noTotal: [0, 1, 3, 2] };

/** A bar that a timer redraws. It does not hide the cursor or disable line wrapping, so a killed process leaves only the line. */
export class BarProgress implements Progress {
  private latest: RunProgress = { bytesRead: 0, totalBytes: undefined, keys: 0 };
  private readonly started = performance.now();
  private bar: SingleBar | undefined;
  private readonly waiting: NodeJS.Timeout;
  private stopped = false;

  constructor(private readonly stderr: Writable) {
    this.waiting = setTimeout(() => void this.begin(), PATIENCE);
  }

  update(progress: RunProgress): void {
    this.latest = progress;
  }

  /**
   * Clears the bar before the line is written: cli-progress redraws from where the bar began, which must be below the line then.
   */
  line(text: string): void {
    this.bar?.stop();
    this.stderr.write(`${text}\n`);
    this.bar?.start(1, 0);
  }

  stop(): void {
    clearTimeout(this.waiting);
    this.stopped = true;
    this.bar?.stop();
    this.bar = undefined;
  }

  /** Loads what draws the bar, which short runs do without. */
  private async begin(): Promise<void> {
    const { SingleBar } = (await import('cli-progress')).default;
    if (this.stopped) return;
    this.bar = new SingleBar({
      stream: this.stderr,
      fps: REDRAWS_PER_SECOND,
      format: () => this.text(),
      clearOnComplete: true,
      linewrap: true, // leaves the terminal its own setting
      gracefulExit: false,
    });
    this.bar.start(1, 0);
  }

  private text(): string {
    const { bytesRead, totalBytes } = this.latest;
    const parts = progressParts(this.latest, (performance.now() - this.started) / 1000);
    const done = totalBytes === undefined || totalBytes === 0 ? undefined : Math.min(1, bytesRead / totalBytes);
    return barText(parts, done, columns(this.stderr) - 1);
  }
}

/** As many parts as fit into the width, in order, and a bar if there is room for one. */
export function barText(parts: readonly string[], done: number | undefined, width: number): string {
  const kept = new Set<number>();
  let length = -GAP.length;
  for (const i of done === undefined ? IMPORTANCE.noTotal : IMPORTANCE.total) {
    const more = GAP.length + (parts[i] ?? '').length;
    if (length + more > width) break;
    length += more;
    kept.add(i);
  }
  const shown = parts.filter((_, i) => kept.has(i));
  const room = Math.min(WIDEST_BAR, width - length - GAP.length - 2);
  if (done !== undefined && room >= NARROWEST_BAR) {
    const filled = Math.round(room * done);
    shown.splice(1, 0, `[${'='.repeat(filled)}${' '.repeat(room - filled)}]`);
  }
  return shown.join(GAP).slice(0, Math.max(0, width));
}
