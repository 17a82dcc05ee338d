/** Something has changed: whoever waits looks again. */
export class Signal {
  private waiting: (() => void)[] = [];

  /** Until the next `fire`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  fire(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
