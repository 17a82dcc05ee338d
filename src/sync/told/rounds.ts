import { setTimeout as delay } from 'node:timers/promises';
import { TS_CODEC } from '../../kernels/codec.js';
import { ErrorAnswer } from '../../live/reply-link.js';
import { MAX_PAYLOAD } from '../../dump/resp-writer.js';
import { encodeCommand } from '../../redis/commands.js';
import { mayPass, reasonOf, ServerError } from '../../redis/errors.js';
import { Waiting } from '../../redis/waiting.js';
import { RateLimit } from '../../redis/rate-limit.js';
import { databasesOf, eachKey } from '../each-key.js';
import { type KeyName, keyId } from '../fences.js';
import { RECORD_PREFIX } from '../record.js';
import type { Session } from '../session.js';
import { FetchedWriter } from '../source/write-fetched.js';
import { valueFilterOf } from '../source-lane.js';
import { labelOf } from '../target/lane-records.js';
import { Functions } from './functions.js';
import type { Names } from './names.js';
import { ANY_DB, type PendingKeys } from './pending-keys.js';
import { type FoundKey, SourceKeys } from './source-keys.js';
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

/** A key of the target as it is sent. */
interface SentKey extends TargetKey {
  readonly from: KeyName;
}

/** Keys of the target that are given their values together. */
const AT_ONCE = 4096;
/** Milliseconds between two attempts. */
const RETRY_EVERY = 200;
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
  private readonly writer: FetchedWriter;
  private readonly functions: Functions | undefined;
  private readonly limit: RateLimit;
  private readonly databases = new Set<number>();
  private readonly problems = new Map<string, string>();
  private processes: string | undefined;
  private watchAt = 0;

  constructor(private readonly options: RoundsOptions) {
    const { mayWrite, session, untoldModules } = options;
    const { facts, keys, options: given, servers, signal, source } = session;
    const { allowLoss, group, maxKeysPerSecond, maxPayload = MAX_PAYLOAD, onEvent, onNote } = given;
    this.watched = new WatchedKeys(untoldModules);
    this.sourceKeys = new SourceKeys({ servers: source.servers, maxPayload: MAX_PAYLOAD, signal, onEvent });
    this.targetKeys = new TargetKeys<SentKey>({
      ...{ servers, mayWrite, signal, onEvent },
      label: labelOf(`${keys.prefix}${keys.id}:told`),
      onRefused: ({ from }, error) => {
        this.problem(from, `the target answered: ${error}`);
        this.watched.doubt(from);
      },
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

  /** Some of them. */
  *someKeys(): Generator<KeyName, void, void> {
    for (const keys of [this.current, this.options.feed.pending]) if (keys !== undefined) yield* keys.all();
  }

  /** Unix milliseconds when rounds are to give up: ConnectionLost is thrown, and the keys stay pending. */
  set giveUpAt(time: number) {
    this.sourceKeys.giveUpAt = this.targetKeys.giveUpAt = time;
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
   * `all`: look at all keys that are to be read again, however long that takes.
   */
  async round(all: boolean): Promise<boolean> {
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
    const { counts, targetKeys, watched } = this;
    await this.limit.untilAllowed(session.signal);
    this.limit.spend(goals.length, 0);
    await session.options.group?.resting();
    const wanted = goals.flatMap((goal) => names.sources(goal).map((from) => ({ from, goal })));
    let changed = 0;
    counts.fetched += wanted.length;
    await this.sourceKeys.fetch(
      wanted.map(({ from }) => from),
      (found, i) => {
        const { from, goal } = wanted[i];
        const isOther = !(found instanceof ErrorAnswer) && watched.learn(from, found.payload);
        if (isOther) changed++;
        else if (unlessSame) goal.found = true;
        return isOther || !unlessSame ? this.give(goal, from, found) : undefined;
      },
    );
    for (const goal of goals) {
      if (goal.found) continue;
      counts.gone++;
      const taking = targetKeys.put({ ...goal, from: goal, pieces: [encodeCommand(['DEL', goal.key])], commands: 1 });
      if (taking !== undefined) await taking;
    }
    await targetKeys.settled();
    return changed;
  }

  private give(goal: Goal, from: KeyName, found: FoundKey | ErrorAnswer): Promise<void> | undefined {
    if (found instanceof ErrorAnswer) {
      goal.found = true;
      this.problem(from, `the source answered: ${found.text}`);
      return undefined;
    }
    if (found.payload === undefined && found.excess === 0) {
      this.solved(from);
      return undefined;
    }
    const { servers } = this.options.session;
    const now = servers.clockOf(servers.masters[0].name).now();
    const { excess, expireAt, payload } = found;
    if (excess > 0) {
      goal.found = true;
      this.problem(from, `its payload of ${excess} bytes is larger than is fetched`);
      return undefined;
    }
    const written = this.writer.write(goal.key, { payload, expireAt, large: undefined, offset: 0, id: '' }, 0, now);
    if ('value' in written) throw new TypeError('a value in memory was not put aside');
    if (written.outcome === 'deleted') return undefined; // its value is not wanted
    goal.found = true;
    if (written.outcome === 'refused') {
      this.problem(from, written.reason);
      return undefined;
    }
    this.solved(from);
    this.counts.written++;
    return this.targetKeys.put({ db: goal.db, key: goal.key, from, pieces: written.pieces, commands: written.commands });
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

  /**
   * Keys of the target that the source does not have become pending if `marks`. Returns how many, and whether there are keys of another
   * sync. Begins again after a lost connection.
   */
  async stale(isMeant: (goal: KeyName) => boolean, marks = true): Promise<{ stale: number; others: boolean }> {
    const { options, signal } = this.options.session;
    const waiting = new Waiting(Infinity, options.onEvent);
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.staleOnce(isMeant, marks);
      } catch (error) {
        signal.throwIfAborted();
        const isLost = mayPass(error) || (error instanceof Error && /^Connection is closed|^Command timed out/.test(error.message));
        if (!isLost) throw error;
        waiting.tell(reasonOf(error));
      }
      await delay(RETRY_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  private async staleOnce(isMeant: (goal: KeyName) => boolean, marks: boolean): Promise<{ stale: number; others: boolean }> {
    const { feed, names, session } = this.options;
    const { keys, servers } = session;
    const own = Buffer.from(`${keys.prefix}${keys.id}`);
    const prefix = Buffer.from(RECORD_PREFIX);
    let [stale, others] = [0, false];
    await servers.refresh();
    for (const db of await databasesOf(servers)) {
      await eachKey(servers, db, async (_, found) => {
        session.signal.throwIfAborted();
        for (const key of found) others ||= startsWith(key, prefix) && !startsWith(key, own);
        const goals = found.map((key) => ({ db, key })).filter(isMeant);
        const from = goals.map((goal) => names.sources(goal));
        const missing = new Set(await this.sourceKeys.missing(from.flat()));
        const isGone = (some: readonly KeyName[]): boolean => some.length > 0 && some.every((name) => missing.has(name));
        const gone = goals.flatMap((goal, i) => (isGone(from[i]) ? [{ goal, some: from[i] }] : []));
        const { group } = session.options;
        const lost = gone.map(({ goal }) => goal.key);
        const having = group && (await group.origins.having(db, lost, group.number));
        for (const [i, { some }] of gone.entries()) {
          if (having !== undefined && having[i].length > 0) continue;
          stale++;
          if (marks) feed.pending.add(some[0].db, some[0].key);
        }
      });
    }
    return { stale, others };
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
      const goals = some.flatMap(({ db, key }) => names.targets([db], key)).map((goal) => ({ ...goal, found: false }));
      changed += await this.bring(once(goals), true);
    }
    this.watchAt = performance.now() + (performance.now() - begun) * (1 / WATCHING - 1);
    return changed;
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

const startsWith = (key: Buffer, prefix: Buffer): boolean => key.subarray(0, prefix.length).equals(prefix);

/** Each key once. */
const once = (goals: readonly Goal[]): Goal[] => [...new Map(goals.map((goal) => [keyId(goal.db, goal.key), goal])).values()];
