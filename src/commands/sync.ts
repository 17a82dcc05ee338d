import { createHash, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { TS_CODEC } from '../kernels/codec.js';
import { keySlot } from '../bytes/crc16.js';
import { grouped } from '../bytes/grouped.js';
import type { ClusterView } from '../live/cluster-state.js';
import { LiveSource } from '../live/live-source.js';
import type { LiveOptions } from '../live/options.js';
import type { Shard } from '../live/shard.js';
import { ConnectionLost, reasonOf, ServerError } from '../redis/errors.js';
import { ReplicationInput } from '../live/replication-input.js';
import { Servers } from '../redis/servers.js';
import { slotsIn } from '../redis/topology.js';
import { addressText } from '../redis/url.js';
import type { SourceManifest } from '../pipeline/manifest.js';
import type { ReplicationPosition } from '../pipeline/source-heads.js';
import { filterInJson } from '../restore/checkpoint.js';
import { checkApart } from '../restore/plan.js';
import { endedWell } from '../restore/summary.js';
import { compileFilter, type FilterOptions, takesFunctions } from '../values/filters.js';
import { releaseNumber } from '../values/targets.js';
import { targetFacts, type TargetFacts } from '../restore/target-facts.js';
import { specFromServer } from '../sync/commands/server-spec.js';
import { CommandTable } from '../sync/commands/table.js';
import { Crossing } from '../sync/crossing.js';
import { SyncError, SyncGap } from '../sync/errors.js';
import type { KeyName } from '../sync/fences.js';
import { forget, laneName } from '../sync/forget.js';
import { type Choice, choiceOf, sourceNames } from '../sync/choice.js';
import { DELETED, Lane, targetMayPass } from '../sync/lane.js';
import { LagClock } from '../sync/lag.js';
import { PlanCounts } from '../sync/planner.js';
import { eachKey, eachKeyOf } from '../sync/barriers.js';
import { type LaneRecord, LANES_FIELD, RecordKeys, RECORD_PREFIX, recordText } from '../sync/record.js';
import { Positions } from '../sync/positions.js';
import { LateInput, readSeeds, seedsOf } from '../sync/seed.js';
import { sweep } from '../sync/sweep.js';
import { holdAgain, type HoldsOptions, release } from '../sync/holds.js';
import { HOLD } from '../sync/settle.js';
import { ChangeLink } from '../sync/source/change-link.js';
import { CopyFollower } from '../sync/source/copy-follower.js';
import { FetchAnywhere } from '../sync/source/anywhere.js';
import { Fetcher } from '../sync/source/fetcher.js';
import { continuation, type SourceHistory } from '../sync/source/history.js';
import { type KeptLane, SlotKeeper } from '../sync/slot-keeper.js';
import { Detached } from '../sync/target/change-writer.js';
import { InfoLink } from '../sync/source/info-link.js';
import { FetchedWriter } from '../sync/source/write-fetched.js';
import { hasSpool, Spool } from '../sync/spool/spool.js';
import { endConnections, labelOf, type LaneState, readRecords } from '../sync/target/lane-records.js';
import { addFences, recordSlot, removeLane, replaceRecords } from '../sync/target/lane-records.js';
import { restore, type RestoreOptions, type RestoreSummary } from './restore.js';

/** Which part of a sync is done. */
export type SyncPhase = 'full' | 'changes' | 'both';

export interface SyncOptions extends RestoreOptions {
  /** How to read the one source. */
  readonly source: LiveOptions;
  /** Name of the sync, by which another run goes on (default: made from the names of source and target). */
  readonly id?: string | undefined;
  readonly positionPrefix?: string | undefined;
  /** Forget what an earlier run has done. */
  readonly fresh?: boolean | undefined;
  /** Default: both. */
  readonly phase?: SyncPhase | undefined;
  /** Files of the source masters that the full copy is taken from, instead of them; and the manifest that names these. */
  readonly seed?: readonly string[] | undefined;
  readonly seedManifest?: SourceManifest | undefined;
  /** Folder for the spool; undefined: in memory only. */
  readonly spool: string | undefined;
  /** Bytes. */
  readonly spoolMax: number;
  /** End when the target has been within `maxLag` ms of the source for `settle` ms. */
  readonly untilCaughtUp?: boolean | undefined;
  readonly maxLag: number;
  readonly settle: number;
  /** Whether expiries are held until the end. */
  readonly holdExpiries: boolean;
  /** Whether replicas of the target have to confirm. */
  readonly confirm: boolean;
  readonly publish?: boolean | undefined;
  readonly maxOpsPerSecond?: number | undefined;
  readonly onlyCommand?: readonly string[] | undefined;
  readonly notCommand?: readonly string[] | undefined;
  /** What to do where the source no longer has the writes since: undefined asks. */
  readonly onGap?: 'stop' | 'full' | undefined;
  /** Whether to delete keys of the target that the source does not have, after another full copy (default: they are kept). */
  readonly confirmSweep?: ((keys: number) => Promise<boolean>) | undefined;
  readonly confirmFull?: ((reason: string) => Promise<boolean>) | undefined;
  readonly onStatus?: ((status: SyncStatus) => void) | undefined;
  readonly onResumed?: ((file: string, keys: number, overlaps: boolean) => void) | undefined;
  readonly onGoesOn?: ((lanes: readonly { readonly name: string; readonly offset: number }[]) => void) | undefined;
  /** Ends the sync at a clean position, once what was received is applied. */
  readonly stop?: AbortSignal | undefined;
  readonly onKeyProblem?: ((problem: KeyName & { readonly reason: string }) => void) | undefined;
}

export interface LaneStatus {
  readonly name: string;
  readonly connected: boolean;
  readonly attached: boolean;
  /** Offset that is certain on the target, that was received, and that of the source if it is known. */
  readonly applied: number;
  readonly received: number;
  readonly source: number | undefined;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  readonly spool: { readonly memory: number; readonly disk: number };
  readonly counts: PlanCounts;
  readonly fetched: number;
}

export interface SyncStatus {
  readonly phase: 'full' | 'changes' | 'settling';
  readonly lanes: readonly LaneStatus[];
  readonly seconds: number;
}

export interface SyncSummary {
  readonly restored: RestoreSummary | undefined;
  readonly lanes: readonly LaneStatus[];
  readonly caughtUp: boolean;
  readonly released: number;
  readonly problems: number;
  readonly stopped: boolean;
  readonly declined: boolean;
  readonly seconds: number;
}

const STATUS_EVERY = 1000;
const PATIENCE = 60_000;
/** Milliseconds between two looks at the slots of a cluster. */
const WATCH_EVERY = 500;
/** Looks at the slots until a master counts as one that has some. */
const LEFT_ATTEMPTS = 6;

/** One master of the source. */
interface SourceLane {
  readonly number: number;
  readonly shard: Shard;
  readonly spool: Spool;
  readonly lag: LagClock;
  lane: Lane | undefined;
  link: ChangeLink | undefined;
  running: Promise<void> | undefined;
  /** Where the full copy stands. */
  copy: { readonly id: string; readonly offset: number; readonly db: number } | undefined;
}

/** Copies a source and everything that is written to it. Throws ServerError, OutputError, SyncError and the reason of the signal. */
export async function sync(options: SyncOptions): Promise<SyncSummary> {
  const [name] = options.sources;
  const source = await LiveSource.open(name, { ...options.source, via: 'replication', signal: options.signal, onEvent: options.onEvent });
  try {
    const servers = await targetOf(options);
    try {
      return await new Sync(options, source, servers, await targetFacts(servers, options.target)).run();
    } finally {
      servers.close();
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

/** Connects to the target. Throws ServerError. */
function targetOf({ cluster, natMap, onEvent, sentinelLogin, target, tls, url }: SyncOptions): Promise<Servers> {
  return Servers.open({ url, tls, sentinelLogin, natMap }, { cluster, versionKnown: target !== undefined, onEvent });
}

/** By the words that name source and target, so that the same command goes on, whichever servers are masters by then. */
function keysOf({ id, positionPrefix, sources, url: { addresses, db, sentinelMaster } }: SyncOptions): RecordKeys {
  const target = [...addresses.map(addressText), sentinelMaster ?? '', db === undefined ? '' : `${db}`];
  return new RecordKeys(id ?? digestOf([...sources, ...target]), positionPrefix ?? RECORD_PREFIX);
}

class Sync {
  private readonly started = performance.now();
  private readonly keys: RecordKeys;
  private readonly table = new CommandTable();
  private readonly lanes: SourceLane[] = [];
  private readonly over = new AbortController();
  private readonly signal: AbortSignal;
  private failure: { readonly error: unknown } | undefined;
  private phase: SyncStatus['phase'] = 'changes';
  private problems = 0;
  private generation = 1;
  private readonly token = randomUUID();
  private fullWritten = false;
  private alone = false;
  /** Where the source is a cluster. */
  private readonly crossing: Crossing | undefined;
  private readonly anywhere: FetchAnywhere | undefined;
  private readonly runs: Promise<void>[] = [];
  private stopped = false;
  private readonly positions: Positions;
  /** Masters of the source so far. */
  private shards: number;

  constructor(
    private readonly options: SyncOptions,
    private readonly source: LiveSource,
    private readonly servers: Servers,
    private readonly facts: TargetFacts,
  ) {
    this.keys = keysOf(options);
    this.positions = new Positions(
      this.keys,
      facts.masters.map(({ replicationId }) => replicationId).filter((id) => id !== ''),
    );
    this.signal = options.signal === undefined ? this.over.signal : AbortSignal.any([options.signal, this.over.signal]);
    this.shards = source.shards.length;
    setMaxListeners(0, this.signal, this.over.signal); // each lane has some
    this.anywhere = source.facts.clustered ? new FetchAnywhere(source.servers, options.onEvent) : undefined;
    this.crossing = this.anywhere && new Crossing(this.anywhere, this.signal);
  }

  async run(): Promise<SyncSummary> {
    const { options } = this;
    let timer: NodeJS.Timeout | undefined;
    try {
      if (!this.dry) await this.endEarlier();
      const before = await readRecords(this.servers, this.keys);
      this.generation = Math.max(0, ...[...before.lanes.values()].map(({ record }) => record.generation)) + 1;
      await this.openLanes(options.fresh === true ? new Map() : before.lanes);
      this.crossing?.read(before.slots);
      timer = setInterval(() => this.status(), STATUS_EVERY);
      let restored: RestoreSummary | undefined;
      if (!(await this.resumes(before.lanes))) {
        restored = await this.copy(before.lanes);
        if (!endedWell(restored)) return this.summary(restored, false, 0);
        if (options.phase === 'full') return this.summary(restored, false, await this.release());
      } else if (this.dry) return this.summary(undefined, false, 0);
      this.phase = 'changes';
      const caughtUp = await this.follow();
      return this.summary(restored, caughtUp, caughtUp ? await this.release() : 0);
    } catch (error) {
      throw this.failure?.error ?? error;
    } finally {
      clearInterval(timer);
      this.anywhere?.close();
      this.over.abort(new Error('the sync is over'));
      for (const { lane, link, spool } of this.lanes) {
        lane?.close();
        link?.close();
        await spool.close().catch(() => undefined);
      }
    }
  }

  /** Whether nothing may be changed. */
  private get dry(): boolean {
    return this.options.dryRun === true;
  }

  /** What an earlier run has sent is applied, or lost, when this resolves. */
  private async endEarlier(): Promise<void> {
    const refused = await endConnections(this.servers, this.keys);
    if (refused === undefined) return;
    const risk = 'a run that was killed may still be writing, so that writes may be applied twice';
    this.options.onNote?.(`the target refuses CLIENT LIST or CLIENT KILL (${refused}): ${risk}`);
  }

  private async openLanes(states: ReadonlyMap<number, LaneState>): Promise<void> {
    const { shards } = this.source;
    const goesOn = this.crossing !== undefined && states.size > 0 && ![...states.values()].some(({ record }) => record.phase === 'full');
    if (!goesOn) {
      for (const [number, shard] of shards.entries()) this.addLane(number, shard, await this.openSpool(number, shard.facts.name));
      return;
    }
    // the masters may come in another order, and a replica may have taken over: each lane is known by its history
    const histories = await Promise.all(shards.map((shard) => this.historyOf(shard)));
    const left = new Set(shards);
    for (const [number, { record }] of states) {
      const spool = await this.openSpool(number, `lane ${number}`);
      const ids = new Set([record.id, ...spool.history.map(({ id }) => id)]);
      const index = histories.findIndex(({ earlierId, id }, i) => left.has(shards[i]) && (ids.has(id) || ids.has(earlierId)));
      if (index < 0) {
        await spool.close();
        continue;
      }
      left.delete(shards[index]);
      this.addLane(number, shards[index], spool);
    }
    for (const shard of left) {
      const number = Math.max(-1, ...states.keys(), ...this.lanes.map((lane) => lane.number)) + 1;
      this.addLane(number, shard, await this.openSpool(number, shard.facts.name));
    }
  }

  private openSpool(lane: number, name: string): Promise<Spool> {
    const { spool: folder, spoolMax } = this.options;
    const own = laneName(this.keys.id, lane);
    const dir = folder !== undefined && (!this.dry || hasSpool(folder, own)) ? folder : undefined;
    return Spool.open({
      ...{ lane: own, dir, max: spoolMax },
      onFull: (text) => this.options.onEvent?.(`${name}: ${text}: the source is not read further until there is room`, true),
      onRoom: () => this.options.onEvent?.(`${name}: the spool has room again`, true),
      onEvent: (text) => this.options.onEvent?.(`${name}: ${text}`),
    });
  }

  private addLane(number: number, shard: Shard, spool: Spool): SourceLane {
    const lane: SourceLane = {
      ...{ number, shard, spool, lag: new LagClock(), copy: undefined },
      ...{ lane: undefined, link: undefined, running: undefined },
    };
    this.lanes.push(lane);
    return lane;
  }

  /** Whether it goes on with what an earlier run has done. */
  private async resumes(states: ReadonlyMap<number, LaneState>): Promise<boolean> {
    const { fresh, phase } = this.options;
    const [{ shard }] = this.lanes;
    const isWhole = states.size > 0 && [...states.values()].every(({ record }) => record.phase === 'changes');
    if (isWhole && fresh !== true) {
      if (phase !== 'full') return this.goesOn(states);
      const advice = 'leave out --phase full to go on with the writes since, or add --fresh to make another one';
      throw new SyncError(shard.facts.name, `this sync has made its full copy already: ${advice}`);
    }
    if (phase !== 'changes') return false;
    const why = states.size === 0 ? 'the target has no position of this sync' : 'the full copy of this sync is not complete';
    throw new SyncError(shard.facts.name, `${why}, so that there is nothing to go on from: leave out --phase changes to make a full copy`);
  }

  /** Goes on with what an earlier run has done, if the source still has the writes since. */
  private async goesOn(states: ReadonlyMap<number, LaneState>): Promise<boolean> {
    const { lanes, options } = this;
    const [{ record }] = states.values();
    if (record.options !== this.fingerprint) {
      throw new SyncError(
        lanes[0].shard.facts.name,
        'the target has a position of this sync, made with other filters or maps: use the same ones, or --fresh to begin again',
      );
    }
    this.alone = record.alone;
    const gaps: string[] = [];
    const known = new Set<number>();
    for (const lane of lanes) {
      const state = states.get(lane.number);
      known.add(lane.number);
      if (state === undefined && this.crossing !== undefined) continue; // it came to the cluster since
      const begin = (of: LaneState): Promise<string | undefined> => (this.dry ? this.foreseen(lane, of) : this.begin(lane, of));
      const gap = state === undefined ? 'the target has no position of it' : state.unclaimed ? DELETED : await begin(state);
      if (gap !== undefined) gaps.push(`${lane.shard.facts.name}: ${gap}`);
    }
    const gone = [...states.keys()].filter((number) => !known.has(number));
    const strangers = lanes.filter(({ number }) => !states.has(number));
    if (gone.length > 0 && strangers.length > 0) {
      for (const { shard } of strangers) gaps.push(`${shard.facts.name}: none of the positions on the target is of its history`);
    }
    if (gaps.length > 0) {
      await this.fullInstead(gaps.join('; '));
      for (const lane of lanes) this.unlink(lane);
      return false;
    }
    for (const lane of strangers) await this.join(lane);
    if (gone.length > 0) await this.forget(gone);
    const isReleased = [...states.values()].some(({ record: { expiries } }) => expiries === 'released' || expiries === 'holding');
    if (isReleased && options.holdExpiries && !this.dry) await this.holdAgain();
    options.onGoesOn?.(lanes.map(({ number, shard }) => ({ name: shard.facts.name, offset: states.get(number)?.record.certain ?? 0 })));
    return true;
  }

  private async fullInstead(reason: string): Promise<void> {
    const { confirmFull, onGap, phase } = this.options;
    if (phase === 'changes') throw new SyncGap(this.lanes[0].shard.facts.name, reason);
    const agreed = onGap === 'full' || (onGap === undefined && (await confirmFull?.(reason)) === true);
    if (!agreed) throw new SyncGap(this.lanes[0].shard.facts.name, reason);
  }

  /** Asks for the writes since a position. Returns why that is not possible. */
  private async begin(lane: SourceLane, { record }: LaneState): Promise<string | undefined> {
    const { spool } = lane;
    if (!hasWrites(spool, record)) await spool.reset(record.id, record.certain);
    this.makeLane(lane, { offset: record.certain, db: record.db });
    const link = this.makeLink(lane);
    const last = spool.history.at(-1)?.id ?? record.id;
    const end = await link.start(last, spool.end);
    if (end?.kind === 'gap') return end.reason;
    this.takeWrites(lane, link);
    return undefined;
  }

  /** The same, as it would be. */
  private async foreseen({ shard, spool }: SourceLane, { record }: LaneState): Promise<string | undefined> {
    const last = hasWrites(spool, record) ? spool.history.at(-1) : undefined;
    const history = await this.historyOf(shard);
    const end = continuation(history, [last === undefined ? { id: record.id, end: record.certain } : { id: last.id, end: spool.end }]);
    return end.kind === 'gap' ? end.reason : undefined;
  }

  private makeLink(lane: SourceLane): ChangeLink {
    const { onEvent, source } = this.options;
    const { shard, spool } = lane;
    const link = new ChangeLink({
      ...{ name: shard.facts.name, open: () => shard.connect(), psyncCommand: source.psyncCommand, signal: this.signal, onEvent },
      log: this.logOf(lane, spool),
    });
    lane.link = link;
    return link;
  }

  private logOf(lane: SourceLane, spool: Spool): Pick<Spool, 'append' | 'end' | 'truncate' | 'turn'> {
    return {
      get end() {
        return spool.end;
      },
      append: (bytes) => spool.append(bytes),
      turn: (id, offset) => spool.turn(id, offset),
      truncate: async (offset) => {
        await lane.lane?.rewind(offset);
        await spool.truncate(offset);
      },
    };
  }

  private takeWrites(lane: SourceLane, link: ChangeLink): void {
    this.keepFollowing(lane, link).catch((error: unknown) => this.fail(error));
  }

  private async keepFollowing(lane: SourceLane, link: ChangeLink): Promise<void> {
    const { link: current, shard } = lane;
    for (;;) {
      const end = await link.run();
      if (link !== current) return;
      if (end.kind !== 'gap') continue;
      if (!(await this.hasLeft(shard))) throw new SyncGap(shard.facts.name, end.reason);
      await this.retire(lane);
      return;
    }
  }

  /** Whether a master of a cluster has given all its slots away; it is made a replica then. */
  private async hasLeft({ index }: Shard): Promise<boolean> {
    for (let attempt = 0; attempt < LEFT_ATTEMPTS; attempt++) {
      const view = await Promise.resolve(this.source.view()).catch(() => undefined);
      if (view !== undefined && !view.owners.includes(index) && ![...view.coming.values()].flat().includes(index)) return true;
      if (this.crossing === undefined) return false;
      await delay(WATCH_EVERY, undefined, { signal: this.signal });
    }
    return false;
  }

  /** Masters have left the cluster while nobody looked: what their last writes were about is looked at key by key. */
  private async forget(gone: readonly number[]): Promise<void> {
    const { crossing, keys, lanes, options, servers } = this;
    if (crossing === undefined) return;
    for (const number of gone) crossing.leave(number);
    const [lane] = lanes;
    const names = await this.keysIn(new Set(crossing.slotsInTransit));
    await this.tellSlots(crossing);
    await this.writeFences(lane.number, names, lane.spool.end);
    for (const number of gone) await removeLane(servers, keys, number);
    const masters = gone.length === 1 ? 'a master has' : `${gone.length} masters have`;
    options.onEvent?.(`${masters} left the cluster: ${names.length} keys of slots that they had are fetched`, true);
  }

  /** The lane ends: its last writes may not have come, so all keys of slots that it can have had are looked at. */
  private async retire(lane: SourceLane): Promise<void> {
    const { crossing, keys, lanes, servers } = this;
    const other = lanes.find((one) => one !== lane && one.lane !== undefined);
    if (crossing === undefined || other?.lane === undefined || lane.lane === undefined) return;
    lanes.splice(lanes.indexOf(lane), 1);
    lane.lane.stop(lane.spool.end);
    crossing.leave(lane.number);
    const names = await this.keysIn(new Set(crossing.slotsInTransit));
    await this.writeFences(other.number, names, other.spool.end);
    other.lane.want(names.map((key) => ({ db: 0, key })));
    await lane.running;
    lane.lane.close();
    crossing.remove(lane.lane);
    await removeLane(servers, keys, lane.number);
    await lane.spool.remove();
    this.options.onEvent?.(`${lane.shard.facts.name}: it has no slots any more: its writes are not followed further`, true);
  }

  /** The keys of some slots, on the target and in the source. */
  private async keysIn(slots: ReadonlySet<number>): Promise<Buffer[]> {
    const { keys, options, servers, source } = this;
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

  private unlink(lane: SourceLane): void {
    this.crossing?.clear();
    lane.link?.close();
    lane.link = undefined;
    lane.lane = undefined;
  }

  private fail(error: unknown): void {
    if (this.over.signal.aborted) return;
    this.failure ??= { error };
    this.over.abort(error);
  }

  private get hold(): number | undefined {
    return this.options.holdExpiries ? HOLD : undefined;
  }

  /** Digest of the options that decide what is written. */
  private get fingerprint(): string {
    const { dbMap, filter = {}, keyPrefixMap, notCommand, onlyCommand, url } = this.options;
    return digestOf([
      JSON.stringify({ ...filter, now: undefined }, filterInJson),
      JSON.stringify([[...(dbMap ?? [])], keyPrefixMap?.words, url.db, onlyCommand, notCommand]),
    ]);
  }

  /** The full copy, with the writes meanwhile going to the spools. */
  private async copy(states: ReadonlyMap<number, LaneState>): Promise<RestoreSummary> {
    const { dry, options, positions } = this;
    const { conflict, filter = {}, flush, functions = takesFunctions({ filter }), onPlan } = options;
    this.phase = 'full';
    const again = states.size > 0;
    const empty = this.facts.masters.every(({ counted, keys }) => counted && keys.size === 0);
    const ours = again && [...states.values()].every(({ record }) => record.alone);
    this.alone = (empty || flush === true || ours) && this.plain;
    const common: RestoreOptions = {
      ...options,
      ...{ ttlShift: this.hold, fieldShift: this.hold, signal: this.signal, functions, conflict: again ? 'replace' : conflict },
      filter: { ...filter, notPrefix: [...(filter.notPrefix ?? []), ...positions.prefixes] },
      connectionName: labelOf(`${this.keys.prefix}${this.keys.id}:copy`),
      onPlan: !dry
        ? onPlan
        : async (plan) => {
            await onPlan?.(plan);
            return false;
          },
    };
    const restored = (await this.restoreSeeds(common)) ?? (await this.restoreLive(common));
    if (dry || !endedWell(restored)) return restored;
    if (again && flush !== true) await this.sweep();
    await this.writeSlots();
    for (const lane of this.lanes) await this.copied(lane);
    return restored;
  }

  private async restoreLive(options: RestoreOptions): Promise<RestoreSummary> {
    const followers = new Map(this.lanes.map((lane) => [lane.shard.facts.name, this.follower(lane)]));
    if (!this.dry) await Promise.all([...followers.values()].map((follower) => follower.prepare()));
    const live: LiveOptions = {
      ...this.options.source,
      via: 'replication',
      onPosition: async (shard, position) => {
        await this.writeFull();
        await followers.get(shard)?.onPosition(position);
      },
      onExactPosition: async (shard, position) => {
        await followers.get(shard)?.onExactPosition(position);
        const lane = this.lanes.find((one) => one.shard.facts.name === shard);
        if (lane !== undefined) lane.copy = position;
      },
    };
    return restore({ ...options, live: new Map([[options.sources[0], live]]) });
  }

  /** The full copy from files; undefined if there are none, or they are too old and the source is to be copied instead. */
  private async restoreSeeds(options: RestoreOptions): Promise<RestoreSummary | undefined> {
    const { seed, seedManifest } = this.options;
    if (seed === undefined) return undefined;
    checkApart({ ...options, servers: new Map(this.lanes.map(({ shard }) => [shard.facts.name, shard])) }, this.facts);
    const read = await readSeeds(seed);
    const histories = await Promise.all(
      this.lanes.map(async ({ shard }) => ({ name: shard.facts.name, history: await this.historyOf(shard) })),
    );
    const gaps: string[] = [];
    for (const [i, { path, position }] of seedsOf(read, histories).entries()) {
      const gap = await this.beginAt(this.lanes[i], position, histories[i].history);
      if (gap !== undefined) gaps.push(`${path} is at offset ${position.offset} of ${histories[i].name}: ${gap}`);
    }
    if (gaps.length > 0) {
      await this.fullInstead(gaps.join('; '));
      for (const lane of this.lanes) this.unlink(lane);
      return undefined;
    }
    return restore({
      ...options,
      ...{ sources: seed, live: undefined, manifest: seedManifest },
      open: (source, how) => new LateInput(source, how, () => this.writeFull()),
    });
  }

  /** Asks for the writes since a file. Returns why that is not possible. */
  private async beginAt(
    lane: SourceLane,
    { id, offset, streamDb = 0 }: ReplicationPosition,
    history: SourceHistory,
  ): Promise<string | undefined> {
    const { spool } = lane;
    const has = hasWrites(spool, { id, certain: offset });
    const from = has ? { id: spool.history.at(-1)?.id ?? id, end: spool.end } : { id, end: offset };
    const foreseen = continuation(history, [from]);
    if (foreseen.kind === 'gap') return foreseen.reason;
    if (this.dry) return undefined;
    if (!has) await spool.reset(id, offset);
    const link = this.makeLink(lane);
    const end = await link.start(from.id, from.end);
    if (end?.kind === 'gap') return end.reason;
    if (end !== undefined) return 'another server has taken its place';
    lane.copy = { id, offset, db: streamDb };
    this.takeWrites(lane, link);
    return undefined;
  }

  /** Keys that the source does not have any more are removed by the lanes. */
  private async sweep(): Promise<void> {
    const { alone, keys, lanes, options, positions, servers, signal } = this;
    const swept = {
      ...{ servers, keys, signal, isPosition: (key: Uint8Array) => positions.has(key, 0, key.length) },
      lanes: lanes.map(({ copy, number, shard }) => ({
        ...{ number, name: shard.facts.name, open: () => shard.connectMaster(), choice: this.choiceOf(shard), offset: copy?.offset ?? 0 },
        slots: this.source.facts.clustered ? new Set(slotsIn(shard.facts.slots)) : undefined,
      })),
    };
    const { stale, unsure } = await sweep(swept, alone);
    if (unsure > 0) {
      options.onNote?.(`${counted(unsure)} of the target were not looked for in the source, since their slots are moving there`);
    }
    if (stale === 0) return;
    const them = `${counted(stale)} of the target that the source does not have`;
    if (!alone && (await options.confirmSweep?.(stale)) !== true) {
      options.onNote?.(`${them} stay there: if they are left over from an earlier copy, they were deleted in the source since`);
      return;
    }
    if (!alone) await sweep(swept, true);
    options.onEvent?.(`${them}: they are deleted`, true);
  }

  private choiceOf(shard: Shard): Choice {
    return choiceOf(this.options, shard.db, this.facts.databases);
  }

  /** Whether all keys are copied under their own numbers of databases, from one server. */
  private get plain(): boolean {
    const { filter = {} } = this.options;
    return this.lanes.length === 1 && takesFunctions({ filter }) && this.choiceOf(this.lanes[0].shard).sameDatabases;
  }

  private follower(lane: SourceLane): CopyFollower {
    const { onEvent, source } = this.options;
    const { shard, spool } = lane;
    return new CopyFollower({
      ...{ name: shard.facts.name, open: () => shard.connect(), psyncCommand: source.psyncCommand, signal: this.signal, onEvent },
      openLog: async (id, offset) => {
        await spool.reset(id, offset);
        return this.logOf(lane, spool);
      },
      onLink: (link) => {
        lane.link = link;
        this.takeWrites(lane, link);
      },
    });
  }

  /** The target learns that a full copy has begun: its keys are of no certain time until that is over. */
  private async writeFull(): Promise<void> {
    if (this.fullWritten) return;
    this.fullWritten = true;
    for (const { number } of this.lanes) {
      await this.writeRecords(number, { phase: 'full', id: '', certain: 0, sent: 0, db: 0 });
    }
  }

  private async copied(lane: SourceLane): Promise<void> {
    const { copy, number, shard } = lane;
    if (copy === undefined) throw new SyncError(shard.facts.name, 'its copy did not say where it stands');
    const { db, id, offset } = copy;
    await this.writeRecords(number, { phase: 'changes', id, certain: offset, sent: offset, db });
    this.makeLane(lane, { offset, db });
  }

  /** Which slots belong to which lane after a full copy. Those that have moved meanwhile are looked at key by key. */
  private async writeSlots(): Promise<void> {
    const { crossing, lanes, source } = this;
    const view = await source.view();
    if (crossing === undefined || view === undefined) return;
    crossing.read([]);
    const moved = new Set([...view.coming.keys()]);
    for (const { number, shard } of lanes) {
      for (const [from, to] of shard.facts.slots) {
        for (let slot = from; slot <= to; slot++) {
          if (view.owners[slot] !== shard.index) moved.add(slot);
          if (!moved.has(slot)) crossing.give(slot, number);
        }
      }
    }
    if (moved.size > 0) await this.writeFences(lanes[0].number, await this.keysIn(moved), lanes[0].spool.end);
    await this.tellSlots(crossing);
  }

  private async tellSlots(crossing: Crossing): Promise<void> {
    const { keys, servers } = this;
    crossing.takeChanged();
    const { moving } = await readRecords(servers, keys);
    await servers.eachMaster((client, master) => {
      const slot = recordSlot(servers, servers.masters.indexOf(master), moving);
      return client.hset(keys.records(slot), LANES_FIELD, crossing.text);
    });
  }

  private get shared(): Pick<LaneRecord, 'alone' | 'expiries' | 'generation' | 'lanes' | 'options'> {
    const { alone, generation, lanes, options } = this;
    return { alone, generation, expiries: options.holdExpiries ? 'held' : 'exact', lanes: lanes.length, options: this.fingerprint };
  }

  private async writeRecords(
    lane: number,
    place: Omit<LaneRecord, keyof Sync['shared'] | 'slots'>,
  ): Promise<void> {
    const { keys, options, servers } = this;
    for (let attempt = 1; ; attempt++) {
      this.signal.throwIfAborted();
      try {
        const run = `${this.generation} ${this.token}`;
        await replaceRecords(servers, keys, lane, run, (slots) => recordText({ ...place, ...this.shared, slots }), place.phase !== 'full');
        return;
      } catch (error) {
        if (!targetMayPass(error)) throw error;
        options.onEvent?.(`${reasonOf(error)}: writing the position again`, attempt % 10 === 0);
      }
      await delay(200, undefined, { signal: this.signal });
    }
  }

  private makeLane(lane: SourceLane, from: { readonly offset: number; readonly db: number }): void {
    const { facts, keys, options, servers, table } = this;
    const { filter = {}, keyPrefixMap, notCommand, onlyCommand } = options;
    const { shard } = lane;
    const { positions, transactions } = this;
    lane.lane = new Lane(
      {
        ...{ number: lane.number, name: shard.facts.name, servers, keys, spool: lane.spool, table, positions, hold: this.hold },
        ...this.choiceOf(shard),
        crossing: this.crossing,
        fetcher: new Fetcher({
          name: shard.facts.name,
          open: () => shard.connectMaster(),
          clustered: this.source.facts.clustered,
          known: (id) => lane.spool.history.some((turn) => turn.id === id),
          onEvent: options.onEvent,
        }),
        fetched: new FetchedWriter({
          filter: choosesValues(filter) ? compileFilter(valuesOf(filter)) : undefined,
          ...{
            codec: TS_CODEC,
            target: facts.target,
            sharded: servers.clustered,
            allowLoss: options.allowLoss,
            maxPayload: options.maxPayload,
          },
          suffix: `${keys.id}:${lane.number}`,
        }),
        ...{ names: keyPrefixMap, databases: facts.databases, older: releaseNumber(facts.target) < WITH_PXAT },
        fetchAll: choosesValues(filter),
        takes: takesOf(onlyCommand, notCommand),
        ...{ transactions, confirm: options.confirm, patience: PATIENCE, maxOpsPerSecond: options.maxOpsPerSecond },
        record: this.shared,
        token: this.token,
        pauses: {
          alone: this.alone,
          functions: options.functions ?? takesFunctions({ filter }),
          publish: options.publish === true,
          crossing: this.crossing,
        },
        sourceOffset: () => this.offsetOf(shard),
        learn: (command) => this.learn(shard, command),
        signal: this.signal,
        onAsked: () => lane.link?.acknowledge(),
        onEvent: (text, notable) => options.onEvent?.(text, notable),
        onNote: (text) => options.onNote?.(text),
        onProblem: (problem) => {
          this.problems++;
          options.onKeyProblem?.(problem);
        },
      },
      from,
    );
    this.crossing?.add(lane.lane);
  }

  /** Whether writes can be sent in transactions that set the position. */
  private get transactions(): boolean {
    return !this.servers.clustered;
  }

  private async offsetOf(shard: Shard): Promise<number> {
    return (await this.historyOf(shard)).offset;
  }

  /** Where a master stands. Throws SyncError, ServerError, and the reason of the signal. */
  private async historyOf(shard: Shard): Promise<SourceHistory> {
    for (;;) {
      this.signal.throwIfAborted();
      let info: InfoLink | undefined;
      try {
        info = new InfoLink(await shard.connectMaster(), this.signal);
        const history = await info.history();
        if (history !== undefined) return history;
        throw new SyncError(shard.facts.name, 'it does not tell its replication offset: INFO is needed');
      } catch (error) {
        if (error instanceof SyncError || !(error instanceof ServerError || error instanceof ConnectionLost)) throw error;
        this.options.onEvent?.(`${shard.facts.name}: ${reasonOf(error)}: asking again for its offset`);
      } finally {
        info?.close();
      }
      await delay(200, undefined, { signal: this.signal });
    }
  }

  private async learn(shard: Shard, command: string): Promise<boolean> {
    const info = new InfoLink(await shard.connectMaster(), this.signal);
    try {
      const spec = specFromServer(await info.command(command));
      if (spec === undefined) return false;
      this.table.add(spec);
      return true;
    } finally {
      info.close();
    }
  }

  /** Applies what comes until it is to end. Returns whether the target has caught up. */
  private async follow(): Promise<boolean> {
    const { lanes, options, runs } = this;
    for (const lane of lanes) this.runLane(lane);
    const stop = (): void => {
      this.stopped = true;
      for (const { lane, spool } of lanes) lane?.stop(spool.end);
    };
    options.stop?.addEventListener('abort', stop, { once: true });
    if (options.stop?.aborted === true) stop();
    const caughtUp = options.untilCaughtUp === true ? this.untilCaughtUp() : Promise.resolve(false);
    void caughtUp.then((is) => {
      if (!is) return;
      this.stopped = true;
      for (const { lane, link } of lanes) lane?.stop(link?.state.sourceOffset ?? 0);
    });
    void this.watch().catch((error: unknown) => this.fail(error));
    for (let i = 0; i < runs.length; i++) await runs[i]; // more may come
    if (this.failure !== undefined) throw this.failure.error;
    this.signal.throwIfAborted();
    return options.stop?.aborted !== true && (await caughtUp);
  }

  private runLane(of: SourceLane): void {
    if (of.lane === undefined) return;
    of.running = of.lane.run().catch((error: unknown) => this.fail(error));
    this.runs.push(of.running);
  }

  /** Follows the slots and the masters of a cluster as long as it is followed. */
  private async watch(): Promise<void> {
    const { crossing, lanes, options, signal, source } = this;
    if (crossing === undefined) return;
    const view = async (): Promise<ClusterView> => (await source.view()) as ClusterView;
    const offsetOf = ({ number }: KeptLane): Promise<number> => this.offsetOf(this.laneOf(number).shard);
    const keeper = new SlotKeeper({ crossing, lanes, view, offsetOf, onEvent: (text) => options.onEvent?.(text) });
    const isOver = (): boolean => this.stopped || signal.aborted;
    while (!isOver()) {
      try {
        const now = await view();
        for (const shard of await source.joined(this.shards)) {
          await this.welcome(shard);
          this.shards++;
        }
        await keeper.look(now);
      } catch (error) {
        if (isOver()) return;
        if (!(error instanceof ServerError || error instanceof ConnectionLost || error instanceof Detached)) throw error;
        options.onEvent?.(`${reasonOf(error)}: looking again at the slots of the source`);
      }
      await delay(WATCH_EVERY);
    }
  }

  private laneOf(number: number): SourceLane {
    const found = this.lanes.find((lane) => lane.number === number);
    if (found === undefined) throw new TypeError(`there is no lane ${number}`);
    return found;
  }

  /** A master has come to the source. */
  private async welcome(shard: Shard): Promise<void> {
    const { lanes } = this;
    const number = Math.max(...lanes.map((lane) => lane.number)) + 1;
    const lane = this.addLane(number, shard, await this.openSpool(number, shard.facts.name));
    try {
      await this.join(lane);
    } catch (error) {
      lanes.pop();
      lane.link?.close();
      await lane.spool.close();
      throw error;
    }
    this.runLane(lane);
  }

  /** Begins to follow a master that has come: its keys are fetched, and its writes from then on are applied. */
  private async join(lane: SourceLane): Promise<void> {
    const { number, shard } = lane;
    const follower = this.follower(lane);
    const input = new ReplicationInput({
      ...{ name: shard.facts.name, open: () => shard.connect(), psyncCommand: this.options.source.psyncCommand, signal: this.signal },
      onPosition: (position) => follower.onPosition(position),
      onExactPosition: async (position) => {
        await follower.onExactPosition(position);
        lane.copy = position;
      },
      onEvent: this.options.onEvent,
    });
    let bytes = 0; // of a copy that is asked for to be told where it stands
    for await (const chunk of input.chunks()) bytes += chunk.length;
    const { copy } = lane;
    if (copy === undefined) throw new SyncError(shard.facts.name, 'it does not say where its writes stand');
    const names: Buffer[] = [];
    await eachKeyOf(await this.source.servers.client(await shard.master()), (keys) => void names.push(...keys));
    await this.writeFences(number, names, copy.offset);
    const text = `it has come to the cluster, and sent a copy of ${bytes} bytes: its ${names.length} keys are fetched, its writes followed`;
    await this.copied(lane);
    this.options.onEvent?.(`${shard.facts.name}: ${text}`, true);
  }

  /** The keys are to be fetched when the lane begins. */
  private async writeFences(lane: number, names: readonly Uint8Array[], offset: number): Promise<void> {
    const { keys, servers } = this;
    await servers.refresh();
    const { moving } = await readRecords(servers, keys);
    const fences = names.map((key) => ({ db: 0, key, offset }));
    for (const [master, own] of grouped(fences, ({ key }) => servers.masterOf(keySlot(key)))) {
      const slot = recordSlot(servers, servers.masters.indexOf(master), moving);
      await addFences(await servers.client(master), keys.fences(slot), lane, own);
    }
  }

  private async untilCaughtUp(): Promise<boolean> {
    const { maxLag, settle } = this.options;
    let since: number | undefined;
    while (!this.signal.aborted && this.options.stop?.aborted !== true) {
      const near = this.laneStatuses().every(
        ({ connected, attached, lagSeconds, source }) => attached && connected && source !== undefined && lagSeconds * 1000 <= maxLag,
      );
      if (!near) since = undefined;
      else since ??= Date.now();
      if (since !== undefined && Date.now() - since >= settle) return true;
      await delay(Math.min(100, settle));
    }
    return false;
  }

  /** Gives keys their real expiries: nothing is written any more. */
  private async release(): Promise<number> {
    if (!this.options.holdExpiries) return 0;
    this.phase = 'settling';
    this.status();
    return release(this.holds);
  }

  /** Expiries were released when an earlier run ended. */
  private async holdAgain(): Promise<void> {
    const { lanes, options, positions, source } = this;
    const choice = this.choiceOf(lanes[0].shard);
    await holdAgain({
      ...this.holds,
      source: source.servers,
      concerns: (db, key) => !positions.has(key, 0, key.length) && sourceNames(choice, options.keyPrefixMap, db, key).length > 0,
      offsets: async () => {
        const ends = lanes.map(async ({ number, shard }) => [number, await this.offsetOf(shard)] as const);
        return new Map(await Promise.all(ends));
      },
    });
  }

  private get holds(): HoldsOptions {
    const { facts, keys, options, servers, signal } = this;
    return { servers, keys, databases: facts.databases, signal, onEvent: options.onEvent, onNote: options.onNote };
  }

  private laneStatuses(): LaneStatus[] {
    return this.lanes.map(({ copy, lag, lane, link, shard, spool }) => {
      const state = link?.state;
      const applied = lane?.certain.offset ?? copy?.offset ?? 0;
      const received = state?.received ?? spool.end;
      const source = state?.sourceOffset;
      lag.tell(Math.max(source ?? 0, received));
      return {
        ...{ name: shard.facts.name, connected: state?.connected === true, attached: lane?.attached === true, applied, received, source },
        lagBytes: Math.max(0, Math.max(source ?? 0, received) - applied),
        lagSeconds: lag.secondsAt(applied),
        spool: spool.held,
        counts: lane?.counts ?? NO_COUNTS,
        fetched: lane?.fetchedKeys ?? 0,
      };
    });
  }

  private status(): void {
    this.options.onStatus?.({ phase: this.phase, lanes: this.laneStatuses(), seconds: (performance.now() - this.started) / 1000 });
  }

  private summary(restored: RestoreSummary | undefined, caughtUp: boolean, released: number): SyncSummary {
    return {
      ...{ restored, lanes: this.laneStatuses(), caughtUp, released, problems: this.problems },
      stopped: this.options.stop?.aborted === true,
      declined: restored?.declined === true,
      seconds: (performance.now() - this.started) / 1000,
    };
  }
}

/** Whether a spool has the writes since a position. */
function hasWrites({ begin, end, history }: Spool, { certain, id }: Pick<LaneRecord, 'certain' | 'id'>): boolean {
  return certain >= begin && certain <= end && history.findLast(({ from }) => from <= certain)?.id === id;
}

const counted = (keys: number): string => (keys === 1 ? 'a key' : `${keys} keys`);

const digestOf = (parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);

/** Whether a filter looks at more than names of keys and databases. */
const choosesValues = ({ maxSize, minSize, notType, ttl, type }: NonNullable<SyncOptions['filter']>): boolean =>
  [maxSize, minSize, ttl].some((value) => value !== undefined) || [type, notType].some((list) => list !== undefined && list.length > 0);

/** What a filter says of values. */
const valuesOf = ({ maxSize, minSize, notType, now, ttl, type }: FilterOptions): FilterOptions => {
  return { maxSize, minSize, notType, now, ttl, type };
};

/** The release whose SET has PXAT. */
const WITH_PXAT = 602;

function takesOf(only: readonly string[] | undefined, not: readonly string[] | undefined): ((name: string) => boolean) | undefined {
  if (only === undefined && not === undefined) return undefined;
  const [wanted, unwanted] = [only, not].map((names) => names && new Set(names.map((name) => name.toLowerCase())));
  return (name) => wanted?.has(name) !== false && unwanted?.has(name) !== true;
}

const NO_COUNTS = new PlanCounts();
