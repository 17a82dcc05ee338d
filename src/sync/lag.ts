/** Samples kept. */
const MOST = 4096;

/** How many seconds a position is late: since when the source has been beyond it. */
export class LagClock {
  private samples: { readonly offset: number; readonly at: number }[] = [];

  /** The source is at this offset now. */
  tell(offset: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && offset <= last.offset) return;
    this.samples.push({ offset, at: performance.now() });
    if (this.samples.length > MOST) this.samples = this.samples.filter((_, i) => i % 2 === 0 || i > MOST / 2);
  }

  /** 0 if the source is not known to be beyond it. */
  secondsAt(offset: number): number {
    const first = this.samples.findIndex((sample) => sample.offset > offset);
    if (first < 0) return 0;
    if (first > 1) this.samples = this.samples.slice(first - 1);
    const beyond = this.samples[Math.min(first, 1)];
    return (performance.now() - beyond.at) / 1000;
  }
}
