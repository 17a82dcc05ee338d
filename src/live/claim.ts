import { SLOTS } from '../bytes/crc16.js';
import type { ClusterNodes } from '../redis/cluster-nodes.js';

/** What a slot is to a master: another one's; its own; its own, and its keys are on their way to another one; on its way here. */
export const OTHERS = 0;
export const OWN = 1;
export const LEAVING = 2;
export const COMING = 3;

/** What a master says of the slots of a cluster, at one moment. */
export interface Claim {
  readonly id: string;
  readonly epoch: number;
  /** By slot. */
  readonly states: Uint8Array;
  /** Ids of nodes that slots go to, by slot. */
  readonly to: ReadonlyMap<number, string>;
  /** How many keys it has in slots that are leaving, as far as it tells. */
  readonly keys: ReadonlyMap<number, number>;
}

export const owns = (state: number): boolean => state === OWN || state === LEAVING;

/** The claim that a reply of CLUSTER NODES makes. */
export function claimOf({ importing, migrating, self, slots }: ClusterNodes, keys: ReadonlyMap<number, number>): Claim {
  const states = statesOf(slots);
  for (const slot of importing.keys()) if (states[slot] === OTHERS) states[slot] = COMING;
  for (const slot of migrating.keys()) if (states[slot] === OWN) states[slot] = LEAVING;
  return { id: self.id, epoch: self.epoch, states, to: migrating, keys };
}

/** The claim of a master of which only the slots are known. */
export const plainClaim = (id: string, slots: readonly (readonly [from: number, to: number])[]): Claim => ({
  ...{ id, epoch: 0, states: statesOf(slots), to: new Map<number, string>(), keys: new Map<number, number>() },
});

function statesOf(slots: readonly (readonly [from: number, to: number])[]): Uint8Array {
  const states = new Uint8Array(SLOTS);
  for (const [from, to] of slots) states.fill(OWN, from, to + 1);
  return states;
}
