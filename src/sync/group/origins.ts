import type { Redis } from 'ioredis';
import { keySlot } from '../../bytes/crc16.js';
import { grouped } from '../../bytes/grouped.js';
import { ServerError } from '../../redis/errors.js';
import { refusalOf } from '../../redis/refusals.js';
import type { Master, Servers } from '../../redis/servers.js';
import type { KeyPrefixes } from '../../values/key-prefixes.js';
import { eachKeyOf } from '../each-key.js';
import { type Choice, sourceNames } from '../choice.js';
import { type KeyName, keyId } from '../fences.js';

/** A source of several that go into one target. */
export interface Origin {
  readonly name: string;
  readonly servers: Servers;
  readonly choice: Choice;
  /** Whether keys of a database are read. */
  readonly reads: (db: number) => boolean;
  /** Other names of keys on the target. */
  readonly names: KeyPrefixes | undefined;
  /** Keys by database, when this began. */
  readonly keys: ReadonlyMap<number, number>;
}

/** A key of the target that several sources have, by their numbers. */
export interface SharedKey extends KeyName {
  readonly sources: ReadonlySet<number>;
}

/** A database of the target that two sources have keys for. */
export interface SharedDatabase {
  readonly db: number;
  /** The one with fewer keys first. */
  readonly sources: readonly [number, number];
  readonly least: number;
}

/** Times that a slot map is read again. */
const MOST_MOVES = 5;
/** Keys that several sources have, at most: their names are in memory. */
export const MOST_SHARED = 1_000_000;

/** Which of several sources have a key of the target. */
export class Origins {
  constructor(readonly all: readonly Origin[]) {}

  /** For each of these keys of the target: the numbers of the sources that have it now, except one. Throws ServerError. */
  async having(db: number, keys: readonly Uint8Array[], except: number): Promise<number[][]> {
    const found = keys.map((): number[] => []);
    for (const [number, origin] of this.all.entries()) {
      if (number === except || keys.length === 0) continue;
      const have = await existing(origin, db, keys);
      have.forEach((has, i) => has && found[i].push(number));
    }
    return found;
  }

  /** Those that no source but one has. */
  async ofNoOther<K extends Uint8Array>(db: number, keys: readonly K[], but: number): Promise<K[]> {
    const having = await this.having(db, keys, but);
    return keys.filter((_, i) => having[i].length === 0);
  }

  /** The databases of the target in which keys of two sources may meet. */
  get databases(): SharedDatabase[] {
    const sizes = this.all.map((origin) => targetSizes(origin));
    return sizes.flatMap((one, i) =>
      sizes.slice(i + 1).flatMap((other, after) =>
        [...one].flatMap(([db, keys]): SharedDatabase[] => {
          const j = i + 1 + after;
          const others = other.get(db);
          if (others === undefined) return [];
          return [{ db, sources: keys <= others ? [i, j] : [j, i], least: Math.min(keys, others) }];
        }),
      ),
    );
  }

  /** All keys that several sources have. Throws ServerError, RangeError if there are too many, and the reason of the signal. */
  async shared(
    isPosition: (key: Uint8Array) => boolean,
    signal: AbortSignal | undefined,
    onLooked?: (keys: number) => void,
  ): Promise<SharedKey[]> {
    const found = new Map<string, KeyName & { sources: Set<number> }>();
    let looked = 0;
    for (const { db, sources } of this.databases) {
      const [one, other] = sources;
      const { choice, keys, names, reads, servers } = this.all[one];
      for (const from of keys.keys()) {
        if (!reads(from) || choice.target(from) !== db) continue;
        for (const master of servers.masters) {
          const visit = async (page: readonly Buffer[]): Promise<void> => {
            signal?.throwIfAborted();
            looked += page.length;
            onLooked?.(looked);
            const wanted = page.filter((key) => choice.wants?.(from, key, 0, key.length) !== false && !isPosition(key));
            const named = wanted.map((key) => targetName(names, key));
            const have = await existing(this.all[other], db, named);
            for (const [i, key] of named.entries()) {
              if (!have[i]) continue;
              const id = keyId(db, key);
              const known = found.get(id) ?? { db, key, sources: new Set() };
              for (const source of sources) known.sources.add(source);
              found.set(id, known);
            }
            if (found.size > MOST_SHARED) throw new RangeError(`more than ${MOST_SHARED} keys are in several sources`);
          };
          await eachKeyOf(servers, master, visit, from);
        }
      }
    }
    return [...found.values()];
  }
}

/** The name that a key gets on the target. */
export function targetName(names: KeyPrefixes | undefined, key: Uint8Array): Uint8Array {
  if (names === undefined) return key;
  const { keyBytes, keyEnd, keyStart } = names.nameOf({ keyBytes: key, keyStart: 0, keyEnd: key.length });
  return keyBytes.slice(keyStart, keyEnd);
}

/** Keys that a source has for each database of the target. */
function targetSizes({ choice, keys, reads }: Origin): Map<number, number> {
  const sizes = new Map<number, number>();
  for (const [db, count] of keys) if (reads(db)) sizes.set(choice.target(db), (sizes.get(choice.target(db)) ?? 0) + count);
  return sizes;
}

interface Asked {
  readonly name: KeyName;
  readonly index: number;
}

/** Which of these keys of the target a source has, under whichever name. One whose slot is on its way to another master counts as there. */
async function existing(origin: Origin, db: number, keys: readonly Uint8Array[]): Promise<boolean[]> {
  const { choice, names, reads, servers } = origin;
  const found = keys.map(() => false);
  let asked = keys.flatMap((key, index): Asked[] =>
    sourceNames(choice, names, db, key).flatMap((name) => (reads(name.db) ? [{ name, index }] : [])),
  );
  for (let moves = 0; asked.length > 0; moves++) {
    const again: Asked[] = [];
    for (const [master, own] of grouped(asked, ({ name }) => servers.masterOf(keySlot(name.key)))) {
      for (const [from, some] of grouped(own, ({ name }) => name.db)) {
        const replies = await exists(servers, master, from, some);
        for (const [i, reply] of replies.entries()) {
          if (typeof reply === 'number') found[some[i].index] ||= reply > 0;
          else if (refusalOf(reply) === 'ask' || refusalOf(reply) === 'later') found[some[i].index] = true;
          else if (refusalOf(reply) === 'moved' && moves < MOST_MOVES) again.push(some[i]);
          else throw asOfSource(new ServerError('REFUSED', master.name, reply));
        }
      }
    }
    if (again.length > 0) await servers.refresh();
    asked = again;
  }
  return found;
}

/** 1 for a key that is there, or an error. Without this database there are no keys. The connection stays at database 0. */
async function exists(servers: Servers, master: Master, db: number, asked: readonly Asked[]): Promise<(number | string)[]> {
  const replies = await askedOf(servers, master, async (client) => {
    const pipeline = client.pipeline();
    if (db !== 0) pipeline.select(db);
    for (const { name } of asked) pipeline.exists(Buffer.from(name.key));
    if (db !== 0) pipeline.select(0);
    return (await pipeline.exec()) ?? [];
  });
  const own = db === 0 ? replies : replies.slice(1, -1);
  const lost = replies.find(([error]) => error !== null && error.name !== 'ReplyError')?.[0];
  if (lost !== undefined && lost !== null) throw asOfSource(new ServerError('LOST', master.name, lost.message, lost));
  if (db !== 0 && replies[0][0] !== null) return own.map(() => 0);
  return own.map(([error, reply]) => (error === null ? Number(reply) : error.message));
}

/** A node that is lost may have been replaced: the next time, its successor is asked. */
async function askedOf<T>(servers: Servers, master: Master, question: (client: Redis) => Promise<T>): Promise<T> {
  try {
    return await servers.ask(master, question);
  } catch (error) {
    await servers.refresh().catch(() => undefined);
    throw error instanceof ServerError ? asOfSource(error) : error;
  }
}

function asOfSource(error: ServerError): ServerError {
  error.readAs = 'source';
  return error;
}
