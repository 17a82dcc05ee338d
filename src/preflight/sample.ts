import type { Redis } from 'ioredis';
import { refusalOf } from '../redis/refusals.js';
import { type Answer, ask, Refused } from './answer.js';

/** Some keys of a server, by chance. */
export interface Sample {
  readonly keys: number;
  /** Of all databases. */
  readonly of: number;
  /** The one that takes most memory. */
  readonly largest: { readonly db: number; readonly key: Uint8Array; readonly bytes: number } | undefined;
  /** Types that only modules have, as TYPE names them. */
  readonly types: readonly string[];
}

/** Keys that are looked at on each server. */
const KEYS = 200;

/** Types of servers without modules. */
const OWN_TYPES = new Set(['string', 'list', 'set', 'zset', 'hash', 'stream', 'none']);

/** `client` is at database 0 again afterwards. */
export async function sampleOf(client: Redis): Promise<Answer<Sample>> {
  const sizes = await keysByDatabase(client);
  if (sizes instanceof Refused) return sizes;
  const all = [...sizes.values()].reduce((sum, keys) => sum + keys, 0);
  const types = new Set<string>();
  let [count, largest]: [number, Sample['largest']] = [0, undefined];
  for (const [db, size] of sizes) {
    const wanted = Math.min(size, Math.ceil((KEYS * size) / all));
    const names = size <= KEYS ? await allKeys(client, db) : await randomKeys(client, db, wanted);
    if (names instanceof Refused) return names;
    const looked = names.map((key) => [
      ask('MEMORY USAGE', () => client.call('MEMORY', 'USAGE', key)),
      ask('TYPE', () => client.type(key)),
    ] as const);
    const replies = await Promise.all(looked.map((both) => Promise.all(both)));
    for (const [i, [bytes, type]] of replies.entries()) {
      if (bytes instanceof Refused && isElsewhere(bytes)) continue;
      if (bytes instanceof Refused) return bytes;
      if (type instanceof Refused) return type;
      if (!OWN_TYPES.has(type)) types.add(type);
      count++;
      if (largest === undefined || Number(bytes) > largest.bytes) largest = { db, key: names[i], bytes: Number(bytes) };
    }
  }
  if (sizes.size > 0) await client.select(0);
  return { keys: count, of: all, largest, types: [...types] };
}

/** Whether the key is of a slot that goes, or went, to another master. */
const isElsewhere = ({ reason }: Refused): boolean => ['moved', 'ask', 'later'].includes(refusalOf(reason));

/** By INFO. */
export async function keysByDatabase(client: Redis): Promise<Answer<Map<number, number>>> {
  const text = await ask('INFO keyspace', () => client.info('keyspace'));
  if (text instanceof Refused) return text;
  return new Map([...text.matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, db, keys]) => [Number(db), Number(keys)]));
}

/** Of a database that has few. Leaves the connection there. */
async function allKeys(client: Redis, db: number): Promise<Answer<Buffer[]>> {
  const refused = await selected(client, db);
  if (refused !== undefined) return refused;
  const page = await ask('SCAN', () => client.scanBuffer(0, 'COUNT', 10 * KEYS));
  return page instanceof Refused ? page : page[1];
}

/** Database 0 is where a connection begins, so SELECT is not needed there. */
async function selected(client: Redis, db: number): Promise<Refused | undefined> {
  const answer = await ask('SELECT', () => client.select(db));
  return answer instanceof Refused && db !== 0 ? answer : undefined;
}

/** Different keys of a database, `most` or fewer. Leaves the connection there. */
export async function randomKeys(client: Redis, db: number, most: number): Promise<Answer<Buffer[]>> {
  const refused = await selected(client, db);
  if (refused !== undefined) return refused;
  const replies = await Promise.all(Array.from({ length: most }, () => ask('RANDOMKEY', () => client.callBuffer('RANDOMKEY'))));
  const found = new Map<string, Buffer>();
  for (const key of replies) {
    if (key instanceof Refused) return key;
    if (Buffer.isBuffer(key)) found.set(key.toString('latin1'), key);
  }
  return [...found.values()];
}
