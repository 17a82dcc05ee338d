import { Answers } from '../redis/answers.js';
import type { Batch } from './command-batch.js';
import { ConnectionLost } from '../redis/errors.js';

export interface FlightEvents {
  /** Commands of a unit were answered with errors. */
  unitFailed(batch: Batch, unit: number, errors: readonly (string | undefined)[]): void;
  /** All replies to a batch have come. */
  batchAnswered(batch: Batch): void;
  /** All replies to other commands have come. */
  answered(answers: Answers): void;
}

/** What was sent on a connection and waits for replies, which come in the same order. */
export class Flight {
  private items: (Batch | Answers)[] = [];
  private bytes = 0;
  private units = 0;

  constructor(private readonly events: FlightEvents) {}

  get size(): number {
    return this.items.length;
  }

  /** Whether a batch may be sent too, with so many bytes and units on their way at a time; one may always be. */
  fits({ length, units }: Batch, window: number, windowUnits: number): boolean {
    return this.items.length === 0 || (this.bytes + length <= window && this.units + units <= windowUnits);
  }

  addBatch(batch: Batch): void {
    this.items.push(batch);
    this.bytes += batch.length;
    this.units += batch.units;
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
  clear(): (Batch | Answers)[] {
    const { items } = this;
    this.items = [];
    this.bytes = this.units = 0;
    return items;
  }

  /** What the next reply is for. */
  private get head(): Batch | Answers {
    if (this.items.length === 0) throw new ConnectionLost('a reply came that nothing was sent for');
    return this.items[0];
  }

  /** So many replies `+OK` came. Throws ConnectionLost where nothing waits for them. */
  oks(count: number): void {
    for (let left = count; left > 0; ) {
      const { head } = this;
      if (head instanceof Answers || head.perUnit !== 1) {
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
      if (errors !== undefined) this.events.unitFailed(head, head.answered - 1, errors);
      if (this.items[0] !== head) return; // the connection was given up for that, and the batch with it
    }
    this.afterReply(head);
  }

  private afterReply(batch: Batch): void {
    if (!batch.complete) return;
    this.items.shift();
    this.bytes -= batch.length;
    this.units -= batch.units;
    this.events.batchAnswered(batch);
  }
}
