import type { Delivery } from './delivery.js';
import type { Target } from '../values/targets.js';
import { OutputError } from '../io/output-error.js';
import type { OpenBatches } from './batches.js';
import { KeyCounts, type Rejected, type RestoreConflict, THERE } from './outcomes.js';
import type { CommandBatch, KeyListener } from './command-batch.js';
import { expiryOf, restoredBy } from './key-commands.js';
import { formatText } from '../bytes/text.js';
import { restamp } from '../rdb/payload.js';
import { HeldPayload } from './held-payload.js';

/** A key of a batch that is sent without others, and why: the server closes the connection at it, has half of it, has no transactions. */
export interface Closing {
  readonly why: 'closed' | 'half' | 'no transactions';
  readonly batch: CommandBatch;
  readonly server: string;
  readonly commands: Uint8Array;
  /** The error that the server sent before, if any. */
  readonly words: string | undefined;
}

export interface SegmentEvents {
  /** The outcome of a key that the server already has. */
  readonly conflictsAre: 'skipped' | 'rejected';
  /** RDB version of rejected payloads, whatever version they were sent with. */
  readonly version: number;
  /** Unix milliseconds of the expiry in a command; undefined if there is none. */
  readonly expireAt: (ttl: bigint, builtAt: number) => bigint | undefined;
  onRelease(batch: CommandBatch): void;
  /** Called for such a key; the callee settles it. */
  onClosing(segment: Segment, closing: Closing): void;
  onChange(): void;
}

/**
 * A part of a source, a few megabytes of records. It is done when every key in it is delivered or refused; only then do its
 * outcomes count.
 */
export class Segment implements KeyListener {
  readonly ledger = new KeyCounts();
  readonly rejects: Rejected[] = [];
  /** Records whose value is at a lower offset belong to this segment or an earlier one. */
  end = 0;
  private pending = 0;
  private open = true;

  constructor(private readonly events: SegmentEvents) {}

  /** `keys` more keys were sent. */
  expect(keys: number): void {
    this.pending += keys;
  }

  /** A key that was expected is not sent after all. */
  forget(): void {
    this.settle(1);
  }

  close(end: number): void {
    this.end = end;
    this.open = false;
    if (this.done) this.events.onChange();
  }

  get done(): boolean {
    return !this.open && this.pending === 0;
  }

  private settle(keys: number): void {
    this.pending -= keys;
    if (this.done) this.events.onChange();
  }

  delivered({ db }: Pick<CommandBatch, 'db'>, node: string, keys: number, replaced: number, uncounted = 0): void {
    const counts = this.ledger.at(db, node);
    counts.restored += keys - replaced;
    counts.replaced += replaced;
    counts.uncounted += uncounted;
    this.settle(keys);
  }

  conflict(batch: CommandBatch, node: string, commands: Uint8Array): void {
    if (this.events.conflictsAre === 'skipped') this.skip(batch.db, node);
    else this.refused(batch, node, commands, THERE);
  }

  skip(db: number, node: string): void {
    this.ledger.at(db, node).skipped++;
    this.settle(1);
  }

  refused(batch: CommandBatch, node: string, commands: Uint8Array, error: string): void {
    const { key, payload: sent, ttl } = restoredBy(commands);
    const payload = sent.slice();
    restamp(payload, this.events.version);
    const expireAt = this.events.expireAt(ttl, batch.builtAt);
    this.reject({ db: batch.db, key: formatText(key, 0, key.length), server: node, error, payload, expireAt });
  }

  closing(batch: CommandBatch, server: string, commands: Uint8Array, words: string | undefined): void {
    this.events.onClosing(this, { why: 'closed', batch, server, commands, words });
  }

  alone(batch: CommandBatch, server: string, commands: Uint8Array, half: boolean): void {
    this.events.onClosing(this, { why: half ? 'half' : 'no transactions', batch, server, commands, words: undefined });
  }

  /** Rejects a key that was expected. */
  reject(rejected: Rejected): void {
    this.leaveOut(rejected);
    this.settle(1);
  }

  /** Rejects a key that was not expected. */
  leaveOut(rejected: Rejected): void {
    this.ledger.at(rejected.db, rejected.server ?? '')[rejected.damaged === true ? 'damaged' : 'rejected']++;
    this.rejects.push(rejected);
  }

  /** Whether payloads of its rejected keys are held in spills. */
  get holds(): boolean {
    return this.rejects.some(({ payload }) => payload instanceof HeldPayload);
  }

  /** Closes the held payloads. */
  discard(): void {
    for (const { payload } of this.rejects) if (payload instanceof HeldPayload) payload.close();
  }

  released(batch: CommandBatch): void {
    this.events.onRelease(batch);
  }
}

export interface SegmentOptions {
  readonly target: Target;
  readonly delivery: Delivery;
  readonly conflict: RestoreConflict;
  /** A segment is done, and so are all before it. */
  onDone(segment: Segment): void;
}

/** Bytes of a source, and milliseconds, after which a segment ends. */
const SEGMENT_BYTES = 2 << 20;
const SEGMENT_MS = 250;

/** The current segment of a source, and the earlier ones that are not done, in order. */
export class Segments {
  current: Segment;
  /** Offset of the current value. */
  offset = -1;
  /** Whether the current key is incomplete. */
  midKey = false;
  private readonly before: Segment[] = [];
  private readonly events: SegmentEvents;
  private from = 0;
  private since = performance.now();

  constructor(
    private readonly options: SegmentOptions,
    private readonly batches: OpenBatches,
    onClosing: (segment: Segment, closing: Closing) => void,
  ) {
    this.events = {
      version: options.target.rdbVersion,
      onClosing,
      conflictsAre: options.conflict === 'skip' ? 'skipped' : 'rejected',
      expireAt: (ttl, builtAt) => expiryOf(ttl, options.target, builtAt),
      onRelease: (batch) => batches.release(batch),
      onChange: () => this.changed(),
    };
    this.current = new Segment(this.events);
  }

  private changed(): void {
    const { delivery } = this.options;
    while (delivery.failure === undefined && this.before.length > 0 && this.before[0].done) {
      try {
        this.options.onDone(this.before[0]);
        this.before.shift();
      } catch (error) {
        if (!(error instanceof OutputError)) throw error;
        delivery.fail(error); // the segment stays among those that are not done
      }
    }
    delivery.notify();
  }

  /** Ends the current segment if it is long enough; everything read so far must have been sent. */
  endIfLong(): void {
    const now = performance.now();
    if (this.midKey) return; // the key is not counted as sent yet
    if (this.offset - this.from < SEGMENT_BYTES && now - this.since < SEGMENT_MS) return;
    this.end();
  }

  end(): void {
    this.batches.sendAll();
    const { current } = this;
    this.before.push(current);
    this.current = new Segment(this.events);
    this.from = this.offset;
    this.since = performance.now();
    current.close(this.midKey ? this.offset : this.offset + 1);
  }

  /** Ends the current segment and waits until it is done. */
  async settle(signal: AbortSignal | undefined): Promise<void> {
    this.end();
    await this.untilDone(signal);
  }

  /** Waits until all ended segments are done or `signal` is aborted. */
  async untilDone(signal: AbortSignal | undefined): Promise<void> {
    const { delivery } = this.options;
    while (this.before.length > 0 && signal?.aborted !== true) {
      await delivery.calm();
      await delivery.wait();
    }
  }

  /** The segments that are not done. */
  get unfinished(): readonly Segment[] {
    return [...this.before, this.current];
  }
}
