import { keySlot } from '../bytes/crc16.js';
import { grouped } from '../bytes/grouped.js';
import type { OpenedNode } from '../live/replication-input.js';
import { ErrorAnswer, ReplyLink } from '../redis/reply-link.js';
import { encodeCommand } from '../redis/commands.js';
import { ServerError } from '../redis/errors.js';
import { redirection } from '../redis/refusals.js';
import type { Servers } from '../redis/servers.js';
import type { KeyPrefixes } from '../values/key-prefixes.js';
import { databasesOf, eachKey } from './each-key.js';
import { type Choice, sourceNames } from './choice.js';
import type { KeyName } from './fences.js';
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
  /** Other names of keys on the target. */
  readonly names: KeyPrefixes | undefined;
  /** Offset that the target has: its keys are fetched as they are later. */
  readonly offset: number;
}

export interface SweepOptions {
  readonly servers: Servers;
  readonly keys: RecordKeys;
  readonly lanes: readonly SweptLane[];
  /** Whether a key is one of a sync's own. */
  readonly isPosition: (key: Uint8Array) => boolean;
  /** Of these keys of the target, those that no other source has (default: all). */
  readonly ofNoOther?: ((db: number, keys: readonly Uint8Array[]) => Promise<readonly Uint8Array[]>) | undefined;
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
  const { isPosition, keys, lanes, ofNoOther, servers, signal } = options;
  const links = new Map<number, ReplyLink>();
  const places = new Map((await readRecords(servers, keys)).places.map(({ master, slot }) => [master.name, slot]));
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
          const ours = new Set(await (ofNoOther?.(db, gone.stale.map(({ key }) => key)) ?? gone.stale.map(({ key }) => key)));
          const names = gone.stale.flatMap(({ from, key }) => (ours.has(key) ? [from] : []));
          stale += names.length;
          unsure += gone.unsure;
          if (!marks || names.length === 0) continue;
          const master = servers.masters[owner];
          const record = keys.fences(places.get(master.name) ?? servers.owners?.indexOf(owner) ?? -1);
          const fences = names.map((from) => ({ ...from, offset: lane.offset }));
          await addFences(servers, master, record, lane.number, fences);
        }
      });
    }
  } finally {
    for (const link of links.values()) link.close();
  }
  return { stale, unsure };
}

/** Keys of a database of the target that come from the source, which does not have any that becomes them; each with one that would. */
async function missing(
  { choice, name: place, names: prefixes }: SweptLane,
  db: number,
  keys: readonly Uint8Array[],
  linked: () => Promise<ReplyLink>,
): Promise<{ stale: { from: KeyName; key: Uint8Array }[]; unsure: number }> {
  const asked = keys.flatMap((key) => sourceNames(choice, prefixes, db, key).map((from) => ({ key, from })));
  const gone = new Map<Uint8Array, KeyName>();
  const has = new Set<Uint8Array>();
  let unsure = 0;
  for (const [of, some] of grouped(asked, ({ from }) => from.db)) {
    const link = await linked();
    link.write(Buffer.concat([encodeCommand(['SELECT', `${of}`]), ...some.map(({ from }) => encodeCommand(['EXISTS', from.key]))]));
    const hasNot = (await link.answer()) instanceof ErrorAnswer; // a database that the source does not have
    for (const { from, key } of some) {
      const answer = await link.answer();
      if (answer instanceof ErrorAnswer && redirection(answer.text) === undefined) {
        throw ofSource(new ServerError('REFUSED', place, answer.text));
      }
      if (hasNot) continue;
      if (answer === 0) gone.set(key, gone.get(key) ?? from);
      else has.add(key);
      if (answer instanceof ErrorAnswer) unsure++;
    }
  }
  return { stale: [...gone].flatMap(([key, from]) => (has.has(key) ? [] : [{ from, key }])), unsure };
}
