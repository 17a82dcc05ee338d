import { SLOTS } from '../bytes/crc16.js';
import type { Address } from './url.js';

/** A node as another one lists it. */
export interface ListedNode {
  readonly id: string;
  /** As it announces itself; undefined if its address is not known. */
  readonly address: Address | undefined;
  /** The id of its master, if it is a replica. */
  readonly master: string | undefined;
  /** The configuration epoch: of two nodes that claim a slot, the one with the higher epoch has it. */
  readonly epoch: number;
}

/** What a node says in CLUSTER NODES; which slots are half-way, each node only says of itself. */
export interface ClusterNodes {
  readonly self: ListedNode;
  readonly nodes: readonly ListedNode[];
  /** The slots of the node itself, as ranges, first and last. */
  readonly slots: readonly (readonly [from: number, to: number])[];
  /** By slot, the id of the node that it comes from. */
  readonly importing: ReadonlyMap<number, string>;
  /** By slot, the id of the node that it goes to. */
  readonly migrating: ReadonlyMap<number, string>;
}

/** Fields before the slots: id, address, flags, master, ping, pong, epoch, link. */
const SLOTS_AT = 8;

/** Parses the reply of CLUSTER NODES (redis cluster.c, clusterGenNodeDescription). Undefined if it is none. */
export function parseClusterNodes(text: string): ClusterNodes | undefined {
  const nodes: ListedNode[] = [];
  let self: { readonly node: ListedNode; readonly words: readonly string[] } | undefined;
  for (const line of text.split('\n')) {
    const words = line.trim().split(' ');
    if (words.length < SLOTS_AT) continue;
    const [id, address, flags, master, , , epoch] = words;
    const node: ListedNode = { id, address: addressOf(address), master: master === '-' ? undefined : master, epoch: Number(epoch) || 0 };
    nodes.push(node);
    if (flags.split(',').includes('myself')) self = { node, words: words.slice(SLOTS_AT) };
  }
  if (self === undefined) return undefined;
  const slots: [number, number][] = [];
  const importing = new Map<number, string>();
  const migrating = new Map<number, string>();
  for (const word of self.words) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(word);
    if (range !== null) {
      const [first, last] = [Number(range[1]), Number(range.at(2) ?? range[1])];
      if (first <= last && last < SLOTS) slots.push([first, last]);
    }
    const half = /^\[(\d+)-([<>])-(\w+)\]$/.exec(word);
    if (half !== null && Number(half[1]) < SLOTS) (half[2] === '<' ? importing : migrating).set(Number(half[1]), half[3]);
  }
  return { self: self.node, nodes, slots, importing, migrating };
}

/** Of `10.0.0.7:6379@16379,host.example.com`. */
function addressOf(text: string): Address | undefined {
  const [, host = '', port = ''] = /^(.*):(\d+)(?:@\d+)?(?:,.*)?$/.exec(text) ?? [];
  return host === '' || Number(port) === 0 ? undefined : { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
