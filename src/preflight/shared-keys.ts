import { keySlot } from '../bytes/crc16.js';
import { openClient } from '../redis/connect.js';
import type { Servers } from '../redis/servers.js';
import { ask, Refused } from './answer.js';
import { keysByDatabase, randomKeys } from './sample.js';

/** A source of several that go into one target. */
export interface Origin {
  readonly name: string;
  readonly servers: Servers;
  /** The database on the target for one of the source; undefined if its keys are left out. */
  readonly target: (db: number) => number | undefined;
}

/** Databases of two sources that go to the same one. */
export interface Meeting {
  readonly sources: readonly [string, string];
  readonly databases: readonly [number, number];
  readonly into: number;
  /** How many keys of the first were looked for in the second; undefined if it could not be asked. */
  readonly sampled: number | undefined;
  readonly shared: number;
  /** Some of them. */
  readonly examples: readonly Uint8Array[];
}

/** Keys that are looked for. */
const KEYS = 200;
const EXAMPLES = 3;

/** Where keys of two sources may meet, by a sample of the one that has fewer. Throws ServerError. */
export async function meetings(origins: readonly Origin[]): Promise<Meeting[]> {
  const sizes = await Promise.all(origins.map(({ servers }) => sizesOf(servers)));
  const found: Meeting[] = [];
  for (const [i, one] of origins.entries()) {
    for (const [j, other] of origins.entries()) {
      if (j <= i) continue;
      for (const [db, keys] of sizes[i]) {
        for (const [otherDb, otherKeys] of sizes[j]) {
          const into = one.target(db);
          if (into === undefined || other.target(otherDb) !== into) continue;
          const places = [
            { of: one, db },
            { of: other, db: otherDb },
          ] as const;
          const [few, many] = keys <= otherKeys ? places : [places[1], places[0]];
          found.push({ sources: [few.of.name, many.of.name], databases: [few.db, many.db], into, ...(await shared(few, many)) });
        }
      }
    }
  }
  return found;
}

async function sizesOf(servers: Servers): Promise<Map<number, number>> {
  const all = await servers.eachMaster((client) => keysByDatabase(client));
  const sizes = new Map<number, number>();
  for (const one of all) {
    if (one instanceof Refused) continue;
    for (const [db, keys] of one) sizes.set(db, (sizes.get(db) ?? 0) + keys);
  }
  return sizes;
}

interface Place {
  readonly of: Origin;
  readonly db: number;
}

async function shared(few: Place, many: Place): Promise<Pick<Meeting, 'sampled' | 'shared' | 'examples'>> {
  const keys: Buffer[] = [];
  for (const { address } of few.of.servers.masters) {
    const client = await openClient(few.of.servers.access, address);
    try {
      const some = await randomKeys(client, few.db, Math.ceil(KEYS / few.of.servers.masters.length));
      if (!(some instanceof Refused)) keys.push(...some);
    } finally {
      client.disconnect();
    }
  }
  const there: Buffer[] = [];
  let asked = 0;
  for (const master of many.of.servers.masters) {
    const own = keys.filter((key) => many.of.servers.masterOf(keySlot(key)) === master);
    if (own.length === 0) continue;
    const client = await openClient(many.of.servers.access, master.address);
    try {
      if (many.db !== 0) await ask('SELECT', () => client.select(many.db));
      const replies = await Promise.all(own.map((key) => ask('EXISTS', () => client.exists(key))));
      for (const [i, reply] of replies.entries()) {
        if (reply instanceof Refused) continue;
        asked++;
        if (reply > 0) there.push(own[i]);
      }
    } finally {
      client.disconnect();
    }
  }
  return { sampled: asked === 0 ? undefined : asked, shared: there.length, examples: there.slice(0, EXAMPLES) };
}
