/** A connection to a master, as far as this matters. */
export interface Busy {
  /** What is to be sent next. */
  readonly open: { readonly size: number; readonly commands: number };
  /** Bytes without an answer. */
  readonly bytes: number;
}

/** Bytes that are gathered while a master is busy, and milliseconds that they wait, at most. */
const GATHERED = 128 << 10;
const LONGEST = 3;

/**
 * Decides when the writes of a piece of the stream are sent: at once to a master that has answered everything; else with those of the
 * pieces after it, until an answer comes. Each time costs a record, a write and a read: to send after each read of the source would be a
 * tenth of the work of a sync at 400,000 writes a second.
 */
export class Gathering {
  private waits = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connections: readonly Busy[],
    /** Sends what was put. */
    private readonly send: () => void,
  ) {}

  /** The writes of a piece are put from now on. Until `endPiece`, nothing is sent by itself: a command may be half done. */
  beginPiece(): void {
    this.waits = false;
  }

  /** All writes of the piece were put. */
  endPiece(): void {
    const open = this.connections.filter(({ open }) => open.commands > 0);
    if (open.length === 0 || open.some(({ bytes, open }) => bytes === 0 || open.size >= GATHERED)) {
      this.send();
      return;
    }
    this.waits = true;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.flush();
    }, LONGEST);
  }

  /** Something else is to be sent, or an answer came: sends what waits. */
  flush(): void {
    if (this.waits) this.send();
  }

  /** Everything was sent. */
  sent(): void {
    this.waits = false;
  }

  close(): void {
    this.waits = false;
    clearTimeout(this.timer);
  }
}
