/** A connection to a master, as far as this matters. */
export interface Busy {
  /** What is to be sent next. */
  readonly open: { readonly size: number; readonly commands: number };
  /** Bytes without an answer. */
  readonly bytes: number;
}

/** Enough bytes to send to a busy master. */
const GATHERED = 128 << 10;
/** The longest time to gather, in milliseconds. */
const LONGEST = 3;

/**
 * Decides when to send the writes of a piece of the stream: at once to an idle master, or together with the pieces that follow while the
 * master is busy. Each send costs a record, a write and a read; one send per read of the source would take a tenth of a sync's CPU time
 * at 400,000 writes a second.
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
