import { type LiveFacts, replicationNotes } from '../commands/live-terms.js';
import { bytesText, countText, keysText } from './numbers.js';
import { printable } from './printable.js';

/** How a server is going to be read, as lines. */
export function liveLines({ clustered, name, notes, refused, shards, version, way }: LiveFacts, side: 'source' | 'target'): string[] {
  const keys = shards.reduce((sum, shard) => sum + shard.keys.reduce((all, { keys }) => all + keys, 0), 0);
  const memory = shards.reduce<number | undefined>(
    (sum, { usedMemory }) => (sum === undefined || usedMemory === undefined ? undefined : sum + usedMemory),
    0,
  );
  const size = memory === undefined ? 'which refuses INFO' : `${keysText(keys)}, ${bytesText(memory)} of memory`;
  const [{ node, replicaOf }] = shards;
  const what = clustered
    ? `cluster of ${countText(shards.length)} masters`
    : replicaOf === undefined
      ? 'one server'
      : `${printable(node)}, a replica of ${printable(replicaOf)}`;
  const why = refused === undefined ? '' : `, since replication is refused (${printable(refused)})`;
  return [
    `${side} ${printable(name)}: ${version === undefined ? '' : `${printable(version)}, `}${what}, ${size}; read by ${way}${why}`,
    ...(clustered ? shards.map(shardLine) : []),
    ...[...new Set([...notes, ...shards.flatMap(replication)])].map((note) => `  ${printable(note)}`),
  ];
}

const replication = ({ replication: facts }: LiveFacts['shards'][number]): string[] =>
  facts === undefined ? [] : replicationNotes(facts, bytesText);

function shardLine({ keys, node, replicaOf, slots }: LiveFacts['shards'][number]): string {
  const count = slots.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  const of = replicaOf === undefined ? '' : `, a replica of ${printable(replicaOf)}`;
  return `  ${printable(node)}${of}: ${countText(count)} slots, ${keysText(keys.reduce((sum, { keys }) => sum + keys, 0))}`;
}
