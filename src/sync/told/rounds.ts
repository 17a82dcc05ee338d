import { TS_CODEC } from '../../kernels/codec.js';
import { ErrorAnswer } from '../../redis/reply-link.js';
import { MAX_PAYLOAD } from '../../dump/resp-writer.js';
import { encodeCommand } from '../../redis/commands.js';
import { mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import { RateLimit } from '../../redis/rate-limit.js';
import { refusalOf } from '../../redis/refusals.js';
import { databasesOf } from '../each-key.js';
import { type KeyName, keyId } from '../fences.js';
import type { Session } from '../session.js';
import { FetchedWriter, type WrittenLarge } from '../source/write-fetched.js';
import { valueFilterOf } from '../source-lane.js';
import { labelOf } from '../target/lane-records.js';
import { Functions } from './functions.js';
import { LargeKeys } from './large-keys.js';
import type { Names } from './names.js';
import { ANY_DB, type PendingKeys } from './pending-keys.js';
import { type FoundKey, SourceKeys } from './source-keys.js';
import { type FoundStale, StaleKeys } from './stale-keys.js';
import { hasStates } from './stream-state.js';
import { type TargetKey, TargetKeys } from './target-keys.js';
import type { ToldFeed } from './told-feed.js';
import { WatchedKeys } from './watched-keys.js';

export interface RoundsOptions {
  readonly session: Session;
  readonly feed: ToldFeed;
  readonly names: Names;
  /** Module types whose changes are not told, or not all. */
  readonly untoldModules: readonly string[];
  /** Throws SyncReplaced if another run writes now. */
  readonly mayWrite: () => Promise<void>;
}

/** What the rounds have done. */
export interface RoundCounts {
  rounds: number;
  /** Keys that were asked for. */
  fetched: number;
  written: number;
  /** Keys that the source did not have, of which the target may have had some. */
  gone: number;
}

/** A key of the target, and whether a value for it was found. */
interface Goal extends KeyName {
  found: boolean;
}

/** A key of the source, and which one of the target it becomes. */
interface Wanted {
  readonly from: KeyName;
  readonly goal: Goal;
}

/** A key of the target as it is sent. */
interface SentKey extends TargetKey {
  readonly from: KeyName;
}

/** Keys of the target that are given their values together. */
const AT_ONCE = 4096;
/** Problems that are remembered. */
const MOST_PROBLEMS = 100_000;
/** The part of the time that may be spent with keys that are read again every round. */
const WATCHING = 0.1;

/** Brings keys that were told to the target. */
export class Rounds {
  readonly counts: RoundCounts = { rounds: 0, fetched: 0, written: 0, gone: 0 };
  /** Keys that are being fetched. */
  current: PendingKeys | undefined;
  readonly watched: WatchedKeys;
  private readonly sourceKeys: SourceKeys;
  private readonly targetKeys: TargetKeys<SentKey>;
  private readonly large: LargeKeys<Wanted>;
  private readonly writer: FetchedWriter;
  private readonly functions: Functions | undefined;
  private readonly staleKeys: StaleKeys;
  private readonly limit: RateLimit;
  private readonly databases = new Set<number>();
  private readonly problems = new Map<string, string>();
  private processes: string | undefined;
  private watchAt = 0;
  /** The source tells by XINFO whether a stream has changed. */
  private asksStates: boolean;

  constructor(private readonly options: RoundsOptions) {
    const { mayWrite, session, untoldModules } = options;
    const { facts, keys, options: given, servers, signal, source } = session;
    const { allowLoss, group, maxKeysPerSecond, maxPayload = MAX_PAYLOAD, onEvent, onNote } = given;
    this.watched = new WatchedKeys(untoldModules);
    this.asksStates = hasStates(source.servers.info);
    this.sourceKeys = new SourceKeys({ servers: source.servers, signal, onEvent });
    this.staleKeys = new StaleKeys({ session, feed: options.feed, names: options.names, sourceKeys: this.sourceKeys });
    const label = labelOf(`${keys.prefix}${keys.id}:told`);
    const onRefused = ({ from }: { readonly from: KeyName }, error: string): void => {
      this.problem(from, `the target answered: ${error}`);
      this.watched.doubt(from);
    };
    this.targetKeys = new TargetKeys<SentKey>({ servers, mayWrite, signal, onEvent, label, onRefused });
    this.large = new LargeKeys<Wanted>({
      ...{ servers, stillOwn: mayWrite, signal, onEvent, label, onRefused, codec: TS_CODEC, target: facts.target, maxPayload },
      onNote: (text) => onNote?.(text),
    });
    this.writer = new FetchedWriter({
      ...{ filter: valueFilterOf(given.filter), codec: TS_CODEC, target: facts.target, sharded: servers.clustered, allowLoss, maxPayload },
      suffix: `${keys.id}:told`,
    });
    const others = group && (() => group.libraries());
    this.functions = session.functions ? new Functions({ source, target: servers, onNote, others }) : undefined;
    this.limit = new RateLimit({ keysPerSecond: maxKeysPerSecond });
  }

  /** Milliseconds that the oldest key waits that was told. */
  get lag(): number {
    const since = Math.min(this.current?.since ?? Infinity, this.options.feed.pending.since);
    return since === Infinity ? 0 : Math.max(0, Date.now() - since);
  }

  /** Keys that were told, and are not on the target. */
  get pending(): number {
    return (this.current?.size ?? 0) + this.options.feed.pending.size;
  }

  /** Function libraries of which the source has several. */
  get conflicts(): readonly string[] {
    return this.functions?.conflicts ?? [];
  }

  /** Some of them. */
  *someKeys(): Generator<KeyName, void, void> {
    for (const keys of [this.current, this.options.feed.pending]) if (keys !== undefined) yield* keys.all();
  }

  /** Unix milliseconds when rounds are to give up: ConnectionLost is thrown, and the keys stay pending. */
  set giveUpAt(time: number) {
    this.sourceKeys.giveUpAt = this.targetKeys.giveUpAt = this.large.giveUpAt = time;
  }

  /** Before the first copy. */
  async begin(): Promise<void> {
    const { alone } = this.options.session;
    if (!alone) await this.functions?.begin();
    await this.databasesNow();
    this.processes = await this.targetProcesses();
  }

  /** Looks for the keys that are to be read again every round. */
  async watch(): Promise<void> {
    const { feed, names, session, untoldModules } = this.options;
    const choice = session.choiceOf(session.source.shards[0]);
    this.watched.clear();
    const modules = session.source.shards.flatMap(({ head }) => head.modules);
    for (const type of ['stream', ...untoldModules.filter(() => modules.includes(PROBABILISTIC))]) {
      try {
        await feed.eachKey(type, (db, keys) => {
          for (const key of keys) {
            if (names.wants(key, 0, key.length) && choice.wants?.(db, key, 0, key.length) !== false) this.watched.add({ db, key });
          }
          return Promise.resolve();
        });
      } catch (error) {
        if (!(error instanceof ServerError) || !/syntax|unknown type/i.test(error.reason)) throw error;
        session.options.onNote?.(`${error.message}: keys of type ${type} that exist already are not read again when nothing tells of them`);
      }
    }
  }

  /**
   * Brings all keys that were told so far. Returns whether nothing is pending at its end, and nothing was found changed without being told.
   * `all`: look at all keys that are to be read again, however long that takes. Where it throws, the keys are pending again.
   */
  async round(all: boolean): Promise<boolean> {
    try {
      return await this.wholeRound(all);
    } catch (error) {
      this.backToPending();
      throw error;
    }
  }

  private backToPending(): void {
    const { feed } = this.options;
    const { current } = this;
    this.current = undefined;
    this.watched.doubtAll();
    if (current === undefined) return;
    for (const { db, key } of current.all()) feed.pending.add(db, key);
    feed.pending.since = Math.min(feed.pending.since, current.since);
    if (current.digests > 0) feed.doubted(`${current.digests} keys that were told could not be brought over in time`);
  }

  private async wholeRound(all: boolean): Promise<boolean> {
    const { feed } = this.options;
    this.counts.rounds++;
    const databases = await this.databasesNow();
    const told = (this.current = feed.take());
    let goals: Goal[] = [];
    for (const { db, key } of told.all()) {
      for (const goal of this.options.names.targets(db === ANY_DB ? databases : [db], key)) goals.push({ ...goal, found: false });
      if (goals.length < this.atOnce) continue;
      await this.bring(goals);
      goals = [];
    }
    await this.bring(goals);
    if (told.digests > 0) await this.bringDigests(told);
    this.current = undefined;
    const changed = await this.bringWatched(all);
    const loaded = await this.passing(async () => (await this.functions?.round()) === true, true);
    return (await this.isQuiet()) && changed === 0 && !loaded;
  }

  /** Whether all that was written before this is called was told and brought, and nothing is in doubt. */
  async isQuiet(): Promise<boolean> {
    const { feed } = this.options;
    const heard = await feed.heard(this.sourceKeys.processes);
    return heard && (await this.isSameTarget()) && feed.pending.size === 0;
  }

  private get atOnce(): number {
    return this.limit.limited ? Math.min(AT_ONCE, this.limit.burst) : AT_ONCE;
  }

  /** Databases that source or target have keys in, or had. */
  private async databasesNow(): Promise<readonly number[]> {
    const { feed, session } = this.options;
    const choice = session.choiceOf(session.source.shards[0]);
    for (const db of await feed.databases()) this.databases.add(db);
    await this.passing(async () => {
      for (const db of await databasesOf(session.servers)) for (const from of choice.sources(db)) this.databases.add(from);
    }, undefined);
    return [...this.databases];
  }

  /** Gives keys of the target what the source has for them. */
  private async bring(goals: readonly Goal[], unlessSame = false): Promise<number> {
    if (goals.length === 0) return 0;
    const { names, session } = this.options;
    const { counts, targetKeys } = this;
    await this.limit.untilAllowed(session.signal);
    this.limit.spend(goals.length, 0);
    await session.options.group?.resting();
    const wanted = goals.flatMap((goal) => names.sources(goal).map((from) => ({ from, goal })));
    counts.fetched += wanted.length;
    const changed = new Set<Wanted>();
    for (let some: readonly Wanted[] = wanted; some.length > 0; some = await this.large.again()) {
      const asked = some;
      await this.sourceKeys.fetch(
        asked.map(({ from }) => from),
        (found, i) => this.take(asked[i], found, unlessSame, changed),
      );
    }
    for (const goal of goals) {
      if (goal.found) continue;
      counts.gone++;
      const taking = targetKeys.put({ ...goal, from: goal, pieces: [encodeCommand(['DEL', goal.key])], commands: 1 });
      if (taking !== undefined) await taking;
    }
    await targetKeys.settled();
    return changed.size;
  }

  private take(wanted: Wanted, found: FoundKey | ErrorAnswer, unlessSame: boolean, changed: Set<Wanted>): Promise<void> | undefined {
    const isOther = !(found instanceof ErrorAnswer) && this.watched.learn(wanted.from, found);
    if (isOther) changed.add(wanted);
    else if (unlessSame) wanted.goal.found = true;
    return isOther || !unlessSame ? this.give(wanted, found) : undefined;
  }

  private give(wanted: Wanted, found: FoundKey | ErrorAnswer): Promise<void> | undefined {
    const { from, goal } = wanted;
    if (found instanceof ErrorAnswer) {
      goal.found = true;
      this.watched.doubt(from);
      this.problem(from, `the source answered: ${found.text}`);
      return undefined;
    }
    const { expireAt, large, payload } = found;
    if (payload === undefined && large === undefined) {
      this.solved(from);
      return undefined;
    }
    const { servers } = this.options.session;
    const now = servers.clockOf(servers.masters[0].name).now();
    const written = this.writer.write(goal.key, { payload, expireAt, large, offset: 0, id: '' }, 0, now);
    if (written.outcome === 'deleted') return undefined; // its value is not wanted
    goal.found = true;
    if (written.outcome === 'refused') {
      this.problem(from, written.reason);
      return undefined;
    }
    if ('value' in written) return this.giveLarge(wanted, written);
    this.solved(from);
    this.counts.written++;
    return this.targetKeys.put({ db: goal.db, key: goal.key, from, pieces: written.pieces, commands: written.commands });
  }

  private async giveLarge(wanted: Wanted, written: WrittenLarge): Promise<void> {
    const { from, goal } = wanted;
    if (await this.large.write(goal.db, wanted, written)) {
      this.solved(from);
      this.counts.written++;
    } else this.watched.doubt(from);
  }

  private solved({ db, key }: KeyName): void {
    if (this.problems.delete(keyId(db, key))) this.options.session.problems = this.problems.size;
  }

  private problem(name: KeyName, reason: string): void {
    const { session } = this.options;
    const id = keyId(name.db, name.key);
    if (this.problems.get(id) === reason) return;
    if (this.problems.has(id) || this.problems.size < MOST_PROBLEMS) this.problems.set(id, reason);
    session.problems = this.problems.size;
    session.options.onKeyProblem?.({ ...name, reason });
  }

  /** Keys of which only digests are held: they are found among all keys of the source, and of the target. */
  private async bringDigests(told: PendingKeys): Promise<void> {
    const { feed, names } = this.options;
    const isTold = (db: number, key: Uint8Array): boolean => told.hasDigest(ANY_DB, key) || told.hasDigest(db, key);
    let goals: Goal[] = [];
    await feed.eachKey(undefined, async (db, keys) => {
      for (const key of keys) {
        if (!names.wants(key, 0, key.length) || !isTold(db, key)) continue;
        for (const goal of names.targets([db], key)) goals.push({ ...goal, found: false });
      }
      if (goals.length < this.atOnce) return;
      await this.bring(once(goals));
      goals = [];
    });
    await this.bring(once(goals));
    await this.stale((goal) => names.sources(goal).some(({ db, key }) => isTold(db, key)));
  }

  /** Looks for keys of the target that the source does not have: see StaleKeys. */
  stale(isMeant: (goal: KeyName) => boolean, marks = true): Promise<FoundStale> {
    return this.staleKeys.find(isMeant, marks);
  }

  /** Keys that may have changed without being told. Returns how many have. */
  private async bringWatched(all: boolean): Promise<number> {
    const { names } = this.options;
    const begun = performance.now();
    if (!all && begun < this.watchAt) return 0;
    const watched = this.watched.all;
    let changed = 0;
    const { atOnce } = this;
    for (let at = 0; at < watched.length; at += atOnce) {
      const some = watched.slice(at, at + atOnce);
      await this.askStates(some);
      const due = this.asksStates ? some.filter(({ isBrought }) => !isBrought) : some;
      const goals = due.flatMap(({ db, key }) => names.targets([db], key)).map((goal) => ({ ...goal, found: false }));
      changed += await this.bring(once(goals), true);
      this.watched.brought(due);
    }
    this.watchAt = performance.now() + (performance.now() - begun) * (1 / WATCHING - 1);
    return changed;
  }

  /** Asks what is cheaper to tell of streams than to read them. */
  private async askStates(keys: WatchedKeys['all']): Promise<void> {
    if (!this.asksStates) return;
    const { onEvent } = this.options.session.options;
    const streams = keys.filter(({ isStream }) => isStream);
    const asked = performance.now();
    await this.sourceKeys.states(streams, (state, i) => {
      const isError = state instanceof ErrorAnswer;
      this.watched.answered(streams[i], isError ? undefined : state, asked, performance.now());
      if (!isError || refusalOf(state.text) !== 'stop') return;
      if (this.asksStates) onEvent?.(`the source answered XINFO: ${state.text}: all streams are read every round`, true);
      this.asksStates = false;
    });
  }

  /** A server of the target that was restarted or replaced may have lost keys. */
  private async isSameTarget(): Promise<boolean> {
    const { feed } = this.options;
    const now = await this.passing(() => this.targetProcesses(), '');
    if (now === '') return false;
    if (this.processes !== undefined && now !== this.processes) feed.doubted(TARGET_CHANGED);
    this.processes = now;
    return feed.doubt === undefined;
  }

  private async targetProcesses(): Promise<string> {
    const { servers } = this.options.session;
    await servers.refresh();
    const all = await servers.eachMaster(async (client) => {
      const { earlierReplicationId, role, runId } = await servers.infoOf(client);
      return `${runId} ${role} ${earlierReplicationId}`;
    });
    return all.sort().join('\n');
  }

  /** What a server that is lost for a while does not tell is `otherwise`. */
  private async passing<T>(question: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await question();
    } catch (error) {
      this.options.session.signal.throwIfAborted();
      if (!mayPass(error)) throw error;
      this.options.session.options.onEvent?.(reasonOf(error));
      return otherwise;
    }
  }

  close(): void {
    this.sourceKeys.close();
    this.targetKeys.close();
  }
}

/** The module that has the types which are not told in full, as INFO names it. */
const PROBABILISTIC = 'bf';

const TARGET_CHANGED = 'a server of the target was restarted or replaced, and may have lost keys';

/** Each key once. */
const once = (goals: readonly Goal[]): Goal[] => [...new Map(goals.map((goal) => [keyId(goal.db, goal.key), goal])).values()];
