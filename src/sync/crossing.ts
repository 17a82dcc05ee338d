import { SLOTS } from '../bytes/crc16.js';
import { Signal } from '../redis/signal.js';
import { slotRangesOf } from '../redis/topology.js';
import type { KeyName } from './fences.js';
import type { Fetched } from './source/fetcher.js';

/** Fetches keys from whichever master has them. */
export interface AnywhereFetcher {
  /** Gives each key once, in any order; the values are not older than the call. */
  each(keys: readonly KeyName[], signal: AbortSignal, take: (fetched: Fetched, key: KeyName) => Promise<void>): Promise<void>;
}

/** A lane, as the others see it. */
export interface Crosser {
  readonly number: number;
  /** What it sent to the target is answered, and it sends nothing until `turn` is over. */
  parked: boolean;
  /** Another run would not apply its commands up to this offset again. */
  readonly kept: number;
  /** Offset up to which its stream was received, and the history of its end. */
  readonly received: number;
  readonly history: string;
  /** It is to come to a place where it can park. */
  interrupt(): void;
  fenceAt(name: KeyName, offset: number): void;
}

const IN_TRANSIT = -1;
const OUTSIDE = 'outside';

/**
 * What the lanes of a cluster share, since keys move between its masters, and their commands then come in two streams.
 *
 * A slot belongs to one lane, or is in transit: from the moment that another lane has a command on one of its keys, until no lane can have
 * an older one any more. Keys of a slot in transit are never written by commands of a stream: they are fetched from whichever master
 * has them, while all lanes rest. What lanes had received before that is in the value, so each drops its commands on the key up to there;
 * later ones make it be fetched again. That is right however often a slot moves.
 */
export class Crossing {
  /** By slot: the number of its lane, or -1 in transit. */
  private readonly owners = new Int16Array(SLOTS).fill(IN_TRANSIT);
  private readonly lanes: Crosser[] = [];
  private readonly change = new Signal();
  private current: Crosser | typeof OUTSIDE | undefined;
  private waiting = 0;
  /** The target does not know the owners as they are. */
  private changed = false;

  constructor(
    readonly fetcher: AnywhereFetcher,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.change.fire());
  }

  add(lane: Crosser): void {
    this.lanes.push(lane);
  }

  /** A lane has come to its end, and its master has no slots. */
  remove(lane: Crosser): void {
    this.lanes.splice(this.lanes.indexOf(lane), 1);
    this.change.fire();
  }

  /** All slots of a lane are in transit from now on. */
  leave(lane: number): void {
    this.owners.forEach((owner, slot) => owner === lane && this.transit(slot));
  }

  /** Forgets all lanes. */
  clear(): void {
    this.lanes.length = 0;
  }

  others(lane: Crosser): readonly Crosser[] {
    return this.lanes.filter((other) => other !== lane);
  }

  /** Whether the commands of a lane on a slot cannot be applied as they come. */
  isForeign(lane: number, slot: number): boolean {
    if (this.owners[slot] === lane) return false;
    this.transit(slot);
    return true;
  }

  isInTransit(slot: number): boolean {
    return this.owners[slot] === IN_TRANSIT;
  }

  isOf(lane: number, slot: number): boolean {
    return this.owners[slot] === lane;
  }

  transit(slot: number): void {
    if (this.owners[slot] === IN_TRANSIT) return;
    this.owners[slot] = IN_TRANSIT;
    this.changed = true;
  }

  /** Says that a slot belongs to a lane. */
  give(slot: number, lane: number): void {
    if (this.owners[slot] === lane) return;
    this.owners[slot] = lane;
    this.changed = true;
  }

  get slotsInTransit(): number[] {
    return [...this.owners.keys()].filter((slot) => this.isInTransit(slot));
  }

  /** Whether the owners have to be told to the target. */
  takeChanged(): boolean {
    const { changed } = this;
    this.changed = false;
    return changed;
  }

  /** The owners as a text, such as `0:0-5460,1:5461-10922`. */
  get text(): string {
    const lanes = [...new Set(this.owners)].filter((lane) => lane !== IN_TRANSIT);
    return lanes.flatMap((lane) => slotRangesOf(this.owners, lane).map(([from, to]) => `${lane}:${from}-${to}`)).join(',');
  }

  /** Takes over what masters of the target say; slots that they do not agree on are in transit. */
  read(texts: readonly string[]): void {
    const [first, ...others] = texts.map(ownersIn);
    this.owners.fill(IN_TRANSIT);
    if (texts.length > 0) {
      first.forEach((lane, slot) => {
        if (others.every((other) => other[slot] === lane)) this.owners[slot] = lane;
      });
    }
    this.changed = true;
  }

  /** Whether a lane has to rest for another one. */
  asks(lane: Crosser): boolean {
    return (this.current !== undefined && this.current !== lane) || this.waiting > 0;
  }

  /** A lane rests, with everything answered that it sent, as long as others ask for it. Throws the reason of the signal. */
  async park(lane: Crosser): Promise<void> {
    lane.parked = true;
    this.change.fire();
    while (this.asks(lane)) await this.wait();
    lane.parked = false;
  }

  /** A lane has ended: it rests for good. */
  rest(lane: Crosser): void {
    lane.parked = true;
    this.change.fire();
  }

  /** Works while all other lanes rest, or all if `lane` is undefined. What it sent is answered. Throws the reason of the signal. */
  async turn<T>(lane: Crosser | undefined, work: () => Promise<T>): Promise<T> {
    if (lane !== undefined) lane.parked = true;
    this.waiting++;
    this.change.fire();
    try {
      const others = this.lanes.filter((other) => other !== lane);
      for (const other of others) other.interrupt();
      while (this.current !== undefined) await this.wait();
      this.current = lane ?? OUTSIDE;
    } finally {
      this.waiting--;
    }
    try {
      while (this.lanes.some((other) => other !== lane && !other.parked)) await this.wait();
      return await work();
    } finally {
      this.current = undefined;
      if (lane !== undefined) lane.parked = false;
      this.change.fire();
    }
  }

  private async wait(): Promise<void> {
    this.signal.throwIfAborted();
    await this.change.wait();
    this.signal.throwIfAborted();
  }
}

function ownersIn(text: string): Int16Array {
  const owners = new Int16Array(SLOTS).fill(IN_TRANSIT);
  for (const [, lane, from, to] of text.matchAll(/(\d+):(\d+)-(\d+)/g)) {
    owners.fill(Number(lane), Number(from), Math.min(Number(to), SLOTS - 1) + 1);
  }
  return owners;
}
