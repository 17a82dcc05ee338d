import { ConnectionLost } from './errors.js';

/** Something that was sent and waits for replies. */
export interface Pending {
  /** All its replies have come, and nothing more is sent. */
  readonly complete: boolean;
  /** Up to `count` replies `+OK`. Returns how many were taken, at least one. */
  takeOks(count: number): number;
  /** The next reply: the text of an error, or the integer where it is one. */
  takeReply(error: string | undefined, integer: number | undefined): void;
}

/** What was sent on a connection and waits for replies, which come in the same order. */
export class InFlight {
  private items: Pending[] = [];

  constructor(private readonly onComplete: (item: Pending) => void) {}

  get size(): number {
    return this.items.length;
  }

  add(item: Pending): void {
    this.items.push(item);
  }

  has(item: Pending): boolean {
    return this.items.includes(item);
  }

  remove(item: Pending): void {
    this.items = this.items.filter((other) => other !== item);
  }

  /** Returns all that there was. */
  clear(): Pending[] {
    const { items } = this;
    this.items = [];
    return items;
  }

  /** What the next reply is for. */
  private get head(): Pending {
    if (this.items.length === 0) throw new ConnectionLost('a reply came that nothing was sent for');
    return this.items[0];
  }

  /** `count` replies `+OK` came. Throws ConnectionLost where nothing waits for them. */
  takeOks(count: number): void {
    for (let left = count; left > 0; ) {
      const { head } = this;
      left -= head.takeOks(left);
      if (!this.settle(head)) return;
    }
  }

  /** Another reply came. Throws ConnectionLost where nothing waits for it. */
  takeReply(error: string | undefined, integer: number | undefined): void {
    if (this.items.length === 0 && error !== undefined) throw new ConnectionLost(error); // what a server says before it closes
    const { head } = this;
    head.takeReply(error, integer);
    this.settle(head);
  }

  /** Returns false where the connection was given up for the reply. */
  private settle(item: Pending): boolean {
    if (this.items[0] !== item) return false;
    if (item.complete) {
      this.items.shift();
      this.onComplete(item);
    }
    return true;
  }
}
