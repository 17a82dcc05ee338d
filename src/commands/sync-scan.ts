import { setTimeout as delay } from 'node:timers/promises';
import type { LiveSource } from '../live/live-source.js';
import { mayPass, reasonOf } from '../redis/errors.js';
import type { Servers } from '../redis/servers.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { Waiting } from '../redis/waiting.js';
import { endedWell } from '../restore/summary.js';
import type { TargetFacts } from '../restore/target-facts.js';
import { SyncError, SyncReplaced } from '../sync/errors.js';
import type { KeyName } from '../sync/fences.js';
import { recordText } from '../sync/record.js';
import { checkTarget, checkTold } from '../sync/rights.js';
import { exceptOf, Session } from '../sync/session.js';
import type { SyncStatus, ToldStatus } from '../sync/status.js';
import { endConnections, labelOf, readRecords, readRuns, type Records, removeLane, replaceRecords } from '../sync/target/lane-records.js';
import { Names } from '../sync/told/names.js';
import { Rounds } from '../sync/told/rounds.js';
import { ToldFeed } from '../sync/told/told-feed.js';
import { restore, type RestoreOptions, type RestoreSummary } from './restore.js';
import { takeChecks } from './sync-checks.js';
import { Cutover, type CutoverEnd } from './sync-cutover.js';
import { RoundEnds } from './sync-scan-ends.js';
import type { SyncOptions, SyncSummary } from './sync-summary.js';

/** The number of the lane that the record is of. */
const LANE = 0;
/** Milliseconds. */
const STATUS_EVERY = 1000;
const RETRY_EVERY = 1000;
const ROUND_EVERY = 1000;
const DRAIN_FOR = 30_000;
/** Rounds in which to catch up at the end, at least. */
const DRAIN_ROUNDS = 5;
/** Keys that are named at the end. */
const MOST_NAMED = 100;
/** How often all keys are read again in a row because of what a scan itself has found. */
const MOST_SCANS = 3;

/** Module types of which CLIENT TRACKING, and keyspace notifications, do not tell all changes. */
const UNTOLD = { tracking: ['CMSk-TYPE'], notifications: ['CMSk-TYPE', 'MBbloom--', 'MBbloomCF', 'TopK-TYPE', 'TDIS-TYPE'] } as const;

/**
 * A sync from a source that lets nobody be a replica. Its keys are copied by scan; it tells the names of those that are written, and they
 * are fetched again, until for every key the last fetch began after it was told last.
 */
export class ScanSync {
  private readonly started = performance.now();
  private readonly session: Session;
  private readonly feed: ToldFeed;
  private readonly rounds: Rounds;
  private readonly ends: RoundEnds;
  private phase: SyncStatus['phase'] = 'full';
  private scans = 0;
  /** The last scan left these. */
  private gaps: readonly string[] = [];
  /** Keys that the last scan after the first one could not bring over. */
  private rejected = 0;
  /** Keys of the target that the source does not have, and that nobody agreed to delete. */
  private kept = 0;
  private restored: RestoreSummary | undefined;
  /** While the source is paused; whether that has failed; and how it ended otherwise. */
  private cutover: Cutover | undefined;
  private givenUp = false;
  private end: CutoverEnd | undefined;

  constructor(
    private readonly options: SyncOptions,
    private readonly source: LiveSource,
    servers: Servers,
    facts: TargetFacts,
  ) {
    const { events = 'tracking', filter = {}, keyPrefixMap, onEvent, onNote } = options;
    this.session = new Session(options, source, servers, facts);
    const { positions, signal } = this.session;
    const choice = this.session.choiceOf(source.shards[0]);
    const names = new Names({ choice, filter, prefixes: keyPrefixMap, positions });
    this.feed = new ToldFeed({
      ...{ source, events, signal, onEvent, onNote },
      prefixes: prefixesOf(filter.prefix === undefined ? [] : [...filter.prefix]),
      wants: (bytes, start, end) => names.wants(bytes, start, end),
    });
    const { feed, session } = this;
    this.rounds = new Rounds({ session, feed, names, untoldModules: UNTOLD[events], mayWrite: () => this.assertOwn() });
    this.ends = new RoundEnds({ session, feed, rounds: this.rounds, doubts: () => this.doubts, problems: () => this.problems });
  }

  /** Whether it has done more than to ask, so that it is not to be run again. */
  begun = false;

  async run(): Promise<SyncSummary> {
    const { feed, options, rounds, session } = this;
    const { dry, keys, servers } = session;
    const timers: NodeJS.Timeout[] = [];
    try {
      await this.checkRights();
      if (!dry) await this.endEarlier();
      const before = await readRecords(servers, keys);
      this.begun = true;
      this.check(before);
      session.generation = Math.max(0, ...[...before.lanes.values()].map(({ record }) => record.generation)) + 1;
      const again = before.lanes.size > 0;
      if (options.fresh === true) await session.forgetLeft();
      else if (again) await session.learnLeft();
      const { facts } = session;
      const { group } = options;
      const empty = facts.masters.every(({ counted, keys: there }) => counted && there.size === 0);
      const ours = again && [...before.lanes.values()].every(({ record }) => record.alone);
      session.alone = (empty || options.flush === true || ours) && group === undefined;
      timers.push(setInterval(() => this.status(), STATUS_EVERY));
      await takeChecks(options, session, again);
      await group?.turn();
      if (!dry) {
        await feed.connect();
        await rounds.begin();
      }
      this.restored = await this.copy({
        ...this.terms(again ? 'replace' : options.conflict, options.flush === true),
        onPlan: async (plan) => {
          const agreed = await options.onPlan?.(plan);
          if (dry || agreed === false) return false;
          await this.write(before);
          timers.push(setInterval(() => void this.assertOwn().catch((error: unknown) => session.fail(error)), STATUS_EVERY));
          return true;
        },
      });
      if (dry || !endedWell(this.restored)) return this.summary(false);
      if (again && options.flush !== true) await this.sweep();
      group?.follows();
      if (options.phase === 'full') {
        this.phase = 'changes';
        void group?.agree('ended');
        return this.summary(false);
      }
      await rounds.watch();
      this.phase = 'changes';
      const caughtUp = await this.follow();
      if (options.stop?.aborted !== true) void group?.agree('ended');
      return this.summary(caughtUp, this.end);
    } catch (error) {
      throw session.reasonFor(error);
    } finally {
      for (const timer of timers) clearInterval(timer);
      await this.cutover?.end();
      session.close();
      feed.close();
      rounds.close();
    }
  }

  /** Throws ServerError if a server refuses what may be needed later. */
  private async checkRights(): Promise<void> {
    const { keys, servers, signal, source } = this.session;
    const { events, onNote } = this.options;
    await checkTold(source, { events, signal, onNote });
    await checkTarget({ servers, keys, way: 'scan', holds: false, signal }); // what it can do without is said later
  }

  private async endEarlier(): Promise<void> {
    const refused = await endConnections(this.session.servers, this.session.keys);
    if (refused === undefined) return;
    const risk = 'a run that was killed may still be writing older values';
    this.options.onNote?.(`the target refuses CLIENT LIST or CLIENT KILL (${refused}): ${risk}`);
  }

  /** Throws SyncError if an earlier run of this sync was of another kind. */
  private check({ lanes }: Records): void {
    const { fresh, phase } = this.options;
    const { name } = this.source.facts;
    const records = [...lanes.values()].map(({ record }) => record);
    if (phase === 'changes' && records.length === 0) {
      throw new SyncError(name, 'the target has nothing of this sync yet: leave out --phase changes to make a full copy');
    }
    if (fresh === true) return;
    if (records.some((record) => record.phase !== 'scan')) {
      const advice = '--via replication goes on with it, --fresh makes a full copy by scan';
      throw new SyncError(name, `an earlier run of this sync has followed the source by replication: ${advice}`);
    }
    if (records.some(({ options }) => options !== this.session.fingerprint)) {
      const advice = 'use the same ones, or --fresh to begin again';
      throw new SyncError(name, `the target has keys of this sync, copied with other filters or maps: ${advice}`);
    }
  }

  /** Says on the target that its keys are those of this sync. */
  private async write(before: Records): Promise<void> {
    const { alone, among, fingerprint, generation, keys, name, servers } = this.session;
    for (const lane of before.lanes.keys()) if (lane !== LANE) await removeLane(servers, keys, lane);
    const stand = { phase: 'scan', id: '', certain: 0, sent: 0, db: 0 } as const;
    const used = this.options.group?.used.of(this.options.group.number);
    const run = { alone, among, used, generation, expiries: 'exact' as const, lanes: 1, options: fingerprint };
    await replaceRecords(servers, keys, LANE, name, (slots) => recordText({ ...stand, ...run, slots }), false);
  }

  /** Throws SyncReplaced if another run has begun. */
  private async assertOwn(): Promise<void> {
    const { keys, name, servers } = this.session;
    try {
      const { places } = await readRecords(servers, keys);
      const runs = await readRuns(servers, keys, LANE, places, name);
      if (runs.includes('other')) throw new SyncReplaced(this.source.facts.name);
    } catch (error) {
      if (error instanceof SyncError) throw error; // others are met where keys are written
    }
  }

  private terms(conflict: RestoreOptions['conflict'], flush: boolean): RestoreOptions {
    const { options, session } = this;
    const { filter = {}, source, sources } = options;
    const { keys, positions, signal } = session;
    return {
      ...options,
      ...{ conflict, flush, signal, functions: session.functions },
      ...(options.group === undefined ? {} : { besides: options.group.mayMeet, flush: session.dry && flush }),
      except: exceptOf(session),
      filter: { ...filter, notPrefix: [...(filter.notPrefix ?? []), ...positions.prefixes] },
      connectionName: labelOf(`${keys.prefix}${keys.id}:copy`),
      live: new Map([[sources[0], { ...source, via: 'scan', reached: this.scans > 0 ? this.source : undefined }]]),
      onServer: (facts) => options.onServer?.({ ...facts, refused: this.source.facts.refused }),
    };
  }

  /** All keys, by scan. What is told from now on is fetched after that. */
  private async copy(terms: RestoreOptions): Promise<RestoreSummary> {
    const restored = await restore(terms);
    this.gaps = restored.gaps ?? [];
    const moved = this.gaps.find((gap) => !UNREADABLE.test(gap));
    if (moved !== undefined && endedWell(restored) && this.scans < MOST_SCANS) this.feed.doubted(moved);
    return { ...restored, gaps: [] };
  }

  /** Keys that were written and not told may be any. */
  private async again(reason: string): Promise<void> {
    const { feed, options, rounds, session } = this;
    const waiting = new Waiting(Infinity, options.onEvent);
    options.onEvent?.(`${reason}: all keys are read again`, true);
    this.phase = 'full';
    this.scans++;
    feed.doubt = undefined;
    options.onAgain?.();
    const quiet = { onPlan: undefined, onHead: undefined, onServer: undefined, rejects: undefined };
    for (;;) {
      const restored = await this.copy({ ...this.terms('replace', false), ...quiet }).catch((error: unknown) => {
        if (!mayPass(error)) throw error;
        return error; // one of both is not reached
      });
      session.signal.throwIfAborted();
      session.assertWell();
      if (restored instanceof Error) waiting.tell(restored.message);
      else {
        this.rejected = restored.total.rejected + restored.told;
        if (endedWell(restored)) break;
        const [error = restored.failure] = restored.errors;
        if (restored.declined || (error !== undefined && !mayPass(error) && !('code' in error && error.code === 'SOURCE_LOST'))) {
          throw error ?? new SyncError(this.source.facts.name, 'its keys cannot be read again');
        }
        waiting.tell(reasonOf(error));
      }
      await delay(RETRY_EVERY, undefined, { signal: session.signal });
      await feed.connect();
      feed.doubt = undefined;
    }
    await this.sweep();
    await rounds.watch();
    this.phase = 'changes';
  }

  /** Keys of the target that the source does not have are looked for, and deleted if they are this sync's. */
  private async sweep(): Promise<void> {
    const { options, rounds, session } = this;
    const all = (): boolean => true;
    const found = await rounds.stale(all, false);
    const ours = options.group?.ours ?? (session.alone && !found.others);
    this.kept = 0;
    if (found.stale === 0) return;
    const them = `${found.stale === 1 ? 'a key' : `${found.stale} keys`} of the target that the source does not have`;
    if (ours || (await options.confirmSweep?.(found.stale)) === true) {
      await rounds.stale(all);
      options.onEvent?.(`${them}: they are deleted`, true);
      return;
    }
    this.kept = found.stale;
    options.onNote?.(`${them} stay there: if they are left over from this sync, they were deleted in the source since`);
  }

  /** Fetches what is told until it is to end. Returns whether the target is what the source was then. */
  private async follow(): Promise<boolean> {
    const { feed, options, rounds, session } = this;
    const { group, maxLag, pauseSource, roundEvery = ROUND_EVERY, stop, untilCaughtUp } = options;
    let near: number | undefined;
    const stopping = (): void => {
      rounds.giveUpAt = Date.now() + (options.drainFor ?? DRAIN_FOR);
    };
    stop?.addEventListener('abort', stopping, { once: true });
    for (;;) {
      const begun = Date.now();
      await feed.connect();
      if (feed.doubt !== undefined) await this.again(feed.doubt);
      const { lag } = rounds;
      const ended = await this.roundUnless(false, () => stop?.aborted === true);
      session.assertWell();
      if (ended === undefined) return false;
      if (stop?.aborted === true) return this.drain();
      if (lag > maxLag + roundEvery || feed.doubt !== undefined) near = undefined;
      else near ??= begun;
      if (untilCaughtUp === true && !this.givenUp) {
        const isNear = near !== undefined && Date.now() - near >= roundEvery;
        const isReady = isNear && (pauseSource === undefined || (await this.mayPause(pauseSource)));
        if (group?.areNear(isReady) ?? isReady) {
          if (pauseSource === undefined) return this.drain();
          if (await this.cutOver(pauseSource)) return true;
        }
      }
      await this.pause(begun + roundEvery - Date.now());
    }
  }

  /** Whether pausing the source can work, as far as anyone can know. Says what prevents it if it cannot. */
  private async mayPause(milliseconds: number): Promise<boolean> {
    const { options, session } = this;
    const obstacles = await this.ends.obstacles(milliseconds);
    session.assertWell();
    if (obstacles === undefined || options.stop?.aborted === true) return false;
    if (obstacles.length === 0) return true;
    this.givenUp = true;
    const then = 'The sync goes on until it is stopped: mend this, and run the same command again';
    const name = options.group?.name ?? 'the source';
    options.onNote?.(`${name} is not paused, since the target could not take its place: ${obstacles.join('; ')}. ${then}`);
    return false;
  }

  /** Pauses the source until the target is what it is, and both were compared. False if the source writes again, and the sync goes on. */
  private async cutOver(milliseconds: number): Promise<boolean> {
    const { ends, options, rounds, session } = this;
    const cutover = await Cutover.begin(session, ends, milliseconds);
    this.cutover = cutover;
    this.phase = 'paused';
    this.status();
    rounds.giveUpAt = Date.now() + cutover.left;
    const late = await cutover.drain();
    const { group } = options;
    const ended = async (signal: AbortSignal): Promise<void> => {
      if (group === undefined) return; // expiries are exact
      if (!(await unlessAborted(group.agree('ended'), signal, () => undefined))) throw new Error('another source has not ended');
    };
    const end: CutoverEnd =
      late === undefined
        ? await cutover.finish(ended, (difference) => options.onDifference?.(difference))
        : { kind: 'late', reason: late };
    if (end.kind !== 'late') {
      this.end = end;
      return true;
    }
    await cutover.giveUp(end.reason);
    this.cutover = undefined;
    this.givenUp = true;
    await ends.over();
    session.assertWell();
    session.signal.throwIfAborted();
    rounds.giveUpAt = options.stop?.aborted === true ? Date.now() + (options.drainFor ?? DRAIN_FOR) : Infinity;
    this.phase = 'changes';
    return false;
  }

  /** Undefined if it gave up, as it may then: keys cannot be fetched, or written. */
  private async roundUnless(all: boolean, mayGiveUp: () => boolean): Promise<boolean | undefined> {
    try {
      return await this.rounds.round(all);
    } catch (error) {
      if (!mayGiveUp() || !mayPass(error)) throw error;
      this.feed.lack = reasonOf(error);
      return undefined;
    }
  }

  private async pause(milliseconds: number): Promise<void> {
    const { options, session } = this;
    if (milliseconds <= 0) return;
    const signal = options.stop === undefined ? session.signal : AbortSignal.any([session.signal, options.stop]);
    await delay(milliseconds, undefined, { signal }).catch(() => session.signal.throwIfAborted());
  }

  /** Rounds without a pause until one ends with nothing pending. */
  private async drain(): Promise<boolean> {
    const { feed, options, rounds, session } = this;
    const { drainFor = DRAIN_FOR } = options;
    this.phase = 'settling';
    let until = Date.now() + drainFor;
    for (let round = 1; ; round++) {
      await feed.connect();
      if (feed.doubt !== undefined) {
        const begun = Date.now();
        await this.again(feed.doubt);
        until += Date.now() - begun;
        this.phase = 'settling';
      }
      rounds.giveUpAt = until;
      const well = await this.roundUnless(true, () => Date.now() > until);
      session.assertWell();
      if (well === undefined) return false;
      if (well) return this.doubts.length === 0;
      if (round >= DRAIN_ROUNDS && Date.now() > until) return false;
    }
  }

  /** Why the target may not be what the source is, whatever the rounds have brought. */
  private get doubts(): string[] {
    const { conflicts } = this.rounds;
    const { left } = this.rounds.watched;
    const { doubt = this.feed.lack } = this.feed;
    return [
      ...(doubt === undefined ? [] : [doubt]),
      ...this.gaps,
      ...(this.kept === 0 ? [] : [`${this.kept} keys of the target that the source does not have were left there`]),
      ...conflicts,
      ...(left === 0 ? [] : [`${left} streams and the like are too many to be read again every round`]),
    ];
  }

  /** Keys that could not be brought over. */
  private get problems(): number {
    const { rejected, restored, scans, session } = this;
    const first = scans > 0 || restored === undefined ? 0 : restored.total.rejected + restored.told;
    return session.problems + rejected + first;
  }

  private get told(): ToldStatus {
    const { feed, rounds, scans } = this;
    const { counts, lag, pending, watched } = rounds;
    return { masters: feed.statuses, pending, lagSeconds: lag / 1000, ...counts, watched: watched.size, scans };
  }

  private status(): void {
    const { cutover, phase, started, told } = this;
    const seconds = (performance.now() - started) / 1000;
    this.options.onStatus?.({ phase, lanes: [], told, seconds, pauseLeft: cutover && cutover.left / 1000 });
  }

  private summary(caughtUp: boolean, cutover?: CutoverEnd): SyncSummary {
    const { doubts, options, rejected, restored, rounds, session, told } = this;
    this.status();
    const left: KeyName[] = [];
    for (const { db, key } of rounds.someKeys()) {
      if (left.length === MOST_NAMED) break;
      left.push({ db, key: key.slice() });
    }
    return {
      cutover,
      ...{ restored, lanes: [], caughtUp, released: 0, problems: session.problems + rejected },
      told: { ...told, left, doubts },
      stopped: options.stop?.aborted === true,
      declined: restored?.declined === true,
      seconds: (performance.now() - this.started) / 1000,
    };
  }
}

/** Of the gaps of a scan, that of keys which were named. */
const UNREADABLE = /could not be read$/;

/** Prefixes that a server is given: not many, and none that is the beginning of another, which it refuses. */
const MOST_PREFIXES = 16;
function prefixesOf(prefixes: readonly Uint8Array[]): readonly Uint8Array[] {
  const overlap = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a.subarray(0, b.length)).equals(b);
  const apart = prefixes.every((one, i) => one.length > 0 && prefixes.every((other, j) => i === j || !overlap(one, other)));
  return apart && prefixes.length <= MOST_PREFIXES ? prefixes : [];
}
