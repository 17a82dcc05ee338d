import type { Redis } from 'ioredis';
import type { Servers } from '../redis/servers.js';
import { eachKey } from './barriers.js';

/**
 * Milliseconds added to expiries while a sync runs, so that only the source deletes keys: one that is renewed there just before it expires
 * would be gone on a target that is late. Real expiries are before the year 3084, where those that are held begin.
 */
export const HOLD = 2 ** 45;

/** Gives keys their real expiries, and returns how many. Doing it twice changes nothing. */
export async function releaseExpiries(servers: Servers, databases: readonly number[], signal: AbortSignal): Promise<number> {
  let released = 0;
  for (const db of databases) {
    await eachKey(servers, db, async (owner, keys) => {
      signal.throwIfAborted();
      if (keys.length > 0) released += await release(await servers.client(servers.masters[owner]), db, keys);
    });
  }
  return released;
}

async function release(client: Redis, db: number, keys: readonly Buffer[]): Promise<number> {
  const asked = await pipelined(
    client,
    db,
    keys.map((key) => ['PTTL', key]),
  );
  const [seconds, micros] = (await client.time()).map(Number);
  const now = seconds * 1000 + Math.floor(micros / 1000);
  // by the difference, since PEXPIRETIME is not known before Redis 7.0; held expiries are thousands of years away
  const held = keys.filter((_, i) => Number(asked[i]) > HOLD - now);
  if (held.length === 0) return 0;
  const script = held.map((key): (string | Buffer)[] => ['PEXPIRETIME', key]);
  const exact = await pipelined(client, db, script);
  const moved = held.flatMap((key, i): (string | Buffer)[][] => {
    const at = Number(exact[i]);
    return at >= HOLD ? [['PEXPIREAT', key, `${at - HOLD}`]] : [];
  });
  await pipelined(client, db, moved);
  return moved.length;
}

/** Replies to commands for one database, in order. Throws the first error. */
async function pipelined(client: Redis, db: number, commands: readonly (readonly (string | Buffer)[])[]): Promise<unknown[]> {
  if (commands.length === 0) return [];
  const pipeline = client.pipeline();
  if (db !== 0) pipeline.select(db);
  for (const [name, ...args] of commands) pipeline.call(name as string, ...args);
  if (db !== 0) pipeline.select(0);
  const replies = (await pipeline.exec()) ?? [];
  const failed = replies.find(([error]) => error !== null)?.[0];
  if (failed) throw failed;
  const values = replies.map(([, value]) => value);
  return db === 0 ? values : values.slice(1, -1);
}
