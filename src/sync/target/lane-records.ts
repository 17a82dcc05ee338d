import type { Redis } from 'ioredis';
import { refusalOf } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import { reasonOf, ServerError } from '../../redis/errors.js';
import { addressText } from '../../redis/url.js';
import { slotsIn } from '../../redis/topology.js';
import { grouped } from '../../bytes/grouped.js';
import type { KeyName } from '../fences.js';
import { type ExpiryState, fenceFields, type LaneRecord, LANES_FIELD, parseFence, parseRecord } from '../record.js';
import { type RecordKeys, recordText, slotsOf, slotsText } from '../record.js';

/** What the target knows of a lane. */
export interface LaneState {
  /** That with the smallest position that is certain, and the highest generation of all. */
  readonly record: LaneRecord;
  /** The largest offset that any master was sent; that of the record if nothing is in doubt. */
  readonly sent: number;
  /** Keys whose values may be newer than the position. */
  readonly fenced: readonly KeyName[];
  /** A record does not say which run writes it: it was deleted, and only part of it came again. */
  readonly unclaimed: boolean;
  /** Masters with slots that no record is for: what they had is lost. */
  readonly without: readonly string[];
}

/** Names of records that were found, to be removed where others take their place. */
export interface RecordPlace {
  readonly master: Master;
  readonly slot: number;
}

export interface Records {
  readonly lanes: Map<number, LaneState>;
  readonly places: RecordPlace[];
  /** What they say of which slots of the source belong to which lane. */
  readonly slots: readonly string[];
  /** Slots that are on their way to another master, and have no record where they were. */
  readonly moving: ReadonlySet<number>;
}

interface Found extends RecordPlace {
  readonly slots: string;
  readonly lane: number;
  readonly record: LaneRecord;
  readonly fenced: readonly KeyName[];
  /** Generation of the run that writes it; -1 if that is not said. */
  readonly run: number;
}

/** Commands of one pipeline. */
const AT_ONCE = 2000;

/** Reads the records of a sync: by lane; empty if there are none. */
export async function readRecords(servers: Servers, keys: RecordKeys): Promise<Records> {
  const found: Found[] = [];
  const moving = new Set<number>();
  await servers.eachMaster(async (client, master) => {
    for (const slot of await placesAt(servers, keys, client, master, moving)) {
      found.push(...(await recordsAt(servers, keys, { master, slot })));
    }
  });
  const byLane = grouped(found, (one) => one.lane);
  const lanes = new Map([...byLane].map(([lane, all]) => [lane, stateOf(servers, all)]));
  const slots = found.map((one) => one.slots);
  return { lanes, places: found.map(({ master, slot }) => ({ master, slot })), slots, moving };
}

/** Where the records of a master belong: its first slot that stays with it; -1 for a single server. */
export function recordSlot({ clustered, masters, owners }: Servers, index: number, moving: ReadonlySet<number>): number {
  if (!clustered || owners === undefined) return -1;
  const slot = owners.findIndex((owner, at) => owner === index && !moving.has(at));
  return index < masters.length && slot < 0 ? owners.indexOf(index) : slot;
}

function stateOf(servers: Servers, found: readonly Found[]): LaneState {
  const least = found.reduce((a, b) => (b.record.certain < a.record.certain ? b : a));
  const generation = Math.max(...found.map(({ record, run }) => Math.max(record.generation, run)));
  const refetch = Math.max(-1, ...found.map(({ record }) => record.refetch ?? -1));
  return {
    record: { ...least.record, generation, refetch: refetch < 0 ? undefined : refetch },
    sent: Math.max(...found.map(({ record }) => record.sent)),
    fenced: found.flatMap(({ fenced }) => fenced),
    unclaimed: found.some(({ run }) => run < 0),
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
    .filter((name) => slotsIn(servers.rangesOfMaster(name)).some((slot) => !covered.has(slot)));
}

/** The slots of a master where a record is, or may have gone to another one: these are added to `moving`. -1 for a single server. */
async function placesAt(servers: Servers, keys: RecordKeys, client: Redis, master: Master, moving: Set<number>): Promise<number[]> {
  if (!servers.clustered) return [-1];
  const slots = slotsIn(servers.rangesOfMaster(master.name));
  const places: number[] = [];
  for (let at = 0; at < slots.length; at += AT_ONCE) {
    places.push(...(await existing(client, slots.slice(at, at + AT_ONCE), (slot) => keys.records(slot), moving)));
  }
  await existing(client, places, (slot) => keys.fences(slot), moving); // where they are missing, they cannot be made
  return places;
}

/** The slots whose key exists, or is asked for elsewhere. */
async function existing(client: Redis, slots: readonly number[], key: (slot: number) => string, moving: Set<number>): Promise<number[]> {
  const pipeline = client.pipeline();
  for (const slot of slots) pipeline.exists(key(slot));
  const replies = slots.length === 0 ? [] : ((await pipeline.exec()) ?? []);
  return slots.filter((slot, i) => {
    const [error, exists] = replies[i];
    const asks = error !== null && refusalOf(error.message) === 'ask';
    if (error !== null && !asks) throw error;
    if (asks) moving.add(slot);
    return asks || exists === 1;
  });
}

async function recordsAt(servers: Servers, keys: RecordKeys, place: RecordPlace): Promise<Found[]> {
  const { slot } = place;
  const pairs = ((await called(servers, place, 'HGETALL', keys.records(slot))) as Buffer[]).map(String);
  const fields = Object.fromEntries(pairs.flatMap((field, i) => (i % 2 === 0 ? [[field, pairs[i + 1]]] : [])));
  const fences = pairs.length === 0 ? [] : ((await called(servers, place, 'HKEYS', keys.fences(slot))) as Buffer[]);
  return Object.entries(fields).flatMap(([field, text]) => {
    const record = /^\d+$/.test(field) ? parseRecord(text) : undefined;
    if (record === undefined) return [];
    const lane = Number(field);
    const fenced = fences.flatMap((fence) => parseFence(lane, fence) ?? []);
    const run = parseInt(fields[`${field}:run`] ?? '-1', 10);
    return [{ ...place, slots: fields[LANES_FIELD] ?? '', lane, record, fenced, run }];
  });
}

/** Asks a master, or the one that it gives the slot to. Throws ServerError. */
async function called(servers: Servers, { master }: RecordPlace, ...command: [string, ...(string | Buffer)[]]): Promise<unknown> {
  try {
    return await servers.ask(master, (client) => client.callBuffer(...command));
  } catch (error) {
    const reply = error instanceof ServerError ? error.reason : '';
    const to = refusalOf(reply) === 'ask' ? servers.redirected(master.name, reply) : undefined;
    if (to === undefined) throw error;
    return servers.ask({ ...master, name: addressText(to), address: to }, async (client) => {
      const replies =
        (await client
          .pipeline()
          .call('ASKING')
          .callBuffer(...command)
          .exec()) ?? [];
      const [failure, answer] = replies[1];
      if (failure !== null) throw failure;
      return answer;
    });
  }
}

/** Sets the record of a lane on every master, removes what it has elsewhere, and its fences unless they are kept. Throws ServerError. */
export async function replaceRecords(
  servers: Servers,
  keys: RecordKeys,
  lane: number,
  run: string,
  text: (slots: string) => string,
  keepsFences: boolean,
): Promise<void> {
  await servers.refresh();
  const records = await readRecords(servers, keys);
  await servers.eachMaster(async (client, master) => {
    const index = servers.masters.indexOf(master);
    const slot = recordSlot(servers, index, records.moving);
    const ranges = servers.clustered ? servers.rangesOf(index) : [];
    await client.hset(keys.records(slot), { [`${lane}`]: text(slotsText(ranges)), [`${lane}:run`]: run });
    if (!keepsFences) await removeFences(servers, keys, lane, { master, slot });
  });
  await removeStale(servers, keys, lane, records);
}

async function removeFences(servers: Servers, keys: RecordKeys, lane: number, place: RecordPlace): Promise<void> {
  const fences = (await called(servers, place, 'HKEYS', keys.fences(place.slot))) as Buffer[];
  const own = fences.filter((field) => parseFence(lane, field) !== undefined);
  if (own.length > 0) await called(servers, place, 'HDEL', keys.fences(place.slot), ...own);
}

/** Removes what the lane has in places that are no longer those of a master: after slots have moved, others have taken over. */
export async function removeStale(servers: Servers, keys: RecordKeys, lane: number, { moving, places }: Records): Promise<void> {
  const current = new Set(servers.masters.map((_, index) => recordSlot(servers, index, moving)));
  for (const place of places) if (place.slot >= 0 && !current.has(place.slot)) await removeAt(servers, keys, lane, place);
}

async function removeAt(servers: Servers, keys: RecordKeys, lane: number, place: RecordPlace): Promise<void> {
  await called(servers, place, 'HDEL', keys.records(place.slot), `${lane}`, `${lane}:run`);
  await removeFences(servers, keys, lane, place);
}

/** Fields of one HSET. */
const FENCES_AT_ONCE = 500;

/** Adds fences to those of a master: its lane fetches the keys when it begins. Throws ServerError. */
export async function addFences(
  servers: Servers,
  master: Master,
  name: string,
  lane: number,
  fences: readonly (KeyName & { readonly offset: number })[],
): Promise<void> {
  for (let at = 0; at < fences.length; at += FENCES_AT_ONCE) {
    const fields = fenceFields(lane, fences.slice(at, at + FENCES_AT_ONCE));
    await servers.ask(master, (client) => client.hset(name, ...fields));
  }
}

/** What each place says of the run that writes a lane: `own`, `other` for one that replaces it, `older`; `none` if it says nothing. */
export async function readRuns(
  servers: Servers,
  keys: RecordKeys,
  lane: number,
  places: readonly RecordPlace[],
  run: string,
): Promise<('own' | 'other' | 'older' | 'none')[]> {
  return Promise.all(
    places.map(async (place) => {
      const reply = await called(servers, place, 'HGET', keys.records(place.slot), `${lane}:run`);
      if (!Buffer.isBuffer(reply)) return 'none';
      if (reply.toString() === run) return 'own';
      return parseInt(reply.toString(), 10) < parseInt(run, 10) ? 'older' : 'other';
    }),
  );
}

/** Says in each place that this run writes the lane. */
export async function writeRun(
  servers: Servers,
  keys: RecordKeys,
  lane: number,
  places: readonly RecordPlace[],
  run: string,
): Promise<void> {
  await Promise.all(places.map((place) => called(servers, place, 'HSET', keys.records(place.slot), `${lane}:run`, run)));
}

/** Changes the records that there are, while no run writes them. Throws ServerError. */
export async function changeRecords(
  servers: Servers,
  keys: RecordKeys,
  change: (record: LaneRecord, lane: number) => LaneRecord,
): Promise<void> {
  const { places } = await readRecords(servers, keys);
  for (const place of places) {
    try {
      const pairs = ((await called(servers, place, 'HGETALL', keys.records(place.slot))) as Buffer[]).map(String);
      for (let at = 0; at < pairs.length; at += 2) {
        const record = /^\d+$/.test(pairs[at]) ? parseRecord(pairs[at + 1]) : undefined;
        const text = record === undefined ? pairs[at + 1] : recordText(change(record, Number(pairs[at])));
        if (text !== pairs[at + 1]) await called(servers, place, 'HSET', keys.records(place.slot), pairs[at], text);
      }
    } catch (error) {
      if (error instanceof ServerError) throw error;
      throw new ServerError('LOST', place.master.name, reasonOf(error), error);
    }
  }
}

/** Names of other syncs than these into the target that hold expiries, as far as their keys have this prefix. Throws ServerError. */
export async function otherHolders(servers: Servers, { prefix }: RecordKeys, own: readonly string[]): Promise<string[]> {
  const all = await servers.eachMaster(async (client) => {
    const ids: string[] = [];
    let cursor = '0';
    do {
      const [next, found] = await client.scanBuffer(cursor, 'MATCH', `${prefix.replace(/[[\]*?\\]/g, '\\$&')}*`, 'COUNT', SCANNED);
      cursor = next.toString();
      for (const key of found) {
        const id = key.toString().slice(prefix.length).replace(/\{[^{}]*\}$/, '');
        if (own.includes(id) || /:(?:fences|left)$/.test(id) || ids.includes(id)) continue;
        const values = Object.values(await client.hgetall(key).catch(unlessOther));
        if (values.some((text) => HOLDING.includes(parseRecord(text)?.expiries))) ids.push(id);
      }
    } while (cursor !== '0');
    return ids;
  });
  return [...new Set(all.flat())].sort();
}

/** Another kind of key has no record. */
function unlessOther(error: Error): Record<string, string> {
  if (error.message.startsWith('WRONGTYPE')) return {};
  throw error;
}

const SCANNED = 10_000;
const HOLDING: readonly (ExpiryState | undefined)[] = ['held', 'holding'];

/** Removes all that the target has of a lane, whose master is no more. */
export async function removeLane(servers: Servers, keys: RecordKeys, lane: number): Promise<void> {
  const { places } = await readRecords(servers, keys);
  for (const place of places) await removeAt(servers, keys, lane, place);
}

/** Ends the connections that an earlier run has left, so that nothing of it is applied any more. Returns why that was not possible. */
export async function endConnections(servers: Servers, keys: RecordKeys, lane?: number): Promise<string | undefined> {
  const label = labelOf(`${keys.prefix}${keys.id}:${lane ?? ''}`);
  return endNamed(servers, (name) => (lane === undefined ? name.startsWith(label) : name === label));
}

/** Ends those by which any sync releases expiries. */
export async function endReleases(servers: Servers, { prefix }: RecordKeys): Promise<void> {
  const label = labelOf(prefix);
  await endNamed(servers, (name) => name.startsWith(label) && name.endsWith(RELEASE));
}

/** The name of such a connection. */
export const releaseLabel = ({ id, prefix }: RecordKeys): string => labelOf(`${prefix}${id}${RELEASE}`);
const RELEASE = ':release';

async function endNamed(servers: Servers, named: (name: string) => boolean): Promise<string | undefined> {
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
