import type { Batch, Delivery } from '../redis/batch.js';
import { restoredBy } from '../redis/commands.js';
import { formatText } from '../bytes/text.js';
import { restamp } from '../rdb/payload.js';
import { HeldPayload } from './held-payload.js';
import { Ledger } from './ledger.js';

/** What becomes of a key that the target has: it is an error, it stays, it is replaced. */
export type RestoreConflict = 'error' | 'skip' | 'replace';

/** Why a key is rejected that the target has. */
export const THERE = 'the target has the key already: another client wrote it, or another source or database has the same key';

/** How a reason begins that the server itself has not said. */
export const CLOSES = 'the server closes the connection';

/** A key that is not on the server, and why. */
export interface Rejected {
  readonly db: number;
  /** In the text form. */
  readonly key: string;
  /** `host:port`, where a server refused it. */
  readonly server: string | undefined;
  readonly error: string;
  /** The DUMP payload: absent only where it is not kept. One that is put aside is closed with the stretch. */
  readonly payload: Uint8Array | HeldPayload | undefined;
  /** Unix milliseconds, where there is one. */
  readonly expireAt: bigint | undefined;
}

/** A unit that a server closes the connection at. */
export interface Closing {
  readonly batch: Batch;
  readonly server: string;
  readonly unit: Uint8Array;
  /** What the server said before. */
  readonly words: string | undefined;
}

export interface StretchEvents {
  /** A server had the key already, and that is an error. */
  readonly conflictsAre: 'skipped' | 'rejected';
  /** RDB version of payloads that are rejected: that of all of them, whatever they were sent with. */
  readonly version: number;
  /** Unix milliseconds of an expiry, from that in a command. */
  readonly expireAt: (ttl: bigint, builtAt: number) => bigint | undefined;
  onRelease(batch: Batch): void;
  /** Whoever hears of it settles the key. */
  onClosing(stretch: Stretch, closing: Closing): void;
  onChange(): void;
}

/**
 * A stretch of a source: what was read at a go. It is done when everything that came from it is delivered or refused; what
 * comes of it counts for good then, and no earlier.
 */
export class Stretch implements Delivery {
  readonly ledger = new Ledger();
  readonly rejects: Rejected[] = [];
  /** Records with a value at an offset below this belong to it, or to one before. */
  end = 0;
  private pending = 0;
  private open = true;

  constructor(private readonly events: StretchEvents) {}

  /** So many keys are on their way. */
  expect(units: number): void {
    this.pending += units;
  }

  close(end: number): void {
    this.end = end;
    this.open = false;
    if (this.done) this.events.onChange();
  }

  get done(): boolean {
    return !this.open && this.pending === 0;
  }

  private settle(units: number): void {
    this.pending -= units;
    if (this.done) this.events.onChange();
  }

  delivered({ db }: Pick<Batch, 'db'>, node: string, units: number, replaced: number, uncounted = 0): void {
    const counts = this.ledger.at(db, node);
    counts.restored += units - replaced;
    counts.replaced += replaced;
    counts.uncounted += uncounted;
    this.settle(units);
  }

  conflict(batch: Batch, node: string, unit: Uint8Array): void {
    if (this.events.conflictsAre === 'skipped') this.skip(batch.db, node);
    else this.refused(batch, node, unit, THERE);
  }

  skip(db: number, node: string): void {
    this.ledger.at(db, node).skipped++;
    this.settle(1);
  }

  refused(batch: Batch, node: string, unit: Uint8Array, error: string): void {
    const { key, payload: sent, ttl } = restoredBy(unit);
    const payload = sent.slice();
    restamp(payload, this.events.version);
    const expireAt = this.events.expireAt(ttl, batch.builtAt);
    this.reject({ db: batch.db, key: formatText(key, 0, key.length), server: node, error, payload, expireAt });
  }

  closing(batch: Batch, server: string, unit: Uint8Array, words: string | undefined): void {
    this.events.onClosing(this, { batch, server, unit, words });
  }

  /** A key that was on its way. */
  reject(rejected: Rejected): void {
    this.leaveOut(rejected);
    this.settle(1);
  }

  /** A key that never was on its way. */
  leaveOut(rejected: Rejected): void {
    this.ledger.at(rejected.db, rejected.server ?? '').rejected++;
    this.rejects.push(rejected);
  }

  /** Whether payloads are put aside for its rejected keys. */
  get holds(): boolean {
    return this.rejects.some(({ payload }) => payload instanceof HeldPayload);
  }

  /** Nobody needs the payloads any more that are put aside. */
  discard(): void {
    for (const { payload } of this.rejects) if (payload instanceof HeldPayload) payload.close();
  }

  released(batch: Batch): void {
    this.events.onRelease(batch);
  }
}
