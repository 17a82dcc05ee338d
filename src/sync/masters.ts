import { setTimeout as delay } from 'node:timers/promises';
import { keySlot } from '../bytes/crc16.js';
import type { ClusterView } from '../live/cluster-state.js';
import { ReplicationInput } from '../live/replication-input.js';
import type { Shard } from '../live/shard.js';
import { mayPass, reasonOf } from '../redis/errors.js';
import { eachKey, eachKeyOf } from './each-key.js';
import type { Crossing } from './crossing.js';
import { SyncError, SyncGap } from './errors.js';
import type { Lanes } from './lanes.js';
import type { Session } from './session.js';
import { SlotKeeper } from './slot-keeper.js';
import type { SourceLane } from './source-lane.js';
import { Detached } from './target/detached.js';
import { removeLane } from './target/lane-records.js';

/** Milliseconds between two looks at the slots of a cluster. */
const WATCH_EVERY = 500;
/** Looks at the slots until a master counts as one that has some. */
const LEFT_ATTEMPTS = 6;

/** Masters of a cluster that is the source come, go, and pass slots to each other: lanes begin and end with them. */
export class Masters {
  /** Masters of the source so far. */
  private known: number;

  constructor(
    private readonly session: Session,
    private readonly lanes: Lanes,
    private readonly crossing: Crossing,
  ) {
    this.known = session.source.shards.length;
    lanes.onGap = async (lane, { reason }) => {
      if (!(await this.hasLeft(lane.shard))) throw new SyncGap(lane.name, reason);
      await this.retire(lane);
    };
  }

  /** Which slots belong to which lane after a full copy. Those that have moved meanwhile are looked at key by key. */
  async assignSlots(): Promise<void> {
    const { crossing, lanes } = this;
    const view = await this.view();
    crossing.read([]);
    const moved = new Set([...view.coming.keys()]);
    for (const { number, shard } of lanes.all) {
      for (const [from, to] of shard.facts.slots) {
        for (let slot = from; slot <= to; slot++) {
          if (view.owners[slot] !== shard.index) moved.add(slot);
          if (!moved.has(slot)) crossing.give(slot, number);
        }
      }
    }
    const [first] = lanes.all;
    if (moved.size > 0) await lanes.writeFences(first.number, await this.keysIn(moved), first.spool.end);
    await lanes.writeSlots();
  }

  /** Follows slots and masters until the run is over. Throws what does not pass. */
  async watch(isOver: () => boolean): Promise<void> {
    const { crossing, lanes, session } = this;
    const { options, source } = session;
    const keeper = new SlotKeeper({
      ...{ crossing, lanes: lanes.all, view: () => this.view(), onEvent: (text) => options.onEvent?.(text) },
      offsetOf: async ({ number }) => (await lanes.of(number).history()).offset,
    });
    while (!isOver()) {
      try {
        const now = await this.view();
        for (const shard of await source.joined(this.known)) {
          await this.welcome(shard);
          this.known++;
        }
        await keeper.look(now);
      } catch (error) {
        if (isOver()) return;
        if (!mayPass(error) && !(error instanceof Detached && !error.final)) throw error;
        options.onEvent?.(`${reasonOf(error)}: looking again at the slots of the source`);
      }
      await delay(WATCH_EVERY);
    }
  }

  private async view(): Promise<ClusterView> {
    return (await this.session.source.view()) as ClusterView;
  }

  /** A master has come to the source. */
  private async welcome(shard: Shard): Promise<void> {
    const { lanes } = this;
    const lane = await lanes.add(Math.max(...lanes.all.map(({ number }) => number)) + 1, shard);
    try {
      await this.join(lane);
    } catch (error) {
      lanes.remove(lane);
      await lane.close();
      throw error;
    }
    lanes.run(lane);
  }

  /** Begins to follow a master that has come: its keys are fetched, and its writes from then on are applied. */
  async join(lane: SourceLane): Promise<void> {
    const { lanes, session } = this;
    const { name, number, shard } = lane;
    const { onEvent, source } = session.options;
    const follower = lane.follower();
    const input = new ReplicationInput({
      ...{ name, open: () => shard.connect(), psyncCommand: source.psyncCommand, signal: session.signal, onEvent },
      onPosition: (position) => follower.onPosition(position),
      onExactPosition: async (position) => {
        await follower.onExactPosition(position);
        lane.copy = position;
      },
    });
    let bytes = 0; // of a copy that is asked for to be told where it stands
    for await (const chunk of input.chunks()) bytes += chunk.length;
    if (lane.copy === undefined) throw new SyncError(name, 'it does not say where its writes stand');
    const names: Buffer[] = [];
    await eachKeyOf(session.source.servers, await shard.master(), (keys) => void names.push(...keys));
    await lanes.writeFences(number, names, lane.copy.offset);
    const text = `it has come to the cluster, and sent a copy of ${bytes} bytes: its ${names.length} keys are fetched, its writes followed`;
    await lanes.copied(lane);
    onEvent?.(`${name}: ${text}`, true);
  }

  /** Whether a master has given all its slots away; it is made a replica then. */
  private async hasLeft({ index }: Shard): Promise<boolean> {
    for (let attempt = 0; attempt < LEFT_ATTEMPTS; attempt++) {
      const view = await this.view().catch(() => undefined);
      if (view !== undefined && !view.owners.includes(index) && ![...view.coming.values()].flat().includes(index)) return true;
      await delay(WATCH_EVERY, undefined, { signal: this.session.signal });
    }
    return false;
  }

  /** Masters have left the cluster while nobody looked: what their last writes were about is looked at key by key. */
  async forget(gone: readonly number[]): Promise<void> {
    const { crossing, lanes, session } = this;
    for (const number of gone) crossing.leave(number);
    const [lane] = lanes.all;
    const names = await this.keysIn(new Set(crossing.slotsInTransit));
    await lanes.writeSlots();
    await lanes.writeFences(lane.number, names, lane.spool.end);
    for (const number of gone) await removeLane(session.servers, session.keys, number);
    const masters = gone.length === 1 ? 'a master has' : `${gone.length} masters have`;
    session.options.onEvent?.(`${masters} left the cluster: ${names.length} keys of slots that they had are fetched`, true);
  }

  /** The lane ends: its last writes may not have come, so all keys of slots that it can have had are looked at. */
  private async retire(lane: SourceLane): Promise<void> {
    const { crossing, lanes, session } = this;
    const other = lanes.all.find((one) => one !== lane && one.lane !== undefined);
    if (other?.lane === undefined || lane.lane === undefined) return;
    lanes.remove(lane);
    lane.lane.stop(lane.spool.end);
    crossing.leave(lane.number);
    const names = await this.keysIn(new Set(crossing.slotsInTransit));
    await lanes.writeFences(other.number, names, other.spool.end);
    other.lane.want(names.map((key) => ({ db: 0, key })));
    await lane.ended;
    lane.lane.close();
    crossing.remove(lane.lane);
    await removeLane(session.servers, session.keys, lane.number);
    await lane.spool.remove();
    session.options.onEvent?.(`${lane.name}: it has no slots any more: its writes are not followed further`, true);
  }

  /** The keys of some slots, on the target and in the source. */
  private async keysIn(slots: ReadonlySet<number>): Promise<Buffer[]> {
    const { keys, options, servers, source } = this.session;
    const prefix = Buffer.from(keys.prefix);
    const found = new Map<string, Buffer>();
    const take = (_: number, some: readonly Buffer[]): Promise<void> => {
      for (const key of some) {
        if (slots.has(keySlot(key)) && !key.subarray(0, prefix.length).equals(prefix)) found.set(key.toString('latin1'), key);
      }
      return Promise.resolve();
    };
    await eachKey(servers, options.url.db ?? options.dbMap?.get(0) ?? 0, take);
    await source.servers.refresh();
    await eachKey(source.servers, 0, take);
    return [...found.values()];
  }
}
