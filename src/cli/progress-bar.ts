import { columns } from './io.js';
import { Progress, progressParts } from './progress.js';

/** Seconds before the bar appears, so that short runs show none. */
const PATIENCE = 0.7;
/** Milliseconds. */
const REDRAW_EVERY = 100;
const WIDEST_BAR = 40;
const NARROWEST_BAR = 10;
const GAP = '  ';

/** Terminal sequences: to the beginning of the line, and what clears the line from the cursor on. */
const HOME = '\r';
const CLEAR = '\u001b[K';

/** Indexes of progressParts, most important first: percent or bytes, then time left, bytes, keys, rate. */
const IMPORTANCE = { total: [0, 4, 1, 2, 3], noTotal: [0, 1, 3, 2] };

/**
 * A bar that a timer redraws on the line of the cursor, wherever that is: a terminal that scrolls, or somebody who presses Enter, moves
 * it. It does not hide the cursor or disable line wrapping, so a killed process leaves only the line.
 */
export class BarProgress extends Progress {
  override readonly shows: boolean = true;
  private readonly timer = setInterval(() => this.draw(), REDRAW_EVERY);
  private drawn = '';

  override stop(): void {
    clearInterval(this.timer);
    this.clear();
  }

  protected override write(text: string): void {
    const { drawn } = this;
    this.clear();
    super.write(text);
    if (drawn !== '') this.draw();
  }

  protected override clear(): void {
    if (this.drawn !== '') this.stderr.write(HOME + CLEAR);
    this.drawn = '';
  }

  private draw(): void {
    if (this.paused || this.seconds < PATIENCE) return;
    const width = columns(this.stderr) - 1;
    const text = this.shown === undefined ? this.bar(width) : fittingText(this.shown, width);
    if (text === this.drawn) return;
    this.stderr.write(HOME + text + CLEAR);
    this.drawn = text;
  }

  private bar(width: number): string {
    const { bytesRead, totalBytes } = this.latest;
    const done = totalBytes === undefined || totalBytes === 0 ? undefined : Math.min(1, bytesRead / totalBytes);
    return barText(progressParts(this.latest, this.seconds), done, width);
  }
}

/** The first parts, as many as fit into the width. */
export function fittingText(parts: readonly string[], width: number): string {
  let text = '';
  for (const part of parts) {
    const longer = text === '' ? part : text + GAP + part;
    if (longer.length > width) break;
    text = longer;
  }
  return text;
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
