import type { Redis } from 'ioredis';
import type { Batch } from './command-batch.js';
import { restoredBy } from '../redis/commands.js';
import type { Link } from './delivery-connection.js';

/** A unit whose key is there, and that may be of our own making. */
export interface Suspect {
  readonly link: Link;
  readonly batch: Batch;
  readonly unit: Uint8Array;
}

/** What a key that is there turned out to be; `gone` means that it is there no more. */
export type Finding = 'ours' | 'other' | 'gone';

export interface ComparerEvents {
  /** Whether two payloads mean the same value. */
  same(ours: Uint8Array, theirs: Uint8Array): boolean;
  /** A connection for single commands to the server of a link. */
  client(link: Link): Promise<Redis>;
  found(suspect: Suspect, finding: Finding): void;
  /** It could not be asked. */
  failed(suspect: Suspect, error: unknown): void;
}

/** Keys, and bytes of our own values, that are asked for at a time. */
const AT_A_TIME = 200;
const BYTES_AT_A_TIME = 1 << 20;

/** Asks servers for what they have under keys that are there already. */
export class Comparer {
  private suspects: Suspect[] = [];
  private working = false;

  constructor(private readonly events: ComparerEvents) {}

  /** Keys that are yet to be compared. */
  get waiting(): number {
    return this.suspects.length;
  }

  add(suspect: Suspect): void {
    this.suspects.push(suspect);
    void this.work();
  }

  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    while (this.suspects.length > 0) {
      const some = this.next();
      await this.compare(some);
    }
    this.working = false;
  }

  /** Those at the front that one server has, in one database. */
  private next(): Suspect[] {
    const [first] = this.suspects;
    let bytes = 0;
    let count = 0;
    for (const { batch, link, unit } of this.suspects) {
      const fits = link === first.link && batch.db === first.batch.db && batch.asking === first.batch.asking;
      if (!fits || count === AT_A_TIME || (count > 0 && bytes + unit.length > BYTES_AT_A_TIME)) break;
      bytes += unit.length;
      count++;
    }
    return this.suspects.splice(0, count);
  }

  private async compare(suspects: readonly Suspect[]): Promise<void> {
    const { events } = this;
    let replies: Replies = [];
    let failure: unknown;
    try {
      replies = await dumps(await events.client(suspects[0].link), suspects);
    } catch (error) {
      failure = error;
    }
    suspects.forEach((suspect, i) => {
      const [error, theirs] = replies.at(i) ?? [failure, null];
      if (error !== null && error !== undefined) events.failed(suspect, error);
      else if (theirs === null) events.found(suspect, 'gone');
      else events.found(suspect, events.same(restoredBy(suspect.unit).payload, theirs) ? 'ours' : 'other');
    });
  }
}

type Replies = (readonly [error: unknown, payload: Buffer | null])[];

/** What DUMP says of each. */
async function dumps(client: Redis, suspects: readonly Suspect[]): Promise<Replies> {
  const [{ batch }] = suspects;
  const pipeline = client.pipeline();
  pipeline.select(batch.db);
  for (const { unit } of suspects) {
    if (batch.asking) pipeline.asking();
    pipeline.dumpBuffer(Buffer.from(restoredBy(unit).key));
  }
  const [selected, ...replies] = (await pipeline.exec()) ?? [];
  if (selected[0] !== null) throw selected[0];
  return (batch.asking ? replies.filter((_, i) => i % 2 === 1) : replies) as Replies;
}
