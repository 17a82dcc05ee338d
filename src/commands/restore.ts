import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Delivery } from '../restore/delivery.js';
import type { Access } from '../redis/connect.js';
import type { ServerIdentityState } from '../restore/server-identity.js';
import { OutputError } from '../io/output-error.js';
import { ServerError } from '../redis/errors.js';
import { Servers } from '../redis/servers.js';
import { RejectsFile } from '../restore/rejects-file.js';
import { LibraryForecast } from '../restore/functions.js';
import { KeySet } from '../values/key-set.js';
import { TS_CODEC } from '../kernels/codec.js';
import { PlainWriter } from '../restore/plain-batch.js';
import { MAX_PAYLOAD } from '../dump/resp-writer.js';
import { samePayload } from '../values/same-value.js';
import { hasAbsoluteTtl } from '../values/targets.js';
import { baseWarning } from '../pipeline/aof.js';
import { type Eviction, evictionsSince, type TargetFacts, targetFacts } from '../restore/target-facts.js';
import { checkFiles, type SourceManifest } from '../pipeline/manifest.js';
import { mayMeet } from '../pipeline/meeting.js';
import { unlessAborted } from '../redis/unless-aborted.js';
import { Waiting } from '../redis/waiting.js';
import { checkKept, Checkpoints, type CheckpointState } from '../restore/checkpoint.js';
import { discard, rewind, type SourceProgress, unreadSource } from '../restore/source-progress.js';
import { type RestoreOptions as WriteOptions, WINDOW } from '../restore/options.js';
import { writeRefused } from '../restore/write-probe.js';
import { Round } from '../restore/round.js';
import { SlotCoverage } from '../restore/slot-coverage.js';
import { checkApart, checkDatabase, flushTarget, keysThere, libraryConflict, type Plan, planOf } from '../restore/plan.js';
import { type RestoreEnd, restoreSummary, type RestoreSummary, Tally } from '../restore/summary.js';
import type { RunSummary } from '../pipeline/run.js';
import { type LiveRunOptions, withServers } from './live-sources.js';

export type { RestoreConflict } from '../restore/outcomes.js';
/** Options of a restore, from files or servers. */
export type RestoreOptions = WriteOptions & LiveRunOptions;

export type { Plan } from '../restore/plan.js';
export type { RestoreSummary } from '../restore/summary.js';

const WINDOW_KEYS = 1 << 16;
const RETRY_FOR = 60_000;
const CHECKPOINT_EVERY = 1000;
/** Keys that a dry run remembers to find repeated ones: 256 MiB (see DigestSet). */
const MOST_FORESEEN = 11_000_000;
/** Passes over the sources in one run, if a server is restarted every time. */
const MOST_PASSES = 5;

/**
 * Restores the keys of RDB files. Throws OutputError, and if nothing was begun ServerError, CheckpointError, ManifestError and the reason
 * of the signal; everything else is in the summary.
 */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  if (options.manifest !== undefined) await checkFiles(options.manifest);
  return withServers(options, false, restoreSources);
}

async function restoreSources(options: WriteOptions): Promise<RestoreSummary> {
  const { connectionName, natMap, sentinelLogin, tls, url } = options;
  const access: Access = { url, tls, sentinelLogin, natMap, connectionName };
  const { facts, servers } = await unlessAborted(reached(access, options), options.signal, (late) => late.servers.close());
  try {
    return await new Restore(options, servers, facts).run();
  } finally {
    servers.close();
  }
}

/** Milliseconds between two attempts to reach the target. */
const REACH_EVERY = 500;

/** The target, as soon as all of its masters answer. Throws ServerError. */
async function reached(access: Access, options: WriteOptions): Promise<{ servers: Servers; facts: TargetFacts }> {
  const { cluster, onEvent, retryFirst, retryFor = RETRY_FOR, signal, target } = options;
  const waiting = new Waiting(retryFor, onEvent);
  for (;;) {
    let servers: Servers | undefined;
    try {
      servers = await Servers.open(access, { cluster, versionKnown: target !== undefined, onEvent });
      const facts = await targetFacts(servers, target);
      waiting.over();
      return { servers, facts };
    } catch (error) {
      servers?.close();
      const mayPass =
        error instanceof ServerError && (error.passing || (retryFirst === true && (error.code === 'UNREACHABLE' || error.code === 'LOST')));
      if (!mayPass || waiting.tooLong || signal?.aborted === true) throw error;
      waiting.tell(`${error.server}: ${error.reason}`, 0);
    }
    await delay(REACH_EVERY, undefined, { signal });
  }
}

class Restore {
  private readonly tally: Tally;
  private readonly sources: readonly SourceProgress[];
  private readonly checkpoints: Checkpoints;
  /** Passes over the sources begun by this run, not counting those before a resumed checkpoint. */
  private begun = 1;
  private countReplaced = false;
  private resumed = false;
  private rejectsKept = 0;
  /** The server that may have lost confirmed keys, and why. */
  private loss: { server: string; reason: string } | undefined;
  private identities: readonly ServerIdentityState[] = [];
  private evicted: readonly Eviction[] = [];
  private delivery: Delivery | undefined;
  /** The keys that a dry run has seen. */
  private seen: KeySet | undefined;
  private coverage: SlotCoverage | undefined;
  /** When it began, without the time that somebody was asked. */
  private started = performance.now();

  constructor(
    private readonly options: WriteOptions,
    private readonly servers: Servers,
    private readonly facts: TargetFacts,
  ) {
    this.tally = new Tally(options);
    this.sources = options.sources.map(unreadSource);
    this.checkpoints = new Checkpoints(options, servers, (error) => this.unwritten(error));
  }

  /** A new one for the dry run: the plan has already predicted everything once. */
  private get forecast(): LibraryForecast {
    return new LibraryForecast(this.servers, libraryConflict(this.options));
  }

  async run(): Promise<RestoreSummary> {
    const { options } = this;
    checkDatabase(options, this.facts);
    checkApart(options, this.facts);
    const plan = await planOf(options, this.facts, this.forecast);
    if (await this.resume()) return this.summary(plan, [], { finished: true });
    if (plan.errors.length > 0 && options.keepGoing !== true) {
      options.onError?.(plan.errors[0]);
      return this.summary(plan, [], { declined: true });
    }
    await this.tellOfAofs(plan);
    const complete = plan.aofTails.length === 0 || options.ignoreAofTail === true;
    if (!(await this.agreed(plan)) || !complete) return this.summary(plan, [], { declined: true });
    if (options.dryRun !== true && !this.resumed) this.checkEmpty(plan);
    await this.openFiles();
    if (options.dryRun !== true && !this.resumed && options.flush === true) await this.flush();
    const meet = mayMeet({ ...options, intoDb: options.url.db });
    this.countReplaced ||=
      options.conflict === 'replace' &&
      !this.resumed &&
      (meet || keysThere(this.facts, options) > 0 || this.facts.masters.some(({ counted }) => !counted));
    if (meet && options.dryRun === true) this.seen = new KeySet(MOST_FORESEEN);
    if (this.facts.clustered && this.sources.length > 1 && !this.resumed) this.coverage = new SlotCoverage();
    const delivery = this.openDelivery();
    this.delivery = delivery;
    let timer: NodeJS.Timeout | undefined;
    try {
      this.save(false);
      await this.checkpoints.saved();
      if (this.checkpoints.kept) timer = setInterval(() => this.save(false), CHECKPOINT_EVERY);
      const ends = await this.untilKept(delivery);
      if (ends.some(({ bytes }) => bytes > 0) && !(delivery.failure instanceof OutputError)) this.tally.rejects?.dropOld();
      await delivery.close({ settled: true });
      const finished =
        delivery.failure === undefined &&
        ends.every(({ errors, interrupted }) => errors.length === 0 && !interrupted) &&
        ends.length === this.sources.length;
      this.save(finished);
      await this.checkpoints.saved().catch((error: unknown) => this.unwritten(error));
      try {
        this.tally.addUnfinished(this.sources, !(delivery.failure instanceof OutputError));
      } catch (error) {
        this.unwritten(error);
      }
      if (finished && !ends.some(({ limited }) => limited)) this.tellGaps();
      if (this.seen?.full === true) {
        options.onNote?.(
          `only the first ${MOST_FORESEEN.toLocaleString('en')} keys were checked for repeats: ` +
            'other keys may be in several sources or databases',
        );
      }
      if (options.dryRun === true) {
        const error = await this.foreseen(plan);
        if (error !== undefined) delivery.fail(error);
      }
      const { companionsRefused, failure, unanswered, unconfirmed } = delivery;
      const summary = this.summary(plan, ends, { failure, unconfirmed, unanswered, companionsRefused });
      const comparable = finished && !summary.limited;
      return options.manifest === undefined ? summary : { ...summary, gaps: comparable ? this.missingKeys(options.manifest) : [] };
    } finally {
      clearInterval(timer);
      await delivery.close({ settled: false });
      this.sources.forEach(discard);
      this.tally.rejects?.close();
    }
  }

  private async agreed(plan: Plan): Promise<boolean> {
    const from = performance.now();
    const agreed = await this.options.onPlan?.(plan);
    this.started += performance.now() - from;
    return agreed !== false;
  }

  /** Reports AOF commands after the RDBs, before the restore and again when the sources have been read. */
  private async tellOfAofs({ aofTails, sources }: Plan): Promise<void> {
    const { onAofTail, onWarning } = this.options;
    for (const { bytes, file } of aofTails) onAofTail?.(file, bytes);
    for (const head of sources) {
      if (head === undefined || aofTails.some(({ file }) => file === head.source)) continue;
      const warning = await baseWarning(head.source, head.aofMark);
      if (warning !== undefined) onWarning?.(head.source, warning);
    }
  }

  private openDelivery(): Delivery {
    const { conflict = 'error', maxInFlight = WINDOW, maxPayload = MAX_PAYLOAD, retryFor = RETRY_FOR, signal } = this.options;
    const delivery = new Delivery(this.servers, {
      window: maxInFlight,
      windowKeys: WINDOW_KEYS,
      retryFor,
      relativeTtl: !hasAbsoluteTtl(this.facts.target),
      same: samePayload,
      maxPayload,
      plain: new PlainWriter({ codec: TS_CODEC, target: this.facts.target, conflict, maxPayload }),
      identities: this.identities,
      onLoss: (server, reason) => this.lost(server, reason),
      onNote: (text) => this.options.onNote?.(text),
      onEvent: this.options.onEvent,
      signal,
    });
    delivery.resumed = this.resumed;
    return delivery;
  }

  /** Reads the sources, and reads them again if a server may have lost confirmed keys. */
  private async untilKept(delivery: Delivery): Promise<RunSummary[]> {
    for (;;) {
      const ends = await this.readAll(delivery);
      if (this.options.dryRun === true || delivery.failure !== undefined || ends.some(({ interrupted }) => interrupted)) return ends;
      try {
        await delivery.verify();
        this.evicted = await evictionsSince(this.servers, this.facts);
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        delivery.fail(error);
      }
      if (!this.mustReadAgain(delivery)) return ends;
      this.begin(delivery);
    }
  }

  private readAll(delivery: Delivery): Promise<RunSummary[]> {
    const { countReplaced, facts, sources, tally } = this;
    const { coverage, forecast, seen } = this;
    return new Round(this.options, { delivery, forecast, countReplaced, coverage, facts, sources, seen, tally }).run();
  }

  /** Says which slots no source has keys in. */
  private tellGaps(): void {
    const gaps = this.coverage?.gaps ?? [];
    if (gaps.length === 0) return;
    const ranges = gaps.map(([from, to]) => `${from}-${to}`).join(', ');
    this.options.onNote?.(`no source has keys in slots ${ranges}: was the file of a shard forgotten?`);
  }

  /** Where a file had not the keys that its manifest says. */
  private missingKeys({ manifest }: SourceManifest): string[] {
    return this.sources.flatMap(({ counts, path }) => {
      const expected = manifest.files.find(({ file }) => file === path)?.keys ?? counts.read;
      return expected === counts.read ? [] : [`${path} has ${counts.read} keys, and the manifest says ${expected}`];
    });
  }

  private lost(server: string, reason: string): void {
    if (this.loss !== undefined) return;
    this.loss = { server, reason };
    this.options.onNote?.(`${server}: ${reason}: keys that it confirmed may be lost, so all sources are read again at the end`);
  }

  /** Whether the sources must be read again, and can be. */
  private mustReadAgain(delivery: Delivery): boolean {
    if (this.loss === undefined || delivery.failure !== undefined) return false;
    const { reason, server } = this.loss;
    const once = this.options.sources.find(
      (source) => source === '-' || this.options.servers?.has(source) === true || !statSync(source).isFile(),
    );
    const name = once === '-' ? 'standard input' : once;
    if (once !== undefined) {
      delivery.fail(
        new ServerError('RESTARTED', server, `${reason}, so keys that it confirmed may be lost, and ${name} cannot be read again`),
      );
    } else if (this.begun === MOST_PASSES) delivery.fail(this.restartedTooOften(server, reason));
    else return true;
    return false;
  }

  private restartedTooOften(server: string, reason: string): ServerError {
    const advice =
      this.options.checkpoint === undefined
        ? undefined
        : 'Find out why the server keeps restarting, then go on from the checkpoint, which reads all sources again.';
    return new ServerError(
      'RESTARTED',
      server,
      `${reason}, for the ${MOST_PASSES}th time, so keys that it confirmed may be lost`,
      undefined,
      advice,
    );
  }

  /** Starts over at the beginning of all sources. */
  private begin(delivery: Delivery): void {
    this.begun++;
    this.loss = undefined;
    delivery.resumed = true;
    this.tally.beginAgain();
    this.sources.forEach(rewind);
    this.save(false);
  }

  /** Takes over the state of a checkpoint. Returns whether everything was done already. */
  private async resume(): Promise<boolean> {
    const before = await this.checkpoints.read();
    if (before === undefined) return false;
    if (!before.finished) checkKept(before, this.facts);
    this.resumed = true;
    this.begun = 0;
    this.countReplaced = before.countReplaced;
    this.tally.told = before.told;
    this.tally.libraries.push(...before.libraries);
    this.tally.rounds = before.passes;
    this.identities = before.custody;
    if (before.again && !before.finished) this.lost(before.target.url, 'a server was restarted or replaced before');
    this.rejectsKept = before.rejectsBytes;
    for (const { counts, db, server } of before.counts) Object.assign(this.tally.ledger.at(db, server), counts);
    this.sources.forEach((source, i) => (source.done = before.sources[i].done));
    this.tally.goOn();
    if (!before.finished) {
      const overlaps = before.sources.some(({ position }) => position !== undefined);
      this.options.onResumed?.(this.options.checkpoint ?? '', this.tally.settled, overlaps);
    }
    return before.finished;
  }

  /** Opens the files to write while nothing is changed on the target: a full disk must not come after --flush. Throws OutputError. */
  private async openFiles(): Promise<void> {
    const { rejects } = this.options;
    try {
      if (rejects !== undefined) this.tally.rejects = new RejectsFile(rejects, this.rejectsKept);
      await this.checkpoints.tryOut(this.sources, this.state(false));
    } catch (error) {
      this.tally.rejects?.close();
      if (error instanceof OutputError)
        error.advice = `Nothing was written to the target${this.resumed ? ' by this run' : ''}. ${error.advice ?? ''}`.trim();
      throw error;
    }
  }

  private async flush(): Promise<void> {
    try {
      await flushTarget(this.servers, this.options, this.facts);
    } catch (error) {
      this.tally.rejects?.close();
      throw error;
    }
  }

  /** A file could not be written: the restore ends. */
  private unwritten(error: unknown): void {
    if (!(error instanceof OutputError)) throw error;
    this.delivery?.fail(error);
  }

  /** The target must be empty, unless options say what becomes of its keys. */
  private checkEmpty(plan: Plan): void {
    const { besides, conflict = 'error', flush } = this.options;
    if (flush === true || besides === true || conflict !== 'error' || plan.keysThere === 0) return;
    throw this.notEmpty(plan);
  }

  private notEmpty({ keysThere: there }: Plan): ServerError {
    return new ServerError('TARGET', this.servers.masters[0].name, `the target has ${there === 1 ? 'a key' : `${there} keys`} already`);
  }

  /** What a dry run knows of the error that the restore would end with. */
  private async foreseen(plan: Plan): Promise<ServerError | undefined> {
    const { conflict = 'error', flush } = this.options;
    if (flush === true) return undefined;
    if (conflict === 'error' && plan.keysThere > 0) return this.notEmpty(plan);
    return writeRefused(this.servers, this.options.maxPayload === 0);
  }

  private save(finished: boolean): void {
    if (!this.checkpoints.kept) return;
    try {
      this.tally.rejects?.sync();
    } catch (error) {
      this.unwritten(error);
      return;
    }
    this.checkpoints.save(this.sources, this.state(finished));
  }

  private state(finished: boolean): CheckpointState {
    const { countReplaced, tally } = this;
    return {
      counts: tally.ledger.entries(),
      told: tally.told,
      libraries: tally.libraries.map((library) => ({ ...library, outcomes: [...library.outcomes] })),
      rejectsBytes: tally.rejects?.bytes ?? 0,
      countReplaced,
      custody: this.delivery?.identities ?? [],
      again: this.loss !== undefined,
      passes: tally.rounds,
      finished,
    };
  }

  private summary(
    plan: Plan,
    ends: readonly RunSummary[],
    how: Partial<Pick<RestoreEnd, 'failure' | 'declined' | 'finished' | 'unconfirmed' | 'unanswered' | 'companionsRefused'>>,
  ): RestoreSummary {
    const { failure, declined = false, finished = false, unconfirmed = [], unanswered = 0, companionsRefused = [] } = how;
    const seconds = (performance.now() - this.started) / 1000;
    return restoreSummary(this.sources, this.tally, ends, {
      plan,
      failure,
      declined,
      finished,
      before: this.tally.before,
      unconfirmed,
      unanswered,
      companionsRefused,
      evicted: this.evicted,
      seconds,
      resumed: this.resumed,
      interrupted: this.options.signal?.aborted === true,
    });
  }
}
