import { setTimeout as delay } from 'node:timers/promises';
import { RdbError } from '../../bytes/errors.js';
import { reasonOf } from '../../redis/errors.js';
import { Waiting } from '../../redis/waiting.js';
import { KeySet } from '../../values/key-set.js';
import { type Claim, OTHERS } from '../claim.js';
import type { ClusterState, ClusterView } from '../cluster-state.js';
import type { NodeScan } from './node-scan.js';
import { MOST_REMEMBERED } from './scan-input.js';
import type { NodeScanTarget } from './scan-terms.js';
import { ScannedSlots, type SlotScan } from './scanned-slots.js';

/** How often the slots that have moved are scanned where they are now, until no others have moved meanwhile. */
const MOST_ROUNDS = 10;
/** Milliseconds between two attempts to ask the masters. */
const ASK_EVERY = 500;

export interface ScanRoundsOptions {
  /** The cluster, for messages. */
  readonly name: string;
  /** Milliseconds to retry masters that do not answer. */
  readonly retryFor: number;
  readonly signal: AbortSignal | undefined;
  /** Keys may come twice: see ScanOptions. */
  readonly repeats: boolean;
  readonly onEvent: ((text: string, notable?: boolean) => void) | undefined;
}

/**
 * The scans of all shards of a cluster. The shard that is done last goes on with the slots that have moved meanwhile, or are on their way
 * to another node: these are scanned where they are now.
 */
export class ScanRounds {
  /** The keys that all shards have written. */
  keys: KeySet;
  private slots = new ScannedSlots();
  private claims = new Map<number, Claim>();
  private opened = new Set<number>();
  private readonly done = new Set<number>();
  private readonly failed = new Set<number>();
  private rounds = 0;
  private view: ClusterView | undefined;
  private queue: SlotScan[] = [];
  private current: SlotScan | undefined;
  private settled = false;

  constructor(
    private readonly cluster: ClusterState,
    /** Shards that are read. */
    private readonly count: number,
    private readonly options: ScanRoundsOptions,
  ) {
    this.keys = this.noKeys;
  }

  private get noKeys(): KeySet {
    return new KeySet(this.options.repeats ? 0 : MOST_REMEMBERED);
  }

  /** A shard is going to be read. If it was read before, all are read again. */
  open(shard: number): void {
    if (this.opened.has(shard)) {
      this.keys = this.noKeys;
      this.slots = new ScannedSlots();
      this.claims = new Map();
      this.opened = new Set();
      this.done.clear();
      this.failed.clear();
      [this.rounds, this.view, this.queue, this.current, this.settled] = [0, undefined, [], undefined, false];
    }
    this.opened.add(shard);
  }

  /** What the master of a shard said before it was scanned. `wanted`: by slot, 1 for those that are. */
  begin(shard: number, claim: Claim, wanted: Uint8Array): void {
    this.claims.set(shard, { ...claim, states: claim.states.map((state, slot) => (wanted[slot] === 1 ? state : OTHERS)) });
  }

  /** The reading of a shard is over. */
  close(shard: number): void {
    if (!this.done.has(shard)) this.failed.add(shard);
  }

  /** What to scan after a scan of this shard, or one that this told. Throws RdbError: SOURCE_LOST. */
  async next(shard: number, { askedSlots, movedSlots }: NodeScan): Promise<NodeScanTarget | undefined> {
    const elsewhere = new Set([...askedSlots, ...movedSlots]);
    const claim = this.claims.get(shard);
    if (this.view !== undefined && this.current !== undefined) this.slots.done(this.current, this.view, elsewhere);
    else if (claim !== undefined) this.slots.scanned(shard, claim, elsewhere);
    this.done.add(shard);
    if (this.done.size + this.failed.size < this.count) return undefined;
    if (this.queue.length === 0) {
      this.view = await this.look();
      const due = this.slots.due(this.view, this.failed);
      this.settled = due.length === 0;
      if (this.settled || this.rounds === MOST_ROUNDS) return (this.current = undefined);
      this.rounds++;
      this.queue = due;
    }
    this.current = this.queue.shift();
    return this.current === undefined ? undefined : this.targetOf(this.current);
  }

  private targetOf({ asking, shard, slots }: SlotScan): NodeScanTarget {
    const { cluster, options } = this;
    const { name } = cluster.shards[shard];
    const count = slots.reduce((sum, slot) => sum + slot, 0);
    const what = count === 1 ? 'a slot' : `${count} slots`;
    options.onEvent?.(`${options.name}: ${what} ${asking ? 'on the way to' : 'that moved to'} ${name}: read there`);
    return { name, slots, asking, open: () => cluster.openMaster(shard) };
  }

  /** Asks the masters, as long as they may come back. */
  private async look(): Promise<ClusterView> {
    const { name, onEvent, retryFor, signal } = this.options;
    const waiting = new Waiting(retryFor, onEvent);
    for (;;) {
      try {
        return await this.cluster.view();
      } catch (error) {
        signal?.throwIfAborted();
        if (waiting.tooLong) throw new RdbError('SOURCE_LOST', { file: name, got: reasonOf(error), cause: error });
        waiting.tell(reasonOf(error), 0);
      }
      await delay(Math.min(ASK_EVERY, retryFor), undefined, { signal }).catch(() => undefined);
      signal?.throwIfAborted();
    }
  }

  /** Whether a slot was scanned on the master of this shard in the end, or on its way to it. */
  wasRead(slot: number, shard: number): boolean {
    return this.slots.wasRead(slot, shard);
  }

  /** Slots whose keys may be missing, after all was read. Throws ServerError and ConnectionLost. */
  async missing(): Promise<number[]> {
    if (this.settled) return this.slots.unread;
    const view = await this.cluster.view();
    const due = this.slots.due(view, new Set());
    const slots = [...view.owners.keys()].filter((slot) => due.some((scan) => scan.slots[slot] === 1) || view.owners[slot] < 0);
    return this.cluster.withKeys(slots, view);
  }
}
