import { SourcePause } from '../live/source-pause.js';
import { reasonOf } from '../redis/errors.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { sourceNames } from '../sync/choice.js';
import { knownTarget } from '../values/server-version.js';
import { releaseNumber } from '../values/targets.js';
import type { Lanes } from '../sync/lanes.js';
import type { Session } from '../sync/session.js';
import type { SourceLane } from '../sync/source-lane.js';
import type { Difference, DiffSummary } from './diff.js';
import type { RestoreOptions } from './restore.js';
import { TOLERANCE, verify } from './verify.js';

/** How a cutover ended. `late`: the source writes again, and the sync goes on. */
export type CutoverEnd =
  | { readonly kind: 'done'; readonly verdict: DiffSummary; readonly stands: readonly Stand[]; readonly left: number }
  | { readonly kind: 'different'; readonly verdict: DiffSummary }
  /** It is the same, but another source of the same command is not. */
  | { readonly kind: 'withdrawn'; readonly verdict: DiffSummary }
  | { readonly kind: 'late'; readonly reason: string };

/** The target did not take the last position in time. */
export class CutoverLate extends Error {
  override readonly name = 'CutoverLate';
}

/** The last write of a master of the source. */
export interface Stand {
  readonly name: string;
  readonly offset: number;
}

/** The end of the writes of a source that is paused. */
export interface LastWrites {
  /** Where its masters stand, if they tell. */
  readonly stands: readonly Stand[];
  /** Until the target has every write. Rejects with the reason of the signal, and with why it cannot have them. */
  drain(signal: AbortSignal): Promise<void>;
  /** Rejects if the source was written to since. */
  assertStill(signal: AbortSignal): Promise<void>;
}

/** Of a source that is followed by replication. */
export class LaneEnds implements LastWrites {
  private ends: readonly (Stand & { readonly lane: SourceLane; readonly id: string })[] = [];

  constructor(private readonly lanes: Lanes) {}

  get stands(): readonly Stand[] {
    return this.ends.map(({ name, offset }) => ({ name, offset }));
  }

  /** The offset up to which a lane has everything. */
  offsetOf(lane: SourceLane): number {
    return this.ends.find((end) => end.lane === lane)?.offset ?? 0;
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.ends = await Promise.all(
      this.lanes.all.map(async (lane) => {
        const { id, offset } = await lane.history();
        return { lane, name: lane.name, id, offset };
      }),
    );
    await Promise.all(this.ends.map(({ lane, offset }) => lane.untilCertain(offset, signal)));
  }

  async assertStill(signal: AbortSignal): Promise<void> {
    for (const { id, lane, name, offset } of this.ends) {
      if (await lane.wroteSince(offset, id, signal)) throw new Error(`${name} was written to while it was paused`);
    }
  }
}

/** The release that tells expiries exactly. */
const WITH_PEXPIRETIME = 700;
/** Milliseconds before the end of the pause by which everything has to be done: clients of the source that wait may write then. */
const RESERVE = 250;

/**
 * The writers of the source wait while the target becomes what the source is: its last writes are applied, expiries released, and both
 * sides compared. Whatever takes too long ends it, before a writer goes on.
 */
export class Cutover {
  private over = false;
  /** Fires when there is no time left. */
  private readonly deadline = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly signal: AbortSignal;

  private constructor(
    private readonly session: Session,
    private readonly writes: LastWrites,
    private readonly pause: SourcePause,
  ) {
    this.timer = setTimeout(() => this.deadline.abort(new Error('the pause is over')), Math.max(0, pause.left - RESERVE));
    this.signal = AbortSignal.any([session.signal, this.deadline.signal]);
    this.signal.addEventListener('abort', () => this.over || session.options.group?.withdraw());
  }

  /** Throws ServerError if the source refuses. */
  static async begin(session: Session, writes: LastWrites, milliseconds: number): Promise<Cutover> {
    const { servers } = session.source;
    await servers.refresh();
    const { group, onEvent } = session.options;
    onEvent?.(`${group?.name ?? 'the source'} is paused for ${milliseconds / 1000} s at most: its last writes are applied`, true);
    return new Cutover(session, writes, await SourcePause.begin(servers, milliseconds));
  }

  /** Milliseconds until the source takes writes again. */
  get left(): number {
    return Math.max(0, this.pause.left);
  }

  /** Until the target has every write. Returns why not, if there is no time for it. Throws the reason of the session's signal. */
  async drain(): Promise<string | undefined> {
    const late = await this.intime('its last writes were not applied', () => this.writes.drain(this.signal));
    return late ?? this.together('drained');
  }

  /** The run is to end as CutoverLate unless the lanes come to their ends in time. */
  async ended(lanes: Lanes): Promise<void> {
    const late = (): void => this.session.fail(new CutoverLate('the target did not take the last position within the time'));
    this.deadline.signal.addEventListener('abort', late);
    if (this.deadline.signal.aborted) late();
    await lanes.ended();
    this.deadline.signal.removeEventListener('abort', late);
  }

  /** Compares both sides once `release` is done, and looks whether the source has stood still. Nothing else writes to the target. */
  async finish(release: (signal: AbortSignal) => Promise<unknown>, take: (difference: Difference) => void): Promise<CutoverEnd> {
    let verdict: DiffSummary | undefined;
    const late = await this.intime('expiries were not released, and both sides not compared', async () => {
      await release(this.signal);
      verdict = await this.verdict(take);
      this.signal.throwIfAborted();
      await this.writes.assertStill(this.signal);
    });
    if (late !== undefined || verdict === undefined) return { kind: 'late', reason: late ?? '' };
    const { complete, different, met } = verdict;
    if (!complete) return { kind: 'late', reason: 'both sides could not be read to their ends' };
    const { group } = this.session.options;
    if (different + met > 0) {
      group?.withdraw(true);
      return { kind: 'different', verdict };
    }
    const apart = await this.together('verified');
    if (apart !== undefined) return group?.isDifferent === true ? { kind: 'withdrawn', verdict } : { kind: 'late', reason: apart };
    this.over = true;
    return { kind: 'done', verdict, stands: this.writes.stands, left: this.left };
  }

  /** Until those of other sources are as far. Returns why they cannot be. */
  private async together(step: 'drained' | 'verified'): Promise<string | undefined> {
    const { group } = this.session.options;
    if (group === undefined) return undefined;
    return this.intime('another source was not as far', async () => {
      if (await unlessAborted(group.agree(step), this.signal, () => undefined)) return;
      throw new Error('another source is not as far');
    });
  }

  private async intime(what: string, work: () => Promise<void>): Promise<string | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      this.session.signal.throwIfAborted();
      return this.deadline.signal.aborted ? `${what} within the time` : reasonOf(error);
    }
  }

  /** Reads both sides by scan, which costs no fork. */
  private async verdict(take: (difference: Difference) => void): Promise<DiffSummary> {
    const { alone, facts, options, positions, source } = this.session;
    const { filter = {}, sources, verify: level = 'keys' } = options;
    const isExact = [knownTarget(source.servers.info).target, facts.target].every((server) => releaseNumber(server) >= WITH_PEXPIRETIME);
    const terms: RestoreOptions = {
      ...{ ...options, onError: undefined, onHead: undefined, onServer: undefined, onProgress: undefined },
      ...{ signal: this.signal, retryFor: undefined, ttlShift: undefined, conflict: alone ? 'error' : 'replace' },
      live: new Map([[sources[0], { ...options.source, via: 'scan' }]]),
      filter: { ...filter, notPrefix: [...(filter.notPrefix ?? []), ...positions.prefixes] },
    };
    const { left, options: given } = this.session;
    const choice = this.session.choiceOf(source.shards[0]);
    let others = 0;
    const kinds: Partial<Record<string, number>> = {};
    const verdict = await verify(terms, { level, via: 'scan', tolerance: isExact ? 0 : TOLERANCE }, (difference) => {
      const isLeft = left.size > 0 && sourceNames(choice, given.keyPrefixMap, difference.db, difference.key).length === 0;
      if (!isLeft) { take(difference); return; }
      others++;
      for (const kind of difference.kinds) kinds[kind] = (kinds[kind] ?? 0) + 1;
    });
    if (others === 0) return verdict;
    const counted = Object.entries(verdict.kinds).map(([kind, count]) => [kind, count - (kinds[kind] ?? 0)] as const);
    return { ...verdict, different: verdict.different - others, kinds: Object.fromEntries(counted) as DiffSummary['kinds'] };
  }

  /** Lets the writers of the source go on, unless the target has taken its place. */
  async end(): Promise<void> {
    clearTimeout(this.timer);
    if (this.over) return;
    this.over = true;
    await this.pause.end();
  }

  /** The same, and says so. */
  async giveUp(reason: string): Promise<void> {
    const { group, onNote } = this.session.options;
    group?.withdraw();
    await this.end();
    const then = 'The source takes writes again, and the sync goes on until it is stopped';
    onNote?.(`${group === undefined ? '' : `${group.name}: `}the cutover is given up: ${reason}. ${then}`);
  }
}
