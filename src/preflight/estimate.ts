import { Refused, fieldOf } from './answer.js';
import type { Facts, SourceServer } from './facts.js';

/** Bytes and keys that a restore writes in a second: docs/benchmarks.md, mixed keys into one server on 2 cores. */
export const BYTES_PER_SECOND = 74e6;
export const KEYS_PER_SECOND = 168_000;

export interface Estimate {
  readonly seconds: number;
  readonly bytes: number;
  readonly keys: number;
  /** Bytes a second of the slower of both links; undefined where ECHO is refused. */
  readonly link: number | undefined;
}

/** Bytes of the keys: what a server uses without what an empty one does, its backlog, and its clients. */
export function dataOf({ info }: SourceServer): number | undefined {
  const used = fieldOf(info, 'used_memory');
  if (used === undefined) return undefined;
  const besides = ['used_memory_startup', 'mem_replication_backlog', 'mem_clients_slaves', 'mem_clients_normal'];
  return Math.max(0, besides.reduce((left, name) => left - (fieldOf(info, name) ?? 0), used));
}

export function keysOf({ info }: SourceServer): ReadonlyMap<number, number> | undefined {
  if (info instanceof Refused) return undefined;
  return new Map(
    [...info].flatMap(([name, text]): [number, number][] => {
      const db = /^db(\d+)$/.exec(name);
      const keys = /^keys=(\d+)/.exec(text);
      return db === null || keys === null ? [] : [[Number(db[1]), Number(keys[1])]];
    }),
  );
}

/** Of all masters; undefined where one does not tell. */
export function total(servers: readonly SourceServer[], of: (server: SourceServer) => number | undefined): number | undefined {
  return servers.reduce<number | undefined>((sum, server) => {
    const one = of(server);
    return sum === undefined || one === undefined ? undefined : sum + one;
  }, 0);
}

/** How long the full copy takes: the slowest of bytes, keys and link. */
export function estimateOf({ source, target }: Facts): Estimate | undefined {
  const bytes = total(source.servers, dataOf);
  const keys = total(source.servers, (server) => {
    const all = keysOf(server);
    return all && [...all.values()].reduce((sum, count) => sum + count, 0);
  });
  if (bytes === undefined || keys === undefined) return undefined;
  const links = [...source.servers.map(({ link }) => link), target.link].flatMap((link) => (link instanceof Refused ? [] : [link]));
  const link = links.length === 0 ? undefined : Math.min(...links);
  const seconds = Math.max(bytes / Math.min(BYTES_PER_SECOND, link ?? Infinity), keys / KEYS_PER_SECOND);
  return { seconds, bytes, keys, link };
}
