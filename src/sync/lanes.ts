import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../bytes/crc16.js';
import { grouped } from '../bytes/grouped.js';
import type { Shard } from '../live/shard.js';
import { reasonOf } from '../redis/errors.js';
import { sourceNames } from './choice.js';
import { SyncError, SyncGap } from './errors.js';
import { holdAgain } from './holds.js';
import type { KeyName } from './fences.js';
import { laneName } from './forget.js';
import { LANES_FIELD, type LaneRecord, recordText } from './record.js';
import type { Session } from './session.js';
import { type RunRecord, SourceLane, type SourceLaneOptions } from './source-lane.js';
import type { KeptCopy } from './spool/kept-copy.js';
import { hasSpool, Spool } from './spool/spool.js';
import type { LaneStatus } from './status.js';
import { targetMayPass } from './target/detached.js';
import { addFences, type LaneState, readRecords, recordSlot, replaceRecords } from './target/lane-records.js';

/** What a record says of a place in the stream. */
type Stand = Omit<LaneRecord, keyof RunRecord | 'slots'>;

/** Milliseconds between two attempts to write a record. */
const RETRY_EVERY = 200;

/** The lanes of a run, and what they say on the target. */
export class Lanes {
  readonly all: SourceLane[] = [];
  /** What to do when the source no longer has the writes that a lane needs next. */
  onGap: SourceLaneOptions['onGap'] = (lane, { reason }) => Promise.reject(new SyncGap(lane.name, reason));
  private readonly runs: Promise<void>[] = [];

  constructor(private readonly session: Session) {}

  get statuses(): LaneStatus[] {
    return this.all.map(({ status }) => status);
  }

  get record(): RunRecord {
    const { alone, among, fingerprint, generation, options } = this.session;
    const expiries = options.holdExpiries ? 'held' : 'exact';
    return { alone, among, expiries, generation, lanes: this.all.length, options: fingerprint };
  }

  /** Holds expiries again that an earlier run has released, if it has. Throws ServerError and the reason of the signal. */
  async holdAgain(states: ReadonlyMap<number, LaneState>): Promise<void> {
    const { hold, holds, options, positions, source } = this.session;
    const isReleased = [...states.values()].some(({ record: { expiries } }) => expiries === 'released' || expiries === 'holding');
    if (!isReleased || hold === undefined) return;
    const choice = this.session.choiceOf(source.shards[0]);
    await holdAgain({
      ...holds,
      source: source.servers,
      concerns: (db, key) => !positions.has(key, 0, key.length) && sourceNames(choice, options.keyPrefixMap, db, key).length > 0,
      offsets: async () => {
        const ends = this.all.map(async ({ number, shard }) => [number, (await this.session.historyOf(shard)).offset] as const);
        return new Map(await Promise.all(ends));
      },
    });
  }

  of(number: number): SourceLane {
    const found = this.all.find((lane) => lane.number === number);
    if (found === undefined) throw new TypeError(`there is no lane ${number}`);
    return found;
  }

  /** One for each master of the source. `states`: those of an earlier run. Throws OutputError, ServerError, SyncError. */
  async open(states: ReadonlyMap<number, LaneState>): Promise<void> {
    const { crossing, source } = this.session;
    const goesOn = crossing !== undefined && states.size > 0 && ![...states.values()].some(({ record }) => record.phase === 'full');
    if (!goesOn) {
      for (const [number, shard] of source.shards.entries()) await this.add(number, shard);
      return;
    }
    // the masters may come in another order, and a replica may have taken over: each lane is known by its history
    const left = new Set(source.shards);
    const histories = await Promise.all(source.shards.map((shard) => this.session.historyOf(shard)));
    for (const [number, { record }] of states) {
      const spool = await this.openSpool(number, `lane ${number}`);
      const ids = new Set([record.id, ...spool.history.map(({ id }) => id)]);
      const found = source.shards.find((shard, i) => left.has(shard) && (ids.has(histories[i].id) || ids.has(histories[i].earlierId)));
      if (found === undefined) {
        await spool.close();
        continue;
      }
      left.delete(found);
      this.all.push(this.laneOf(number, found, spool));
    }
    for (const shard of left) await this.add(Math.max(-1, ...states.keys(), ...this.all.map((lane) => lane.number)) + 1, shard);
  }

  /** One more. Throws OutputError. */
  async add(number: number, shard: Shard): Promise<SourceLane> {
    const lane = this.laneOf(number, shard, await this.openSpool(number, shard.facts.name));
    this.all.push(lane);
    return lane;
  }

  remove(lane: SourceLane): void {
    this.all.splice(this.all.indexOf(lane), 1);
  }

  private laneOf(number: number, shard: Shard, spool: Spool): SourceLane {
    return new SourceLane({ session: this.session, number, shard, spool, onGap: (lane, gap) => this.onGap(lane, gap) });
  }

  private openSpool(lane: number, name: string): Promise<Spool> {
    const { dry, keys, options } = this.session;
    const { onEvent, spool: folder, spoolMax } = options;
    const own = laneName(keys.id, lane);
    const dir = folder !== undefined && (!dry || hasSpool(folder, own)) ? folder : undefined;
    return Spool.open({
      ...{ lane: own, dir, max: spoolMax },
      onFull: (text) => onEvent?.(`${name}: ${text}: the source is not read further until there is room`, true),
      onRoom: () => onEvent?.(`${name}: the spool has room again`, true),
      onEvent: (text) => onEvent?.(`${name}: ${text}`),
    });
  }

  /** What is kept of full copies: see KeptCopy. */
  copies(): Promise<Awaited<ReturnType<KeptCopy['find']>>[]> {
    return Promise.all(this.all.map(async ({ spool }) => spool.kept?.find()));
  }

  /** Deletes what is kept of full copies. Throws OutputError. */
  async forgetCopies(): Promise<void> {
    if (this.session.dry) return;
    for (const { spool } of this.all) await spool.kept?.remove();
  }

  /** Begins to apply the writes of a lane. */
  run(lane: SourceLane): void {
    this.runs.push(lane.run());
  }

  /** Resolves when all lanes have ended, those too that begin meanwhile. */
  async ended(): Promise<void> {
    for (let i = 0; i < this.runs.length; i++) await this.runs[i];
  }

  /** Writes the record of a lane to all masters of the target. */
  async writeRecord(lane: number, stand: Stand): Promise<void> {
    const { keys, name, options, servers, signal } = this.session;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        const text = (slots: string): string => recordText({ ...stand, ...this.record, slots });
        await replaceRecords(servers, keys, lane, name, text, stand.phase !== 'full');
        return;
      } catch (error) {
        if (!targetMayPass(error)) throw error;
        options.onEvent?.(`${reasonOf(error)}: writing the position again`, attempt % 10 === 0);
      }
      await delay(RETRY_EVERY, undefined, { signal });
    }
  }

  /** The full copy of a lane is done: its writes can be applied from there. */
  async copied(lane: SourceLane): Promise<void> {
    if (lane.copy === undefined) throw new SyncError(lane.name, 'its copy did not say where it stands');
    const { db, id, offset } = lane.copy;
    await this.writeRecord(lane.number, { phase: 'changes', id, certain: offset, sent: offset, db });
    lane.makeLane({ offset, db }, this.record);
  }

  /** Keys are to be fetched when a lane begins: they are in doubt up to this offset. */
  async writeFences(lane: number, names: readonly Uint8Array[], offset: number): Promise<void> {
    await this.writeKeyFences(lane, names.map((key) => ({ db: 0, key })), offset);
  }

  /** Keys of the source are to be as it has them: by its lanes, or when they begin the next time. */
  async bring(names: readonly KeyName[]): Promise<boolean> {
    const { crossing } = this.session;
    const own = grouped(names, ({ key }) => this.all.find(({ number }) => crossing?.isOf(number, keySlot(key)) !== false) ?? this.all[0]);
    let areThere = true;
    for (const [source, some] of own) {
      if ((await source.lane?.bring(some)) === true) continue;
      areThere = false;
      await this.writeKeyFences(source.number, some, source.status.received);
    }
    return areThere;
  }

  private async writeKeyFences(lane: number, names: readonly KeyName[], offset: number): Promise<void> {
    const { keys, servers } = this.session;
    await servers.refresh();
    const { moving } = await readRecords(servers, keys);
    const fences = names.map((name) => ({ ...name, offset }));
    for (const [master, own] of grouped(fences, ({ key }) => servers.masterOf(keySlot(key)))) {
      const slot = recordSlot(servers, servers.masters.indexOf(master), moving);
      await addFences(servers, master, keys.fences(slot), lane, own);
    }
  }

  /** Tells the target which slots of the source belong to which lane. */
  async writeSlots(): Promise<void> {
    const { crossing, keys, servers } = this.session;
    if (crossing === undefined) return;
    crossing.takeChanged();
    const { moving } = await readRecords(servers, keys);
    await servers.eachMaster((client, master) => {
      const slot = recordSlot(servers, servers.masters.indexOf(master), moving);
      return client.hset(keys.records(slot), LANES_FIELD, crossing.text);
    });
  }

  async close(): Promise<void> {
    for (const lane of this.all) await lane.close();
  }
}
