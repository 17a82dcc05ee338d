import type { Redis } from 'ioredis';
import { refusalOf } from '../redis/refusals.js';
import type { Servers } from '../redis/servers.js';
import { compareVersions, knownTarget, versionText } from '../values/server-version.js';
import { type Target, targetName } from '../values/targets.js';

/** What is known about a target before it is written to. */
export interface TargetFacts {
  /** The limits that values and commands are written for. */
  readonly target: Target;
  /** Name and version, as in `Redis 7.0.15`. */
  readonly version: string;
  /** What the target is treated as, if its version is unknown. */
  readonly assumed: string | undefined;
  readonly clustered: boolean;
  readonly masters: readonly MasterFacts[];
  /** Ranges of slots that no master owns. */
  readonly uncovered: readonly (readonly [from: number, to: number])[];
  /** Number of databases. */
  readonly databases: number;
  /** Whether SELECT is allowed; if not, there is database 0 only. */
  readonly selects: boolean;
  /** Whether INFO is allowed. */
  readonly informs: boolean;
  readonly modules: readonly string[];
}

export interface MasterFacts {
  readonly name: string;
  readonly id: string;
  readonly runId: string;
  /** Of its data set: its replicas have the same one. Empty if it is not known. */
  readonly replicationId: string;
  readonly slots: number;
  readonly replicas: number;
  /** Keys by database. */
  readonly keys: ReadonlyMap<number, number>;
  /** Whether it is known how many keys it has. */
  readonly counted: boolean;
  /** Bytes; a maximum of 0 is no limit. */
  readonly usedMemory: number;
  readonly maxMemory: number;
  readonly maxMemoryPolicy: string;
  /** Since its start. */
  readonly evictedKeys: number;
  /** Milliseconds that its clock is ahead of this machine's; undefined if it does not tell the time. */
  readonly clockAhead: number | undefined;
}

/** Asks all masters; `target` overrides the version that they tell. Throws ServerError. */
export async function targetFacts(servers: Servers, target?: Target): Promise<TargetFacts> {
  const infos = await servers.eachMaster((client) => servers.infoOf(client));
  const [{ databases, selects }] = await servers.eachMaster((client) => countDatabases(client, servers.clustered));
  // with masters of several versions, the oldest decides
  const oldest = infos.reduce((least, info) => (compareVersions(info.version, least.version) < 0 ? info : least), infos[0]);
  const known = target === undefined ? knownTarget(oldest) : { target, assumed: undefined };
  const informs = servers.access.withoutInfo !== true;
  const masters = servers.masters.map(({ id, name, replicas }, i) => {
    const { clockAhead, size, ...info } = infos[i];
    const { evictedKeys, keys, maxMemory, maxMemoryPolicy, replicationId, runId, usedMemory } = info;
    const memory = { usedMemory, maxMemory, maxMemoryPolicy, evictedKeys };
    servers.clockOf(name).ahead = clockAhead;
    const ids = { id, runId, replicationId };
    return { name, ...ids, slots: servers.slotsOf(i), replicas, keys, counted: size !== undefined, ...memory, clockAhead };
  });
  return {
    ...known,
    version: informs ? versionText(oldest) : targetName(known.target),
    clustered: servers.clustered,
    masters,
    uncovered: servers.uncovered,
    databases,
    selects,
    informs,
    modules: infos[0].modules,
  };
}

/** More databases than any server is configured with. */
const MOST_DATABASES = 1 << 20;

/** Counts databases by trying SELECT, since CONFIG is not allowed everywhere. An error in a cluster means that there is one. */
async function countDatabases(client: Redis, clustered: boolean): Promise<Pick<TargetFacts, 'databases' | 'selects'>> {
  let selects = true;
  const has = async (db: number): Promise<boolean> => {
    try {
      await client.select(db);
      return true;
    } catch (error) {
      const replied = error instanceof Error && error.name === 'ReplyError';
      if (replied && !clustered && refusalOf(error.message) !== 'stop') return false;
      if (clustered && replied) return false;
      if (db > 1) throw error;
      // refused, or the connection was closed at it
      selects = false;
      return false;
    }
  };
  let [there, missing] = [0, 16];
  if (!(await has(1))) return { databases: 1, selects };
  while (missing < MOST_DATABASES && (await has(missing))) [there, missing] = [missing, missing * 2];
  while (missing - there > 1) {
    const middle = (there + missing) >> 1;
    if (await has(middle)) there = middle;
    else missing = middle;
  }
  await client.select(0);
  return { databases: missing, selects };
}

/** Keys that a server evicted for lack of memory by its maxmemory-policy: restored keys may be among them. */
export interface Eviction {
  readonly server: string;
  readonly keys: number;
  readonly policy: string;
}

/** What masters have evicted since `before`; of a master restarted since, everything. Throws ServerError. */
export async function evictionsSince(servers: Servers, before: TargetFacts): Promise<Eviction[]> {
  if (!before.informs) return [];
  const evictions = await servers.eachMaster(async (client, { name }) => {
    const { evictedKeys, maxMemoryPolicy, runId } = await servers.infoOf(client);
    const known = before.masters.find((master) => master.name === name && master.runId === runId);
    return { server: name, keys: evictedKeys - (known?.evictedKeys ?? 0), policy: maxMemoryPolicy };
  });
  return evictions.filter(({ keys }) => keys > 0);
}
