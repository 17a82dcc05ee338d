import { Answers } from '../redis/answers.js';
import type { CommandBatch } from './command-batch.js';
import { ConnectionLost } from '../redis/errors.js';

export interface InFlightEvents {
  /** Commands of a key were answered with errors. */
  keyFailed(batch: CommandBatch, index: number, errors: readonly (string | undefined)[]): void;
  /** All replies to a batch have come. */
  batchAnswered(batch: CommandBatch): void;
  /** All replies to other commands have come. */
  answered(answers: Answers): void;
}

/** What was sent on a connection and waits for replies, which come in the same order. */
export class InFlight {
  private items: (CommandBatch | Answers)[] = [];
  private bytes = 0;
  private keys = 0;

  constructor(private readonly events: InFlightEvents) {}

  get size(): number {
    return this.items.length;
  }

  /** Whether a batch may be sent too, with so many bytes and keys on their way at a time; one may always be. */
  fits({ length, keys }: CommandBatch, window: number, windowKeys: number): boolean {
    return this.items.length === 0 || (this.bytes + length <= window && this.keys + keys <= windowKeys);
  }

  addBatch(batch: CommandBatch): void {
    this.items.push(batch);
    this.bytes += batch.length;
    this.keys += batch.keys;
  }

  add(answers: Answers): void {
    this.items.push(answers);
  }

  has(answers: Answers): boolean {
    return this.items.includes(answers);
  }

  remove(answers: Answers): void {
    this.items = this.items.filter((item) => item !== answers);
  }

  /** Returns all that there was. */
  clear(): (CommandBatch | Answers)[] {
    const { items } = this;
    this.items = [];
    this.bytes = this.keys = 0;
    return items;
  }

  /** What the next reply is for. */
  private get head(): CommandBatch | Answers {
    if (this.items.length === 0) throw new ConnectionLost('a reply came that nothing was sent for');
    return this.items[0];
  }

  /** So many replies `+OK` came. Throws ConnectionLost where nothing waits for them. */
  oks(count: number): void {
    for (let left = count; left > 0; ) {
      const { head } = this;
      if (head instanceof Answers || head.perKey !== 1) {
        this.reply(undefined, undefined);
        left--;
      } else {
        left -= head.takeOks(left);
        this.afterReply(head);
      }
    }
  }

  /** Another reply came. Throws ConnectionLost where nothing waits for it. */
  reply(error: string | undefined, integer: number | undefined): void {
    if (this.items.length === 0 && error !== undefined) throw new ConnectionLost(error); // what a server says before it closes
    const { head } = this;
    if (head instanceof Answers) {
      head.take(error, integer);
      if (!head.complete) return;
      this.items.shift();
      this.events.answered(head);
      return;
    }
    if (head.takeOne(error, integer)) {
      const errors = head.takeErrors();
      if (errors !== undefined) this.events.keyFailed(head, head.answered - 1, errors);
      if (this.items[0] !== head) return; // the connection was given up for that, and the batch with it
    }
    this.afterReply(head);
  }

  private afterReply(batch: CommandBatch): void {
    if (!batch.complete) return;
    this.items.shift();
    this.bytes -= batch.length;
    this.keys -= batch.keys;
    this.events.batchAnswered(batch);
  }
}
