import { keySlot } from '../bytes/crc16.js';
import type { OpenedNode } from '../live/replication-input.js';
import { ErrorAnswer, ReplyLink } from '../live/reply-link.js';
import { encodeCommand } from '../redis/commands.js';
import { ServerError } from '../redis/errors.js';
import { redirection } from '../redis/refusals.js';
import type { Servers } from '../redis/servers.js';
import { databasesOf, eachKey } from './barriers.js';
import type { Choice } from './choice.js';
import type { RecordKeys } from './record.js';
import { ofSource } from './rights.js';
import { addFences, readRecords } from './target/lane-records.js';

/** A source master. */
export interface SweptLane {
  readonly number: number;
  readonly name: string;
  readonly open: () => Promise<OpenedNode>;
  /** Of a cluster; undefined: all. */
  readonly slots: ReadonlySet<number> | undefined;
  readonly choice: Choice;
  /** Offset that the target has: its keys are fetched as they are later. */
  readonly offset: number;
}

export interface SweepOptions {
  readonly servers: Servers;
  readonly keys: RecordKeys;
  readonly lanes: readonly SweptLane[];
  /** Whether a key is one of a sync's own. */
  readonly isPosition: (key: Uint8Array) => boolean;
  readonly signal: AbortSignal;
}

/** What was found of keys that the source may not have. */
export interface Swept {
  readonly stale: number;
  /** Keys whose slots are on their way to another master of the source: they were not looked at. */
  readonly unsure: number;
}

/**
 * Looks for keys of the target that are wanted of a source which does not have them: another full copy does not remove what was deleted
 * since the first one. With `marks` they are fenced, so that the lanes fetch them, which deletes those that do not exist then: they may be
 * in writes of the source that were not applied yet. Throws ServerError, ConnectionLost, and the reason of the signal.
 */
export async function sweep(options: SweepOptions, marks: boolean): Promise<Swept> {
  const { isPosition, keys: names, lanes, servers, signal } = options;
  const links = new Map<number, ReplyLink>();
  const places = new Map((await readRecords(servers, names)).places.map(({ master, slot }) => [master.name, slot]));
  let [stale, unsure] = [0, 0];
  try {
    for (const db of await databasesOf(servers)) {
      await eachKey(servers, db, async (owner, found) => {
        signal.throwIfAborted();
        for (const lane of lanes) {
          const { slots } = lane;
          const own = found.filter((key) => !isPosition(key) && slots?.has(keySlot(key)) !== false);
          const gone = await missing(lane, db, own, async () => {
            let link = links.get(lane.number);
            if (link === undefined) links.set(lane.number, (link = new ReplyLink((await lane.open()).socket, () => undefined, signal)));
            return link;
          });
          stale += gone.stale.length;
          unsure += gone.unsure;
          if (!marks || gone.stale.length === 0) continue;
          const master = servers.masters[owner];
          const name = names.fences(places.get(master.name) ?? servers.owners?.indexOf(owner) ?? -1);
          const fences = gone.stale.map((key) => ({ ...key, offset: lane.offset }));
          await addFences(servers, master, name, lane.number, fences);
        }
      });
    }
  } finally {
    for (const link of links.values()) link.close();
  }
  return { stale, unsure };
}

/** Keys of a database of the target that none of the source has that go there; each with one that it would come from. */
async function missing(
  { choice: { sources, wants }, name }: SweptLane,
  db: number,
  keys: readonly Uint8Array[],
  linked: () => Promise<ReplyLink>,
): Promise<{ stale: { db: number; key: Uint8Array }[]; unsure: number }> {
  const from = new Map<Uint8Array, number>();
  let unsure = 0;
  let left = keys;
  for (const of of sources(db)) {
    const asked = left.filter((key) => wants?.(of, key, 0, key.length) !== false);
    if (asked.length === 0) continue;
    const link = await linked();
    link.write(Buffer.concat([encodeCommand(['SELECT', `${of}`]), ...asked.map((key) => encodeCommand(['EXISTS', key]))]));
    const hasNot = (await link.answer()) instanceof ErrorAnswer; // a database that the source does not have
    const has = new Set<Uint8Array>();
    for (const key of asked) {
      const answer = await link.answer();
      if (answer instanceof ErrorAnswer && redirection(answer.text) === undefined) {
        throw ofSource(new ServerError('REFUSED', name, answer.text));
      }
      if (hasNot) continue;
      if (answer === 0) from.set(key, from.get(key) ?? of);
      else has.add(key);
      if (answer instanceof ErrorAnswer) unsure++;
    }
    for (const key of has) from.delete(key);
    left = left.filter((key) => !has.has(key));
  }
  return { stale: [...from].map(([key, of]) => ({ db: of, key })), unsure };
}
