import { serverInfo } from '../redis/server-info.js';
import type { Servers } from '../redis/servers.js';
import type { TargetFacts } from './target-facts.js';

/** Keys that a server dropped for want of memory, as its maxmemory-policy says: any of those that were restored may be among them. */
export interface Eviction {
  readonly server: string;
  readonly keys: number;
  readonly policy: string;
}

/** What masters have evicted since `before`; of one that was started since, all that it has. Throws ServerError. */
export async function evictionsSince(servers: Servers, before: TargetFacts): Promise<Eviction[]> {
  const evictions = await servers.eachMaster(async (client, { name }) => {
    const { evictedKeys, maxMemoryPolicy, runId } = await serverInfo(client);
    const known = before.masters.find((master) => master.name === name && master.runId === runId);
    return { server: name, keys: evictedKeys - (known?.evictedKeys ?? 0), policy: maxMemoryPolicy };
  });
  return evictions.filter(({ keys }) => keys > 0);
}
