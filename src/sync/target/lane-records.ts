import type { Redis } from 'ioredis';
import type { Master, Servers } from '../../redis/servers.js';
import type { KeyName } from '../fences.js';
import { type LaneRecord, parseFence, parseRecord, type RecordKeys, slotsOf } from '../record.js';

/** What the target knows of a lane. */
export interface LaneState {
  /** That with the smallest position that is certain, and the highest generation of all. */
  readonly record: LaneRecord;
  /** The largest offset that any master was sent; that of the record if nothing is in doubt. */
  readonly sent: number;
  /** The number of the last transaction that was applied, on a single server. */
  readonly batch: number;
  /** Keys whose values may be newer than the position. */
  readonly fenced: readonly KeyName[];
  /** Masters with slots that no record is for: what they had is lost. */
  readonly without: readonly string[];
}

/** Names of records that were found, to be removed where others take their place. */
export interface RecordPlace {
  readonly master: Master;
  readonly slot: number;
}

interface Found extends RecordPlace {
  readonly lane: number;
  readonly record: LaneRecord;
  readonly batch: number;
  readonly fenced: readonly KeyName[];
}

/** Commands of one pipeline. */
const AT_ONCE = 2000;

/** Reads the records of a sync: by lane; empty if there are none. */
export async function readRecords(servers: Servers, keys: RecordKeys): Promise<{ lanes: Map<number, LaneState>; places: RecordPlace[] }> {
  const found: Found[] = [];
  await servers.eachMaster(async (client, master) => {
    for (const slot of await placesAt(servers, keys, client, master)) found.push(...(await recordsAt(keys, client, master, slot)));
  });
  const lanes = new Map<number, LaneState>();
  for (const lane of new Set(found.map((one) => one.lane))) {
    lanes.set(
      lane,
      stateOf(
        servers,
        found.filter((one) => one.lane === lane),
      ),
    );
  }
  return { lanes, places: found.map(({ master, slot }) => ({ master, slot })) };
}

function stateOf(servers: Servers, all: readonly Found[]): LaneState {
  const found = all.map((one) => ({ ...one, record: settled(one) }));
  const least = found.reduce((a, b) => (b.record.certain < a.record.certain ? b : a));
  const generation = Math.max(...found.map(({ record }) => record.generation));
  return {
    record: { ...least.record, generation },
    sent: Math.max(...found.map(({ record }) => record.sent)),
    batch: least.batch,
    fenced: found.flatMap(({ fenced }) => fenced),
    without: servers.clustered ? uncovered(servers, found) : [],
  };
}

/**
 * Masters that have slots which no record is for. A record is for the slots that its master had when it was written: they may have moved to
 * a master that has no record yet, and their keys with them, which are as new as it says.
 */
function uncovered(servers: Servers, found: readonly Found[]): string[] {
  const covered = new Set(found.flatMap(({ record }) => slotsOf(record.slots)));
  return servers.masters
    .map(({ name }) => name)
    .filter((name) => servers.rangesOfMaster(name).some(([from, to]) => numbers(from, to).some((slot) => !covered.has(slot))));
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Transactions that were all applied leave nothing in doubt. */
function settled({ batch, record }: Found): LaneRecord {
  return record.batch === batch && batch > 0 ? { ...record, certain: record.sent, db: record.sentDb } : record;
}

/** The slots of a master whose record key exists; -1 stands for a single server. */
async function placesAt(servers: Servers, keys: RecordKeys, client: Redis, master: Master): Promise<number[]> {
  if (!servers.clustered) return [-1];
  const slots = servers.rangesOfMaster(master.name).flatMap(([from, to]) => numbers(from, to));
  const places: number[] = [];
  for (let at = 0; at < slots.length; at += AT_ONCE) {
    const some = slots.slice(at, at + AT_ONCE);
    const pipeline = client.pipeline();
    for (const slot of some) pipeline.exists(keys.records(slot));
    const replies = (await pipeline.exec()) ?? [];
    replies.forEach(([error, exists], i) => {
      if (error !== null) throw error;
      if (exists === 1) places.push(some[i]);
    });
  }
  return places;
}

async function recordsAt(keys: RecordKeys, client: Redis, master: Master, slot: number): Promise<Found[]> {
  const fields = await client.hgetall(keys.records(slot));
  const fences = Object.keys(fields).length === 0 ? [] : ((await client.callBuffer('HKEYS', keys.fences(slot))) as Buffer[]);
  return Object.entries(fields).flatMap(([field, text]) => {
    const record = /^\d+$/.test(field) ? parseRecord(text) : undefined;
    if (record === undefined) return [];
    const lane = Number(field);
    const fenced = fences.flatMap((fence) => parseFence(lane, fence) ?? []);
    return [{ master, slot, lane, record, batch: Number(fields[`${field}:batches`] ?? 0), fenced }];
  });
}

/** Removes what the lane has in places that are no longer those of a master: after slots have moved, others have taken over. */
export async function removeStale(servers: Servers, keys: RecordKeys, lane: number, places: readonly RecordPlace[]): Promise<void> {
  for (const { master, slot } of places) {
    if (slot < 0 || servers.rangesOfMaster(master.name).at(0)?.[0] === slot) continue;
    const client = await servers.client(master);
    await client.hdel(keys.records(slot), `${lane}`, `${lane}:batches`);
    const fences = (await client.callBuffer('HKEYS', keys.fences(slot))) as Buffer[];
    const own = fences.filter((field) => parseFence(lane, field) !== undefined);
    if (own.length > 0) await client.hdel(keys.fences(slot), ...own);
  }
}

/** Ends the connections that an earlier run has left, so that nothing of it is applied any more. Returns why that was not possible. */
export async function endConnections(servers: Servers, keys: RecordKeys, lane?: number): Promise<string | undefined> {
  const label = labelOf(`${keys.prefix}${keys.id}:${lane ?? ''}`);
  const named = (name: string): boolean => (lane === undefined ? name.startsWith(label) : name === label);
  const refusals = await servers.eachMaster(async (client) => {
    try {
      for (let found = true; found;) {
        const lines = String(await client.call('CLIENT', 'LIST')).split('\n');
        const ids = lines.filter((line) => named(/ name=(\S*)/.exec(line)?.[1] ?? '')).map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
        for (const id of ids) await client.call('CLIENT', 'KILL', 'ID', id);
        found = ids.length > 0;
      }
      return undefined;
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') return error.message;
      throw error;
    }
  });
  return refusals.find((refusal) => refusal !== undefined);
}

/** What CLIENT SETNAME takes: no spaces or special characters. */
export const labelOf = (name: string): string => name.replace(/[^!-~]/g, '_');
