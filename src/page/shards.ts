import type { Amount } from '../inspect/report.js';

export const SLOTS = 16_384;

export interface Shard extends Amount {
  readonly from: number;
  readonly to: number;
}

type Slots = readonly (readonly [slot: number, keys: number, bytes: number, memory: number])[];

/** Equal ranges of slots, with borders as redis-cli --cluster create sets them. */
export function split(slots: Slots, parts: number): Shard[] {
  const border = (i: number): number => Math.max(0, Math.ceil((i * SLOTS) / parts - 0.5));
  const shards = Array.from({ length: parts }, (_, i) => ({
    from: border(i),
    to: border(i + 1) - 1,
    keys: 0,
    bytes: 0,
    memory: 0,
    elements: 0,
  }));
  for (const [slot, keys, bytes, memory] of slots) {
    let i = Math.min(parts - 1, Math.floor((slot * parts) / SLOTS));
    if (slot < shards[i].from) i--;
    else if (slot > shards[i].to) i++;
    const shard = shards[i];
    shard.keys += keys;
    shard.bytes += bytes;
    shard.memory += memory;
  }
  return shards;
}

/** Parts of the mean. */
export const OFF = 0.25;

/** More than a quarter above or below the mean. */
export function unbalanced(shards: readonly Shard[]): readonly Shard[] {
  const mean = shards.reduce((sum, { memory }) => sum + memory, 0) / shards.length;
  return shards.filter(({ memory }) => Math.abs(memory - mean) > OFF * mean);
}
