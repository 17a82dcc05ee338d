import { setTimeout as delay } from 'node:timers/promises';
import type { Servers } from '../redis/servers.js';
import { slotsIn } from '../redis/topology.js';
import { SyncError } from './errors.js';
import type { RecordKeys } from './record.js';
import { type HoldsOptions, release } from './holds.js';
import { forgetSpool } from './spool/spool.js';
import { removeLeft } from './group/left-keys.js';
import { labelOf, readRecords } from './target/lane-records.js';

export interface ForgetOptions extends HoldsOptions {
  /** The folder with the spools of all syncs; undefined for none. */
  readonly spool: string | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
}

/** Milliseconds that connections of a run that was killed may last, and between two looks. */
const LAST = 3000;
const LOOK_EVERY = 200;
/** Keys deleted in one pipeline. */
const AT_ONCE = 2000;

/**
 * Ends a sync for good: gives keys their expiries, and removes its records and spools. It may be interrupted and done again. Throws
 * ServerError, SyncError while a run is connected, OutputError while one has a spool.
 */
export async function forget(options: ForgetOptions): Promise<{ released: number; removed: number }> {
  const { keys, servers, spool } = options;
  await noneConnected(options);
  const { lanes } = await readRecords(servers, keys);
  const count = Math.max(0, ...[...lanes.values()].map(({ record }) => record.lanes));
  const released = await release(options);
  const removed = await removeRecords(servers, keys);
  if (spool !== undefined) await forgetSpools(keys.id, spool, count);
  return { released, removed };
}

/** Those that the records speak of, and, if there are none, all up to the first one that is missing. */
async function forgetSpools(id: string, dir: string, count: number): Promise<void> {
  for (let number = 0; ; number++) if (!(await forgetSpool(dir, laneName(id, number))) && number >= count) return;
}

/** The name of a lane's spool. */
export const laneName = (id: string, number: number): string => `${id}-${number}`;

/** Waits a while for the connections of a run that has just ended. */
export async function noneConnected(options: Pick<ForgetOptions, 'keys' | 'onNote' | 'servers' | 'signal'>): Promise<void> {
  const { keys, signal } = options;
  for (const until = Date.now() + LAST; ;) {
    const at = await connectedAt(options, labelOf(`${keys.prefix}${keys.id}:`));
    if (at === undefined) return;
    if (Date.now() > until) throw new SyncError(at, 'a run of this sync is connected to it: end that one first');
    await delay(LOOK_EVERY, undefined, { signal });
  }
}

/** The first master with a connection of this name; undefined, too, where CLIENT LIST is refused, which is said. */
async function connectedAt({ onNote, servers }: Pick<ForgetOptions, 'onNote' | 'servers'>, label: string): Promise<string | undefined> {
  const all = await servers.eachMaster(async (client, { name }) => {
    try {
      const list = String(await client.call('CLIENT', 'LIST'));
      return list.includes(` name=${label}`) ? name : undefined;
    } catch (error) {
      if (!(error instanceof Error && error.name === 'ReplyError')) throw error;
      onNote?.(`${name} refuses CLIENT LIST (${error.message}): it is not known whether a run of this sync is connected to it`);
      return undefined;
    }
  });
  return all.find((name) => name !== undefined);
}

/** Returns how many keys there were. A record may be in any slot, of which a master may have got more since. */
async function removeRecords(servers: Servers, keys: RecordKeys): Promise<number> {
  const counts = await servers.eachMaster(async (client, { name }) => {
    const slots = servers.clustered ? slotsIn(servers.rangesOfMaster(name)) : [-1];
    let removed = 0;
    for (let at = 0; at < slots.length; at += AT_ONCE) {
      const pipeline = client.pipeline();
      for (const slot of slots.slice(at, at + AT_ONCE)) pipeline.del(keys.records(slot)).del(keys.fences(slot));
      for (const [error, count] of (await pipeline.exec()) ?? []) {
        if (error !== null) throw error;
        removed += Number(count);
      }
    }
    return removed;
  });
  return counts.reduce((sum, count) => sum + count, await removeLeft(servers, keys));
}
