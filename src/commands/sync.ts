import { setTimeout as delay } from 'node:timers/promises';
import type { LiveFacts } from '../live/facts.js';
import { LiveSource } from '../live/live-source.js';
import { type ConnectionLost, mayPass, reasonOf, ServerError } from '../redis/errors.js';
import type { Servers } from '../redis/servers.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { Waiting } from '../redis/waiting.js';
import { targetFacts, type TargetFacts } from '../restore/target-facts.js';
import { endedWell, sourceLost } from '../restore/summary.js';
import { SyncError } from '../sync/errors.js';
import { forget } from '../sync/forget.js';
import { release } from '../sync/holds.js';
import { Lanes } from '../sync/lanes.js';
import { Masters } from '../sync/masters.js';
import { keysOf, Session, targetOf } from '../sync/session.js';
import { checkSources, checkTarget } from '../sync/rights.js';
import type { SyncStatus } from '../sync/status.js';
import { DELETED } from '../sync/target/claim.js';
import { endConnections, type LaneState, readRecords } from '../sync/target/lane-records.js';
import type { RestoreSummary } from './restore.js';
import { takeChecks } from './sync-checks.js';
import { FullCopy, insteadOfGap } from './sync-copy.js';
import { Cutover, type CutoverEnd, CutoverLate, LaneEnds } from './sync-cutover.js';
import { ScanSync } from './sync-scan.js';
import type { SyncOptions, SyncSummary } from './sync-summary.js';

export type { SyncPhase } from '../sync/options.js';
export type { LaneStatus, SyncStatus, ToldStatus } from '../sync/status.js';
export type { SyncOptions, SyncSummary, ToldSummary } from './sync-summary.js';

/** Milliseconds between two attempts to reach the target again. */
const REACH_EVERY = 500;
/** Milliseconds for which a target that is lost before the sync has begun is waited for, where nothing else is given. */
const RETRY_FOR = 60_000;
/** Full copies that are begun at most, and milliseconds between one that the source has ended and the next. */
const COPIES = 3;
const COPY_AGAIN = 1000;
/** Milliseconds to wait for lanes to end: a target may not answer. */
const ENDING = 1000;
/** Milliseconds between two calls of `onStatus`. */
const STATUS_EVERY = 1000;

/** Copies a source and everything that is written to it. Throws ServerError, OutputError, SyncError and the reason of the signal. */
export async function sync(options: SyncOptions): Promise<SyncSummary> {
  const first = await syncOnce(options);
  if (first.cutover?.kind !== 'late') return first;
  // the source writes again: the sync goes on, as after a run that has ended
  const summary = await syncOnce({ ...options, fresh: undefined, untilCaughtUp: false, pauseSource: undefined, again: true });
  const { problems, restored, seconds } = first;
  return { ...summary, restored, problems: problems + summary.problems, seconds: seconds + summary.seconds };
}

/** `again`: the target was reached before, and is waited for. */
async function syncOnce(options: SyncOptions & { readonly again?: boolean }): Promise<SyncSummary> {
  const [name] = options.sources;
  const source = await LiveSource.open(name, { ...options.source, signal: options.signal, onEvent: options.onEvent });
  try {
    checkWay(options, source.facts);
    const Way = source.facts.way === 'scan' ? ScanSync : Sync;
    const { again = false, retryFor = RETRY_FOR } = options;
    const waiting = new Waiting(again ? Infinity : retryFor, options.onEvent);
    for (let servers: Servers | undefined; ;) {
      let run: Sync | ScanSync | undefined;
      try {
        servers = await targetOf(options);
        run = new Way(options, source, servers, await targetFacts(servers, options.target));
        return await run.run();
      } catch (error) {
        // a target that was reached once may fail over while it is asked where it stands
        if ((servers === undefined && !again) || run?.begun === true || !mayPass(error) || ofSource(error) || waiting.tooLong) throw error;
        waiting.tell(reasonOf(error));
      } finally {
        servers?.close();
      }
      await delay(REACH_EVERY, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
    }
  } finally {
    source.close();
  }
}

/**
 * Ends a sync for good: releases held expiries, removes its positions from the target, and its spool. The source is not asked. Throws
 * ServerError, OutputError, SyncError, and the reason of the signal.
 */
export async function forgetSync(options: SyncOptions): Promise<{ released: number; removed: number }> {
  const { onEvent, onNote, signal, spool } = options;
  const servers = await targetOf(options);
  try {
    const { databases } = await targetFacts(servers, options.target);
    return await forget({ servers, keys: keysOf(options), spool, databases, signal, onEvent, onNote });
  } finally {
    servers.close();
  }
}

const ofSource = (error: ConnectionLost | ServerError): boolean => error instanceof ServerError && error.readAs === 'source';

/** Throws SyncError where options are given that mean nothing for the way in which the source is read. */
function checkWay({ meaningless }: SyncOptions, { name, refused, way }: LiveFacts): void {
  const wrong = meaningless?.[way].at(0);
  if (wrong === undefined) return;
  const why = refused === undefined ? '' : `, since replication is refused (${refused})`;
  const other = way === 'scan' ? 'replication' : 'scan';
  throw new SyncError(name, `it is read by ${way}${why}, and ${wrong} is only for --via ${other}: leave it out`);
}

class Sync {
  private readonly started = performance.now();
  private readonly session: Session;
  private readonly lanes: Lanes;
  /** Where the source is a cluster. */
  private readonly masters: Masters | undefined;
  private phase: SyncStatus['phase'] = 'changes';
  private stopped = false;
  /** While the source is paused. */
  private cutover: Cutover | undefined;
  private readonly ends: LaneEnds;

  constructor(
    private readonly options: SyncOptions,
    source: LiveSource,
    servers: Servers,
    facts: TargetFacts,
  ) {
    this.session = new Session(options, source, servers, facts);
    this.lanes = new Lanes(this.session);
    this.ends = new LaneEnds(this.lanes);
    const { crossing } = this.session;
    this.masters = crossing && new Masters(this.session, this.lanes, crossing);
  }

  /** Whether it has done more than to ask, so that it is not to be run again. */
  begun = false;
  /** Whether it was said that a run that was killed may still write. */
  private risky = false;

  async run(): Promise<SyncSummary> {
    const { lanes, options, session } = this;
    const { crossing, dry, keys, servers } = session;
    let timer: NodeJS.Timeout | undefined;
    let restored: RestoreSummary | undefined;
    try {
      await this.checkRights();
      if (!dry) await this.endEarlier();
      const before = await readRecords(servers, keys);
      session.generation = Math.max(0, ...[...before.lanes.values()].map(({ record }) => record.generation)) + 1;
      this.begun = true;
      if (options.fresh === true) await session.forgetLeft();
      else if (before.lanes.size > 0) await session.learnLeft();
      await lanes.open(options.fresh === true ? new Map() : before.lanes);
      crossing?.read(before.slots);
      timer = setInterval(() => this.status(), STATUS_EVERY);
      if (!(await this.resumes(before.lanes))) {
        this.phase = 'full';
        await takeChecks(options, session, before.lanes.size > 0);
        restored = await this.copy(before.lanes);
        if (!endedWell(restored)) {
          const isKept = (await lanes.copies()).every((mark) => mark !== undefined && mark !== 'torn');
          return { ...this.summary(restored, false, 0), kept: isKept };
        }
        if (options.phase === 'full') {
          options.group?.follows();
          return this.summary(restored, false, await this.release());
        }
      } else if (dry) return this.summary(undefined, false, 0);
      else await lanes.forgetCopies();
      this.phase = 'changes';
      this.status(); // from now on a signal ends it at a clean position
      const caughtUp = await this.follow();
      const { cutover } = this;
      if (!caughtUp || cutover === undefined) return this.summary(restored, caughtUp, caughtUp ? await this.release() : 0);
      let released = 0;
      const end = await cutover.finish(
        async (signal) => (released = await this.release(signal)),
        (difference) => options.onDifference?.(difference),
      );
      if (end.kind === 'late') await this.giveUp(cutover, end.reason);
      return this.summary(restored, end.kind !== 'late', released, end);
    } catch (thrown) {
      const error = session.reasonFor(thrown);
      if (!(error instanceof CutoverLate) || this.cutover === undefined) throw error;
      await this.giveUp(this.cutover, error.message);
      return this.summary(restored, false, 0, { kind: 'late', reason: error.message });
    } finally {
      clearInterval(timer);
      await this.cutover?.end();
      session.close();
      await lanes.close();
      await Promise.race([lanes.ended(), delay(ENDING, undefined, { ref: false })]); // none writes to the target any more
    }
  }

  /** The full copy: begun again where the source has ended it (FLUSHALL does), or was lost. */
  private async copy(states: ReadonlyMap<number, LaneState>): Promise<RestoreSummary> {
    const { lanes, masters, options, session } = this;
    for (let attempt = 1; ; attempt++) {
      const restored = await new FullCopy(session, lanes, masters, attempt > 1).run(states);
      const [lost] = restored.errors;
      if (attempt === COPIES || !sourceLost(restored)) return restored;
      for (const lane of lanes.all) lane.unlink();
      options.onEvent?.(`${lost.got}: the full copy begins again, attempt ${attempt + 1} of ${COPIES}`, true);
      await delay(COPY_AGAIN, undefined, { signal: session.signal });
      states = (await readRecords(session.servers, session.keys)).lanes;
    }
  }

  /** Throws ServerError if a server refuses what may be needed later. */
  private async checkRights(): Promise<void> {
    const { keys, options, servers, signal, source } = this.session;
    const { filter, holdExpiries: holds, onNote } = options;
    await checkSources(source, { db: filter?.db, signal, onNote });
    const notes = await checkTarget({ servers, keys, holds, signal });
    for (const note of notes) onNote?.(note);
    this.risky = notes.length > 0;
  }

  /** What an earlier run has sent is applied, or lost, when this resolves. */
  private async endEarlier(): Promise<void> {
    const refused = await endConnections(this.session.servers, this.session.keys);
    if (refused === undefined || this.risky) return;
    const risk = 'a run that was killed may still be writing, so that writes may be applied twice';
    this.options.onNote?.(`the target refuses CLIENT LIST or CLIENT KILL (${refused}): ${risk}`);
  }

  /** Whether it goes on with what an earlier run has done. */
  private async resumes(states: ReadonlyMap<number, LaneState>): Promise<boolean> {
    const { fresh, phase } = this.options;
    const [{ name }] = this.lanes.all;
    if (fresh !== true && [...states.values()].some(({ record }) => record.phase === 'scan')) {
      const advice = '--via scan goes on with it, --fresh makes a full copy again and then follows by replication';
      throw new SyncError(name, `an earlier run of this sync has read the source by scan: ${advice}`);
    }
    const isWhole = states.size > 0 && [...states.values()].every(({ record }) => record.phase === 'changes');
    if (isWhole && fresh !== true) {
      if (phase !== 'full') return this.goesOn(states);
      const advice = 'leave out --phase full to go on with the writes since, or add --fresh to make another one';
      throw new SyncError(name, `this sync has made its full copy already: ${advice}`);
    }
    if (phase !== 'changes') return false;
    const why = states.size === 0 ? 'the target has no position of this sync' : 'the full copy of this sync is not complete';
    throw new SyncError(name, `${why}, so that there is nothing to go on from: leave out --phase changes to make a full copy`);
  }

  /** Goes on with what an earlier run has done, if the source still has the writes since. */
  private async goesOn(states: ReadonlyMap<number, LaneState>): Promise<boolean> {
    const { lanes, masters, options, session } = this;
    const [{ record }] = states.values();
    if (record.options !== session.fingerprint) {
      throw new SyncError(
        lanes.all[0].name,
        'the target has a position of this sync, made with other filters or maps: use the same ones, or --fresh to begin again',
      );
    }
    session.alone = record.alone && options.group === undefined;
    const gaps: string[] = [];
    for (const lane of lanes.all) {
      const state = states.get(lane.number);
      if (state === undefined && masters !== undefined) continue; // it came to the cluster since
      const gap = await this.gapOf(lane, state);
      if (gap !== undefined) gaps.push(`${lane.name}: ${gap}`);
    }
    const gone = [...states.keys()].filter((number) => !lanes.all.some((lane) => lane.number === number));
    const strangers = lanes.all.filter(({ number }) => !states.has(number));
    if (gone.length > 0 && strangers.length > 0) {
      for (const { name } of strangers) gaps.push(`${name}: none of the positions on the target is of its history`);
    }
    if (gaps.length > 0) {
      await insteadOfGap(session, lanes, gaps);
      return false;
    }
    for (const lane of strangers) await masters?.join(lane);
    if (gone.length > 0) await masters?.forget(gone);
    if (!session.dry) await lanes.holdAgain(states);
    options.onGoesOn?.(lanes.all.map(({ name, number }) => ({ name, offset: states.get(number)?.record.certain ?? 0 })));
    return true;
  }

  /** Begins where an earlier run of a lane has ended, or would. Returns why that is not possible. */
  private async gapOf(lane: Lanes['all'][number], state: LaneState | undefined): Promise<string | undefined> {
    if (state === undefined) return 'the target has no position of it';
    if (state.unclaimed) return DELETED;
    return this.session.dry ? lane.foreseen(state.record) : lane.begin(state.record, this.lanes.record);
  }

  /** Applies what comes until it is to end. Returns whether the target has caught up. */
  private async follow(): Promise<boolean> {
    const { lanes, masters, options, session } = this;
    for (const lane of lanes.all) lanes.run(lane);
    options.group?.serves((names) => lanes.bring(names));
    options.group?.follows();
    const stop = (): void => {
      this.stopped = true;
      for (const { lane, spool } of lanes.all) lane?.stop(spool.end);
    };
    options.stop?.addEventListener('abort', stop, { once: true });
    if (options.stop?.aborted === true) stop();
    const caughtUp = options.untilCaughtUp === true ? this.untilCaughtUp() : Promise.resolve(false);
    const cut = caughtUp.then((is) => {
      if (!is) return;
      this.stopped = true;
      for (const one of lanes.all) one.lane?.stop(this.cutover === undefined ? one.sourceOffset : this.ends.offsetOf(one));
      return this.cutover?.ended(lanes);
    });
    cut.catch((error: unknown) => session.fail(error));
    void masters?.watch(() => this.stopped || session.signal.aborted).catch((error: unknown) => session.fail(error));
    await unlessAborted(lanes.ended(), session.signal, () => undefined); // they may wait for a target that does not answer
    session.assertWell();
    return options.stop?.aborted !== true && (await caughtUp);
  }

  private async untilCaughtUp(): Promise<boolean> {
    const { group, maxLag, pauseSource, settle } = this.options;
    let since: number | undefined;
    while (!this.session.signal.aborted && this.options.stop?.aborted !== true) {
      const near = this.lanes.statuses.every(
        ({ attached, connected, lagSeconds, source }) => attached && connected && source !== undefined && lagSeconds * 1000 <= maxLag,
      );
      if (!near) since = undefined;
      else since ??= Date.now();
      const isNear = since !== undefined && Date.now() - since >= settle;
      if (group?.areNear(isNear) ?? isNear) return pauseSource === undefined || this.cutOver(pauseSource);
      await delay(Math.min(100, settle));
    }
    return false;
  }

  /** Pauses the source, and returns whether the target has all of its writes; if not, the source writes again. */
  private async cutOver(milliseconds: number): Promise<boolean> {
    const cutover = await Cutover.begin(this.session, this.ends, milliseconds);
    this.cutover = cutover;
    this.phase = 'paused';
    this.status();
    const late = await cutover.drain();
    if (late === undefined) return true;
    await this.giveUp(cutover, late);
    this.phase = 'changes';
    return false;
  }

  private async giveUp(cutover: Cutover, reason: string): Promise<void> {
    await cutover.giveUp(reason);
    this.cutover = undefined;
  }

  /** Gives keys their real expiries: nothing is written any more. */
  private async release(signal = this.session.signal): Promise<number> {
    const { group, holdExpiries } = this.options;
    if (group !== undefined && !(await unlessAborted(group.agree('ended'), signal, () => undefined))) {
      if (this.cutover !== undefined) throw new Error('another source has not ended');
      return 0;
    }
    if (!holdExpiries) return 0;
    this.phase = 'settling';
    this.status();
    const work = (): Promise<number> => release({ ...this.session.holds, signal });
    return group === undefined ? work() : group.once(work);
  }

  private status(): void {
    const { cutover, lanes, phase, started } = this;
    const seconds = (performance.now() - started) / 1000;
    this.options.onStatus?.({ phase, lanes: lanes.statuses, seconds, pauseLeft: cutover && cutover.left / 1000 });
  }

  private summary(restored: RestoreSummary | undefined, caughtUp: boolean, released: number, cutover?: CutoverEnd): SyncSummary {
    return {
      cutover,
      ...{ restored, lanes: this.lanes.statuses, caughtUp, released, kept: false, problems: this.session.problems },
      stopped: this.options.stop?.aborted === true,
      declined: restored?.declined === true,
      seconds: (performance.now() - this.started) / 1000,
    };
  }
}
