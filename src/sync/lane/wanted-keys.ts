import { keySlot } from '../../bytes/crc16.js';
import { grouped } from '../../bytes/grouped.js';
import { formatText } from '../../bytes/text.js';
import type { Crosser, Crossing } from '../crossing.js';
import { type Fences, keyId, type KeyName } from '../fences.js';
import { type Fetched, KeyElsewhere } from '../source/fetcher.js';
import type { WrittenLarge } from '../source/write-fetched.js';
import type { AttachedTarget } from '../target/attached-target.js';
import { Detached } from '../target/detached.js';
import type { LargeWriter } from '../target/large-writer.js';
import type { Doubts } from './doubts.js';
import type { LaneOptions } from './lane-options.js';
import type { Problems } from './problems.js';

type OfLane = Pick<
  LaneOptions,
  'crossing' | 'fetched' | 'fetcher' | 'hold' | 'name' | 'number' | 'othersHave' | 'resting' | 'signal' | 'target'
>;

export interface WantedKeysOptions extends OfLane {
  /** The lane, as those of other masters see it. */
  readonly lane: Crosser;
  readonly attached: AttachedTarget;
  readonly doubts: Pick<Doubts, 'areToSpread' | 'spread' | 'takeRefused'>;
  readonly fences: Fences;
  /** Ids of keys that go if the source does not have them, even if another one does. */
  readonly flushed: ReadonlySet<string>;
  readonly large: Pick<LargeWriter, 'write'>;
  readonly problems: Problems;
}

/** Keys fetched at once. */
const FETCH_AT_ONCE = 4096;
/** Keys, and bytes, that are written at once. */
const GROUP_KEYS = 256;
const GROUP_BYTES = 1 << 20;

const RULES = 'with DUMP, which leaves out the compaction rules of a time series';
const LOST_RULES = `fetched ${RULES}: it has some, to be made again on the target with TS.CREATERULE, as TS.INFO of the source shows them`;
const UNKNOWN_RULES = `fetched ${RULES}: whether it has some is not known, since the source refuses TS.INFO`;

/** Fetches keys that are wanted from the source, and writes what it has to the target. */
export class WantedKeys {
  /** Keys fetched so far. */
  fetched = 0;
  /** Time series that were fetched since they were looked at. */
  private readonly series: KeyName[] = [];
  /** By key on the target: the one of the source whose value was written there since there were no fences. */
  private readonly brought = new Map<string, string>();

  constructor(private readonly options: WantedKeysOptions) {}

  /** Brings the values of wanted keys to the target, as they are in the source at `least` or later. `to`: the stream was read so far. */
  async settle(least: number, to: number): Promise<void> {
    const { attached, crossing, doubts, fences, fetcher, number, resting, signal } = this.options;
    while (fences.wanted.size > 0 || doubts.areToSpread) {
      await resting?.();
      await doubts.spread(to);
      const wanted = crossing === undefined ? [...fences.wanted.values()] : bySlot([...fences.wanted.values()]);
      const away = crossing === undefined ? [] : wanted.filter(({ key }) => crossing.isForeign(number, keySlot(key)));
      if (crossing !== undefined && away.length > 0) {
        await this.settleAway(crossing, away);
        continue;
      }
      const names = wanted.slice(0, FETCH_AT_ONCE);
      const groups = new Groups((group) => this.writeFetched(group));
      try {
        await fetcher.each(names, { atLeast: least, signal }, (fetched, i) => groups.add(names[i], fetched));
        await groups.end();
      } catch (error) {
        if (crossing === undefined || !(error instanceof KeyElsewhere)) throw error;
        crossing.transit(error.slot);
      }
    }
    await this.tellSeries();
    const refused = doubts.takeRefused();
    if (refused > 0) {
      await attached.writer.drained();
      attached.writer.settled(refused);
    }
  }

  /** The same for keys that other lanes may have commands on: these rest meanwhile. */
  private async settleAway(crossing: Crossing, names: readonly KeyName[]): Promise<void> {
    const { attached, lane, signal } = this.options;
    const { writer } = attached;
    await writer.drained();
    await crossing.turn(lane, async () => {
      if (crossing.takeChanged()) await writer.writeSlots(crossing.text);
      const [own, ...others] = [lane, ...crossing.others(lane)].map((one) => ({
        ...{ lane: one, received: one.received, history: one.history },
      }));
      const offsetIn = ({ history, received }: typeof own, { id, offset }: Fetched): number => (history === id ? offset : received);
      const groups = new Groups(async (group) => {
        for (const other of others) {
          const fences = group.map(([{ db, key }, fetched]) => ({ db, key, offset: offsetIn(other, fetched) }));
          const needed = fences.filter(({ offset }) => offset > other.lane.kept);
          await attached.fence(needed, other.lane.number);
          for (const fence of fences) other.lane.fenceAt(fence, fence.offset);
        }
        await this.writeFetched(group.map(([name, fetched]) => [name, { ...fetched, offset: offsetIn(own, fetched) }]));
      });
      await crossing.fetcher.each(names, signal, (fetched, name) => groups.add(name, fetched));
      await groups.end();
      await writer.drained();
    });
  }

  /** Sends values that were fetched, once the target knows how new they are. */
  private async writeFetched(group: readonly [KeyName, Fetched][]): Promise<void> {
    if (group.length === 0) return;
    const { attached, fences, fetched: values, hold, problems, target } = this.options;
    const { writer } = attached;
    await attached.fence(group.map(([{ db, key }, { offset }]) => ({ db, key, offset })));
    const others = await this.ofOthers(group);
    for (const [name, fetched] of group) {
      fences.set(name, fetched.offset);
      const key = attached.nameOf(name.key);
      const written = values.write(key, fetched, hold ?? 0, Date.now());
      if (written.outcome === 'refused') problems.tell(name, written.reason);
      else if (written.outcome !== 'deleted' || (others?.has(name) !== true && this.mayDelete(name, key))) {
        if (written.outcome !== 'deleted') this.brought.set(keyId(target(name.db), key), keyId(name.db, name.key));
        if (written.isSeries === true) this.series.push(name);
        if ('value' in written) await this.writeLarge(name, key, written);
        else if (writer.isMoving(key)) await writer.sendMoving(writer.ownerOfKey(key), written.pieces);
        else writer.sendPieces(writer.ownerOfKey(key), target(name.db), written.pieces, written.commands);
      }
    }
    this.fetched += group.length;
    writer.flush();
    await writer.room();
  }

  /** Names the time series that were fetched without what belongs to them. */
  private async tellSeries(): Promise<void> {
    const { fetcher, problems, signal } = this.options;
    for (const name of this.series.splice(0)) {
      const has = await fetcher.hasRules(name, signal);
      if (has !== false) problems.tell(name, has === true ? LOST_RULES : UNKNOWN_RULES);
    }
  }

  /** It is on the target when this resolves. */
  private async writeLarge(name: KeyName, key: Uint8Array, written: WrittenLarge): Promise<void> {
    const { attached, large, name: source, problems, target } = this.options;
    const { writer } = attached;
    await writer.drained();
    if (writer.isMoving(key)) throw new Detached(source, `the slot of key ${formatText(key)} is moving, and its value is large`);
    const refusal = await large.write(target(name.db), written);
    if (refusal !== undefined) problems.tell(name, refusal);
  }

  /** Keys that were fetched and that the source does not have, but other sources do: they stay. */
  private async ofOthers(group: readonly [KeyName, Fetched][]): Promise<ReadonlySet<KeyName> | undefined> {
    const { attached, flushed, othersHave, target } = this.options;
    if (othersHave === undefined) return undefined;
    const gone = group.flatMap(([name, { large, payload }]) => (payload === undefined && large === undefined ? [name] : []));
    const found = new Set<KeyName>();
    for (const [db, names] of grouped(gone, (name) => target(name.db))) {
      const have = await othersHave(db, names.map(({ key }) => attached.nameOf(key)));
      for (const [i, name] of names.entries()) if (have[i] && !flushed.has(keyId(name.db, name.key))) found.add(name);
    }
    return found;
  }

  /** Whether a key that the source does not have may go: not if another of the source that has this name on the target was just written. */
  private mayDelete(name: KeyName, key: Uint8Array): boolean {
    const { fences, target } = this.options;
    const other = this.brought.get(keyId(target(name.db), key));
    return other === undefined || other === keyId(name.db, name.key) || !fences.wasFetched(other);
  }

  /** There are no fences, so that no key was fetched that the stream has not passed. */
  noFences(): void {
    this.brought.clear();
  }
}

/** Keys of a slot together, so that they are fetched in one transaction. */
function bySlot(names: readonly KeyName[]): KeyName[] {
  return names
    .map((name) => ({ name, slot: keySlot(name.key) }))
    .sort((a, b) => a.slot - b.slot)
    .map(({ name }) => name);
}

/** Fetched values, gathered to be written together. */
class Groups {
  private group: [KeyName, Fetched][] = [];
  private bytes = 0;

  constructor(private readonly write: (group: readonly [KeyName, Fetched][]) => Promise<void>) {}

  async add(name: KeyName, fetched: Fetched): Promise<void> {
    this.group.push([name, fetched]);
    this.bytes += fetched.payload?.length ?? 0;
    // a large one is only there until this resolves
    if (fetched.large !== undefined || this.bytes >= GROUP_BYTES || this.group.length >= GROUP_KEYS) await this.end();
  }

  async end(): Promise<void> {
    const { group } = this;
    this.group = [];
    this.bytes = 0;
    await this.write(group);
  }
}
