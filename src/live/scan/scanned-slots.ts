import { SLOTS } from '../../bytes/crc16.js';
import { type Claim, LEAVING, owns } from '../claim.js';
import type { ClusterView } from '../cluster-state.js';

/** Slots to scan on the master of a shard. */
export interface SlotScan {
  readonly shard: number;
  /** By slot, 1 for those to scan. */
  readonly slots: Uint8Array;
  /** They are on their way to it: it only answers after ASKING. */
  readonly asking: boolean;
}

/**
 * Which slots were scanned where. A slot is done if its keys were scanned on a master that owned it before and owns it still; and if it
 * is on its way to another one, there too, after that: keys only go one way, so the second scan finds what the first one missed.
 */
export class ScannedSlots {
  /** By slot: the shard that owned it and was scanned; -1 for none. */
  private readonly owners = new Int16Array(SLOTS).fill(-1);
  /** By slot: it was on its way to another node when its owner was scanned. */
  private readonly leaving = new Uint8Array(SLOTS);
  /** By slot: the shards that it is on its way to and that were scanned after its owner. */
  private readonly coming = new Map<number, Set<number>>();

  /** All slots of a master were scanned, but for those where keys turned out to be elsewhere. `claim`: what it said before. */
  scanned(shard: number, { states }: Claim, elsewhere: ReadonlySet<number>): void {
    for (let slot = 0; slot < SLOTS; slot++) if (owns(states[slot])) this.owner(slot, shard, states[slot] === LEAVING, elsewhere);
  }

  /** A part of what `due` told for this view was scanned. */
  done({ asking, shard, slots }: SlotScan, view: ClusterView, elsewhere: ReadonlySet<number>): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (slots[slot] !== 1) continue;
      if (!asking) this.owner(slot, shard, view.coming.has(slot), elsewhere);
      else if (this.owners[slot] >= 0 && !elsewhere.has(slot)) this.importers(slot).add(shard);
    }
  }

  private importers(slot: number): Set<number> {
    let shards = this.coming.get(slot);
    if (shards === undefined) this.coming.set(slot, (shards = new Set()));
    return shards;
  }

  private owner(slot: number, shard: number, isLeaving: boolean, elsewhere: ReadonlySet<number>): void {
    this.owners[slot] = elsewhere.has(slot) && !isLeaving ? -1 : shard;
    this.leaving[slot] = isLeaving ? 1 : 0;
    this.coming.delete(slot);
  }

  /** What is yet to be scanned, in this order; nothing of the shards that failed. */
  due({ claimants, coming, owners }: ClusterView, failed: ReadonlySet<number>): SlotScan[] {
    const first = new Map<number, Uint8Array>();
    const then = new Map<number, Uint8Array>();
    const add = (to: Map<number, Uint8Array>, shard: number, slot: number): void => {
      const slots = to.get(shard) ?? new Uint8Array(SLOTS);
      slots[slot] = 1;
      to.set(shard, slots);
    };
    const masters = new Set(claimants.map(({ shard }) => shard));
    for (let slot = 0; slot < SLOTS; slot++) {
      const owner = owners[slot];
      if (owner < 0 || failed.has(owner) || !masters.has(owner)) continue;
      const importers = coming.get(slot) ?? [];
      const cameBack = this.leaving[slot] === 1 && importers.length === 0;
      const again = this.owners[slot] !== owner || cameBack;
      if (again) add(first, owner, slot);
      for (const shard of importers) {
        if (shard === owner || failed.has(shard)) continue;
        if (again || this.coming.get(slot)?.has(shard) !== true) add(then, shard, slot);
      }
    }
    return [
      ...[...first].map(([shard, slots]) => ({ shard, slots, asking: false })),
      ...[...then].map(([shard, slots]) => ({ shard, slots, asking: true })),
    ];
  }

  /** Whether a slot was scanned on this shard last, or on its way to it. */
  wasRead(slot: number, shard: number): boolean {
    return this.owners[slot] === shard || this.coming.get(slot)?.has(shard) === true;
  }

  /** Slots of which no owner was scanned. */
  get unread(): number[] {
    return [...this.owners.keys()].filter((slot) => this.owners[slot] < 0);
  }
}
