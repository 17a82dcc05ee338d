import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { TS_CODEC } from '../kernels/codec.js';
import { LiveSource } from '../live/live-source.js';
import type { LiveOptions } from '../live/options.js';
import type { Shard } from '../live/shard.js';
import { ConnectionLost, reasonOf, ServerError } from '../redis/errors.js';
import { Servers } from '../redis/servers.js';
import { compileKeyFilter, takesFunctions } from '../values/filters.js';
import { targetFacts, type TargetFacts } from '../restore/target-facts.js';
import { specFromServer } from '../sync/commands/server-spec.js';
import { CommandTable } from '../sync/commands/table.js';
import { SyncError, SyncGap } from '../sync/errors.js';
import type { KeyName } from '../sync/fences.js';
import { DELETED, Lane, mayPass } from '../sync/lane.js';
import { LagClock } from '../sync/lag.js';
import { PlanCounts } from '../sync/planner.js';
import { type LaneRecord, RecordKeys, RECORD_PREFIX, recordText } from '../sync/record.js';
import { HOLD, releaseExpiries } from '../sync/settle.js';
import { ChangeLink } from '../sync/source/change-link.js';
import { CopyFollower } from '../sync/source/copy-follower.js';
import { Fetcher } from '../sync/source/fetcher.js';
import { InfoLink } from '../sync/source/info-link.js';
import { FetchedWriter } from '../sync/source/write-fetched.js';
import { Spool } from '../sync/spool/spool.js';
import { endConnections, labelOf, type LaneState, readRecords, replaceRecords } from '../sync/target/lane-records.js';
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

/** One master of the source. */
interface SourceLane {
  readonly number: number;
  readonly shard: Shard;
  readonly spool: Spool;
  readonly lag: LagClock;
  lane: Lane | undefined;
  link: ChangeLink | undefined;
  following: Promise<void> | undefined;
  /** Where the full copy stands. */
  copy: { readonly id: string; readonly offset: number; readonly db: number } | undefined;
}

/** Copies a source and everything that is written to it. Throws ServerError, OutputError, SyncError and the reason of the signal. */
export async function sync(options: SyncOptions): Promise<SyncSummary> {
  const [name] = options.sources;
  const source = await LiveSource.open(name, { ...options.source, via: 'replication', signal: options.signal, onEvent: options.onEvent });
  try {
    const access = { url: options.url, tls: options.tls, sentinelLogin: options.sentinelLogin, natMap: options.natMap };
    const servers = await Servers.open(access, {
      cluster: options.cluster,
      versionKnown: options.target !== undefined,
      onEvent: options.onEvent,
    });
    try {
      return await new Sync(options, source, servers, await targetFacts(servers, options.target)).run();
    } finally {
      servers.close();
    }
  } finally {
    source.close();
  }
}

/** Ends a sync for good: releases held expiries, removes its positions from the target, and its spool. */
export function forgetSync({ sources: [name] }: SyncOptions): Promise<{ released: number; removed: number }> {
  return Promise.reject(new SyncError(name, '--forget cannot be done yet'));
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

  constructor(
    private readonly options: SyncOptions,
    private readonly source: LiveSource,
    private readonly servers: Servers,
    private readonly facts: TargetFacts,
  ) {
    const id = options.id ?? digestOf([...options.sources, ...facts.masters.map((master) => master.name).sort()]);
    this.keys = new RecordKeys(id, options.positionPrefix ?? RECORD_PREFIX);
    this.signal = options.signal === undefined ? this.over.signal : AbortSignal.any([options.signal, this.over.signal]);
  }

  async run(): Promise<SyncSummary> {
    const { options } = this;
    let timer: NodeJS.Timeout | undefined;
    try {
      const refused = await endConnections(this.servers, this.keys);
      if (refused !== undefined) {
        options.onNote?.(
          `the target refuses CLIENT LIST or CLIENT KILL (${refused}): a run that was killed may still be writing, so that writes may be applied twice`,
        );
      }
      const before = await readRecords(this.servers, this.keys);
      this.generation = Math.max(0, ...[...before.lanes.values()].map(({ record }) => record.generation)) + 1;
      await this.openLanes();
      timer = setInterval(() => this.status(), STATUS_EVERY);
      let restored: RestoreSummary | undefined;
      const resumes = options.fresh !== true && (await this.goesOn(before.lanes));
      if (!resumes) {
        restored = await this.copy(before.lanes);
        if (restored === undefined || !isComplete(restored)) return this.summary(restored, false, 0);
        if (options.phase === 'full') return this.summary(restored, false, await this.release());
      }
      this.phase = 'changes';
      const caughtUp = await this.follow();
      return this.summary(restored, caughtUp, caughtUp ? await this.release() : 0);
    } catch (error) {
      throw this.failure?.error ?? error;
    } finally {
      clearInterval(timer);
      this.over.abort(new Error('the sync is over'));
      for (const { lane, link, spool } of this.lanes) {
        lane?.close();
        link?.close();
        await spool.close().catch(() => undefined);
      }
    }
  }

  private async openLanes(): Promise<void> {
    const { spool: dir, spoolMax } = this.options;
    for (const [number, shard] of this.source.shards.entries()) {
      const { name } = shard.facts;
      const spool = await Spool.open({
        lane: `${this.keys.id}-${number}`,
        ...{ dir, max: spoolMax },
        onFull: (text) => this.options.onEvent?.(`${name}: ${text}: the source is not read further until there is room`, true),
        onRoom: () => this.options.onEvent?.(`${name}: the spool has room again`, true),
        onEvent: (text) => this.options.onEvent?.(`${name}: ${text}`),
      });
      this.lanes.push({
        number,
        shard,
        spool,
        lag: new LagClock(),
        lane: undefined,
        link: undefined,
        following: undefined,
        copy: undefined,
      });
    }
  }

  /** Goes on with what an earlier run has done, if there is such, and the source still has the writes since. */
  private async goesOn(states: ReadonlyMap<number, LaneState>): Promise<boolean> {
    const { lanes, options } = this;
    if (states.size === 0 || [...states.values()].some(({ record }) => record.phase === 'full')) return false;
    const [{ record }] = states.values();
    if (record.options !== this.fingerprint) {
      throw new SyncError(
        lanes[0].shard.facts.name,
        'the target has a position of this sync, made with other filters or maps: use the same ones, or --fresh to begin again',
      );
    }
    this.alone = record.alone;
    const gaps: string[] = [];
    for (const lane of lanes) {
      const state = states.get(lane.number);
      const gap = state === undefined ? 'the target has no position of it' : state.unclaimed ? DELETED : await this.begin(lane, state);
      if (gap !== undefined) gaps.push(`${lane.shard.facts.name}: ${gap}`);
    }
    if (gaps.length > 0) {
      await this.fullInstead(gaps.join('; '));
      for (const lane of lanes) this.unlink(lane);
      return false;
    }
    options.onGoesOn?.(lanes.map(({ number, shard }) => ({ name: shard.facts.name, offset: states.get(number)?.record.certain ?? 0 })));
    return true;
  }

  private async fullInstead(reason: string): Promise<void> {
    const { confirmFull, onGap } = this.options;
    const agreed = onGap === 'full' || (onGap === undefined && (await confirmFull?.(reason)) === true);
    if (!agreed) throw new SyncGap(this.lanes[0].shard.facts.name, reason);
  }

  /** Asks for the writes since a position. Returns why that is not possible. */
  private async begin(lane: SourceLane, { record }: LaneState): Promise<string | undefined> {
    const { spool } = lane;
    const known = spool.history.findLast(({ from }) => from <= record.certain)?.id;
    const has = record.certain >= spool.begin && record.certain <= spool.end && known === record.id;
    if (!has) await spool.reset(record.id, record.certain);
    this.makeLane(lane, { offset: record.certain, db: record.db });
    const link = this.makeLink(lane);
    const last = spool.history.at(-1)?.id ?? record.id;
    const end = await link.start(last, spool.end);
    if (end?.kind === 'gap') return end.reason;
    this.run1(lane, link);
    return undefined;
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

  private run1(lane: SourceLane, link: ChangeLink): void {
    lane.following = this.keepFollowing(lane, link).catch((error: unknown) => this.fail(error));
  }

  private async keepFollowing({ link: current, shard }: SourceLane, link: ChangeLink): Promise<void> {
    for (;;) {
      const end = await link.run();
      if (link !== current) return;
      if (end.kind === 'gap') throw new SyncGap(shard.facts.name, end.reason);
    }
  }

  private unlink(lane: SourceLane): void {
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
    const { dbMap, filter = {}, notCommand, onlyCommand, url } = this.options;
    return digestOf([
      JSON.stringify({ ...filter, now: undefined }, shown),
      JSON.stringify([[...(dbMap ?? [])], url.db, onlyCommand, notCommand]),
    ]);
  }

  /** The full copy, with the writes meanwhile going to the spools. */
  private async copy(states: ReadonlyMap<number, LaneState>): Promise<RestoreSummary | undefined> {
    const { options } = this;
    this.phase = 'full';
    const followers = new Map(this.lanes.map((lane) => [lane.shard.facts.name, this.follower(lane)]));
    const [name] = options.sources;
    const again = states.size > 0 && options.fresh !== true;
    const empty = this.facts.masters.every(({ counted, keys }) => counted && keys.size === 0);
    this.alone = (empty || (options.flush === true && options.url.db === undefined) || again) && this.plain;
    await Promise.all([...followers.values()].map((follower) => follower.prepare()));
    const restored = await restore({
      ...options,
      ...{ ttlShift: this.hold, signal: this.signal, conflict: again ? 'replace' : options.conflict },
      connectionName: labelOf(`${this.keys.prefix}${this.keys.id}:copy`),
      live: new Map([
        [
          name,
          {
            ...options.source,
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
          },
        ],
      ]),
    });
    if (!isComplete(restored) || options.dryRun === true) return restored;
    for (const lane of this.lanes) await this.copied(lane);
    return restored;
  }

  /** Whether all keys are copied under their own numbers of databases, from one server. */
  private get plain(): boolean {
    const { dbMap, filter = {}, url } = this.options;
    return this.lanes.length === 1 && takesFunctions({ filter }) && dbMap === undefined && url.db === undefined;
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
        this.run1(lane, link);
      },
    });
  }

  /** The target learns that a full copy has begun: its keys are of no certain time until that is over. */
  private async writeFull(): Promise<void> {
    if (this.fullWritten) return;
    this.fullWritten = true;
    for (const { number } of this.lanes) {
      await this.writeRecords(number, { phase: 'full', id: '', certain: 0, sent: 0, db: 0, sentDb: 0 });
    }
  }

  private async copied(lane: SourceLane): Promise<void> {
    const { copy, number, shard } = lane;
    if (copy === undefined) throw new SyncError(shard.facts.name, 'its copy did not say where it stands');
    await this.writeRecords(number, {
      phase: 'changes',
      id: copy.id,
      certain: copy.offset,
      sent: copy.offset,
      db: copy.db,
      sentDb: copy.db,
    });
    this.makeLane(lane, { offset: copy.offset, db: copy.db });
  }

  private get shared(): Pick<LaneRecord, 'alone' | 'generation' | 'held' | 'lanes' | 'options'> {
    const { alone, generation, lanes, options } = this;
    return { alone, generation, held: options.holdExpiries, lanes: lanes.length, options: this.fingerprint };
  }

  private async writeRecords(lane: number, place: Omit<LaneRecord, keyof Sync['shared'] | 'batch' | 'slots'>): Promise<void> {
    const { keys, options, servers } = this;
    for (let attempt = 1; ; attempt++) {
      this.signal.throwIfAborted();
      try {
        const run = `${this.generation} ${this.token}`;
        await replaceRecords(servers, keys, lane, run, (slots) => recordText({ ...place, ...this.shared, slots }));
        return;
      } catch (error) {
        if (!mayPass(error)) throw error;
        options.onEvent?.(`${reasonOf(error)}: writing the position again`, attempt % 10 === 0);
      }
      await delay(200, undefined, { signal: this.signal });
    }
  }

  private makeLane(lane: SourceLane, from: { readonly offset: number; readonly db: number }): void {
    const { facts, keys, options, servers, table } = this;
    const { dbMap, filter = {}, notCommand, onlyCommand, url } = options;
    const { shard } = lane;
    const isWanted = compileKeyFilter(filter);
    const databases = filter.db === undefined || filter.db.length === 0 ? undefined : new Set(filter.db);
    const ofSource = shard.db;
    const target = (db: number): number => url.db ?? dbMap?.get(db) ?? db;
    const wants =
      isWanted === undefined && databases === undefined && ofSource === undefined
        ? undefined
        : (db: number, keyBytes: Uint8Array, keyStart: number, keyEnd: number): boolean =>
            databases?.has(db) !== false &&
            (ofSource === undefined || ofSource === db) &&
            isWanted?.({ keyBytes, keyStart, keyEnd }) !== false;
    const { transactions } = this;
    const allSources = Array.from({ length: facts.databases }, (_, db) => db);
    lane.lane = new Lane(
      {
        ...{ number: lane.number, name: shard.facts.name, servers, keys, spool: lane.spool, table, wants, target, hold: this.hold },
        fetcher: new Fetcher({
          name: shard.facts.name,
          open: () => shard.connectMaster(),
          clustered: this.source.facts.clustered,
          known: (id) => lane.spool.history.some((turn) => turn.id === id),
          onEvent: options.onEvent,
        }),
        fetched: new FetchedWriter({
          ...{
            codec: TS_CODEC,
            target: facts.target,
            sharded: servers.clustered,
            allowLoss: options.allowLoss,
            maxPayload: options.maxPayload,
          },
          suffix: `${keys.id}:${lane.number}`,
        }),
        sources: (db) => (url.db === undefined && dbMap === undefined ? [db] : allSources.filter((of) => target(of) === db)),
        sameDatabases: url.db === undefined && dbMap === undefined && databases === undefined && ofSource === undefined,
        fetchAll: choosesValues(filter),
        takes: takesOf(onlyCommand, notCommand),
        ...{ transactions, confirm: options.confirm, patience: PATIENCE, maxOpsPerSecond: options.maxOpsPerSecond },
        record: this.shared,
        token: this.token,
        pauses: {
          alone: this.alone,
          functions: options.functions ?? takesFunctions({ filter }),
          publish: options.publish === true,
          slots: this.source.facts.clustered ? () => slotsOf(shard) : undefined,
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
  }

  /** Whether writes can be sent in transactions that set the position. */
  private get transactions(): boolean {
    return !this.servers.clustered;
  }

  private async offsetOf(shard: Shard): Promise<number> {
    for (;;) {
      this.signal.throwIfAborted();
      let info: InfoLink | undefined;
      try {
        info = new InfoLink(await shard.connectMaster(), this.signal);
        const history = await info.history();
        if (history !== undefined) return history.offset;
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
    const { lanes, options } = this;
    const running = Promise.all(lanes.flatMap(({ lane }) => lane?.run() ?? [])).then(
      () => 'over' as const,
      (error: unknown) => {
        this.fail(error);
        throw this.failure?.error ?? error;
      },
    );
    const stop = (): void => lanes.forEach(({ lane, spool }) => lane?.stop(spool.end));
    options.stop?.addEventListener('abort', stop, { once: true });
    if (options.stop?.aborted === true) stop();
    const caughtUp = options.untilCaughtUp === true ? this.untilCaughtUp() : Promise.resolve(false);
    void caughtUp.then((is) => {
      if (is) lanes.forEach(({ lane, link }) => lane?.stop(link?.state.sourceOffset ?? 0));
    });
    await running;
    return options.stop?.aborted !== true && (await caughtUp);
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
    return releaseExpiries(this.servers, { databases: this.facts.databases, signal: this.signal, onEvent: this.options.onEvent });
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

const isComplete = ({ declined, errors, failure, interrupted }: RestoreSummary): boolean =>
  !declined && !interrupted && failure === undefined && errors.length === 0;

const digestOf = (parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);

const shown = (_: string, value: unknown): unknown =>
  value instanceof RegExp ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;

/** Whether a filter looks at more than names of keys and databases. */
const choosesValues = ({ maxSize, minSize, notType, ttl, type }: NonNullable<SyncOptions['filter']>): boolean =>
  [maxSize, minSize, ttl].some((value) => value !== undefined) || [type, notType].some((list) => list !== undefined && list.length > 0);

function takesOf(only: readonly string[] | undefined, not: readonly string[] | undefined): ((name: string) => boolean) | undefined {
  if (only === undefined && not === undefined) return undefined;
  const [wanted, unwanted] = [only, not].map((names) => names && new Set(names.map((name) => name.toLowerCase())));
  return (name) => wanted?.has(name) !== false && unwanted?.has(name) !== true;
}

function slotsOf({ facts }: Shard): ReadonlySet<number> {
  return new Set(facts.slots.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i)));
}

const NO_COUNTS = new PlanCounts();
