import { ConnectionLost } from './errors.js';
import type { OtherReply } from './replies.js';

/** Something that was sent and waits for replies. */
export interface Pending {
  /** All replies are in, and nothing more is sent. */
  readonly complete: boolean;
  /** Takes up to `count` replies `+OK`. Returns how many it took, at least one. */
  takeOks(count: number): number;
  /** Takes the next reply: the text of an error, the integer if it is one, or what else it is. */
  takeReply(error: string | undefined, integer: number | undefined, other?: OtherReply): void;
  /** Takes up to `count` replies `+QUEUED`, as `takeOks` does (default: as other replies). */
  takeQueued?(count: number): number;
}

/** What was sent on a connection and waits for replies, which arrive in the same order. */
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

  /** Returns what was waiting. */
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

  /** `count` replies `+OK` arrived. Throws ConnectionLost if nothing waits for them. */
  takeOks(count: number): void {
    for (let left = count; left > 0; ) {
      const { head } = this;
      left -= head.takeOks(left);
      if (!this.settle(head)) return;
    }
  }

  /** `count` replies `+QUEUED` arrived. Throws ConnectionLost if nothing waits for them. */
  takeQueued(count: number): void {
    for (let left = count; left > 0; ) {
      const { head } = this;
      if (head.takeQueued === undefined) {
        head.takeReply(undefined, undefined);
        left--;
      } else left -= head.takeQueued(left);
      if (!this.settle(head)) return;
    }
  }

  /** Another reply arrived. Throws ConnectionLost if nothing waits for it. */
  takeReply(error: string | undefined, integer: number | undefined, other?: OtherReply): void {
    if (this.items.length === 0 && error !== undefined) throw new ConnectionLost(error); // the server says why it closes the connection
    const { head } = this;
    head.takeReply(error, integer, other);
    this.settle(head);
  }

  /** Returns false if the reply made the owner give up the connection. */
  private settle(item: Pending): boolean {
    if (this.items[0] !== item) return false;
    if (item.complete) {
      this.items.shift();
      this.onComplete(item);
    }
    return true;
  }
}
