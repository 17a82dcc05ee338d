import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Servers } from '../redis/servers.js';
import type { RecordKeys } from './record.js';
import { holdExpiries, type MoveOptions, releaseExpiries } from './settle.js';
import { changeRecords, endReleases, otherHolders, releaseLabel } from './target/lane-records.js';

/*
 * Expiries are held while a sync goes on, and released when it ends. It may go on all the same: keys may have expired on the target by
 * then that the source has renewed. So all that the target has is held again, and keys that were written since are fetched. Nothing tells
 * which sync a key is of: as long as one into the same target holds expiries, those of others stay held with them.
 */

export interface HoldsOptions extends MoveOptions {
  readonly servers: Servers;
  readonly keys: RecordKeys;
  /** Syncs that end together with this one: all of them are meant. */
  readonly fellows?: readonly RecordKeys[] | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
}

/** Gives keys their real expiries, and returns how many had others. Throws ServerError and the reason of the signal. */
export async function release({ fellows = [], keys, onNote, servers, ...options }: HoldsOptions): Promise<number> {
  let others: readonly string[] = [];
  const may = async (): Promise<boolean> => {
    await changeRecords(servers, keys, (record) => ({ ...record, expiries: 'released' }));
    for (const one of fellows) {
      await changeRecords(servers, one, (record) => (record.expiries === 'exact' ? record : { ...record, expiries: 'released' }));
    }
    others = await otherHolders(servers, keys, [keys, ...fellows].map(({ id }) => id));
    return others.length === 0;
  };
  const released = await releaseExpiries(servers, { ...options, label: releaseLabel(keys), may });
  if (released !== undefined) return released;
  const [first] = others;
  const them = others.length === 1 ? `the sync ${first} into the same target` : `other syncs into the same target (${others.join(', ')})`;
  onNote?.(`expiries stay held for ${them}: the last one that ends releases all; one that is over ends with --forget --id ${first}`);
  return 0;
}

export interface HoldAgainOptions extends HoldsOptions {
  readonly source: Servers;
  /** Whether a key of the target is one of this sync's. */
  readonly concerns: (db: number, key: Uint8Array) => boolean;
  /** Where the source is now, by lane. */
  readonly offsets: () => Promise<ReadonlyMap<number, number>>;
}

/** Holds expiries again, after they were released: see LaneRecord.refetch. Throws ServerError and the reason of the signal. */
export async function holdAgain(options: HoldAgainOptions): Promise<void> {
  const { concerns, keys, offsets, onEvent, servers } = options;
  await changeRecords(servers, keys, (record) => ({ ...record, expiries: 'holding' }));
  await endReleases(servers, keys);
  const held = await holdExpiries(servers, options, concerns);
  await untilAsLate(options);
  const ends = await offsets();
  await changeRecords(servers, keys, (record, lane) => {
    const end = ends.get(lane) ?? record.sent;
    return { ...record, expiries: 'held', sent: Math.max(record.sent, end), refetch: end };
  });
  onEvent?.(`expiries had been released: ${held === 1 ? '1 is' : `${held} are`} held again`, true);
}

/** Milliseconds that the clock of the target may be ahead. */
const MOST_AHEAD = 60_000;

/** Waits until the source has deleted what the target may have: its clock may be slow. */
async function untilAsLate({ onNote, servers, signal, source }: HoldAgainOptions): Promise<void> {
  const until = Math.max(...(await servers.eachMaster(timeOf)));
  for (;;) {
    const ahead = until - Math.min(...(await source.eachMaster(timeOf)));
    if (!(ahead >= 0)) return; // also where it is not told
    if (ahead > MOST_AHEAD) {
      const risk = 'keys that expired there meanwhile, and are renewed in the source before it has come so far, are lost';
      onNote?.(`the clock of the target is ${Math.round(ahead / 1000)} s ahead of that of the source: ${risk}: compare with rdbkit diff`);
      return;
    }
    await delay(ahead + 1, undefined, { signal });
  }
}

/** Unix ms; NaN if it is not told. */
async function timeOf(client: Redis): Promise<number> {
  const [seconds, micros] = await client.time().catch(() => [NaN, NaN]);
  return seconds * 1000 + Math.floor(micros / 1000);
}
