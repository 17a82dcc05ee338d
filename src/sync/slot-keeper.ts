import { SLOTS } from '../bytes/crc16.js';
import { LEAVING } from '../live/claim.js';
import type { ClusterView } from '../live/cluster-state.js';
import type { Crossing } from './crossing.js';
import type { Lane } from './lane.js';

/** A lane, and the place of its master among those of the source. */
export interface KeptLane {
  readonly shard: { readonly index: number };
  readonly number: number;
  readonly lane: Lane | undefined;
}

/** Slots that have come to rest, by the number of their lane, and the offsets that all lanes have to pass first. */
interface Resting {
  readonly slots: ReadonlyMap<number, number>;
  readonly ends: ReadonlyMap<number, number>;
}

export interface SlotKeeperOptions {
  readonly crossing: Crossing;
  readonly lanes: readonly KeptLane[];
  /** Throws ServerError and ConnectionLost. */
  readonly view: () => Promise<ClusterView>;
  /** The offset of the last write of a master now. */
  readonly offsetOf: (lane: KeptLane) => Promise<number>;
  readonly onEvent: (text: string) => void;
}

/** Gives slots in transit to the lane of the master that has them, once no other lane can have commands on them any more. */
export class SlotKeeper {
  private resting: Resting | undefined;

  constructor(private readonly options: SlotKeeperOptions) {}

  /** To be called about once a second. Throws ServerError, ConnectionLost and Detached. */
  async look(view: ClusterView): Promise<void> {
    const { crossing, lanes, offsetOf } = this.options;
    const { resting } = this;
    const moving = crossing.slotsInTransit;
    if (moving.length === 0) return;
    const hasPassed = ({ lane, number }: KeptLane): boolean =>
      lane?.attached === true && lane.kept >= (resting?.ends.get(number) ?? Infinity);
    if (resting !== undefined && lanes.every(hasPassed)) {
      this.resting = undefined;
      await crossing.turn(undefined, () => this.give(resting.slots));
      return;
    }
    const slots = this.atRest(view, moving);
    if (slots.size === 0) this.resting = undefined;
    else if (resting === undefined || slots.size > resting.slots.size) {
      const ends = await Promise.all(lanes.map(async (lane) => [lane.number, await offsetOf(lane)] as const));
      this.resting = { slots, ends: new Map(ends) };
    }
  }

  /** Of some slots those that one master has, and no other one gets. */
  private atRest({ claimants, coming, owners }: ClusterView, slots: Iterable<number>): Map<number, number> {
    const { lanes } = this.options;
    const leaving = new Uint8Array(SLOTS);
    for (const { claim } of claimants) claim.states.forEach((state, slot) => state === LEAVING && (leaving[slot] = 1));
    const found = new Map<number, number>();
    for (const slot of slots) {
      const lane = lanes.find(({ shard }) => shard.index === owners[slot]);
      if (lane !== undefined && leaving[slot] === 0 && !coming.has(slot)) found.set(slot, lane.number);
    }
    return found;
  }

  /** While all lanes rest: whoever has the slots now has had them for longer than any lane lags, or its commands are yet to come. */
  private async give(slots: ReadonlyMap<number, number>): Promise<void> {
    const { crossing, lanes, onEvent, view } = this.options;
    const now = this.atRest(await view(), slots.keys());
    let given = 0;
    for (const [slot, lane] of slots) {
      if (now.get(slot) !== lane || !crossing.isInTransit(slot)) continue;
      crossing.give(slot, lane);
      given++;
    }
    if (given === 0) return;
    crossing.takeChanged();
    onEvent(`the source has moved ${given === 1 ? 'a slot' : `${given} slots`} between its masters`);
    await lanes.find(({ lane }) => lane?.attached === true)?.lane?.writeSlots(crossing.text);
  }
}
