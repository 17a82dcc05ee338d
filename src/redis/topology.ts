import type { Redis } from 'ioredis';
import { SLOTS } from '../bytes/crc16.js';
import { type Address, addressText } from './url.js';

export interface ClusterNode {
  readonly id: string;
  /** As it is reached from here. */
  readonly address: Address;
  /** The ids of its replicas that are up. */
  readonly replicas: readonly string[];
}

/** Which node owns which slots. */
export interface Topology {
  readonly nodes: readonly ClusterNode[];
  /** By slot: the index of its node, -1 if no node owns it. */
  readonly owners: Int16Array;
}

type SlotsNode = [host: string | null, port: number, id?: string, more?: unknown];
type SlotsReply = [from: number, to: number, ...nodes: SlotsNode[]][];

/**
 * Asks a node with CLUSTER SLOTS (since 3.0, and allowed where CLUSTER SHARDS and NODES are not). A node that does not know its own
 * name is at `asked`; `reach` maps announced addresses.
 */
export async function readTopology(client: Redis, asked: Address, reach: (address: Address) => Address): Promise<Topology> {
  const reply = (await client.call('CLUSTER', 'SLOTS')) as SlotsReply;
  const owners = new Int16Array(SLOTS).fill(-1);
  const nodes: ClusterNode[] = [];
  const byName = new Map<string, number>();
  for (const [from, to, master, ...replicas] of reply) {
    const [given, port, id = '', more] = master;
    const host = given === '?' ? (ipOf(more) ?? given) : given;
    const named = host === null || host === '' || host === '?' ? { host: asked.host, port } : { host, port };
    const address = host === null || host === '' || host === '?' ? named : reach(named);
    const name = addressText(address);
    let index = byName.get(name);
    if (index === undefined) {
      index = nodes.push({ id, address, replicas: replicas.map(([, , replica = '']) => replica) }) - 1;
      byName.set(name, index);
    }
    owners.fill(index, from, to + 1);
  }
  return { nodes, owners };
}

/** A node that should announce a host name, and has none, is `?`, and its address comes after its id (since 7.0). */
function ipOf(more: unknown): string | undefined {
  const words: readonly unknown[] = Array.isArray(more) ? more : [];
  const ip = words[words.indexOf('ip') + 1];
  return words.includes('ip') && typeof ip === 'string' && ip !== '' ? ip : undefined;
}

/** The slots of some ranges. */
export const slotsIn = (ranges: readonly (readonly [from: number, to: number])[]): number[] =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));

/** Ranges of slots that a node owns, by its index; of those that no node owns, -1. */
export function slotRangesOf(owners: Int16Array, index: number): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    if (owners[slot] !== index) continue;
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}
