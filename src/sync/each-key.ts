import type { Master, Servers } from '../redis/servers.js';

/** Keys asked for, and deleted, at once. */
const AT_ONCE = 1000;

/** Those of the target that have keys. */
export async function databasesOf(servers: Servers): Promise<number[]> {
  const all = await servers.eachMaster(async (client) => [...(await servers.infoOf(client)).keys.keys()]);
  return [...new Set(all.flat())];
}

/** All keys of a database, by master. */
export async function eachKey(
  servers: Servers,
  db: number,
  visit: (owner: number, keys: readonly Buffer[]) => Promise<void>,
): Promise<void> {
  for (const [owner, master] of servers.masters.entries()) {
    await eachKeyOf(servers, master, (keys) => visit(owner, keys), db);
  }
}

/** All keys of a database of one server. Throws ServerError, and what `visit` throws. */
export async function eachKeyOf(
  servers: Servers,
  master: Master,
  visit: (keys: readonly Buffer[]) => Promise<void> | void,
  db = 0,
): Promise<void> {
  let cursor = '0';
  do {
    const [next, keys] = await servers.ask(master, async (client) => {
      if (db !== 0) await client.select(db);
      const page = await client.scanBuffer(cursor, 'COUNT', AT_ONCE);
      if (db !== 0) await client.select(0);
      return page;
    });
    cursor = next.toString();
    await visit(keys);
  } while (cursor !== '0');
}
