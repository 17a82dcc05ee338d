import { statSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { RdbError } from '../bytes/errors.js';
import { Bulk } from '../redis/bulk.js';
import type { Access } from '../redis/connect.js';
import { ServerError } from '../redis/errors.js';
import { Servers } from '../redis/servers.js';
import type { Address, ServerUrl } from '../redis/url.js';
import type { KeyProblem } from '../sinks/dump-sink.js';
import { Pace } from '../sinks/pace.js';
import { RejectsFile } from '../sinks/rejects-file.js';
import { BATCH_BYTES, batchBuffers } from '../sinks/restore-batches.js';
import { Ledger } from '../sinks/restore-ledger.js';
import type { Rejected, RestoreConflict, Stretch } from '../sinks/restore-progress.js';
import { RestoreSink } from '../sinks/restore-sink.js';
import type { Counts } from '../sinks/sink.js';
import type { FilterOptions } from '../values/filters.js';
import { samePayload } from '../values/same-value.js';
import { hasAbsoluteTtl, type Target } from '../values/targets.js';
import { type Checkpoint, checkCheckpoint, CheckpointError, type CheckpointSource, readCheckpoint, sourceIdentity, writeCheckpoint } from './checkpoint.js';
import { flushesAll, flushTarget, keysThere, type Plan, planOf } from './restore-plan.js';
import { run, type RunOptions, type RunProgress, type RunSummary } from './run.js';
import { type TargetFacts, targetFacts } from './target-facts.js';

export type { RestoreConflict } from '../sinks/restore-progress.js';
export type { Plan } from './restore-plan.js';

export interface RestoreOptions extends RunOptions {
  readonly url: ServerUrl;
  readonly tls?: ConnectionOptions | undefined;
  readonly natMap?: ReadonlyMap<string, Address> | undefined;
  /** Whether the target is a cluster (default: as it says). */
  readonly cluster?: boolean | undefined;
  /** The version of the target (default: as it says). */
  readonly target?: Target | undefined;
  readonly allowLoss?: boolean | undefined;
  /** Default: error. */
  readonly conflict?: RestoreConflict | undefined;
  /** Empty the target first: the databases that are written to. */
  readonly flush?: boolean | undefined;
  /** Only look at it all. */
  readonly dryRun?: boolean | undefined;
  readonly dbMap?: ReadonlyMap<number, number> | undefined;
  /** Leave expiries out. */
  readonly stripTtl?: boolean | undefined;
  /** Milliseconds that expiries are later. */
  readonly ttlShift?: number | undefined;
  /** Payloads over this many bytes become plain commands (default 512 MiB, as proto-max-bulk-len). */
  readonly maxPayload?: number | undefined;
  /** Sources that are read at the same time (default 4). */
  readonly parallel?: number | undefined;
  readonly maxKeysPerSecond?: number | undefined;
  readonly maxBytesPerSecond?: number | undefined;
  /** Bytes on their way to one server at a time (default 4 MiB). */
  readonly maxInFlight?: number | undefined;
  /** Milliseconds for which a command is tried again (default 60,000). */
  readonly retryFor?: number | undefined;
  /** Where it is kept how far this is: started again with the same file, it goes on from there. */
  readonly checkpoint?: string | undefined;
  /** Where keys are written that are not on the target. */
  readonly rejects?: string | undefined;
  /** Called before anything is written; `false` ends it. */
  readonly onPlan?: ((plan: Plan) => Promise<boolean>) | undefined;
  /** Called for what one should know, but need not act on. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** Called when the sources are read once more: all problems with keys come again. */
  readonly onAgain?: (() => void) | undefined;
  /** Called for every key that is not on the target, and for everything else that is not. */
  readonly onProblem?: ((problem: KeyProblem) => void) | undefined;
}

export interface RestoreSummary extends RunSummary {
  readonly plan: Plan;
  /** Counts by database and server; those of a run that was resumed are in them. */
  readonly rows: ReturnType<Ledger['entries']>;
  readonly total: Ledger['total'];
  /** Keys that the filters left out. */
  readonly filtered: number;
  /** What is no key and was not restored. */
  readonly told: number;
  /** Why it ended early. */
  readonly failure: ServerError | undefined;
  /** Whether it went on from a checkpoint. */
  readonly resumed: boolean;
  /** Nothing was written, since `onPlan` said so. */
  readonly declined: boolean;
  /** Servers whose replicas did not confirm what was written. */
  readonly unconfirmed: readonly string[];
}

const MAX_PAYLOAD = 512 << 20;
const WINDOW = 4 << 20;
const WINDOW_UNITS = 1 << 16;
const RETRY_FOR = 60_000;
const PARALLEL = 4;
const CHECKPOINT_EVERY = 1000;
/** Times that sources are read, where a server is restarted every time. */
const MOST_PASSES = 5;

/**
 * Restores the keys of RDB files. Throws ServerError, CheckpointError and the reason of the signal where nothing was begun,
 * OutputError; all else is in the summary.
 */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  const access: Access = { url: options.url, tls: options.tls, natMap: options.natMap };
  const opening = Servers.open(access, { cluster: options.cluster });
  try {
    const servers = await unlessAborted(opening, options.signal);
    const facts = await unlessAborted(targetFacts(servers, options.target), options.signal);
    return await new Restore(options, servers, facts).run();
  } finally {
    opening.then((servers) => servers.close()).catch(() => undefined);
  }
}

/** Rejects with the reason of the signal when it comes first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true, signal: over.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    over.abort();
  }
}

/** A source on its way. */
interface Lane {
  readonly source: string;
  counts: Readonly<Counts>;
  progress: RunProgress;
  done: number;
  /** Keys that the filters left out. */
  filtered: number;
  sink: RestoreSink | undefined;
}

class Restore {
  private readonly ledger = new Ledger();
  private readonly lanes: Lane[];
  private readonly conflict: RestoreConflict;
  private told = 0;
  private rejects: RejectsFile | undefined;
  private identities: Omit<CheckpointSource, 'done'>[] = [];
  private countReplaced = false;
  private resumed = false;
  /** Where, and why, what a server confirmed may be lost. */
  private loss: { server: string; reason: string } | undefined;
  private passes = 1;
  private custody: Checkpoint['custody'] = [];
  private bulk: Bulk | undefined;
  private saving: Promise<void> = Promise.resolve();
  private readonly started = performance.now();

  constructor(
    private readonly options: RestoreOptions,
    private readonly servers: Servers,
    private readonly facts: TargetFacts,
  ) {
    this.conflict = options.conflict ?? 'error';
    this.lanes = options.sources.map((source) => ({ source, counts: { read: 0, keys: 0, expired: 0, bytes: 0 }, progress: { bytesRead: 0, totalBytes: undefined, keys: 0 }, done: 0, filtered: 0, sink: undefined }));
  }

  async run(): Promise<RestoreSummary> {
    const { options } = this;
    const plan = await planOf(options, this.facts);
    await this.resume();
    if ((await options.onPlan?.(plan)) === false) return this.summary(plan, [], { declined: true });
    if (options.dryRun !== true && !this.resumed) await this.clear(plan);
    this.countReplaced ||= this.conflict === 'replace' && !this.resumed && keysThere(this.facts, options) > 0;
    if (options.rejects !== undefined) this.rejects = new RejectsFile(options.rejects, this.rejectsKept);
    const bulk = new Bulk(this.servers, {
      window: options.maxInFlight ?? WINDOW,
      windowUnits: WINDOW_UNITS,
      retryFor: options.retryFor ?? RETRY_FOR,
      relativeTtl: !hasAbsoluteTtl(this.facts.target),
      same: samePayload,
      custody: this.custody,
      onLoss: (server, reason) => this.lost(server, reason),
      signal: options.signal,
    });
    this.bulk = bulk;
    bulk.resumed = this.resumed;
    let timer: NodeJS.Timeout | undefined;
    try {
      this.save(false);
      await this.saving;
      if (options.checkpoint !== undefined) timer = setInterval(() => this.save(false), CHECKPOINT_EVERY);
      const ends = await this.untilKept(bulk);
      await bulk.close({ settled: true });
      const finished = bulk.failure === undefined && ends.every(({ errors, interrupted }) => errors.length === 0 && !interrupted) && ends.length === this.lanes.length;
      this.save(finished);
      await this.saving;
      this.addUnfinished();
      return this.summary(plan, ends, { failure: bulk.failure, unconfirmed: bulk.unconfirmed });
    } finally {
      clearInterval(timer);
      await bulk.close({ settled: false });
      this.rejects?.close();
    }
  }

  /** Reads the sources, and reads them again where a server may have lost what it had confirmed. */
  private async untilKept(bulk: Bulk): Promise<RunSummary[]> {
    for (;;) {
      const ends = await this.all(bulk);
      if (this.options.dryRun === true || bulk.failure !== undefined || ends.some(({ interrupted }) => interrupted)) return ends;
      try {
        await bulk.verify();
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        bulk.fail(error);
      }
      if (!this.mustReadAgain(bulk)) return ends;
      this.begin(bulk);
    }
  }

  /** What comes of keys is counted already. */
  private get counted(): boolean {
    return this.passes > 1 && this.conflict === 'replace';
  }

  private lost(server: string, reason: string): void {
    if (this.loss !== undefined) return;
    this.loss = { server, reason };
    this.options.onNote?.(`${server}: ${reason}: keys that it had confirmed may be lost. At the end, all of them are looked at once more`);
  }

  /** Whether the sources are to be read again, and can be. */
  private mustReadAgain(bulk: Bulk): boolean {
    if (this.loss === undefined || bulk.failure !== undefined) return false;
    const { reason, server } = this.loss;
    const once = this.options.sources.find((source) => source === '-' || !statSync(source).isFile());
    const name = once === '-' ? 'standard input' : once;
    if (once !== undefined) bulk.fail(new ServerError('RESTARTED', server, `${reason}, so keys that it had confirmed may be lost, and ${name} cannot be read again`));
    else if (this.passes === MOST_PASSES) bulk.fail(new ServerError('RESTARTED', server, `${reason}, as has happened ${MOST_PASSES} times, so keys that it had confirmed may be lost`));
    else return true;
    return false;
  }

  /**
   * Begins anew at the beginning of all sources. Keys that are there are our own now: whether they were replaced is known
   * from the first time only, so those counts stay; all others are made again.
   */
  private begin(bulk: Bulk): void {
    this.loss = undefined;
    this.passes++;
    bulk.resumed = true;
    if (!this.counted) {
      this.ledger.clear();
      this.rejects?.clear();
      this.options.onAgain?.();
    }
    for (const lane of this.lanes) Object.assign(lane, { done: 0, counts: { read: 0, keys: 0, expired: 0, bytes: 0 }, filtered: 0, sink: undefined });
    this.save(false);
  }

  private rejectsKept = 0;

  private async resume(): Promise<void> {
    const { checkpoint, dryRun, sources } = this.options;
    if (checkpoint === undefined) return;
    this.identities = await Promise.all(sources.map((source) => sourceIdentity(source)));
    const before = await readCheckpoint(checkpoint);
    if (before === undefined || dryRun === true) return;
    checkCheckpoint(before, this.checkpointTarget, this.fingerprint, this.identities);
    if (before.finished) throw new CheckpointError('it says that all is done; remove it to restore again');
    this.resumed = true;
    this.countReplaced = before.countReplaced;
    this.told = before.told;
    this.passes = before.passes;
    this.custody = before.custody;
    if (before.again) this.lost(before.target.url, 'a server was restarted or replaced before');
    this.rejectsKept = before.rejectsBytes;
    for (const { counts, db, server } of before.counts) Object.assign(this.ledger.at(db, server), counts);
    this.lanes.forEach((lane, i) => (lane.done = before.sources[i].done));
  }

  private get checkpointTarget(): Checkpoint['target'] {
    const { addresses, db, sentinelMaster, tls } = this.options.url;
    const hosts = addresses.map(({ host, port }) => `${host}:${port}`).join(',');
    const url = `redis${tls ? 's' : ''}${sentinelMaster === undefined ? '' : '+sentinel'}://${hosts}${sentinelMaster === undefined ? '' : `/${sentinelMaster}`}${db === undefined ? '' : `/${db}`}`;
    return { url, nodes: this.servers.masters.map(({ id }) => id).filter((id) => id !== '').sort() };
  }

  /** What decides which keys are written, and how. */
  private get fingerprint(): Record<string, unknown> {
    const { allowLoss, dbMap, filter = {}, maxPayload, stripTtl, ttlShift } = this.options;
    const plain = Object.fromEntries(Object.entries(filter as Record<string, unknown>).filter(([name, value]) => name !== 'now' && value !== undefined && !(Array.isArray(value) && value.length === 0)));
    const shown = JSON.parse(JSON.stringify(plain, (_, value: unknown) => (value instanceof RegExp ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value))) as FilterOptions;
    return { conflict: this.conflict, filter: shown, dbMap: dbMap === undefined ? undefined : [...dbMap], intoDb: this.options.url.db, stripTtl, ttlShift, allowLoss, maxPayload };
  }

  /** Empties the target, or sees that it is empty, as the options say. */
  private async clear(plan: Plan): Promise<void> {
    if (this.options.flush === true) {
      await flushTarget(this.servers, this.options, this.facts);
      return;
    }
    if (this.conflict !== 'error' || plan.keysThere === 0) return;
    throw new ServerError('TARGET', this.servers.masters[0].name, `the target has ${plan.keysThere === 1 ? 'a key' : `${plan.keysThere} keys`} already`);
  }

  private async all(bulk: Bulk): Promise<RunSummary[]> {
    const { limit, parallel = PARALLEL } = this.options;
    const width = limit === undefined ? Math.min(parallel, this.lanes.length) : 1;
    const pace = new Pace({ keysPerSecond: this.options.maxKeysPerSecond, bytesPerSecond: this.options.maxBytesPerSecond });
    const ends: RunSummary[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < this.lanes.length && !this.over(bulk, ends)) {
        const lane = this.lanes[next++];
        try {
          ends.push(await this.one(lane, bulk, pace));
        } catch (error) {
          if (!(error instanceof ServerError)) throw error;
          bulk.fail(error);
        }
      }
    };
    await Promise.all(Array.from({ length: width }, work));
    return ends;
  }

  private over(bulk: Bulk, ends: readonly RunSummary[]): boolean {
    const { keepGoing, limit = Infinity, signal } = this.options;
    const keys = this.lanes.reduce((sum, lane) => sum + lane.counts.keys, 0);
    return bulk.failure !== undefined || signal?.aborted === true || keys >= limit || (keepGoing !== true && ends.some(({ errors }) => errors.length > 0));
  }

  private one(lane: Lane, bulk: Bulk, pace: Pace): Promise<RunSummary> {
    const { options } = this;
    const { allowLoss, dbMap, dryRun, limit, maxInFlight = WINDOW, maxPayload = MAX_PAYLOAD, stripTtl, ttlShift, url } = options;
    const links = this.servers.masters.length;
    const left = limit === undefined ? undefined : limit - this.lanes.reduce((sum, { counts }) => sum + counts.keys, 0);
    const common: RunOptions = {
      ...options,
      sources: [lane.source],
      limit: left,
      onProgress: (progress) => {
        lane.progress = progress;
        this.progress();
      },
    };
    const counting = { dbMap, stripTtl, target: this.facts.target, allowLoss, conflict: this.conflict, countReplaced: this.countReplaced && !this.counted };
    return run(
      this.passes === 1 ? common : { ...common, onError: undefined, onWarning: undefined }, // they were told before
      (hot, counts) => {
        lane.counts = counts;
        const sink = new RestoreSink({
          ...counting,
          ...{ hot, bulk, maxPayload, pace, ttlShift },
          libraryConflict: flushesAll(options) ? 'replace' : this.conflict,
          databases: this.facts.databases,
          intoDb: url.db,
          from: lane.done,
          window: maxInFlight,
          dry: dryRun,
          signal: options.signal,
          onLeftOut: () => lane.filtered++,
          onDone: (stretch) => this.done(lane, stretch),
          onProblem: (problem) => this.problem(problem),
        });
        lane.sink = sink;
        return { sink, outputs: [], meta: true };
      },
      batchBuffers(links) * (BATCH_BYTES + (1 << 12)),
    );
  }

  /** Something that is no key, or a key that cannot be told to the target: those are in the stretch, too. */
  private problem(problem: KeyProblem): void {
    if (problem.key !== undefined || this.passes > 1) return;
    this.told++;
    this.options.onProblem?.(problem);
  }

  private done(lane: Lane, stretch: Stretch): void {
    lane.done = Math.max(lane.done, stretch.end);
    if (this.counted) return;
    this.ledger.add(stretch.ledger);
    this.rejects?.add(stretch.rejects);
    for (const rejected of stretch.rejects) this.options.onProblem?.(problemOf(lane.source, rejected));
  }

  /** What there is to tell of keys that a checkpoint does not count: the next run sends them again. */
  private addUnfinished(): void {
    if (this.counted) return;
    for (const { sink, source } of this.lanes) {
      for (const { ledger, rejects } of sink?.unfinished ?? []) {
        this.ledger.add(ledger);
        if (this.options.checkpoint === undefined) this.rejects?.add(rejects);
        for (const rejected of rejects) this.options.onProblem?.(problemOf(source, rejected));
      }
    }
  }

  private progress(): void {
    const { lanes } = this;
    this.options.onProgress?.({
      bytesRead: lanes.reduce((sum, { progress }) => sum + progress.bytesRead, 0),
      totalBytes: lanes.reduce<number | undefined>((sum, { progress }) => (sum === undefined || progress.totalBytes === undefined ? undefined : sum + progress.totalBytes), 0),
      keys: lanes.reduce((sum, { counts }) => sum + counts.keys, 0),
      servers: this.ledger.servers,
    });
  }

  private save(finished: boolean): void {
    const { checkpoint } = this.options;
    if (checkpoint === undefined || this.options.dryRun === true) return;
    this.rejects?.sync();
    const state: Checkpoint = {
      rdbkit: 'restore checkpoint',
      version: 1,
      target: this.checkpointTarget,
      options: this.fingerprint,
      sources: this.identities.map((identity, i) => ({ ...identity, done: this.lanes[i].done })),
      counts: this.ledger.entries(),
      told: this.told,
      rejectsBytes: this.rejects?.bytes ?? 0,
      countReplaced: this.countReplaced,
      custody: this.bulk?.custody ?? [],
      again: this.loss !== undefined,
      passes: this.passes,
      finished,
    };
    this.saving = this.saving.then(() => writeCheckpoint(checkpoint, state));
    this.saving.catch(() => undefined); // it is thrown where it is awaited
  }

  private summary(plan: Plan, ends: readonly RunSummary[], how: { failure?: ServerError | undefined; declined?: boolean; unconfirmed?: string[] }): RestoreSummary {
    const sum = (pick: (lane: Lane) => number): number => this.lanes.reduce((total, lane) => total + pick(lane), 0);
    const errors: RdbError[] = ends.flatMap((end) => end.errors);
    return {
      read: sum(({ counts }) => counts.read),
      keys: sum(({ counts }) => counts.keys),
      expired: sum(({ counts }) => counts.expired),
      bytes: sum(({ counts }) => counts.bytes),
      sources: this.lanes.length,
      errors,
      torn: false,
      partial: undefined,
      written: ends.reduce((total, { written }) => total + written, 0),
      seconds: (performance.now() - this.started) / 1000,
      warnings: ends.reduce((total, { warnings }) => total + warnings, 0),
      limited: ends.some(({ limited }) => limited),
      interrupted: ends.some(({ interrupted }) => interrupted) || this.options.signal?.aborted === true,
      plan,
      rows: this.ledger.entries(),
      total: this.ledger.total,
      filtered: sum(({ filtered }) => filtered),
      told: this.told,
      failure: how.failure,
      resumed: this.resumed,
      declined: how.declined === true,
      unconfirmed: how.unconfirmed ?? [],
    };
  }
}

function problemOf(file: string, { db, error, key, payload, server }: Rejected): KeyProblem {
  const module = server !== undefined && payload !== undefined && MODULE_TYPES.includes(payload[0]);
  return { file, db, key, reason: `${server === undefined ? '' : `${server} answered: `}${error}${module ? '; it is a value of a module, which the target must have' : ''}` };
}

/** MODULE_PRE_GA and MODULE_2. */
const MODULE_TYPES: readonly number[] = [6, 7];
